#include <fmt/format.h>

#include <cstdint>
#include <filesystem>

#include "config/options.h"

namespace sluice::config {
namespace {

/// Of a slot or publication name, whose prefix is "sluice_".
constexpr std::size_t kNameBytesMax = 63 - 7;
constexpr std::size_t kHashDigits = 8;

/// FNV-1a, 32 bits: stable across machines and versions, which a name must be.
std::uint32_t HashOf(std::string_view text) {
  std::uint32_t hash = 2166136261U;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 16777619U;
  }
  return hash;
}

}  // namespace

std::string PipelineNameFor(const DestinationUrl& destination) {
  std::string base = destination.path;
  switch (destination.kind) {
    case DestinationUrl::Kind::kDuckDb:
      base = std::filesystem::path(base).stem().string();
      break;
    case DestinationUrl::Kind::kNull:
      if (base.empty()) base = "null";
      break;
    case DestinationUrl::Kind::kMemory:
      if (base.empty()) base = "memory";
      break;
  }
  std::string name;
  for (const char c : base) {
    const bool is_continuation = (static_cast<unsigned char>(c) & 0xC0) == 0x80;
    if (is_continuation) continue;  // one character, one underscore
    if (c >= 'A' && c <= 'Z') {
      name += static_cast<char>(c - 'A' + 'a');
    } else {
      name += (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '_';
    }
  }
  if (name.size() > kNameBytesMax) {
    name.resize(kNameBytesMax - kHashDigits - 1);
    name += fmt::format("_{:08x}", HashOf(base));
  }
  return name;
}

std::optional<std::string> WhyNotAPipelineName(std::string_view name) {
  if (name.empty()) return "it is empty";
  if (name.size() > kNameBytesMax) {
    return fmt::format("it has {} characters, at most {} are allowed", name.size(), kNameBytesMax);
  }
  if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string_view::npos) {
    return "only a-z, 0-9 and _ are allowed";
  }
  return std::nullopt;
}

}  // namespace sluice::config
