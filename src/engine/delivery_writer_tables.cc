// The life of a table, as far as it is the writer's: it halts, is copied again, joins, goes, is
// altered without rows, is shown.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/delivery_writer.h"
#include "replication/key_ranges.h"
#include "replication/schema_versions.h"

namespace sluice::engine {
namespace {

constexpr Duration kPublishInterval = std::chrono::milliseconds(100);
constexpr int kPublishShare = 100;  ///< of the writer's time, for telling how tables are

}  // namespace

bool DeliveryWriter::GiveUp(const TableFailed& failed, bool may_keep) {
  if (!machine_.has_table(failed.relation)) return false;
  const TableRecord& record = machine_.record(failed.relation);
  if (record.state == TableState::kHalted) return false;
  if (replication::IsRangesAgain(failed.error)) {
    CopyRangesAgain(failed.relation, failed.error);
    return false;
  }
  if (!replication::IsHealedByCopy(failed.error))
    return Halt(failed.relation, failed.error, may_keep);
  CopyAgain(failed.relation, failed.error);
  return false;
}

void DeliveryWriter::CopyAgain(RelationId relation, const Error& error) {
  settled_sequence_.store(0);
  std::deque<Clock::time_point>& times = copied_again_[relation];
  const Clock::time_point now = Clock::now();
  while (!times.empty() && now - times.front() > options_.copies_again_window) times.pop_front();
  const std::string name = ToString(machine_.record(relation).source);
  std::string reason = "copied again: " + error.code + ": " + error.message;
  Clock::time_point begins = now;
  if (times.size() >= options_.copies_again_max) {
    begins = times[times.size() - options_.copies_again_max] + options_.copies_again_window;
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(begins - now).count();
    const auto at = std::chrono::system_clock::now() + std::chrono::seconds(seconds);
    reason = fmt::format(
        "SLU-4208: it was copied again {} times in a short time, the next copy waits until "
        "{:%H:%M:%S} UTC: {}",
        options_.copies_again_max, fmt::gmtime(std::chrono::system_clock::to_time_t(at)),
        error.message);
    logger_.Warn(
        "table {} waits {} s for its next copy, its contents stay readable until then: "
        "{}; to begin at once: sluice resync {}",
        name, seconds, reason, name);
  } else {
    logger_.Warn("table {} is copied again, its contents stay readable until then: {} ({})", name,
                 error.message, error.code);
  }
  times.push_back(begins);
  if (machine_.ranges(relation) != nullptr) not_in_ranges_.insert(relation);
  DropCopies(relation);
  machine_.Resync(relation, WallClock());
  if (replication::WaitsForOlderWriters(error)) machine_.AwaitOlderWriters(relation);
  machine_.SetReason(relation, std::move(reason));
}

bool DeliveryWriter::MayCopy(RelationId relation) const {
  const auto found = copied_again_.find(relation);
  return found == copied_again_.end() || found->second.back() <= Clock::now();
}

bool DeliveryWriter::Halt(RelationId relation, const Error& error, bool may_keep) {
  const TableRecord& record = machine_.record(relation);
  Error with_advice = error;
  // Its rows are those of the position: what comes behind it can be applied to them later.
  const bool keeps = may_keep && record.state == TableState::kLive && record.schema &&
                     options_.keep_bytes > 0 && destination_.capabilities().keeps_changes;
  with_advice.advice = HaltAdvice(with_advice, record.source, keeps);
  logger_.Failed("table {} halted: {} ({}); the others go on; to continue: {}",
                 ToString(record.source), with_advice.message, with_advice.code,
                 with_advice.advice);
  DropCopies(relation);
  machine_.Halt(relation, with_advice, WallClock());
  if (!keeps) return false;
  machine_.SetKept(relation, KeptChanges{});
  TakeRaw(relation, true, false);  // the refusal makes the stream begin again
  inbox_.RefuseSets();
  return true;
}

void DeliveryWriter::TakeRaw(RelationId relation, bool is_raw, bool again) {
  if (options_.on_raw) options_.on_raw(relation, is_raw, again);
}

Result<bool> DeliveryWriter::FollowCatalog(const SchemaPtr& known, const SchemaPtr& catalog) {
  const RelationId relation = known->relation;
  if (!machine_.has_table(relation) || machine_.record(relation).schema != known ||
      machine_.record(relation).state != TableState::kLive) {
    return false;
  }
  if (in_transaction_ || fence_.is_open() || position_ < catalog->since) return false;
  const Result<StageOutcome> outcome = stager_.Follow(catalog);
  if (!outcome || outcome->table_failed) stager_.Abandon();
  if (!outcome) return outcome.error();
  if (outcome->table_failed) GiveUp(*outcome->table_failed);
  publish_next_ = {};  // AreCopiesVisible() knows of it before the next call
  return true;         // committed by the loop, whose error ends the writer
}

Status DeliveryWriter::Replace(std::uint64_t ticket, const std::shared_ptr<const NetChange>& rows) {
  const RelationId relation = rows->schema->relation;
  if (!fence_.StandsAt(ticket)) {
    return Error{.kind = ErrorKind::kTimeout, .message = "the fence was left too early"};
  }
  const bool is_same = machine_.has_table(relation) &&
                       machine_.record(relation).state == TableState::kLive &&
                       machine_.record(relation).schema == rows->schema;
  if (!is_same) {
    return Error{.kind = ErrorKind::kTimeout, .message = "the table changed meanwhile"};
  }
  Result<StageOutcome> outcome = stager_.Replace(rows);
  if (!outcome || outcome->table_failed) stager_.Abandon();
  if (!outcome) return std::move(outcome).error();
  if (outcome->table_failed) return std::move(outcome->table_failed->error);
  return {};  // committed by the loop, whose error ends the writer
}

void DeliveryWriter::PublishTables() {
  const Clock::time_point now = Clock::now();
  is_published_ = now >= publish_next_;
  if (!is_published_) return;
  progress_.held_bytes.store(held_.total_bytes(), std::memory_order_relaxed);
  int to_land = 0;
  bool is_settled = true;
  std::vector<TableStatus> tables;
  for (const RelationId relation : machine_.tables()) {
    TableStatus& status = tables.emplace_back();
    status.record = machine_.record(relation);
    status.holds_rows = status.record.schema != nullptr;
    status.record.schema = nullptr;
    const TableCounters& counters = stager_.counters(relation);
    status.rows_inserted = counters.inserted;
    status.rows_updated = counters.updated;
    status.rows_deleted = counters.deleted;
    status.truncates = counters.truncates;
    status.changes_dropped = counters.dropped;
    status.misfits = counters.misfits;
    status.held_bytes = held_.bytes(relation);
    for (std::uint32_t unit = 0; unit < machine_.unit_count(relation); ++unit) {
      if (machine_.unit_state({relation, unit}) == replication::UnitState::kCopied) ++to_land;
    }
    is_settled = is_settled && status.record.state != TableState::kPending &&
                 status.record.state != TableState::kCopying &&
                 !(status.record.kept && status.record.kept->is_resuming);
  }
  if (!is_settled) {
    settled_sequence_.store(0);
  } else if (settled_sequence_.load() == 0) {
    settled_sequence_.store(sequence_);
  }
  progress_.units_to_land.store(to_land);
  {
    const base::MutexLock lock(shared_mutex_);
    published_.swap(tables);
  }
  const Clock::time_point done = Clock::now();
  publish_next_ = done + std::min(kPublishInterval, (done - now) * kPublishShare);
}

bool DeliveryWriter::AreCopiesVisible() const {
  const std::uint64_t sequence = settled_sequence_.load();
  return sequence != 0 && in_flight_.visible_sequence() >= sequence;
}

std::vector<TableRecord> DeliveryWriter::Records() const {
  std::vector<TableRecord> records;
  for (const RelationId relation : machine_.tables()) records.push_back(machine_.record(relation));
  return records;
}

std::vector<TableStatus> DeliveryWriter::Tables() const {
  const base::MutexLock lock(shared_mutex_);
  return published_;
}

Status DeliveryWriter::HaltTable(RelationId relation, const Error& error) {
  if (machine_.has_table(relation) && machine_.record(relation).kept) StopKeeping(relation, error);
  GiveUp({relation, error}, false);
  return {};
}

Status DeliveryWriter::Resync(RelationId relation) {
  if (!machine_.has_table(relation)) {
    return Error{.kind = ErrorKind::kInvalidArgument, .message = "no such table in this pipeline"};
  }
  settled_sequence_.store(0);
  copied_again_.erase(relation);
  DropCopies(relation);
  if (machine_.record(relation).state == TableState::kHalted) TakeRaw(relation, false, true);
  machine_.Resync(relation, WallClock());
  return {};
}

void DeliveryWriter::Join(const TableRecord& record) {
  settled_sequence_.store(0);
  if (!machine_.has_table(record.relation)) {
    machine_.AddTable(record);
    return;
  }
  const TableRecord& known = machine_.record(record.relation);
  // Where rows lie already, they lie until the new copy lands.
  machine_.Rename(record.relation, record.source,
                  known.schema ? known.destination : record.destination);
  DropCopies(record.relation);
  machine_.Rejoined(record.relation, record.publication_entry, WallClock());
  if (record.state == TableState::kSkipped) {
    machine_.Skip(
        record.relation,
        Error{.kind = ErrorKind::kConfig, .message = record.reason, .advice = record.advice},
        WallClock());
  }
}

void DeliveryWriter::Skip(RelationId relation, const Error& error) {
  DropCopies(relation);
  machine_.Skip(relation, error, WallClock());
}

Status DeliveryWriter::Forget(RelationId relation) {
  copied_again_.erase(relation);
  ForgetFailedRanges(relation);
  DropCopies(relation);
  machine_.RemoveTable(relation);
  return {};
}

Status DeliveryWriter::DropTable(RelationId relation) {
  const TableRecord record = machine_.record(relation);
  const bool has_rows = record.schema != nullptr;
  // A table that has its name by now has its place, too.
  bool is_replaced = false;
  for (const RelationId other : machine_.tables()) {
    const TableRecord& known = machine_.record(other);
    is_replaced = is_replaced || (other != relation && known.schema != nullptr &&
                                  known.destination == record.destination);
  }
  if (has_rows && !is_replaced) {
    SLUICE_ASSIGN_OR_RETURN(const StageOutcome outcome,
                            stager_.Drop({relation, record.destination}));
    if (outcome.table_failed) {
      stager_.Abandon();
      return outcome.table_failed->error;
    }
  }
  SLUICE_RETURN_IF_ERROR(Forget(relation));
  return CommitStates();
}

Status DeliveryWriter::CopyUnderName(RelationId relation, const TableName& source) {
  SLUICE_RETURN_IF_ERROR(Resync(relation));
  const TableRecord& record = machine_.record(relation);
  machine_.Rename(relation, source, record.schema ? record.destination : DestinationOf(source));
  settled_sequence_.store(0);
  return {};
}

bool DeliveryWriter::ChangesSchema(const TableRename& rename) const {
  return machine_.record(rename.relation).destination.schema != rename.to.schema;
}

/// How many of the steps the destination has taken: all, or up to the first that it refuses.
Result<std::size_t> DeliveryWriter::StageRenames(const std::vector<TableRename>& steps,
                                                 const std::map<RelationId, TableName>& sources) {
  std::map<RelationId, TableName> names;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const TableRename& step = steps[i];
    const auto known = names.find(step.relation);
    const TableName from =
        known == names.end() ? machine_.record(step.relation).destination : known->second;
    Result<StageOutcome> outcome =
        stager_.Rename(step.relation, from, step.to, sources.at(step.relation));
    if (!outcome) {
      stager_.Abandon();
      return outcome.error();
    }
    if (outcome->table_failed) {
      logger_.Debug("{}", outcome->table_failed->error.message);
      return i;
    }
    names[step.relation] = step.to;
  }
  return steps.size();
}

