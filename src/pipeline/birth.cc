#include "pipeline/birth.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include "base/failpoint.h"
#include "base/reason.h"
#include "base/sleep.h"
#include "engine/progress.h"
#include "pipeline/compare_rows.h"
#include "pipeline/pass_over.h"
#include "postgres/publication.h"
#include "postgres/standby.h"
#include "replication/passed_list.h"
#include "replication/snapshot.h"
#include "replication/table_machine.h"

namespace sluice::pipeline {
namespace {

constexpr std::string_view kCopiedAgainReason = "copied again";

/// A walsender that creates a slot waits for open transactions and does not notice that its client
/// was killed. Ours, proved by the generation in its name, is ended.
Status EndLingeringBirth(const Birth& earlier, postgres::Connection& control) {
  SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::SlotRow> slot,
                          postgres::ReadSlot(control, earlier.slot));
  if (!slot || !slot->is_active ||
      !slot->active_application.ends_with(BirthRole(earlier.generation))) {
    return {};
  }
  const Result<postgres::QueryResult> ended =
      control.Exec("end the session of an earlier start", "SELECT pg_terminate_backend($1)",
                   {std::to_string(slot->active_pid)});
  return ended ? Status{} : Status(ended.error());
}

/// A walsender that was killed lingers; one that stays belongs to somebody, whom the checks name.
Status WaitForSlot(const std::string& slot, const SlotWait& wait, postgres::Connection& control,
                   const std::stop_token& stop) {
  const Clock::time_point give_up = Clock::now() + wait.most;
  for (;;) {
    SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::SlotRow> row,
                            postgres::ReadSlot(control, slot));
    if (!row || !row->is_active || Clock::now() > give_up) break;
    if (wait.on_waiting)
      wait.on_waiting("the session that holds it, pid " + std::to_string(row->active_pid));
    base::SleepFor(std::chrono::milliseconds(300), stop);
    if (stop.stop_requested()) return Error{.kind = ErrorKind::kCancelled, .message = "stopped"};
  }
  if (wait.on_waiting) wait.on_waiting("");
  return {};
}

Birth AskedBirth(const std::optional<Birth>& earlier, const BirthRequest& request) {
  Birth asked = earlier.value_or(Birth{});
  asked.slot = request.slot;
  asked.publication = request.publication;
  asked.owns_publication = request.owns_publication;
  return asked;
}

Status JudgeNamesAtSource(const Birth& asked, const replication::SourceFacts& facts,
                          const BirthRequest& request) {
  const bool is_users_slot = request.options->slot.has_value();
  if (request.is_anew) return replication::CheckRebirth(asked, facts, is_users_slot);
  SLUICE_RETURN_IF_ERROR(replication::CheckUnborn(asked, facts, is_users_slot));
  return request.options->copy_existing ? Status{}
                                        : replication::CheckStreamOnly(asked, facts, is_users_slot);
}

/// Ours from an earlier try, or of a stream that was lost, is removed; anybody else's stays and is
/// an error.
Status ClearEarlierTry(const std::optional<Birth>& earlier, const BirthRequest& request,
                       postgres::Connection& control, postgres::Connection& replication,
                       const std::stop_token& stop) {
  const Birth asked = AskedBirth(earlier, request);
  if (earlier) SLUICE_RETURN_IF_ERROR(EndLingeringBirth(*earlier, control));
  // What an earlier try made on the primary is to be seen.
  SLUICE_RETURN_IF_ERROR(postgres::AwaitReplay(control, stop));
  SLUICE_ASSIGN_OR_RETURN(replication::SourceFacts facts,
                          ReadSourceFacts(control, replication, asked));
  Status judged = JudgeNamesAtSource(asked, facts, request);
  if (!judged && judged.error().code == "SLU-3012") {
    const SlotWait wait{.most = request.slot_wait, .on_waiting = request.on_waiting};
    SLUICE_RETURN_IF_ERROR(WaitForSlot(request.slot, wait, control, stop));
    SLUICE_ASSIGN_OR_RETURN(facts, ReadSourceFacts(control, replication, asked));
    judged = JudgeNamesAtSource(asked, facts, request);
  }
  SLUICE_RETURN_IF_ERROR(judged);
  if (facts.slot && !request.options->slot) {
    SLUICE_RETURN_IF_ERROR(postgres::DropSlot(control, request.slot, std::chrono::seconds(10)));
  }
  if (!request.owns_publication) return {};
  if (facts.publication_exists)
    SLUICE_RETURN_IF_ERROR(postgres::DropPublication(control, request.publication));
  // Its companion may have outlived it.
  const std::string companion = postgres::CompanionOf(request.publication);
  SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::Publication> left,
                          postgres::ReadPublication(control, companion));
  const bool is_ours = left && !asked.generation.empty() &&
                       postgres::GenerationOf(left->comment) == asked.generation;
  return is_ours ? postgres::DropPublication(control, companion) : Status{};
}

