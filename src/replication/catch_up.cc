#include "replication/catch_up.h"

#include <algorithm>

namespace sluice::replication {
namespace {

constexpr std::uint64_t kCallLeast = 128ULL << 20;
constexpr std::uint64_t kCallMost = 256ULL << 20;
/// For as much log as a call reads at least.
constexpr std::uint64_t kChangesLeast = 500'000;

std::uint64_t Between(Lsn from, Lsn to) {
  return to > from ? to.value - from.value : 0;
}

Lsn Begin(const LogPlaces& places) {
  return std::max(places.confirmed, places.received);
}

std::uint64_t ReadAgain(const LogPlaces& places) {
  return Between(places.restart, Begin(places));
}

}  // namespace

bool IsFarBehind(const LogPlaces& places, std::uint64_t from) {
  return Between(places.received, places.flushed) >= from && ReadAgain(places) <= kReadAgainMax;
}

bool IsNearEnough(const LogPlaces& places, std::uint64_t from) {
  return Between(places.received, places.flushed) < from / 8;
}

std::optional<NextCall> PlanCall(const LogPlaces& places, int barren_calls) {
  const std::uint64_t again = ReadAgain(places);
  if (again > kReadAgainMax || barren_calls >= kBarrenCallsMax) return std::nullopt;
  const std::uint64_t size = std::clamp(again, kCallLeast, kCallMost);
  const std::uint64_t changes = (kChangesLeast * size / kCallLeast) << barren_calls;
  return NextCall{.upto = std::min(places.flushed, Lsn{Begin(places).value + size}),
                  .changes_max = static_cast<int>(changes)};
}

}  // namespace sluice::replication
