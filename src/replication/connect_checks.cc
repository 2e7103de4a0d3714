#include "replication/connect_checks.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace sluice::replication {
namespace {

Error Refusal(std::string_view code, std::string message, std::string advice) {
  return {.kind = ErrorKind::kConfig,
          .message = std::move(message),
          .code = std::string(code),
          .advice = std::move(advice)};
}

/// Of most errors of which IsLostStream() holds.
constexpr const char* kLostAdvice =
    "`sluice run` with --on-lost-slot resync makes slot and publication anew and copies every "
    "table "
    "again, with --on-lost-slot repair it reads again only what differs";

std::string SlotName(const Birth& birth) {
  return "replication slot \"" + birth.slot + "\"";
}

Status CheckServer(const Birth& birth, const Position& position, const SourceFacts& facts) {
  const ServerIdentity& server = facts.server;
  if (server.system_identifier != birth.system_identifier) {
    return Refusal(
        "SLU-3001",
        "the source is another server: system identifier " +
            std::to_string(server.system_identifier) + ", the mirror was copied from " +
            std::to_string(birth.system_identifier),
        "check the source's address; for a new source, and for one that pg_upgrade made, "
        "use a new destination");
  }
  if (server.timeline < birth.timeline) {
    return Refusal("SLU-3002",
                   "the source is on an older timeline: " + std::to_string(server.timeline) +
                       ", the mirror is on " + std::to_string(birth.timeline),
                   "connect to the promoted server, not to the old primary");
  }
  // Promotion is fine if the new timeline began behind what the mirror has.
  if (server.timeline > birth.timeline &&
      (!server.switched_at || *server.switched_at < position.lsn)) {
    const std::string where =
        server.switched_at ? " began at " + ToString(*server.switched_at) + ", before the mirror's "
                           : " has no known beginning; the mirror is at ";
    return Refusal("SLU-3003",
                   "the source's timeline " + std::to_string(server.timeline) + where +
                       ToString(position.lsn) + ": it may lack transactions that the mirror has",
                   kLostAdvice);
  }
  // Started again it replays what it has received; it cannot have lost it alone.
  if (position.lsn > server.flush_lsn && server.is_standby) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "the standby has replayed its log up to " + ToString(server.flush_lsn) +
                            ", and the mirror stands at " + ToString(position.lsn),
                 .code = "SLU-3027",
                 .advice = "it goes on when the standby is there"};
  }
  if (position.lsn > server.flush_lsn) {
    return Refusal("SLU-3006",
                   "the source's log ends at " + ToString(server.flush_lsn) +
                       ", before the mirror's position " + ToString(position.lsn) +
                       ": the source was restored from a backup or lost transactions",
                   kLostAdvice);
  }
  return {};
}

Status CheckGeneration(const Birth& birth, const SourceFacts& facts) {
  if (!facts.publication_exists) {
    return Refusal("SLU-3013", "publication \"" + birth.publication + "\" does not exist",
                   birth.owns_publication
                       ? kLostAdvice
                       : "create it again, then `sluice run` with --on-lost-slot resync: changes "
                         "made meanwhile are in no stream");
  }
  if (!birth.owns_publication) return {};
  if (!facts.generation) {
    return Refusal("SLU-3022",
                   "publication \"" + birth.publication +
                       "\" does not carry this pipeline's generation: it was made again",
                   kLostAdvice);
  }
  if (*facts.generation != birth.generation) {
    return Refusal(
        "SLU-3004",
        "publication \"" + birth.publication + "\" and " + SlotName(birth) +
            " belong to another pipeline: generation " + *facts.generation + ", the mirror has " +
            birth.generation,
        "give this pipeline another name, or drop the other one with `sluice drop`; where "
        "this destination is a backup of before its slot was made anew: SELECT "
        "pg_drop_replication_slot(...) and DROP PUBLICATION, then `sluice run` with "
        "--on-lost-slot repair");
  }
  return {};
}

