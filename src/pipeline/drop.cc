#include "pipeline/drop.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "sluice/destination.h"

#include "base/failpoint.h"
#include "base/units.h"
#include "pipeline/destination_factory.h"
#include "pipeline/stored_state.h"
#include "postgres/connection.h"
#include "postgres/source_url.h"

namespace sluice::pipeline {
namespace {

constexpr Duration kSlotPatience = std::chrono::seconds(65);  // a killed walsender lingers
constexpr Duration kCloseGrace = std::chrono::seconds(5);

Result<postgres::Connection> Connect(const engine::PipelineOptions& options,
                                     const postgres::SourceUrl& url) {
  postgres::ConnectOptions connect;
  connect.pipeline = options.pipeline;
  connect.role = "drop";
  connect.accept_sql_ascii = true;
  return postgres::Connection::Open(url, connect);
}

bool HasFile(const engine::PipelineOptions& options) {
  const std::string file = DestinationFile(options);
  std::error_code ignored;
  return !file.empty() && std::filesystem::exists(file, ignored);
}

/// Whose publication it is, in one sentence; empty: this pipeline's.
std::string WhyNotOurs(const DropFacts& facts) {
  if (!facts.publication) return {};
  const std::string_view generation = postgres::GenerationOf(facts.publication->comment);
  const std::string name = "publication " + facts.publication->name;
  if (facts.birth && !facts.birth->owns_publication) return name + " was made by the user";
  if (generation.empty()) return name + " was not made by Sluice";
  if (facts.birth && generation != facts.birth->generation) {
    return name + " belongs to another destination";
  }
  return {};
}

/// The destination remembers nothing; empty: the user has named the slot, and nobody reads it.
std::string WhyUnproved(const DropFacts& facts) {
  if (facts.birth) return {};
  if (facts.slot && facts.slot->is_active) {
    return fmt::format(
        "slot {} is in use by pid {} ({}), and this destination does not say that it "
        "is its own",
        facts.slot->name, facts.slot->active_pid, facts.slot->active_application);
  }
  if (facts.is_slot_named) return {};
  return fmt::format(
      "{} may be another destination's, as this one remembers no pipeline; to remove "
      "them all the same: sluice drop --slot {}",
      facts.slot ? "slot " + facts.slot->name : "publication " + facts.publication->name,
      facts.slot_name);
}

DropPlan JudgeSlotAndPublication(const DropFacts& facts) {
  DropPlan plan;
  const std::string why = WhyNotOurs(facts);
  const bool is_others = facts.publication && !why.empty() &&
                         !postgres::GenerationOf(facts.publication->comment).empty() &&
                         (!facts.birth || facts.birth->owns_publication);
  if (facts.publication) {
    if (why.empty()) {
      plan.publication = facts.publication->name;
      plan.has_companion = facts.publication->companion.has_value();
    } else {
      plan.stays.push_back(why);
    }
  }
  if (facts.slot || plan.publication) {
    if (std::string unproved = WhyUnproved(facts); !unproved.empty()) {
      plan.publication.reset();
      plan.stays.push_back(std::move(unproved));
      return plan;
    }
  }
  if (!facts.slot) return plan;
  const postgres::SlotRow& slot = *facts.slot;
  if (!slot.is_logical || slot.plugin != "pgoutput" || slot.database != facts.database) {
    plan.stays.push_back("slot " + slot.name + " is not a pgoutput slot of database " +
                         facts.database);
  } else if (is_others) {
    plan.stays.push_back("slot " + slot.name + " belongs to another destination");
  } else {
    plan.slot = slot.name;
    plan.retained_bytes = slot.retained_bytes;
  }
  return plan;
}

}  // namespace

DropPlan JudgeDrop(const DropFacts& facts) {
  const bool is_another_server =
      facts.birth && facts.birth->system_identifier != 0 && facts.system_identifier != 0 &&
      facts.birth->system_identifier != facts.system_identifier && !facts.is_slot_named;
  if (is_another_server) {
    DropPlan plan;
    plan.stays.push_back(
        "everything at the source: this is another server than the mirror was copied from");
    return plan;
  }
  DropPlan plan = JudgeSlotAndPublication(facts);
  if (!facts.ddl_trigger || facts.has_other_pipelines) return plan;
  if (facts.slot && !plan.slot) return plan;
  plan.has_ddl_trigger = facts.ddl_trigger->is_ours_to_remove;
  if (!plan.has_ddl_trigger) {
    plan.stays.push_back("event triggers sluice_ddl_end and sluice_ddl_drop belong to role " +
                         facts.ddl_trigger->owner +
                         ", who removes them with: sluice check --uninstall-ddl-trigger");
  }
  return plan;
}

Result<DropPlan> PlanDrop(const engine::PipelineOptions& options) {
  DropFacts facts;
  facts.is_slot_named = options.slot.has_value();
  facts.slot_name = options.slot.value_or("sluice_" + options.pipeline);
  facts.publication_name = options.publication.value_or("sluice_" + options.pipeline);
  std::size_t table_count = 0;
  bool has_state = false;
  if (HasState(options)) {
    SLUICE_ASSIGN_OR_RETURN(const std::unique_ptr<Destination> destination,
                            MakeDestination(options));
    SLUICE_ASSIGN_OR_RETURN(const DeliveryState state,
                            destination->Open({.pipeline = options.pipeline, .read_only = true}));
    (void)destination->Close(Clock::now() + kCloseGrace);
    has_state = state.epoch != 0 || state.birth || !state.tables.empty();
    facts.birth = state.birth;
    for (const TableRecord& table : state.tables) table_count += table.schema ? 1U : 0U;
    if (state.birth && !state.birth->slot.empty()) facts.slot_name = state.birth->slot;
    if (state.birth && !state.birth->publication.empty()) {
      facts.publication_name = state.birth->publication;
    }
  }
  SLUICE_ASSIGN_OR_RETURN(const postgres::SourceUrl url,
                          postgres::SourceUrl::Parse(options.source, options.primary));
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection connection, Connect(options, url));
  facts.database = url.database();
  const Result<std::uint64_t> identifier = postgres::ReadSystemIdentifier(connection);
  if (identifier) facts.system_identifier = *identifier;
  SLUICE_ASSIGN_OR_RETURN(facts.slot, postgres::ReadSlot(connection, facts.slot_name));
  SLUICE_ASSIGN_OR_RETURN(facts.publication,
                          postgres::ReadPublication(connection, facts.publication_name));
  SLUICE_ASSIGN_OR_RETURN(facts.ddl_trigger, postgres::ReadDdlTrigger(connection));
  SLUICE_ASSIGN_OR_RETURN(const std::vector<postgres::SluiceSlot> all,
                          postgres::ListSluiceSlots(connection));
  facts.has_other_pipelines = std::any_of(all.begin(), all.end(), [&](const auto& entry) {
    return (entry.slot && entry.slot->database == facts.database &&
            entry.slot->name != facts.slot_name) ||
           (!entry.publication.empty() && entry.publication != facts.publication_name);
  });
  DropPlan plan = JudgeDrop(facts);
  plan.source = url.redacted();
  plan.destination = options.destination;
  plan.has_state = has_state;
  plan.table_count = table_count;
  return plan;
}

