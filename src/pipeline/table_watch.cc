#include "pipeline/table_watch.h"

#include <pthread.h>

#include <algorithm>
#include <memory>

#include "base/failpoint.h"
#include "engine/progress.h"
#include "pipeline/table_set.h"
#include "postgres/catalog.h"
#include "postgres/publication.h"
#include "postgres/snapshot_export.h"
#include "replication/snapshot.h"

namespace sluice::pipeline {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(200);
constexpr Duration kLookInterval = std::chrono::seconds(10);
/// For so long after the stream told of a change, which may be before the catalog shows it.
constexpr Duration kToldSpan = std::chrono::seconds(3);
constexpr Duration kToldInterval = std::chrono::seconds(1);
/// Rights that come by membership of a role are in no fingerprint.
constexpr Duration kFullLookInterval = std::chrono::minutes(5);
constexpr Duration kLockTimeout = std::chrono::seconds(2);
/// Records that are written in one destination transaction, so that no other table waits long.
constexpr std::size_t kAdmitAtOnce = 20;
constexpr int kFailedLooksMax = 3;

bool IsGone(const Error& error) {
  return error.code == "SLU-2103" || error.sqlstate == "42P01" || error.sqlstate == "3F000";
}

const TableRecord* Find(const std::vector<TableRecord>& records, RelationId relation) {
  const auto found = std::find_if(records.begin(), records.end(), [&](const TableRecord& record) {
    return record.relation == relation;
  });
  return found == records.end() ? nullptr : &*found;
}

void LeaveOutFor(TableRecord& record, const Error& error) {
  record.state = TableState::kSkipped;
  record.reason = error.message;
  record.advice = error.advice;
}

}  // namespace

TableWatch::TableWatch(TableWatchInput input, postgres::TableSelection selection,
                       postgres::ServerFacts facts, std::uint64_t wal_segment_bytes,
                       Connect connect)
    : in_(input),
      selection_(std::move(selection)),
      facts_(std::move(facts)),
      wal_segment_bytes_(wal_segment_bytes),
      connect_(std::move(connect)),
      companion_(in_.birth, in_.progress, in_.logger, in_.read_companion, in_.restart_stream) {}

TableWatch::~TableWatch() {
  Stop();
}

void TableWatch::Start() {
  thread_ = std::jthread([this](std::stop_token stop) {
    pthread_setname_np(pthread_self(), "tables");
    Loop(std::move(stop));
  });
}

void TableWatch::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void TableWatch::Wake() {
  is_woken_.store(true);
  sleep_.Wake();
}

void TableWatch::Loop(std::stop_token stop) {
  std::optional<postgres::Connection> connection;
  std::unique_ptr<engine::PositionWish> wish;
  Duration wait = kTick;
  while (!stop.stop_requested()) {
    if (!connection) {
      Result<postgres::Connection> opened = connect_();
      if (opened) connection.emplace(*std::move(opened));
    }
    if (connection) {
      const Status ticked = Tick(*connection, stop);
      if (!ticked && ticked.error().kind == ErrorKind::kCancelled) return;
      if (!ticked) in_.logger.Debug("tables: {}", ticked.error().message);
      if (!connection->is_alive()) connection.reset();
    }
    // What waits for a position asks the server for it.
    if (deferred_.empty()) {
      wish.reset();
    } else if (!wish) {
      wish = std::make_unique<engine::PositionWish>(in_.progress);
    }
    wait = connection ? kTick : std::min<Duration>(wait * 2, std::chrono::seconds(5));
    sleep_.SleepFor(wait, stop);
  }
}