// What kind of slot it is; nothing of where it stands.
Status CheckSlotIdentity(const Birth& birth, const SourceFacts& facts) {
  const SlotRow& slot = *facts.slot;
  if (slot.slot_type != "logical" || slot.plugin != "pgoutput") {
    return Refusal("SLU-3005",
                   SlotName(birth) + " is not a logical slot of pgoutput: " + slot.slot_type + " " +
                       slot.plugin,
                   "choose another name with --slot");
  }
  if (slot.database != facts.server.database) {
    return Refusal("SLU-3007",
                   SlotName(birth) + " belongs to another database: \"" + slot.database +
                       "\", connected to \"" + facts.server.database + "\"",
                   "check the database name in the source");
  }
  if (slot.is_temporary) {
    return Refusal("SLU-3008", SlotName(birth) + " is temporary and would vanish with its session",
                   "choose another name with --slot");
  }
  if (slot.is_two_phase) {
    return Refusal("SLU-3009", SlotName(birth) + " was made with two_phase, which is not handled",
                   "choose another name with --slot, or make the slot again without two_phase");
  }
  return {};
}

Status CheckSlotHealth(const Birth& birth, const SlotRow& slot) {
  if (slot.wal_status == "lost" || !slot.invalidation_reason.empty()) {
    const std::string reason =
        slot.invalidation_reason.empty() ? "wal_removed" : slot.invalidation_reason;
    return Refusal(
        "SLU-3011",
        SlotName(birth) + " was invalidated by the server (" + reason + "): changes are gone",
        std::string("look at max_slot_wal_keep_size first; ") + kLostAdvice);
  }
  if (slot.is_active) {
    std::string who = slot.active_pid ? " by pid " + std::to_string(*slot.active_pid) : "";
    if (!slot.active_application.empty()) who += " (" + slot.active_application + ")";
    return Refusal("SLU-3012", SlotName(birth) + " is in use" + who,
                   "another sluice or a lingering connection holds it; end that one, or wait for "
                   "wal_sender_timeout");
  }
  if (!slot.confirmed_flush || !slot.restart_lsn) {
    return Refusal("SLU-3014", SlotName(birth) + " was never completed", kLostAdvice);
  }
  return {};
}

Error OthersPublication(const Birth& birth, std::string what) {
  return Refusal(
      "SLU-3017", std::move(what),
      "choose another name with --pipeline; or, if that destination is gone, remove them "
      "with: sluice drop --slot " +
          birth.slot);
}

}  // namespace

Result<StartPoint> CheckConnect(const Birth& birth, const Position& position,
                                const SourceFacts& facts, bool knows_last) {
  SLUICE_RETURN_IF_ERROR(CheckServer(birth, position, facts));
  if (!facts.slot) {
    return Refusal(
        "SLU-3010",
        SlotName(birth) + " does not exist: changes since " + ToString(position.lsn) + " are gone",
        kLostAdvice);
  }
  SLUICE_RETURN_IF_ERROR(CheckSlotIdentity(birth, facts));
  SLUICE_RETURN_IF_ERROR(CheckGeneration(birth, facts));
  SLUICE_RETURN_IF_ERROR(CheckSlotHealth(birth, *facts.slot));
  const Lsn confirmed = *facts.slot->confirmed_flush;
  if (confirmed > position.lsn) {
    return Refusal("SLU-3015",
                   SlotName(birth) + " stands at " + ToString(confirmed) +
                       ", ahead of the mirror's position " + ToString(position.lsn) +
                       ": what lies between will not be sent",
                   std::string("something else read or advanced the slot or made it again, or the "
                               "destination was restored from a backup; ") +
                       kLostAdvice);
  }
  StartPoint start{.start_lsn = position.lsn, .witness = std::nullopt, .knows_past = knows_last};
  if (!knows_last) return start;
  // A start at the commit record itself makes the server send that transaction once more. Where the
  // slot is beyond it, nothing with changes lies between slot and position, or the past is another.
  start.start_lsn = confirmed;
  const auto& witness = position.last_transaction;
  if (witness && confirmed <= witness->commit_lsn) {
    start.start_lsn = witness->commit_lsn;
    start.witness = witness;
  }
  return start;
}

