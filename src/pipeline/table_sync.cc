#include "pipeline/table_sync.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/failpoint.h"
#include "engine/progress.h"
#include "pipeline/companion.h"
#include "pipeline/table_set.h"
#include "postgres/catalog.h"
#include "postgres/publication.h"
#include "replication/table_machine.h"
#include "types/hidden_columns.h"

namespace sluice::pipeline {

namespace {

/// Tables that are stored with other declarations than those of now.
struct Restated {
  std::vector<RelationId> relations;  ///< stored anew
  std::vector<RelationId> to_copy;
};

void ForgetKept(const std::string& why, telemetry::Logger& logger, TableRecord& table) {
  table.kept.reset();
  table.advice = "sluice resync " + ToString(table.source);
  logger.Failed(
      "table {}: what was kept since it halted is dropped: {} (SLU-4213); to continue: {}",
      ToString(table.source), why, table.advice);
}

/// Columns with other policies. Copied are those whose rows were made with a policy that let values
/// go: they hold NULLs, or lack texts, that the one of now would not give them.
Restated RestatePolicies(const TableSyncInput& input, DeliveryState& state) {
  Restated restated;
  for (TableRecord& table : state.tables) {
    if (!table.schema) continue;
    auto schema = std::make_shared<TableSchema>(*table.schema);
    bool is_other = false;
    bool let_go = false;
    for (Column& column : schema->columns) {
      const OnMisfit policy = input.types.MisfitPolicy(table.source, column.name, column.type);
      if (policy == column.on_misfit) continue;
      is_other = true;
      let_go = let_go || column.on_misfit != OnMisfit::kHalt;
      column.on_misfit = policy;
    }
    if (!is_other) continue;
    table.schema = std::move(schema);
    restated.relations.push_back(table.relation);
    if (let_go && table.state == TableState::kLive && input.options.copy_existing)
      restated.to_copy.push_back(table.relation);
    if (let_go && table.kept)
      ForgetKept("on_misfit is another for columns that let values go", input.logger, table);
  }
  return restated;
}

/// Tables of which something else is to be kept than what lies there, where one of the two is a
/// log. What has no rows yet, or only loses its log, gets its mode at once.
Restated RestateModes(const TableSyncInput& input, DeliveryState& state) {
  Restated restated;
  for (TableRecord& table : state.tables) {
    const TableMode mode = input.options.tables.For(table.source).mode;
    if (table.mode == mode || (!HasLog(table.mode) && !HasLog(mode))) continue;
    const bool only_ends = table.mode == TableMode::kBoth && mode == TableMode::kMirror;
    if (!table.schema || only_ends) {
      table.mode = mode;
      restated.relations.push_back(table.relation);
    } else if (input.options.copy_existing && table.state != TableState::kSkipped &&
               table.state != TableState::kHalted) {
      restated.to_copy.push_back(table.relation);
    }
  }
  return restated;
}

/// \return those that are stored with another entry, and nothing else.
std::vector<RelationId> RestateEntries(const TableSet& tables, DeliveryState& state) {
  std::vector<RelationId> relations;
  for (const auto& [relation, entry] : tables.restated) {
    const auto table = std::ranges::find(state.tables, relation, &TableRecord::relation);
    table->publication_entry = entry;
    relations.push_back(relation);
  }
  return relations;
}

/// Of the halted tables: columns that were kept so far may be excluded now, and nothing of them is
/// to lie anywhere. \return those of which nothing is kept any more.
Result<std::vector<RelationId>> ForgetExcluded(const TableSyncInput& input, DeliveryState& state) {
  std::vector<RelationId> forgotten;
  for (TableRecord& table : state.tables) {
    if (!table.kept || input.options.tables.For(table.source).excluded.empty()) continue;
    const auto now =
        postgres::LoadTableSchema(input.control, input.types, table.relation,
                                  input.options.publication.value_or(""), table.schema->hidden);
    if (!now && !input.control.is_alive()) return now.error();
    const auto was_hidden = [&](const HiddenColumn& hidden) {
      return std::ranges::any_of(table.schema->hidden, [&](const HiddenColumn& known) {
        return known.column.attnum == hidden.column.attnum;
      });
    };
    if (now && std::ranges::all_of(now->schema->hidden, was_hidden)) continue;
    ForgetKept("a column may be in it that is excluded now", input.logger, table);
    forgotten.push_back(table.relation);
  }
  return forgotten;
}

/// The tables of now: those that cannot be published yet are left out.
std::vector<postgres::PlannedTable> WithoutWaiting(const TableSyncInput& input,
                                                   const postgres::Publication& publication,
                                                   const DeliveryState& state) {
  std::vector<postgres::PlannedTable> planned = input.planned;
  if (!publication.companion || !publication.companion->may_be_read_from(state.position->lsn))
    LeaveOutWaiting(*state.birth, WaitsForCompanion(*state.birth), planned);
  return planned;
}

void CopyAgain(const std::vector<RelationId>& relations, const char* why, telemetry::Logger& logger,
               replication::TableMachine& machine) {
  for (const RelationId relation : relations) {
    logger.Warn("table {} is copied again: {}", ToString(machine.record(relation).source), why);
    machine.Resync(relation, engine::WallClock());
    machine.SetReason(relation, std::string("copied again: ") + why);
  }
}

/// Their records are to be stored too, where nothing else of them changes.
void AddMissing(const std::vector<RelationId>& relations, const DeliveryState& state,
                CommitRecord& record) {
  for (const TableRecord& table : state.tables) {
    if (std::ranges::find(relations, table.relation) == relations.end()) continue;
    const bool is_there =
        std::any_of(record.tables.begin(), record.tables.end(),
                    [&](const TableRecord& r) { return r.relation == table.relation; });
    if (!is_there) record.tables.push_back(table);
  }
}

}  // namespace

Status CheckDestinationTables(const TableSyncInput& input, Destination& destination,
                              const DeliveryState& state) {
  for (const postgres::PlannedTable& table : input.planned) {
    if (table.is_skipped) continue;
    const auto known =
        std::find_if(state.tables.begin(), state.tables.end(), [&](const TableRecord& record) {
          return record.relation == table.table.relation && record.schema;
        });
    const bool is_copied = known != state.tables.end() && state.position;
    if (is_copied && input.options.tables.For(table.table.name).excluded.empty()) continue;
    auto loaded = postgres::LoadTableSchema(
        input.control, input.types, table.table.relation, input.options.publication.value_or(""),
        is_copied ? std::span(known->schema->hidden) : std::span<const HiddenColumn>());
    const bool is_gone = !loaded && loaded.error().code == "SLU-2103";
    // Of a table that is there already only the configuration is judged: what changed at the source
    // halts that table alone.
    if (!loaded && !is_gone && (!is_copied || loaded.error().code == "SLU-4125"))
      return loaded.error();
    // Dropped or renamed since the tables were listed: the next look at them says so.
    if (is_copied || is_gone || loaded->schema->name != table.table.name) continue;
    SLUICE_ASSIGN_OR_RETURN(
        const std::optional<Error> refusal,
        destination.CheckTable(*loaded->schema, input.options.names.For(table.table.name),
                               input.options.tables.For(table.table.name).mode,
                               input.options.existing != engine::Existing::kRefuse));
    // Later the others go on: its copy is refused, which halts it alone. What is not ours is never
    // replaced unasked.
    const bool is_its_own = refusal && (refusal->code == "SLU-5023" ||
                                        refusal->code == "SLU-5026" || refusal->code == "SLU-5115");
    if (refusal && !(is_its_own && state.position)) return *refusal;
  }
  return {};
}

void LookAgainForExcluded(const types::TableRules& rules, DeliveryState& state) {
  for (TableRecord& record : state.tables) {
    if (!record.schema || !types::KeepsExcluded(*record.schema, rules)) continue;
    auto schema = std::make_shared<TableSchema>(*record.schema);
    schema->facts.stamp.clear();
    record.schema = std::move(schema);
  }
}

Status SyncTables(const TableSyncInput& input, Destination& destination, DeliveryState& state) {
  if (!input.options.acknowledges) return {};  // who only compares changes nothing
  const Birth& birth = *state.birth;
  SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::Publication> publication,
                          postgres::ReadPublication(input.control, birth.publication));
  if (!publication) return {};  // the connect checks say what that means
  const auto planned = WithoutWaiting(input, *publication, state);
  TableSet tables = PlanTables(planned, state.tables, {}, input.options);
  if (birth.owns_publication) {
    SLUICE_ASSIGN_OR_RETURN(
        const postgres::MembershipChange change,
        postgres::KeepPublication(input.control, birth.publication, tables.published,
                                  std::chrono::seconds(5), input.stop));
    for (const auto& [name, error] : change.not_done) {
      input.logger.Warn("publication {}: table {} could not be changed: {}", birth.publication,
                        ToString(name), error.message);
    }
  }
  SLUICE_ASSIGN_OR_RETURN(const std::vector<postgres::PublishedTable> entries,
                          postgres::ReadPublishedTables(input.control, birth.publication));
  tables = PlanTables(planned, state.tables, entries, input.options);
  Restated restated = RestatePolicies(input, state);
  SLUICE_ASSIGN_OR_RETURN(const std::vector<RelationId> forgotten, ForgetExcluded(input, state));
  restated.relations.insert(restated.relations.end(), forgotten.begin(), forgotten.end());
  const Restated modes = RestateModes(input, state);
  const std::vector<RelationId> entered = RestateEntries(tables, state);
  restated.relations.insert(restated.relations.end(), entered.begin(), entered.end());
  replication::TableMachine machine(state);
  CopyAgain(restated.to_copy, "on_misfit is another for its columns", input.logger, machine);
  CopyAgain(modes.to_copy, "its mode is another", input.logger, machine);
  for (const RelationId relation : tables.removed) machine.RemoveTable(relation);
  for (const auto& [relation, entry] : tables.rejoined)
    machine.Rejoined(relation, entry, engine::WallClock());
  for (const TableRecord& record : tables.added) machine.AddTable(record);
  CommitRecord record;
  record.sequence = 1;
  record.tables = machine.TakeChangedRecords(1);
  // Added after those that go: a table that begins anew has one record.
  for (const TableRecord& added : tables.added) {
    const auto known = std::find_if(
        record.tables.begin(), record.tables.end(),
        [&](const TableRecord& r) { return r.relation == added.relation && !r.was_removed; });
    if (known == record.tables.end()) record.tables.push_back(added);
  }
  AddMissing(restated.relations, state, record);
  AddMissing(modes.relations, state, record);
  if (record.tables.empty()) return {};
  record.position = state.position;
  record.passed = state.passed;
  SLUICE_ASSIGN_OR_RETURN(const CommitOutcome outcome, destination.Commit(record));
  if (outcome == CommitOutcome::kUnknown) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "a commit's outcome is unknown",
                 .code = "SLU-5005"};
  }
  SLUICE_FAILPOINT("open.tables_synced");
  for (const TableRecord& changed : record.tables) {
    std::erase_if(state.tables,
                  [&](const TableRecord& table) { return table.relation == changed.relation; });
  }
  for (const TableRecord& changed : record.tables) {
    if (!changed.was_removed) state.tables.push_back(changed);
  }
  return {};
}

}  // namespace sluice::pipeline