struct Begun {
  Lsn position;
  PassedList passed;
};

/// What was written before the publication was made cannot be decoded against it, also where it
/// commits behind that: so the slot is brought to the end of the log. With --copy none it stays.
Result<Begun> TakeOverSlot(const postgres::SlotRow& slot, const BirthRequest& request,
                           postgres::Connection& control, const std::stop_token& stop) {
  if (!request.options->copy_existing) {
    SLUICE_ASSIGN_OR_RETURN(const std::uint64_t floor, postgres::AssignTransactionId(control));
    return Begun{slot.confirmed_flush_lsn, replication::UnknownList(floor)};
  }
  SLUICE_ASSIGN_OR_RETURN(const EndOfLog end, AwaitEndOfLog(control, request.on_waiting, stop));
  SLUICE_RETURN_IF_ERROR(
      postgres::AdvanceSlot(control, request.slot, end.lsn, request.slot_wait, stop));
  return Begun{end.lsn, end.passed};
}

Result<Begun> MakeSlot(const BirthRequest& request, postgres::Connection& control,
                       postgres::Connection& replication, std::stop_token stop) {
  postgres::CreateSlotOptions options;
  options.name = request.slot;
  // Standbys that sync slots carry it along; it means nothing to others.
  options.failover = control.server_version() >= 170000;
  options.on_waiting = [&](const std::optional<postgres::OpenTransaction>& oldest) {
    if (request.on_waiting && oldest) request.on_waiting(postgres::Describe(*oldest));
  };
  SLUICE_ASSIGN_OR_RETURN(const postgres::CreatedSlot made,
                          postgres::CreateSlot(replication, control, options, stop));
  if (request.on_waiting) request.on_waiting("");
  SLUICE_ASSIGN_OR_RETURN(const replication::Snapshot exported,
                          replication::ParseSnapshot(made.slot_snapshot));
  SLUICE_ASSIGN_OR_RETURN(const replication::Snapshot current,
                          replication::ParseSnapshot(made.first_snapshot));
  return Begun{made.consistent_point, replication::BirthList(exported, current)};
}

/// The log of a table says what came last by LSN: what is copied now must come after all of it.
Status CheckLogsGoOn(const replication::SourceFacts& facts, const DeliveryState& state) {
  Lsn newest = state.position.value_or(Position{}).lsn;
  for (const TableRecord& table : state.tables) {
    if (!table.schema || !HasLog(table.mode)) continue;
    newest = std::max(newest, table.lsn);
    if (facts.server.flush_lsn >= newest) continue;
    return Error{.kind = ErrorKind::kConfig,
                 .message = "table " + ToString(table.source) + " has a log up to " +
                            ToString(newest) + ", and the source's log ends at " +
                            ToString(facts.server.flush_lsn) +
                            ": what is copied now would stand before older changes",
                 .code = "SLU-3023",
                 .advice =
                     "keep the log as a table of your own, then `sluice drop` and `sluice "
                     "run` with --existing replace"};
  }
  return {};
}

Error AppendedAreLost(const TableRecord& table, std::string_view why) {
  return {.kind = ErrorKind::kConfig,
          .message = std::string(why) +
                     ": rows inserted meanwhile are missing, and a copy would take away those that "
                     "the source does not have any more",
          .code = "SLU-4217",
          .advice = "sluice resync " + ToString(table.source)};
}

}  // namespace

Status CommitAlone(Destination& destination, const CommitRecord& record) {
  SLUICE_ASSIGN_OR_RETURN(const CommitOutcome outcome, destination.Commit(record));
  if (outcome == CommitOutcome::kAccepted) return {};
  return Error{.kind = ErrorKind::kConnection,
               .message = "the outcome of a commit at the start is unknown",
               .code = "SLU-5005"};
}

std::vector<TableRecord> BeginAgain(const DeliveryState& state, bool compares, std::string_view why,
                                    std::string_view detail) {
  replication::TableMachine machine(state);
  const UnixMicros now = engine::WallClock();
  for (const TableRecord& table : state.tables) {
    if (table.state == TableState::kSkipped) continue;
    machine.Resync(table.relation, now);  // nothing is kept of it any more
    if (table.schema && table.mode == TableMode::kAppend) {
      machine.Halt(table.relation, AppendedAreLost(table, why), now);
      continue;
    }
    const std::string_view how = compares ? kComparedReason : kCopiedAgainReason;
    machine.SetReason(table.relation, fmt::format("{}: {}: {}", how, why, detail));
  }
  return machine.TakeChangedRecords(1);
}

