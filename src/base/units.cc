#include "base/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <limits>

namespace sluice::base {
namespace {

struct Parsed {
  std::uint64_t number;
  std::string_view unit;
};

std::optional<Parsed> SplitUnit(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  return Parsed{number, unit};
}

}  // namespace

std::optional<std::size_t> ParseSize(std::string_view text) {
  const auto parsed = SplitUnit(text);
  if (!parsed) return std::nullopt;
  int shift = 0;
  if (parsed->unit == "KiB") {
    shift = 10;
  } else if (parsed->unit == "MiB") {
    shift = 20;
  } else if (parsed->unit == "GiB") {
    shift = 30;
  } else if (parsed->unit == "TiB") {
    shift = 40;
  } else if (!parsed->unit.empty() && parsed->unit != "B") {
    return std::nullopt;
  }
  if (parsed->number > (std::numeric_limits<std::size_t>::max() >> 1 >> shift)) return std::nullopt;
  return static_cast<std::size_t>(parsed->number) << shift;
}

std::optional<Duration> ParseDuration(std::string_view text) {
  const auto parsed = SplitUnit(text);
  if (!parsed) return std::nullopt;
  std::uint64_t factor_ms = 0;
  if (parsed->unit == "ms") {
    factor_ms = 1;
  } else if (parsed->unit == "s") {
    factor_ms = 1000;
  } else if (parsed->unit == "m") {
    factor_ms = 60'000;
  } else if (parsed->unit == "h") {
    factor_ms = 3'600'000;
  } else {
    return std::nullopt;
  }
  constexpr std::uint64_t kMostMs = 10ULL * 366 * 24 * 3'600'000;
  if (parsed->number > kMostMs / factor_ms) return std::nullopt;
  return std::chrono::milliseconds(parsed->number * factor_ms);
}

std::string FormatSize(std::size_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 || value >= 100 ? fmt::format("{:.0f} {}", value, kUnits.at(unit))
                                   : fmt::format("{:.1f} {}", value, kUnits.at(unit));
}

std::string FormatDuration(Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 60'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
  const auto seconds = ms / 1000;
  if (seconds < 3600) return fmt::format("{} m {:02} s", seconds / 60, seconds % 60);
  return fmt::format("{} h {:02} m", seconds / 3600, seconds / 60 % 60);
}

std::string FormatCount(std::int64_t count) {
  const std::string digits = std::to_string(count);
  std::string grouped;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const std::size_t left = digits.size() - i;
    if (i > 0 && digits[i - 1] != '-' && left % 3 == 0) grouped.push_back(',');
    grouped.push_back(digits[i]);
  }
  return grouped;
}

}  // namespace sluice::base
