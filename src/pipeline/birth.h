/// \file
/// How a pipeline begins: intent at the destination, publication, slot, then position and P. A
/// crash at any step is recognised at the next start by an intent without a position: nothing was
/// live, our slot is dropped, and it begins again.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
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
  std::vector<TableRecord> records;
  /// Names whom slot creation waits for; empty: nobody.
  std::function<void(const std::string&)> on_waiting;
};

/// Stores the intent, makes publication and slot (or takes over the user's), commits the first
/// position.
/// \param state as Open() gave it; updated to what is stored then.
/// Errors: kConfig (slot or publication of somebody else), kAuth, kTimeout SLU-2104, kCancelled, of
/// the destination.
Status GiveBirth(const BirthRequest& request, postgres::Connection& control,
                 postgres::Connection& replication, Destination& destination, DeliveryState& state,
                 telemetry::Logger& logger, std::stop_token stop);

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