Status DeliveryWriter::RenameTables(const std::vector<TableRename>& renames) {
  std::map<RelationId, TableName> sources;
  std::vector<TableRename> wanted = renames;
  for (TableRename& rename : wanted) {
    sources[rename.relation] = rename.to;
    rename.to = DestinationOf(rename.to);
  }
  // Under its new name another mode may be declared: what is kept then comes with a copy.
  const auto other_mode =
      std::stable_partition(wanted.begin(), wanted.end(), [&](const TableRename& rename) {
        return ModeOf(sources[rename.relation]) == machine_.record(rename.relation).mode;
      });
  const std::vector<TableRename> changed(other_mode, wanted.end());
  wanted.erase(other_mode, wanted.end());
  std::vector<TableRename> to_copy;
  RenamePlan plan;
  for (;;) {
    plan = PlanRenames(Records(), wanted);
    SLUICE_ASSIGN_OR_RETURN(const std::size_t staged, StageRenames(plan.steps, sources));
    if (staged == plan.steps.size()) break;
    stager_.Abandon();
    // Of tables that move to another schema those before this one are taken again, and no later
    // one: what they take together has a limit.
    const std::vector<TableRename> later(plan.steps.begin() + static_cast<std::ptrdiff_t>(staged),
                                         plan.steps.end());
    const bool is_move = ChangesSchema(later.front());
    const auto stays = [&](const TableRename& rename) {
      return is_move && (!ChangesSchema(rename) ||
                         std::none_of(later.begin(), later.end(), [&](const TableRename& step) {
                           return step.relation == rename.relation;
                         }));
    };
    const auto refused = std::stable_partition(wanted.begin(), wanted.end(), stays);
    to_copy.insert(to_copy.end(), refused, wanted.end());
    wanted.erase(refused, wanted.end());
  }
  for (const TableRename& rename : wanted) {
    const bool is_copied =
        std::any_of(plan.to_copy.begin(), plan.to_copy.end(),
                    [&](const TableRename& other) { return other.relation == rename.relation; });
    if (is_copied) continue;
    const TableName& source = sources[rename.relation];
    logger_.Info("table {} is called {} now", ToString(machine_.record(rename.relation).source),
                 ToString(source));
    if (machine_.record(rename.relation).kept) NameInAdvice(rename.relation, source);
    machine_.Rename(rename.relation, source, rename.to);
  }
  to_copy.insert(to_copy.end(), plan.to_copy.begin(), plan.to_copy.end());
  to_copy.insert(to_copy.end(), changed.begin(), changed.end());
  for (const TableRename& rename : to_copy)
    SLUICE_RETURN_IF_ERROR(CopyUnderName(rename.relation, sources[rename.relation]));
  return {};  // committed by the loop, whose error ends the writer
}

