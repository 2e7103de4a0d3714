/// \file
/// What `sluice repair` found and did, and how it is printed as JSON (docs/json.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "sluice/time.h"

#include "verify/comparison_result.h"

namespace sluice::verify {

enum class RepairAction : std::uint8_t {
  kNone,  ///< it is equal, or not live
  kRows,  ///< rows were read again by their keys
  kCopy,  ///< the table was copied again
};

/// One table. In a dry run `action` is what would be done, and nothing is repaired.
struct TableRepair {
  TableResult found;
  RepairAction action = RepairAction::kNone;
  std::string why;  ///< why it is copied as a whole
  std::uint64_t keys_repaired = 0;
  Duration longest_pause{};                               ///< for which nothing at all was applied
  ComparisonStatus now = ComparisonStatus::kNotCompared;  ///< compared again afterwards
  std::string reason_now = {};                            ///< of kNotCompared
};

struct RepairResult {
  bool is_dry_run = false;
  std::vector<TableRepair> tables;

  /// After the repair; in a dry run as found.
  bool is_equal() const;
};

/// {"equal", "dry_run", "tables": [{as of verify: what was found; "action": "none" | "rows" |
/// "copy",
///   "why", "keys_repaired", "longest_pause_ms", "status_now", "reason_now"}]}; the texts where
///   there are any.
nlohmann::json ToJson(const RepairResult& result);

}  // namespace sluice::verify
