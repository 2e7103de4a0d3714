/// \file
/// How a pipeline begins: intent at the destination, publication, slot, then position and P. A
/// crash at any step is recognised at the next start by an intent without a position: nothing was
/// live, our slot is dropped, and it begins again.
///
/// So it is made anew where the stream from the position is lost: ForgetPosition() stores that
/// nothing is live any more and keeps the tables, then GiveBirth() makes slot and publication
/// again.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/destination.h"

#include "engine/options.h"
#include "postgres/connection.h"
#include "postgres/publication.h"
#include "postgres/server_facts.h"
#include "postgres/slot.h"
#include "replication/connect_checks.h"
#include "telemetry/log.h"

namespace sluice::pipeline {

struct BirthRequest {
  const engine::PipelineOptions* options = nullptr;
  std::string slot;
  std::string publication;
  bool owns_publication = true;
  std::string
      generation;  ///< of this birth; the replication connection's role ends with BirthRole()
  /// How long a slot held by another session is waited for.
  Duration slot_wait = std::chrono::seconds(65);
  postgres::PublicationContents published;
  /// What the first position is stored with. Of a birth given anew: all that changes.
  std::vector<TableRecord> records;
  bool is_anew = false;  ///< the destination IsToBeBornAnew(): its tables stay
  /// Names whom slot creation waits for; empty: nobody.
  std::function<void(const std::string&)> on_waiting;
};

/// Stores the intent, makes publication and slot (or takes over the user's), commits the first
/// position.
/// \param state as Open() gave it; updated to what is stored then.
/// \param made_slot set where the slot was made here, also where what came after it failed.
/// Errors: kConfig (slot or publication of somebody else; SLU-3012 in use), kAuth, kTimeout
/// SLU-2104 and SLU-2114, kCancelled, of the destination.
Status GiveBirth(const BirthRequest& request, postgres::Connection& control,
                 postgres::Connection& replication, Destination& destination, DeliveryState& state,
                 telemetry::Logger& logger, bool& made_slot, std::stop_token stop);

/// The stream from the position was lost, and slot and publication are to be made anew: tables with
/// rows, and no position.
bool IsToBeBornAnew(const DeliveryState& state);

struct SlotWait {
  Duration most = std::chrono::seconds(65);
  /// Names whom it waits for; empty: nobody.
  std::function<void(const std::string&)> on_waiting;
};

/// Before ForgetPosition(): may slot and publication be made anew? Waits until nobody holds the
/// slot, as a walsender that was killed lingers; one that stays is another pipeline's.
/// \param facts with the slot taken as free; read again.
/// Errors: kConfig as ForgetPosition(), kCancelled; of the source.
Status AwaitRebirth(const Birth& birth, bool is_users_slot, const SlotWait& wait,
                    postgres::Connection& control, postgres::Connection& replication,
                    replication::SourceFacts& facts, const std::stop_token& stop);

/// Makes it so, in one commit: every table is pending with its rows in place, or halted where it is
/// only appended to; what was kept of halted tables goes.
/// \param why the error that lost the stream, for the tables' reasons.
/// \param compares the tables are to be compared, where that can be done, and not copied.
/// \param state as Open() gave it; updated to what is stored then.
/// Errors: kConfig SLU-3019 (it is the user's), SLU-3023 (a log would go back), SLU-3004,
/// SLU-3005, SLU-3007..3009, SLU-3012 (in use); of the destination.
Status ForgetPosition(const replication::SourceFacts& facts, const Error& why, bool compares,
                      bool is_users_slot, Destination& destination, DeliveryState& state);

/// Every table's record as of now: pending with its rows in place and the reason, or halted where
/// it is only appended to; what was kept of halted tables goes.
/// \param compares the tables are to be compared, where that can be done, and not copied.
/// \param why stands in the reason, `detail` behind it.
std::vector<TableRecord> BeginAgain(const DeliveryState& state, bool compares, std::string_view why,
                                    std::string_view detail);
/// Puts them into `state`.
void TakeRecords(const std::vector<TableRecord>& changed, DeliveryState& state);

/// Before anything else is committed by this opener.
/// Errors: SLU-5005 where the outcome is unknown; of the destination.
Status CommitAlone(Destination& destination, const CommitRecord& record);

/// After a birth that failed: removes what it made at the source. False: it could not, leave the
/// intent where it is.
bool UndoBirth(const Birth& birth, bool made_slot, postgres::Connection& control);

/// postgres/ reads slots, replication/ judges them.
replication::SlotRow ToCheckedSlot(const postgres::SlotRow& row);

/// What CheckConnect() wants to know.
Result<replication::SourceFacts> ReadSourceFacts(postgres::Connection& control,
                                                 postgres::Connection& replication,
                                                 const Birth& birth);

/// Role of the connection that creates the slot, in its application_name: the proof that a session
/// which still waits in there after a kill is this pipeline's own.
std::string BirthRole(const std::string& generation);

/// A random (version 4) UUID.
std::string NewGeneration();

}  // namespace sluice::pipeline