Status TableWatch::Tick(postgres::Connection& connection, const std::stop_token& stop) {
  SLUICE_RETURN_IF_ERROR(ApplyDeferred());
  SLUICE_RETURN_IF_ERROR(LookAtOlderWriters(connection));
  const Result<bool> companion = companion_.Step(connection, stop);
  if (!companion && (!connection.is_alive() || stop.stop_requested())) return companion.error();
  if (!companion) in_.logger.Debug("tables: {}", companion.error().message);
  const bool is_woken = is_woken_.exchange(false) || (companion && *companion);
  const Clock::time_point now = Clock::now();
  const Duration interval = now - told_at_.load() < kToldSpan ? kToldInterval : kLookInterval;
  if (!is_woken && now - looked_at_ < interval) return {};
  looked_at_ = now;
  SLUICE_ASSIGN_OR_RETURN(std::string fingerprint,
                          postgres::ReadTablesFingerprint(connection, in_.birth.publication));
  const bool is_due = is_woken || wants_retry_ || fingerprint != fingerprint_ ||
                      now - looked_fully_at_ >= kFullLookInterval;
  if (!is_due) return {};
  const Status looked = Look(connection, stop);
  if (!looked) {
    // Told once is told until it was looked at.
    if (is_woken) is_woken_.store(true);
    if (++failed_looks_ >= kFailedLooksMax) has_looked_.store(true);
    return looked;
  }
  fingerprint_ = std::move(fingerprint);
  looked_fully_at_ = now;
  failed_looks_ = 0;
  has_looked_.store(true);
  return {};
}

// Looking
// ---------------------------------------------------------------------------------------------------

Result<std::optional<CatalogLook>> TableWatch::ReadCatalog(postgres::Connection& connection) {
  postgres::PreflightInput input;
  input.facts = facts_;
  SLUICE_ASSIGN_OR_RETURN(input.publication,
                          postgres::ReadPublication(connection, in_.birth.publication));
  // The connect checks say what that means.
  if (!input.publication) return std::optional<CatalogLook>();
  SLUICE_ASSIGN_OR_RETURN(input.tables,
                          postgres::ListTables(connection, postgres::TableSizes::kCounted));
  SLUICE_ASSIGN_OR_RETURN(input.published,
                          postgres::ReadPublishedTables(connection, in_.birth.publication));
  const postgres::PreflightRequest request{.selection = selection_,
                                           .publication = in_.birth.publication,
                                           .is_publication_ours = in_.birth.owns_publication,
                                           .slot = {},
                                           .is_copy_only = false,
                                           .rules = in_.options.tables};
  CatalogLook look;
  postgres::Preflight preflight = postgres::FindProblems(request, input);
  look.planned = std::move(preflight.tables);
  CutOffNarrowed(preflight.findings, look.planned);
  companion_.Compare(*input.publication);
  if (!companion_.IsRead(input.publication))
    look.waits_for_companion = LeaveOutWaiting(in_.birth, companion_.Reason(), look.planned);
  for (const postgres::SourceTable& table : input.tables) look.existing.insert(table.relation);
  look.entries = std::move(input.published);
  look.owns_publication = in_.birth.owns_publication;
  return std::optional<CatalogLook>(std::move(look));
}

Status TableWatch::Look(postgres::Connection& connection, const std::stop_token& stop) {
  SLUICE_ASSIGN_OR_RETURN(const std::optional<CatalogLook> look, ReadCatalog(connection));
  if (!look) return {};
  SLUICE_ASSIGN_OR_RETURN(
      const std::vector<TableRecord> records,
      in_.writer.inbox().CallAndWait(
          [this]() -> Result<std::vector<TableRecord>> { return in_.writer.Records(); }));
  TableChanges changes = PlanChanges(*look, records);
  if (look->waits_for_companion) SLUICE_RETURN_IF_ERROR(WaitForCompanion(*look, records, changes));
  SLUICE_RETURN_IF_ERROR(Defer(connection, changes, records, *look, stop));
  SLUICE_RETURN_IF_ERROR(LeaveOut(changes.left_out));
  wants_retry_ = look->waits_for_companion;
  if (!changes.joining.empty()) SLUICE_RETURN_IF_ERROR(TakeIn(connection, changes, records, stop));
  if (!companion_.is_wanted()) companion_.Finish();
  return {};
}

