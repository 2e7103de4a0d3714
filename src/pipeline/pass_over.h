/// \file
/// `--skip-transaction`: the server cannot decode its log at one place, and ends the stream there
/// each time. What lies between the position and the present end of the log is passed over, that
/// place with it, and every table is brought up to the source by a comparison or a copy
/// (docs/decisions/014-lost-slot.md). Slot and publication stay.
///
/// A crash on the way: before the commit nothing was changed; behind it no table is live, and the
/// next start brings the slot along.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "sluice/destination.h"

#include "postgres/connection.h"
#include "telemetry/log.h"

namespace sluice::pipeline {

/// Names whom it waits for; empty: nobody.
using OnWaiting = std::function<void(const std::string&)>;

struct PassOver {
  const Error& why;  ///< SLU-2111
  postgres::Connection& control;
  Destination& destination;
  telemetry::Logger& logger;
  OnWaiting on_waiting;
};

/// Where a stream may begin from which no table has anything yet.
struct EndOfLog {
  Lsn lsn;            ///< flushed
  PassedList passed;  ///< unknown; what commits before `lsn` is older than its floor
};

/// Waits for every transaction that is open: what commits behind that end began behind this call.
/// Errors: kTimeout SLU-2114 (transactions are open too long), kCancelled, of the source.
Result<EndOfLog> AwaitEndOfLog(postgres::Connection& control, const OnWaiting& on_waiting,
                               const std::stop_token& stop);

/// Waits for every transaction that is open, as one of them may be the one that cannot be decoded;
/// then, in one commit: the end of the log as position, P unknown, every table pending.
/// \param state as Open() gave it, with a position; updated to what is stored then.
/// Errors: kTimeout SLU-2114 (transactions are open too long), kCancelled, of both sides.
Status PassToEndOfLog(const PassOver& request, DeliveryState& state, const std::stop_token& stop);

/// No table has rows that depend on what the slot has before the position, as after
/// PassToEndOfLog(): a slot that is behind may be brought along.
bool MayBringSlotAlong(const DeliveryState& state);

}  // namespace sluice::pipeline