void TakeRecords(const std::vector<TableRecord>& changed, DeliveryState& state) {
  for (const TableRecord& record : changed) {
    for (TableRecord& table : state.tables) {
      if (table.relation == record.relation) table = record;
    }
  }
}

bool IsToBeBornAnew(const DeliveryState& state) {
  return state.birth && !state.birth->generation.empty() && !state.position &&
         !state.tables.empty();
}

Status AwaitRebirth(const Birth& birth, bool is_users_slot, const SlotWait& wait,
                    postgres::Connection& control, postgres::Connection& replication,
                    replication::SourceFacts& facts, const std::stop_token& stop) {
  SLUICE_RETURN_IF_ERROR(replication::CheckRebirth(birth, facts, is_users_slot));
  SLUICE_RETURN_IF_ERROR(WaitForSlot(birth.slot, wait, control, stop));
  SLUICE_ASSIGN_OR_RETURN(facts, ReadSourceFacts(control, replication, birth));
  return replication::CheckRebirth(birth, facts, is_users_slot);
}

Status ForgetPosition(const replication::SourceFacts& facts, const Error& why, bool compares,
                      bool is_users_slot, Destination& destination, DeliveryState& state) {
  SLUICE_RETURN_IF_ERROR(replication::CheckRebirth(*state.birth, facts, is_users_slot));
  SLUICE_RETURN_IF_ERROR(CheckLogsGoOn(facts, state));
  CommitRecord record;
  record.sequence = 1;
  record.birth = state.birth;
  record.tables = BeginAgain(state, compares, "the stream was lost", base::ReasonText(why));
  SLUICE_RETURN_IF_ERROR(CommitAlone(destination, record));
  state.position.reset();
  state.passed = {};
  TakeRecords(record.tables, state);
  return {};
}

bool UndoBirth(const Birth& birth, bool made_slot, postgres::Connection& control) {
  if (birth.generation.empty()) return true;
  // Where it was made: a standby may not have it yet.
  const Result<postgres::Connection*> writing = control.ForWriting();
  if (!writing) return false;
  const Result<std::optional<postgres::Publication>> publication =
      postgres::ReadPublication(**writing, birth.publication);
  if (!publication) return false;
  const bool is_ours = birth.owns_publication && publication->has_value() &&
                       postgres::GenerationOf((*publication)->comment) == birth.generation;
  if (birth.owns_publication && !is_ours) return true;  // the slot comes after it
  if (!EndLingeringBirth(birth, control)) return false;
  if (made_slot && !postgres::DropSlot(control, birth.slot, std::chrono::seconds(5))) return false;
  return !is_ours || postgres::DropPublication(control, birth.publication).has_value();
}

std::string NewGeneration() {
  std::random_device source;
  std::array<std::uint32_t, 4> words{source(), source(), source(), source()};
  words[1] = (words[1] & 0xFFFF0FFFU) | 0x00004000U;
  words[2] = (words[2] & 0x3FFFFFFFU) | 0x80000000U;
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:04x}{:08x}", words[0], words[1] >> 16U,
                     words[1] & 0xFFFFU, words[2] >> 16U, words[2] & 0xFFFFU, words[3]);
}

std::string BirthRole(const std::string& generation) {
  return "birth " + generation.substr(0, 8);
}

replication::SlotRow ToCheckedSlot(const postgres::SlotRow& row) {
  replication::SlotRow slot;
  slot.name = row.name;
  slot.plugin = row.plugin;
  slot.slot_type = row.is_logical ? "logical" : "physical";
  slot.database = row.database;
  slot.is_temporary = row.is_temporary;
  slot.is_active = row.is_active;
  if (row.is_active) slot.active_pid = row.active_pid;
  slot.active_application = row.active_application;
  if (row.confirmed_flush_lsn.is_valid()) slot.confirmed_flush = row.confirmed_flush_lsn;
  if (row.restart_lsn.is_valid()) slot.restart_lsn = row.restart_lsn;
  slot.wal_status = row.wal_status;
  slot.invalidation_reason = row.invalidation_reason;
  slot.is_two_phase = row.is_two_phase;
  return slot;
}