/// What helps a halted table is told under the name that it has now.
void DeliveryWriter::NameInAdvice(RelationId relation, const TableName& source) {
  const TableRecord& record = machine_.record(relation);
  const std::string before = "sluice resume " + ToString(record.source);
  std::string advice = record.advice;
  if (const std::size_t at = advice.find(before); at != std::string::npos)
    advice.replace(at, before.size(), "sluice resume " + ToString(source));
  machine_.SetAdvice(relation, record.reason, std::move(advice));
}

/// The table that gets its rows under the name that this one is to have.
const TableRecord* DeliveryWriter::HolderOfName(RelationId landing) const {
  const TableName name = DestinationOf(machine_.record(landing).source);
  for (const RelationId relation : machine_.tables()) {
    const TableRecord& record = machine_.record(relation);
    const bool gets_rows = record.state == TableState::kLive || record.kept;
    if (relation != landing && gets_rows && record.destination == name) return &record;
  }
  return nullptr;
}

/// Another table has lost this name at the source, and the stream has not been told so far. Landing
/// now would mix the rows of two tables.
bool DeliveryWriter::IsNameInUse(RelationId landing) const {
  const TableRecord* holder = HolderOfName(landing);
  return holder != nullptr && !WantOneName(*holder, machine_.record(landing));
}

