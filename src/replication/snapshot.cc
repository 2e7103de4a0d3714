#include "replication/snapshot.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

namespace sluice::replication {
namespace {

constexpr std::uint64_t kXidSpace = std::uint64_t{1} << 32;

// XLOG_BLCKSZ, SizeOfXLogShortPHD, SizeOfXLogLongPHD: src/include/access/xlog_internal.h.
constexpr std::uint64_t kWalPageBytes = 8192;
constexpr std::uint64_t kShortHeaderBytes = 24;
constexpr std::uint64_t kLongHeaderBytes = 40;

Error Malformed() {
  return {.kind = ErrorKind::kProtocol,
          .message = "text of pg_current_snapshot() is malformed",
          .code = "SLU-3020"};
}

// Reads digits up to `end_char` or the end, and takes both off `text`.
std::optional<std::uint64_t> TakeNumber(std::string_view& text, char end_char) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{}) return std::nullopt;
  if (rest != end && *rest != end_char) return std::nullopt;
  const auto length = static_cast<std::size_t>(rest - text.data());
  text.remove_prefix(std::min(text.size(), length + 1));
  return value;
}

}  // namespace

std::uint64_t Snapshot::Widen(TransactionId xid) const {
  const auto low = static_cast<std::uint32_t>(xmax);
  const auto distance = static_cast<std::int32_t>(xid.value - low);
  const std::uint64_t wide = xmax + static_cast<std::uint64_t>(std::int64_t{distance});
  // Before the first wrap there is no earlier epoch to belong to.
  const bool is_below_zero =
      distance < 0 && xmax < static_cast<std::uint64_t>(-std::int64_t{distance});
  return is_below_zero ? wide + kXidSpace : wide;
}

bool Snapshot::SeesWide(std::uint64_t xid) const {
  if (xid < xmin) return true;
  if (xid >= xmax) return false;
  return !std::binary_search(xip.begin(), xip.end(), xid);
}

Result<Snapshot> ParseSnapshot(std::string_view text) {
  const auto has_two_colons = std::count(text.begin(), text.end(), ':') == 2;
  if (!has_two_colons) return Malformed();
  const bool ends_in_comma = text.back() == ',';
  const auto xmin = TakeNumber(text, ':');
  const auto xmax = xmin ? TakeNumber(text, ':') : std::nullopt;
  if (!xmax || ends_in_comma || *xmin == 0 || *xmax == 0) return Malformed();
  // A slot's own snapshot may say "136181:135139:" after rollbacks: everything below xmin has ended
  // and is seen, so that xmin is where the unseen begins.
  Snapshot snapshot{.xmin = *xmin, .xmax = std::max(*xmin, *xmax)};
  while (!text.empty()) {
    const auto xid = TakeNumber(text, ',');
    if (!xid || *xid < *xmin || *xid >= *xmax) return Malformed();
    if (!snapshot.xip.empty() && *xid <= snapshot.xip.back()) return Malformed();
    snapshot.xip.push_back(*xid);
  }
  return snapshot;
}

Lsn InsertLsnFloor(Lsn insert_lsn, std::uint64_t wal_segment_bytes) {
  const std::uint64_t in_page = insert_lsn.value % kWalPageBytes;
  const bool is_first_page = insert_lsn.value % wal_segment_bytes < kWalPageBytes;
  const std::uint64_t header = is_first_page ? kLongHeaderBytes : kShortHeaderBytes;
  return in_page == header ? Lsn{insert_lsn.value - header} : insert_lsn;
}

}  // namespace sluice::replication
