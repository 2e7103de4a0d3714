/// \file
/// At every connect: is this the source that was copied, and has its slot everything after the
/// durable position? If so, where to start; if not, why, and what to do.
///
///   I2  slot.confirmed_flush_lsn <= durable, else changes are gone
///   I3  durable <= the server's flush LSN, same system, known timeline, same generation
///
/// The server checks none of it: it starts a slot silently where it stands, accepts positions of
/// the future, and reads a restored backup as if nothing had happened.
///
/// Pure function of what was read; docs/positions.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sluice/delivery_state.h"
#include "sluice/lsn.h"
#include "sluice/result.h"

namespace sluice::replication {

/// IDENTIFY_SYSTEM and pg_current_wal_flush_lsn() (on a standby pg_last_wal_replay_lsn()).
struct ServerIdentity {
  std::uint64_t system_identifier = 0;
  std::uint32_t timeline = 0;
  Lsn flush_lsn;
  bool is_standby = false;
  std::string database;
  /// Where `timeline` left the stored one (TIMELINE_HISTORY); none: unknown, or the same timeline.
  std::optional<Lsn> switched_at{};
};

/// A row of pg_replication_slots; empty where the version has no such column.
struct SlotRow {
  std::string name;
  std::string plugin;
  std::string slot_type;  ///< "logical", "physical"
  std::string database;
  bool is_temporary = false;
  bool is_active = false;
  std::optional<std::int32_t> active_pid;
  std::string active_application;  ///< of that session; empty where this role may not see it
  std::optional<Lsn> confirmed_flush;
  std::optional<Lsn> restart_lsn;
  std::string wal_status;           ///< reserved, extended, unreserved, lost
  std::string invalidation_reason;  ///< 17 and later; 16: conflicting as "conflict"
  bool is_two_phase = false;
};

struct SourceFacts {
  ServerIdentity server;
  std::optional<SlotRow> slot;  ///< none: there is no slot of that name
  /// Generation in COMMENT ON PUBLICATION; none: no such publication, or no comment of ours.
  std::optional<std::string> generation;
  bool publication_exists = true;
};

/// Where START_REPLICATION begins: as far back as the slot has it, and the last durable transaction
/// with changes at most.
struct StartPoint {
  Lsn start_lsn;
  /// The last durable transaction comes once more and must be the stored one.
  std::optional<Witness> witness;
  /// Nothing else with changes may come before the durable position.
  bool knows_past = true;
};

/// \param knows_last position.last_transaction is the last one with changes (none: there was none
///     since the birth); else nothing is asked for once more.
/// Errors, all kConfig, no row was applied: SLU-3001..3015.
Result<StartPoint> CheckConnect(const Birth& birth, const Position& position,
                                const SourceFacts& facts, bool knows_last = true);

/// A start that asks for nothing that commits before `since`, which is durable: what came last is
/// not asked for once more then.
StartPoint NotBefore(StartPoint start, Lsn since);

/// Errors after which the stream cannot go on from the position while this source's content can
/// still be had, so that slot and publication may be made anew (--on-lost-slot).
bool IsLostStream(const Error& error);
/// Of those the ones that CheckConnect() does not find: a stream has to be read to meet them.
bool IsKnownToStreamOnly(const Error& error);

/// Before slot and publication of `birth` are made anew: may what stands under their names be
/// dropped? What carries another generation, or is no slot of this kind, is somebody else's.
/// \param is_users_slot named with --slot: it is never dropped
/// Errors, all kConfig: SLU-3004, SLU-3005, SLU-3007..3009, SLU-3012, SLU-3019.
Status CheckRebirth(const Birth& birth, const SourceFacts& facts, bool is_users_slot);

/// Before a birth: is what stands under these names free, or ours to drop and make again?
/// \param birth with the generation of an earlier intent, or none
/// \param is_users_slot named with --slot, to be used as it is
/// Errors, all kConfig: SLU-3005..3016 (the slot), SLU-3017 (the publication).
Status CheckUnborn(const Birth& birth, const SourceFacts& facts, bool is_users_slot);

/// Before a birth that copies nothing, and after CheckUnborn(): can what the slot still has be
/// decoded? Not against a publication that is made anew.
/// \param is_users_slot named with --slot, to be used as it is
/// Errors: kConfig SLU-3028.
Status CheckStreamOnly(const Birth& birth, const SourceFacts& facts, bool is_users_slot);

}  // namespace sluice::replication