/// `names` gives two tables of the source one at the destination.
bool DeliveryWriter::WantOneName(const TableRecord& one, const TableRecord& other) const {
  return one.source != other.source && DestinationOf(one.source) == DestinationOf(other.source);
}

std::optional<Error> DeliveryWriter::CheckName(RelationId landing) const {
  const TableRecord* holder = HolderOfName(landing);
  const TableRecord& record = machine_.record(landing);
  if (holder == nullptr || !WantOneName(*holder, record)) return std::nullopt;
  return Error{.kind = ErrorKind::kUnsupported,
               .message = "source tables " + ToString(holder->source) + " and " +
                          ToString(record.source) +
                          " have one name at the destination: " + ToString(holder->destination),
               .code = "SLU-5115",
               .advice =
                   "rename one of them at the source, or give it another name by `names` in "
                   "the config file; then: sluice resync " +
                   ToString(record.source)};
}

/// A table that was dropped at the source and whose name this one has now: its rows are replaced in
/// this very transaction, and so is its record.
void DeliveryWriter::ForgetReplaced(RelationId landed) {
  const TableName name = machine_.record(landed).destination;
  for (const RelationId relation : machine_.tables()) {
    const TableRecord& record = machine_.record(relation);
    if (relation == landed || record.destination != name) continue;
    if (record.state == TableState::kSkipped && record.schema) machine_.RemoveTable(relation);
  }
}

}  // namespace sluice::engine
