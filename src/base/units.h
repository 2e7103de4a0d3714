/// \file
/// Sizes and durations as people write them: "2GiB", "64MiB", "512", "250ms", "1m", "8h".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "sluice/time.h"

namespace sluice::base {

/// Bytes: digits, then nothing, "B", "KiB", "MiB", "GiB" or "TiB". nullopt: anything else, or too
/// large.
std::optional<std::size_t> ParseSize(std::string_view text);
/// Digits, then "ms", "s", "m", "h". nullopt: anything else (a bare number has no unit), or more
/// than ten years.
std::optional<Duration> ParseDuration(std::string_view text);

std::string FormatSize(std::size_t bytes);      ///< "1.5 GiB"
std::string FormatDuration(Duration duration);  ///< "250 ms", "1.5 s", "2 m 05 s"
std::string FormatCount(std::int64_t count);    ///< "1,234,567"

}  // namespace sluice::base