Status Drop(const engine::PipelineOptions& options, const DropPlan& plan,
            const std::function<void(const std::string&)>& removed) {
  if (plan.slot || plan.publication || plan.has_ddl_trigger) {
    SLUICE_ASSIGN_OR_RETURN(const postgres::SourceUrl url,
                            postgres::SourceUrl::Parse(options.source, options.primary));
    SLUICE_ASSIGN_OR_RETURN(postgres::Connection connection, Connect(options, url));
    if (plan.slot) {
      SLUICE_RETURN_IF_ERROR(postgres::DropSlot(connection, *plan.slot, kSlotPatience));
      SLUICE_FAILPOINT("drop.slot_gone");
      removed(fmt::format("slot {} at {}, which kept {} of WAL", *plan.slot, plan.source,
                          base::FormatSize(static_cast<std::size_t>(
                              std::max<std::int64_t>(0, plan.retained_bytes)))));
    }
    if (plan.publication) {
      SLUICE_RETURN_IF_ERROR(postgres::DropPublication(connection, *plan.publication));
      SLUICE_FAILPOINT("drop.publication_gone");
      removed(fmt::format("publication {} at {}", *plan.publication, plan.source));
      if (plan.has_companion) {
        removed(fmt::format("publication {} at {}", postgres::CompanionOf(*plan.publication),
                            plan.source));
      }
    }
    if (plan.has_ddl_trigger) {
      SLUICE_RETURN_IF_ERROR(postgres::RemoveDdlTrigger(connection));
      removed(fmt::format("event triggers sluice_ddl_end and sluice_ddl_drop at {}", plan.source));
    }
  }
  if (plan.has_state && HasState(options)) {
    SLUICE_ASSIGN_OR_RETURN(const std::unique_ptr<Destination> destination,
                            MakeDestination(options));
    SLUICE_RETURN_IF_ERROR(destination->Open({.pipeline = options.pipeline}));
    const Status forgotten = destination->Forget();
    SLUICE_FAILPOINT("drop.state_gone");
    const Status closed = destination->Close(Clock::now() + kCloseGrace);
    SLUICE_RETURN_IF_ERROR(forgotten);
    SLUICE_RETURN_IF_ERROR(closed);
    if (!HasFile(options)) {
      removed("what was remembered of " + plan.destination);
      return {};
    }
    removed(fmt::format("schema sluice in {}; {} mirrored {}", plan.destination, plan.table_count,
                        plan.table_count == 1 ? "table stays" : "tables stay"));
  }
  return {};
}

}  // namespace sluice::pipeline
