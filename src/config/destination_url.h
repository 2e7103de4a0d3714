/// \file
/// Where to, as the user writes it: `shop.duckdb`, `duckdb:PATH`, `duckdb:///abs/path`, `null:`,
/// `memory:`. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/result.h"

namespace sluice::config {

struct DestinationUrl {
  enum class Kind : std::uint8_t { kDuckDb, kNull, kMemory };
  Kind kind = Kind::kDuckDb;
  std::string path;  ///< kDuckDb: absolute. kNull, kMemory: the name after the colon, may be empty

  /// "duckdb:/abs/path", "null:", "memory:name".
  std::string ToString() const;
};

/// \param working_directory absolute; what a relative path is below of.
/// Errors: kConfig SLU-1004 for a scheme that is not known or not there yet, an empty path, a host
/// in a duckdb URL.
Result<DestinationUrl> ParseDestinationUrl(std::string_view text,
                                           std::string_view working_directory);

}  // namespace sluice::config
