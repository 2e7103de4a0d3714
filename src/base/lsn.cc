#include "sluice/lsn.h"

#include <fmt/format.h>

#include <charconv>

namespace sluice {

std::string ToString(Lsn lsn) {
  return fmt::format("{:X}/{:X}", lsn.value >> 32U, lsn.value & 0xFFFFFFFFU);
}

std::optional<Lsn> ParseLsn(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  std::uint64_t halves[2] = {0, 0};
  const std::string_view parts[2] = {text.substr(0, slash), text.substr(slash + 1)};
  for (int i = 0; i < 2; ++i) {
    const std::string_view part = parts[i];
    if (part.empty() || part.size() > 8) return std::nullopt;
    const auto [end, error] =
        std::from_chars(part.data(), part.data() + part.size(), halves[i], 16);
    if (error != std::errc{} || end != part.data() + part.size()) return std::nullopt;
  }
  return Lsn{halves[0] << 32U | halves[1]};
}

}  // namespace sluice