Result<replication::SourceFacts> ReadSourceFacts(postgres::Connection& control,
                                                 postgres::Connection& replication,
                                                 const Birth& birth) {
  replication::SourceFacts facts;
  SLUICE_ASSIGN_OR_RETURN(const postgres::ServerIdentity identity,
                          postgres::ReadServerIdentity(replication));
  facts.server.system_identifier = identity.system_identifier;
  facts.server.timeline = identity.timeline;
  facts.server.flush_lsn = identity.flush_lsn;
  facts.server.is_standby = control.is_standby();
  // IDENTIFY_SYSTEM says what a standby has received.
  if (facts.server.is_standby) {
    SLUICE_ASSIGN_OR_RETURN(facts.server.flush_lsn, postgres::ReadFlushLsn(control));
  }
  facts.server.database = identity.database;
  if (birth.timeline != 0 && identity.timeline > birth.timeline) {
    SLUICE_ASSIGN_OR_RETURN(
        facts.server.switched_at,
        postgres::ReadTimelineEnd(replication, identity.timeline, birth.timeline));
  }
  SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::SlotRow> slot,
                          postgres::ReadSlot(control, birth.slot));
  if (slot) facts.slot = ToCheckedSlot(*slot);
  SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::Publication> publication,
                          postgres::ReadPublication(control, birth.publication));
  facts.publication_exists = publication.has_value();
  if (publication) {
    const std::string_view generation = postgres::GenerationOf(publication->comment);
    if (!generation.empty()) facts.generation = std::string(generation);
  }
  return facts;
}

Status GiveBirth(const BirthRequest& request, postgres::Connection& control,
                 postgres::Connection& replication, Destination& destination, DeliveryState& state,
                 telemetry::Logger& logger, bool& made_slot, std::stop_token stop) {
  SLUICE_RETURN_IF_ERROR(ClearEarlierTry(state.birth, request, control, replication, stop));
  SLUICE_ASSIGN_OR_RETURN(const postgres::ServerIdentity identity,
                          postgres::ReadServerIdentity(replication));
  Birth birth{.pipeline = request.options->pipeline,
              .slot = request.slot,
              .publication = request.publication,
              .owns_publication = request.owns_publication,
              .generation = request.generation,
              .system_identifier = identity.system_identifier,
              .timeline = identity.timeline};
  SLUICE_RETURN_IF_ERROR(request.is_anew ? CommitAlone(destination, {.sequence = 1, .birth = birth})
                                         : destination.StoreBirth(birth));
  SLUICE_FAILPOINT("birth.recorded");
  state.birth = birth;
  // Publication first, slot second: what is decoded from the slot's start on knows the publication.
  if (request.owns_publication) {
    Status made = postgres::CreatePublication(control, request.publication, birth.generation,
                                              request.published, stop);
    if (!made) {
      Error error = std::move(made).error();
      // A table was dropped or renamed since they were listed: the next try lists them again.
      if (error.sqlstate == "42P01" || error.sqlstate == "3F000")
        error.kind = ErrorKind::kConnection;
      return error;
    }
  }
  SLUICE_FAILPOINT("birth.published");
  SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::SlotRow> existing,
                          postgres::ReadSlot(control, request.slot));
  Begun begun;
  if (existing) {
    SLUICE_ASSIGN_OR_RETURN(begun, TakeOverSlot(*existing, request, control, stop));
  } else {
    logger.Info("creating slot {}", request.slot);
    Result<Begun> made = MakeSlot(request, control, replication, std::move(stop));
    // Also where its answer was lost; not where somebody else was quicker.
    made_slot = made || made.error().sqlstate != "42710";
    SLUICE_ASSIGN_OR_RETURN(begun, std::move(made));
  }
  SLUICE_FAILPOINT("birth.slot_made");
  SLUICE_ASSIGN_OR_RETURN(const std::vector<postgres::PublishedTable> entries,
                          postgres::ReadPublishedTables(control, request.publication));
  CommitRecord record;
  record.sequence = 1;
  record.position = Position{begun.position, std::nullopt};
  record.passed = begun.passed;
  record.tables = request.records;
  for (TableRecord& table : record.tables) {
    // The publication was there before the slot: every writer the stream misses is seen by the
    // slot's snapshot.
    table.older_writers_done = !existing.has_value();
    for (const postgres::PublishedTable& entry : entries) {
      if (entry.relation == table.relation) table.publication_entry = entry.entry;
    }
  }
  SLUICE_RETURN_IF_ERROR(CommitAlone(destination, record));
  SLUICE_FAILPOINT("birth.committed");
  state.position = record.position;
  state.passed = begun.passed;
  state.tables = record.tables;
  std::erase_if(state.tables, [](const TableRecord& table) { return table.was_removed; });
  return {};
}

}  // namespace sluice::pipeline