/// The publication is made for them, and who has rows and is not read says why.
Status TableWatch::WaitForCompanion(const CatalogLook& look,
                                    const std::vector<TableRecord>& records,
                                    TableChanges& changes) {
  const Error why = companion_.Reason();
  SLUICE_ASSIGN_OR_RETURN(const bool may_be_made,
                          in_.writer.inbox().CallAndWait([&]() -> Result<bool> {
                            return HoldBackAppended(in_.writer, in_.options.tables, why);
                          }));
  // What was appended to by one that is gone is lost, and a new one would hide it: the next start
  // of the stream says so (SLU-3018).
  if (may_be_made) {
    companion_.Want();
  } else {
    in_.restart_stream.Wish();
  }
  const std::string& reason = why.message;
  for (const postgres::PlannedTable& table : look.planned) {
    const TableRecord* record = Find(records, table.table.relation);
    const bool is_waiting = table.is_append && table.is_skipped && table.reason == reason;
    const bool says_else = record != nullptr && record->state == TableState::kSkipped &&
                           record->schema && record->reason != reason;
    if (is_waiting && says_else) changes.left_out.push_back(table);
  }
  return {};
}

// What waits for the stream
// -------------------------------------------------------------------------------------------

Status TableWatch::Defer(postgres::Connection& connection, const TableChanges& changes,
                         const std::vector<TableRecord>& records, const CatalogLook& look,
                         const std::stop_token& stop) {
  std::set<Deferred> wanted;
  for (const TableChanges::Renaming& renaming : changes.renamed)
    wanted.insert({Kind::kRenamed, renaming.relation, renaming.source});
  for (const RelationId relation : changes.dropped) wanted.insert({Kind::kDropped, relation});
  for (const RelationId relation : changes.left) wanted.insert({Kind::kLeft, relation});
  std::set<RelationId> leaving(changes.left.begin(), changes.left.end());
  for (const postgres::PlannedTable& table : changes.cut_off) {
    wanted.insert({.kind = Kind::kCutOff,
                   .relation = table.table.relation,
                   .code = table.cut_off_by,
                   .reason = table.reason,
                   .advice = table.advice});
    leaving.insert(table.table.relation);
  }
  std::erase_if(deferred_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  has_deferred_.store(!deferred_.empty());
  if (wanted.size() == deferred_.size()) return {};
  for (const postgres::PublishedTable& entry : look.entries) {
    if (!look.owns_publication || !leaving.contains(entry.relation)) continue;
    const Status left = postgres::DropFromPublication(
        connection,
        entry.is_append ? postgres::CompanionOf(in_.birth.publication) : in_.birth.publication,
        entry.name, kLockTimeout, stop);
    if (!left && (!connection.is_alive() || stop.stop_requested())) return left;
    if (!left) wanted.erase({Kind::kLeft, entry.relation});  // seen again by the next look
  }
  // Read after the look: what it saw is before this.
  SLUICE_ASSIGN_OR_RETURN(const postgres::WalPositions positions,
                          postgres::ReadWalPositions(connection));
  const Lsn lsn = replication::InsertLsnFloor(positions.insert_lsn, wal_segment_bytes_);
  for (const Deferred& what : wanted) {
    if (!deferred_.emplace(what, lsn).second) continue;
    const TableRecord* record = Find(records, what.relation);
    in_.logger.Info("table {} {}", record == nullptr ? "" : ToString(record->source),
                    what.kind == Kind::kRenamed   ? "is now " + ToString(what.source)
                    : what.kind == Kind::kDropped ? "was dropped at the source"
                    : what.kind == Kind::kCutOff  ? "is cut off: " + what.reason
                                                 : "is no longer selected, or no longer published");
  }
  has_deferred_.store(!deferred_.empty());
  return {};
}

/// All that a look saw together takes effect together: names may have been exchanged.
Status TableWatch::ApplyDeferred() {
  if (deferred_.empty()) return {};
  const auto apply = [this]() -> Result<std::set<Deferred>> {
    std::set<Deferred> done;
    // A comparison stands at its fence with the names of that moment.
    if (in_.writer.fence().is_open()) return done;
    std::vector<engine::TableRename> renames;
    for (const auto& [what, lsn] : deferred_) {
      if (in_.writer.machine().processed() < lsn) continue;
      done.insert(what);
      if (!in_.writer.machine().has_table(what.relation)) continue;
      if (what.kind != Kind::kRenamed) {
        SLUICE_RETURN_IF_ERROR(Apply(what));
      } else if (in_.writer.machine().record(what.relation).source != what.source) {
        renames.push_back({what.relation, what.source});
      }
    }
    if (!renames.empty()) SLUICE_RETURN_IF_ERROR(in_.writer.RenameTables(renames));
    return done;
  };
  SLUICE_ASSIGN_OR_RETURN(const std::set<Deferred> done, in_.writer.inbox().CallAndWait(apply));
  for (const Deferred& what : done) {
    deferred_.erase(what);
    if (what.kind != Kind::kRenamed) in_.registry.RemoveTable(what.relation);
  }
  has_deferred_.store(!deferred_.empty());
  if (!done.empty()) in_.pool.Wake();
  return {};
}

/// On the writer's thread.
Status TableWatch::Apply(const Deferred& what) {
  const TableRecord record = in_.writer.machine().record(what.relation);
  if (!record.schema) return in_.writer.Forget(what.relation);
  const bool is_unwanted = what.kind == Kind::kDropped &&
                           in_.options.tables.For(record.source).on_drop == types::OnDrop::kDrop;
  if (is_unwanted) {
    in_.logger.Warn("table {} was dropped at the source and is dropped at the destination",
                    ToString(record.source));
    return in_.writer.DropTable(what.relation);
  }
  const Error reason =
      what.kind == Kind::kDropped ? DroppedAtSource(record.source)
      : what.kind == Kind::kCutOff
          ? Error{.kind = ErrorKind::kConfig,
                  .message = what.reason,
                  .code = what.code,
                  .advice = what.advice}
          : LeftPipeline(record.source, in_.birth.owns_publication, in_.birth.publication);
  in_.logger.Warn("table {}: {} ({})", ToString(record.source), reason.message, reason.code);
  in_.writer.Skip(what.relation, reason);
  return {};
}

// Who joins
// ---------------------------------------------------------------------------------------------------

Status TableWatch::LeaveOut(const std::vector<postgres::PlannedTable>& tables) {
  if (tables.empty()) return {};
  for (const postgres::PlannedTable& table : tables) {
    in_.logger.Warn("table {} is left out: {}{}{}", ToString(table.table.name), table.reason,
                    table.advice.empty() ? "" : "; ", table.advice);
  }
  return in_.writer.inbox().CallAndWait([&]() -> Status {
    for (const postgres::PlannedTable& table : tables)
      in_.writer.Join(NewRecord(table, {}, in_.options));
    return {};
  });
}

Status TableWatch::TakeIn(postgres::Connection& connection, const TableChanges& changes,
                          const std::vector<TableRecord>& records, const std::stop_token& stop) {
  // A new table may have new types.
  SLUICE_ASSIGN_OR_RETURN(types::TypeCatalog types, postgres::LoadTypeCatalog(connection));
  in_.registry.SetTypes(std::move(types));
  std::vector<Candidate> candidates;
  for (const TableChanges::Join& join : changes.joining) {
    if (stop.stop_requested()) return Error{.kind = ErrorKind::kCancelled, .message = "stopped"};
    SLUICE_ASSIGN_OR_RETURN(std::optional<Candidate> candidate, Prepare(connection, join));
    if (!candidate) continue;
    if (candidate->record.state != TableState::kSkipped)
      SLUICE_RETURN_IF_ERROR(Publish(connection, join, *candidate, stop));
    const TableRecord* known = Find(records, candidate->record.relation);
    const bool is_told = known != nullptr && candidate->record.state == TableState::kSkipped &&
                         known->state == TableState::kSkipped;
    if (is_told && (known->schema || known->reason == candidate->record.reason)) continue;
    candidates.push_back(*std::move(candidate));
    if (candidates.size() < kAdmitAtOnce) continue;
    SLUICE_RETURN_IF_ERROR(Admit(connection, std::exchange(candidates, {})));
  }
  return candidates.empty() ? Status{} : Admit(connection, std::move(candidates));
}

/// Whether it can be taken in at all. nullopt: it is gone again.
Result<std::optional<TableWatch::Candidate>> TableWatch::Prepare(postgres::Connection& connection,
                                                                 const TableChanges::Join& join) {
  const postgres::SourceTable& table = join.table.table;
  Candidate candidate{.record = NewRecord(join.table, {}, in_.options), .bytes = table.size_bytes};
  const Result<postgres::LoadedTable> loaded =
      postgres::LoadTableSchema(connection, *in_.registry.types(), table.relation,
                                in_.birth.owns_publication ? "" : in_.birth.publication,
                                in_.registry.HiddenOf(table.relation));
  if (!loaded) {
    if (!connection.is_alive()) return loaded.error();
    if (IsGone(loaded.error())) return std::optional<Candidate>();
    LeaveOutFor(candidate.record, loaded.error());
    return std::optional<Candidate>(std::move(candidate));
  }
  SLUICE_ASSIGN_OR_RETURN(const std::optional<Error> refusal,
                          in_.writer.inbox().CallAndWait([&]() -> Result<std::optional<Error>> {
                            return in_.destination.CheckTable(
                                *loaded->schema, in_.options.names.For(table.name),
                                candidate.record.mode,
                                in_.options.existing != engine::Existing::kRefuse);
                          }));
  if (refusal) {
    in_.logger.Warn("table {} is left out: {} ({})", ToString(table.name), refusal->message,
                    refusal->code);
    LeaveOutFor(candidate.record, *refusal);
    wants_retry_ = true;  // the other side may be put right, which no look at the source sees
  }
  return std::optional<Candidate>(std::move(candidate));
}

/// The stream can describe it before the first change of it comes.
Status TableWatch::Publish(postgres::Connection& connection, const TableChanges::Join& join,
                           Candidate& candidate, const std::stop_token& stop) {
  const TableName& name = join.table.table.name;
  in_.registry.AddTable(candidate.record.relation, name, nullptr);
  candidate.is_done = true;
  if (join.is_published || !in_.birth.owns_publication) return {};
  const auto called = [&](bool is_append) {
    return is_append ? postgres::CompanionOf(in_.birth.publication) : in_.birth.publication;
  };
  Status added;
  if (join.is_misplaced) {
    added = postgres::DropFromPublication(connection, called(!join.table.is_append), name,
                                          kLockTimeout, stop);
  }
  if (added) {
    added = postgres::AddToPublication(connection, called(join.table.is_append), name, kLockTimeout,
                                       stop);
  }
  SLUICE_FAILPOINT("join.published");
  if (added || added.error().sqlstate == "42710") return {};
  if (!connection.is_alive() || stop.stop_requested()) return added;
  candidate.is_done = false;
  wants_retry_ = true;
  if (IsGone(added.error())) return {};
  in_.logger.Warn("table {} cannot be added to publication {} now, tried again in {} s: {}",
                  ToString(name), in_.birth.publication,
                  std::chrono::duration_cast<std::chrono::seconds>(kLookInterval).count(),
                  added.error().message);
  LeaveOutFor(candidate.record,
              Error{.kind = ErrorKind::kConfig,
                    .message = "it could not be added to publication " + in_.birth.publication +
                               " yet: " + added.error().message,
                    .advice = "nothing to do while its lock is held; it is tried again"});
  return {};
}

/// Their membership is visible now. From here on the table machine has them.
Status TableWatch::Admit(postgres::Connection& connection, std::vector<Candidate> candidates) {
  SLUICE_ASSIGN_OR_RETURN(const std::vector<postgres::PublishedTable> entries,
                          postgres::ReadPublishedTables(connection, in_.birth.publication));
  // A standby has no list of them.
  const bool may_list_writers =
      !connection.is_standby() && postgres::MayUseWriterList(connection.server_version());
  std::set<RelationId> without_writers;
  std::erase_if(candidates, [&](Candidate& candidate) {
    if (candidate.record.state == TableState::kSkipped) return false;
    const auto entry =
        std::find_if(entries.begin(), entries.end(), [&](const postgres::PublishedTable& table) {
          return table.relation == candidate.record.relation;
        });
    // Gone, or renamed in between and another was added: the next look tells.
    if (!candidate.is_done || entry == entries.end()) {
      wants_retry_ = true;
      return true;
    }
    candidate.record.publication_entry = entry->entry;
    return false;
  });
  for (const Candidate& candidate : candidates) {
    const RelationId relation = candidate.record.relation;
    if (!may_list_writers || candidate.record.state != TableState::kPending) continue;
    SLUICE_ASSIGN_OR_RETURN(std::vector<std::string> writers,
                            postgres::ReadWriters(connection, relation));
    if (writers.empty()) {
      without_writers.insert(relation);
    } else {
      older_writers_[relation] = std::move(writers);
    }
  }
  SLUICE_RETURN_IF_ERROR(in_.writer.inbox().CallAndWait([&]() -> Status {
    for (const Candidate& candidate : candidates) {
      const RelationId relation = candidate.record.relation;
      in_.writer.Join(candidate.record);
      if (without_writers.contains(relation)) in_.writer.machine().OlderWritersDone(relation);
    }
    return {};
  }));
  SLUICE_FAILPOINT("join.admitted");
  for (const Candidate& candidate : candidates) {
    if (candidate.record.state == TableState::kSkipped) continue;
    in_.pool.SetEstimate(candidate.record.relation, candidate.bytes);
    in_.logger.Info("table {} joins{}", ToString(candidate.record.source),
                    older_writers_.contains(candidate.record.relation)
                        ? "; its copy waits for transactions that wrote it before"
                        : "");
  }
  in_.pool.Wake();
  return {};
}

/// G3, the short way: a lock is released after its transaction is visible.
Status TableWatch::LookAtOlderWriters(postgres::Connection& connection) {
  if (older_writers_.empty()) return {};
  std::vector<std::string> all;
  for (const auto& [relation, writers] : older_writers_)
    all.insert(all.end(), writers.begin(), writers.end());
  SLUICE_ASSIGN_OR_RETURN(const std::vector<std::string> open,
                          postgres::StillOpen(connection, all));
  std::vector<RelationId> done;
  for (const auto& [relation, writers] : older_writers_) {
    const bool is_open =
        std::any_of(writers.begin(), writers.end(), [&](const std::string& writer) {
          return std::find(open.begin(), open.end(), writer) != open.end();
        });
    if (!is_open) done.push_back(relation);
  }
  if (done.empty()) return {};
  SLUICE_RETURN_IF_ERROR(in_.writer.inbox().CallAndWait([&]() -> Status {
    for (const RelationId relation : done) {
      if (in_.writer.machine().has_table(relation)) in_.writer.machine().OlderWritersDone(relation);
    }
    return {};
  }));
  for (const RelationId relation : done) older_writers_.erase(relation);
  in_.pool.Wake();
  return {};
}

}  // namespace sluice::pipeline
