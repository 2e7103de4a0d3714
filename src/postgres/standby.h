/// \file
/// A source that is a standby: what has to be written is written on its primary, and what was
/// written there has to be replayed before it is seen here.
///
/// Each function does the same of a primary by itself.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "sluice/lsn.h"
#include "sluice/result.h"

#include "postgres/connection.h"

namespace sluice::postgres {

/// What a source in recovery needs of itself and of its primary.
struct StandbyFacts {
  bool sends_feedback = false;  ///< hot_standby_feedback
  /// Why the primary cannot be asked; then the rest says nothing.
  std::optional<Error> unreachable;
  std::string primary_wal_level;
  bool may_log_running = false;  ///< pg_log_standby_snapshot()
  bool may_create_in_database = false;
};
/// \param connection to a standby of 16 or newer. Errors: of its own session.
Result<StandbyFacts> ReadStandbyFacts(Connection& connection);

/// Writes a message into the primary's log and flushes it. What any session of this standby sees by
/// now was in the log before the place that is returned, and the stream comes to that place while
/// nobody else writes.
/// \param connection to a standby. Errors: of ForWriting().
Result<Lsn> MarkLog(Connection& connection);

/// Until `connection` sees what was written by its ForWriting(). Nothing where that is itself.
/// Errors: kTimeout SLU-2054; of ForWriting().
Status AwaitReplay(Connection& connection, std::stop_token stop = {});

/// Trouble with the primary, or with a slot for a snapshot, is no table's: kConnection, to be tried
/// again. Only a stop stays what it is.
Error TroubleOfTheLine(Error error);

/// Who makes a slot on a standby waits for a record of the transactions that run on the primary:
/// this has one written. Errors: kAuth SLU-2053; of ForWriting().
Status LogRunningTransactions(Connection& connection);

}  // namespace sluice::postgres
