/// \file
/// `sluice drop`: takes away what Sluice made at both ends and leaves the mirrored tables.
///
/// First PlanDrop(), which reads and says what would go; then Drop(). Every step can be repeated:
/// what is gone already is passed over. The source goes first: the destination remembers the names.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sluice/delivery_state.h"
#include "sluice/result.h"

#include "engine/options.h"
#include "postgres/ddl_trigger.h"
#include "postgres/publication.h"
#include "postgres/slot.h"

namespace sluice::pipeline {

/// What is there, and is this pipeline's.
struct DropPlan {
  std::string source;       ///< without the password
  std::string destination;  ///< as the options name it
  std::optional<std::string> slot;
  std::int64_t retained_bytes = 0;  ///< WAL that the slot keeps
  std::optional<std::string> publication;
  bool has_companion = false;      ///< of the publication, for tables that are appended to
  bool has_ddl_trigger = false;    ///< the database's event triggers, which no pipeline needs then
  bool has_state = false;          ///< the destination has schema sluice
  std::size_t table_count = 0;     ///< mirrored tables that stay
  std::vector<std::string> stays;  ///< what has such a name and is not this pipeline's, and why

  bool is_empty() const { return !slot && !publication && !has_ddl_trigger && !has_state; }
};

/// What was found; birth is empty where the destination remembers none.
struct DropFacts {
  bool is_slot_named = false;  ///< by the user, with --slot
  std::string slot_name;
  std::string publication_name;
  std::string database;
  std::uint64_t system_identifier = 0;  ///< the server's; 0: not to be read
  std::optional<Birth> birth;
  std::optional<postgres::SlotRow> slot;
  std::optional<postgres::Publication> publication;
  std::optional<postgres::DdlTrigger> ddl_trigger;
  /// Other publications of the database that Sluice made, and slots of it.
  bool has_other_pipelines = false;
};
/// Pure. A publication goes only when Sluice made it for this destination; a slot stays where the
/// publication beside it says that it is another pipeline's, or where it is no slot of this
/// database. A destination that remembers nothing proves nothing: two files may have one name. Then
/// only the slot that --slot names goes, with the publication of that name, and only while nobody
/// reads it. Nothing goes from another server than the one the mirror was copied from.
DropPlan JudgeDrop(const DropFacts& facts);

/// Errors: of the source and the destination; a file that is not there is not one.
Result<DropPlan> PlanDrop(const engine::PipelineOptions& options);
/// `removed` gets a line for each thing that is gone, when it is.
/// Errors: kConfig SLU-2105 (the slot is in use, by whom).
Status Drop(const engine::PipelineOptions& options, const DropPlan& plan,
            const std::function<void(const std::string&)>& removed);

}  // namespace sluice::pipeline
