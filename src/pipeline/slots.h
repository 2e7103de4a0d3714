/// \file
/// `sluice slots`: slots and publications made by Sluice at one source. Reads only.
#pragma once

#include <string>
#include <vector>

#include "sluice/result.h"

#include "postgres/slot.h"

namespace sluice::pipeline {

struct SourceSlots {
  std::string source;    ///< without the password
  std::string database;  ///< whose publications are seen
  std::vector<postgres::SluiceSlot> slots;
};

/// \param source as PipelineOptions::source. Errors: as postgres::Connection::Open().
Result<SourceSlots> ReadSlots(const std::string& source);

}  // namespace sluice::pipeline
