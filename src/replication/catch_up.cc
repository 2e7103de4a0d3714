#include "replication/catch_up.h"

#include <algorithm>

namespace sluice::replication {
namespace {

constexpr std::uint64_t kCallLeast = 128ULL << 20;
constexpr std::uint64_t kCallMost = 256ULL << 20;
/// For as much log as a call reads at least.
constexpr std::uint64_t kChangesLeast = 500'000;
/// Of the first call, and of those with large results.
constexpr std::uint64_t kCallShort = 16ULL << 20;
constexpr std::uint64_t kResultMost = 512ULL << 20;

std::uint64_t Between(Lsn from, Lsn to) {
  return to > from ? to.value - from.value : 0;
}

std::uint64_t Unread(const LogPlaces& places) {
  return Between(places.received, places.flushed);
}

bool IsLittle(const LogPlaces& places, std::uint64_t from) {
  return Unread(places) < from / 8;
}

Lsn Begin(const LogPlaces& places) {
  return std::max(places.confirmed, places.received);
}

std::uint64_t ReadAgain(const LogPlaces& places) {
  return Between(places.restart, Begin(places));
}

/// So much log that its result, if it grows like the worst so far, is no larger than it may be.
std::uint64_t SizeFor(const PastCalls& past, std::uint64_t wanted) {
  if (past.log_bytes == 0) return kCallShort;
  const std::uint64_t most = std::min(wanted, std::max(kCallShort, past.log_bytes * 2));
  if (static_cast<double>(most) * past.growth <= static_cast<double>(kResultMost)) return most;
  return std::clamp(static_cast<std::uint64_t>(static_cast<double>(kResultMost) / past.growth),
                    kCallShort, most);
}

}  // namespace

void PastCalls::Add(std::uint64_t log, std::uint64_t result) {
  log_bytes = log;
  growth = std::max(growth, static_cast<double>(result) / static_cast<double>(log));
}

bool IsFarBehind(const LogPlaces& places, std::uint64_t from) {
  return Unread(places) >= from && ReadAgain(places) <= kReadAgainMax;
}

bool BeginsBySql(const LogPlaces& places, std::uint64_t from) {
  return !IsLittle(places, from) && ReadAgain(places) <= kReadAgainMax;
}

bool MayTakeOver(const LogPlaces& places, std::uint64_t from, const PastCalls& past) {
  if (!IsLittle(places, from)) return false;
  return places.received >= past.places.flushed || Unread(places) >= Unread(past.places);
}

std::optional<NextCall> PlanCall(const LogPlaces& places, const PastCalls& past) {
  const std::uint64_t again = ReadAgain(places);
  if (again > kReadAgainMax || past.barren >= kBarrenCallsMax) return std::nullopt;
  const std::uint64_t wanted = std::clamp(again, kCallLeast, kCallMost);
  const std::uint64_t changes = (kChangesLeast * wanted / kCallLeast) << past.barren;
  return NextCall{
      .upto = std::min(places.flushed, Lsn{Begin(places).value + SizeFor(past, wanted)}),
      .changes_max = static_cast<int>(changes)};
}

bool HasReachedItsEnd(const NextCall& call, std::uint64_t changes) {
  return changes < static_cast<std::uint64_t>(call.changes_max);
}

}  // namespace sluice::replication
