#include "pipeline/pass_over.h"

#include <algorithm>

#include "base/failpoint.h"
#include "base/reason.h"
#include "base/sleep.h"
#include "pipeline/birth.h"
#include "postgres/server_facts.h"
#include "postgres/snapshot_export.h"
#include "replication/passed_list.h"
#include "replication/snapshot.h"

namespace sluice::pipeline {
namespace {

constexpr Duration kOpenTransactionsMax = std::chrono::minutes(10);
constexpr Duration kLookAgain = std::chrono::milliseconds(200);
constexpr Duration kFlushMax = std::chrono::seconds(60);

Error OpenTooLong(const std::string& whom) {
  return {.kind = ErrorKind::kTimeout,
          .message = "a transaction that the server may not be able to decode is still open" +
                     (whom.empty() ? std::string() : ", the oldest is " + whom),
          .code = "SLU-2114",
          .advice = "end it, then start again"};
}

/// Until every transaction that has an xid now has ended, prepared ones too.
Status WaitForOpenTransactions(postgres::Connection& control, const OnWaiting& on_waiting,
                               const std::stop_token& stop) {
  const Clock::time_point give_up = Clock::now() + kOpenTransactionsMax;
  SLUICE_ASSIGN_OR_RETURN(const std::uint64_t floor, postgres::AssignTransactionId(control));
  for (;;) {
    SLUICE_ASSIGN_OR_RETURN(const std::string text, postgres::ReadSnapshotText(control));
    SLUICE_ASSIGN_OR_RETURN(const replication::Snapshot now, replication::ParseSnapshot(text));
    if (now.xmin >= floor) break;
    SLUICE_ASSIGN_OR_RETURN(const auto oldest, postgres::ReadOldestTransaction(control));
    const std::string whom = oldest ? postgres::Describe(*oldest) : std::string();
    if (Clock::now() > give_up) return OpenTooLong(whom);
    if (on_waiting) on_waiting(whom);
    base::SleepFor(kLookAgain, stop);
    if (stop.stop_requested()) return Error{.kind = ErrorKind::kCancelled, .message = "stopped"};
  }
  if (on_waiting) on_waiting("");
  return {};
}

}  // namespace

Result<EndOfLog> AwaitEndOfLog(postgres::Connection& control, const OnWaiting& on_waiting,
                               const std::stop_token& stop) {
  SLUICE_RETURN_IF_ERROR(WaitForOpenTransactions(control, on_waiting, stop));
  // With synchronous_commit = off a transaction has ended before its commit is on disk.
  SLUICE_ASSIGN_OR_RETURN(const postgres::WalPositions end, postgres::ReadWalPositions(control));
  SLUICE_RETURN_IF_ERROR(postgres::WaitForFlush(control, end.insert_lsn, kFlushMax, stop));
  SLUICE_ASSIGN_OR_RETURN(const Lsn flushed, postgres::ReadFlushLsn(control));
  // Behind it: whoever committed before that end, and is seen by nobody yet, has an older xid.
  SLUICE_ASSIGN_OR_RETURN(const std::uint64_t floor, postgres::AssignTransactionId(control));
  return EndOfLog{flushed, replication::UnknownList(floor)};
}

Status PassToEndOfLog(const PassOver& request, DeliveryState& state, const std::stop_token& stop) {
  SLUICE_ASSIGN_OR_RETURN(const EndOfLog end,
                          AwaitEndOfLog(request.control, request.on_waiting, stop));
  const std::string passed_over = "the log from " + ToString(state.position->lsn) + " to " +
                                  ToString(end.lsn) + " was passed over";
  CommitRecord record;
  record.sequence = 1;
  record.position = Position{end.lsn, std::nullopt};
  record.passed = end.passed;
  record.tables = BeginAgain(state, true, passed_over, base::ReasonText(request.why));
  SLUICE_RETURN_IF_ERROR(CommitAlone(request.destination, record));
  SLUICE_FAILPOINT("pass_over.committed");
  request.logger.Warn("{}, and every table is compared with the source: {} ({})", passed_over,
                      request.why.message, request.why.code);
  state.position = record.position;
  state.passed = *record.passed;
  TakeRecords(record.tables, state);
  return {};
}

bool MayBringSlotAlong(const DeliveryState& state) {
  if (!state.position || !state.passed.is_unknown) return false;
  return std::none_of(state.tables.begin(), state.tables.end(), [](const TableRecord& table) {
    return table.state == TableState::kLive || table.kept || table.ranges;
  });
}

}  // namespace sluice::pipeline
