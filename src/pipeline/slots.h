/// \file
/// `sluice slots`: slots, publications and event triggers made by Sluice at one source. Reads only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sluice/result.h"

#include "postgres/ddl_trigger.h"
#include "postgres/slot.h"

namespace sluice::pipeline {

struct SourceSlots {
  std::string source;    ///< without the password
  std::string database;  ///< whose publications are seen
  std::vector<postgres::SluiceSlot> slots;
  std::optional<postgres::DdlTrigger> ddl_trigger;  ///< of the database
};

/// \param source as PipelineOptions::source. Errors: as postgres::Connection::Open().
Result<SourceSlots> ReadSlots(const std::string& source);

}  // namespace sluice::pipeline