StartPoint NotBefore(StartPoint start, Lsn since) {
  if (start.start_lsn >= since) return start;
  start.start_lsn = since;
  start.witness.reset();
  return start;
}

bool IsLostStream(const Error& error) {
  // The first two are how a running stream hears of a publication that was dropped.
  static constexpr std::array<std::string_view, 12> kCodes = {
      "SLU-2037", "SLU-2110", "SLU-3003", "SLU-3006", "SLU-3010", "SLU-3011",
      "SLU-3013", "SLU-3014", "SLU-3015", "SLU-3018", "SLU-3022", "SLU-3105"};
  return std::find(kCodes.begin(), kCodes.end(), error.code) != kCodes.end();
}

bool IsKnownToStreamOnly(const Error& error) {
  return error.code == "SLU-2037" || error.code == "SLU-2110" || error.code == "SLU-3105";
}

Status CheckRebirth(const Birth& birth, const SourceFacts& facts, bool is_users_slot) {
  if (!birth.owns_publication && !facts.publication_exists) {
    return Refusal("SLU-3019",
                   "publication \"" + birth.publication +
                       "\" does not exist: it was named with --publication and is not made",
                   "create it and start again");
  }
  if (birth.owns_publication && facts.generation && *facts.generation != birth.generation)
    return CheckGeneration(birth, facts);
  if (!facts.slot) return {};
  SLUICE_RETURN_IF_ERROR(CheckSlotIdentity(birth, facts));
  if (is_users_slot) {
    return Refusal("SLU-3019",
                   SlotName(birth) + " was named with --slot: it is yours and is not dropped",
                   "drop it with pg_drop_replication_slot('" + birth.slot +
                       "') and start again: it is made anew then");
  }
  return facts.slot->is_active ? CheckSlotHealth(birth, *facts.slot) : Status{};
}

Status CheckUnborn(const Birth& birth, const SourceFacts& facts, bool is_users_slot) {
  const bool is_marked =
      facts.publication_exists && facts.generation && *facts.generation == birth.generation;
  if (facts.slot) {
    SLUICE_RETURN_IF_ERROR(CheckSlotIdentity(birth, facts));
    const bool is_others = birth.owns_publication ? !is_marked : true;
    if (is_users_slot) {
      SLUICE_RETURN_IF_ERROR(CheckSlotHealth(birth, *facts.slot));
    } else if (birth.owns_publication && facts.publication_exists && !is_marked) {
      return OthersPublication(birth, SlotName(birth) + " and publication \"" + birth.publication +
                                          "\" belong to another destination");
    } else if (facts.slot->is_active) {
      return CheckSlotHealth(birth, *facts.slot);
    } else if (is_others) {
      return Refusal("SLU-3016",
                     SlotName(birth) + " exists, and nothing proves that this pipeline made it",
                     "choose another name with --pipeline; or, if nobody uses it: SELECT "
                     "pg_drop_replication_slot('" +
                         birth.slot + "')");
    }
  }
  if (!birth.owns_publication || !facts.publication_exists || is_marked) return {};
  return OthersPublication(
      birth, "publication \"" + birth.publication + "\" exists and belongs to another destination");
}

Status CheckStreamOnly(const Birth& birth, const SourceFacts& facts, bool is_users_slot) {
  if (!is_users_slot || !facts.slot || !birth.owns_publication) return {};
  return Refusal("SLU-3028",
                 SlotName(birth) + " is older than publication \"" + birth.publication +
                     "\", which is made by the first run: the server cannot decode what lies "
                     "between, and with --copy none nothing else brings it",
                 "name a publication that was there before the slot with --publication, leave out "
                 "--copy none, or drop the slot: it is made then");
}

}  // namespace sluice::replication
