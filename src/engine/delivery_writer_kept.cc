// Halted tables: what comes of them is kept, within limits, and applied later, piece by piece.
#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "base/reason.h"
#include "engine/delivery_writer.h"
#include "replication/schema_versions.h"

namespace sluice::engine {
namespace {

constexpr Duration kOldKeptInterval = std::chrono::seconds(1);
/// Kept changes that are read at once.
constexpr std::size_t kKeptRead = 4096;
/// A piece of them, in time and in changes.
constexpr Duration kPieceWanted = std::chrono::milliseconds(200);
constexpr std::size_t kPieceRowsMin = 500;
constexpr std::size_t kPieceRowsMax = 100'000;

}  // namespace

Status DeliveryWriter::KeepChanges(const TableChanges& changes,
                                   const std::vector<TransactionMark>& marks) {
  SLUICE_ASSIGN_OR_RETURN(const std::optional<Error> refused,
                          stager_.Keep(changes.relation, changes.items, marks, KeepBytesLeft()));
  SLUICE_FAILPOINT("kept.staged");
  if (refused) StopKeeping(changes.relation, *refused);
  return {};
}

std::uint64_t DeliveryWriter::KeepBytesLeft() const {
  std::uint64_t used = 0;
  for (const RelationId relation : machine_.tables()) {
    const std::optional<KeptChanges> kept = stager_.Kept(relation);
    used += kept ? kept->bytes : 0;
  }
  return options_.keep_bytes - std::min(options_.keep_bytes, used);
}

void DeliveryWriter::StopKeeping(RelationId relation, const Error& why) {
  const TableRecord& record = machine_.record(relation);
  const std::string advice = "sluice resync " + ToString(record.source);
  logger_.Failed("table {}: what was kept since it halted is dropped: {} ({}); to continue: {}",
                 ToString(record.source), why.message, why.code, advice);
  machine_.SetAdvice(relation, record.reason, advice);
  stager_.StopKeeping(relation);
  resuming_.erase(relation);
}

void DeliveryWriter::DropOldKept() {
  const Clock::time_point now = Clock::now();
  if (now - old_kept_dropped_at_ < kOldKeptInterval) return;
  old_kept_dropped_at_ = now;
  const std::int64_t since =
      WallClock().value -
      std::chrono::duration_cast<std::chrono::microseconds>(options_.keep_for).count();
  for (const RelationId relation : machine_.tables()) {
    const TableRecord& record = machine_.record(relation);
    if (!record.kept || record.kept->is_resuming || record.since.value >= since) continue;
    StopKeeping(relation, {.kind = ErrorKind::kTimeout,
                           .message = "it halted longer ago than --keep-halted-for allows",
                           .code = "SLU-4215"});
  }
}

Status DeliveryWriter::Resume(RelationId relation) {
  if (!machine_.has_table(relation)) {
    return Error{.kind = ErrorKind::kInvalidArgument, .message = "no such table in this pipeline"};
  }
  if (std::optional<Error> refused = replication::WhyNoResume(machine_.record(relation)))
    return *std::move(refused);
  KeptChanges kept = *machine_.record(relation).kept;
  kept.is_resuming = true;
  machine_.SetKept(relation, kept);
  resuming_.insert(relation);
  settled_sequence_.store(0);
  return {};  // committed by the loop
}

/// One piece of one table. What else there is to do gets at least as much time as the pieces.
Status DeliveryWriter::ResumeTables() {
  const Clock::time_point began = Clock::now();
  if (resuming_.empty() || began < resume_next_) return {};
  const RelationId relation = *resuming_.begin();
  const bool is_kept = machine_.has_table(relation) && machine_.record(relation).kept.has_value();
  if (!is_kept) {  // copied again, or gone
    resuming_.erase(relation);
    return {};
  }
  Resumed resumed;
  SLUICE_ASSIGN_OR_RETURN(const StageOutcome outcome, StageKept(relation, resumed));
  if (outcome.table_failed) {
    stager_.Abandon();
    StopResuming(*outcome.table_failed);
    return {};
  }
  SLUICE_RETURN_IF_ERROR(stager_.DropKept(relation, resumed.through, resumed.bytes));
  if (resumed.is_whole) {
    machine_.Resume(relation, WallClock());
    resuming_.erase(relation);
  }
  SLUICE_FAILPOINT("resume.piece_staged");
  SLUICE_RETURN_IF_ERROR(Commit(std::nullopt, UnixMicros{}));
  SLUICE_FAILPOINT("resume.piece_committed");
  if (resumed.is_whole) {
    logger_.Info("table {} is live again", ToString(machine_.record(relation).source));
    TakeRaw(relation, false, true);
  }
  const Clock::time_point now = Clock::now();
  resume_next_ = now + (now - began);
  if (now - began > kPieceWanted) {
    resume_rows_ = std::max(kPieceRowsMin, resume_rows_ / 2);
  } else if (now - began < kPieceWanted / 3) {
    resume_rows_ = std::min(kPieceRowsMax, resume_rows_ * 2);
  }
  return {};
}

Redeclare DeliveryWriter::RedeclareFor(RelationId relation) const {
  const TableName source = machine_.record(relation).source;
  return [this, source](const SchemaPtr& version) -> Result<SchemaPtr> {
    if (version->name == source) return options_.redeclare(version);
    auto renamed = std::make_shared<TableSchema>(*version);
    renamed->name = source;
    return options_.redeclare(renamed);
  };
}

/// A piece may end inside a transaction: until all is applied the table is halted.
Result<StageOutcome> DeliveryWriter::StageKept(RelationId relation, Resumed& resumed) {
  DecodedChanges decoded;
  SchemaPtr version;
  std::size_t row_count = 0;
  while (row_count < resume_rows_ && decoded.bytes < options_.landing_bytes) {
    SLUICE_ASSIGN_OR_RETURN(
        const std::vector<KeptChange> changes,
        destination_.ReadKept(relation, resumed.through, std::min(resume_rows_, kKeptRead),
                              options_.landing_bytes - decoded.bytes));
    if (changes.empty()) {
      resumed.is_whole = true;
      break;
    }
    const Status read = FromKept(changes, RedeclareFor(relation), version, decoded);
    if (!read) return StageOutcome{TableFailed{relation, read.error()}};
    row_count += changes.size();
    resumed.through = changes.back().sequence;
    resumed.bytes += BytesOf(changes);
  }
  if (decoded.items.empty()) return StageOutcome{};
  return stager_.Apply(relation, std::move(decoded.items), decoded.marks);
}

/// It halts again, with what is left.
void DeliveryWriter::StopResuming(const TableFailed& failed) {
  const RelationId relation = failed.relation;
  resuming_.erase(relation);
  const Error& error = failed.error;
  if (replication::IsHealedByCopy(error)) {
    CopyAgain(relation, error);
    TakeRaw(relation, false, true);
    return;
  }
  const TableRecord& record = machine_.record(relation);
  KeptChanges kept = record.kept.value_or(KeptChanges{});
  kept.is_resuming = false;
  machine_.SetKept(relation, kept);
  logger_.Failed("table {} cannot go on yet: {} ({})", ToString(record.source), error.message,
                 error.code);
  machine_.SetAdvice(relation, base::ReasonText(error), HaltAdvice(error, record.source, true));
}

}  // namespace sluice::engine
