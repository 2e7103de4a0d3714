/// \file
/// A position in PostgreSQL's write-ahead log.
///
/// Text form: two hexadecimal halves, "16/B374D848" (pg_lsn, src/backend/utils/adt/pg_lsn.c).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

/// Byte position in the WAL. 0 is PostgreSQL's InvalidXLogRecPtr: "none".
struct Lsn {
  std::uint64_t value = 0;

  constexpr auto operator<=>(const Lsn&) const = default;
  constexpr bool is_valid() const { return value != 0; }
};

/// Print as PostgreSQL does: "0/16B3748".
std::string ToString(Lsn lsn);

/// Parse "X/Y": one to eight hexadecimal digits on both sides, nothing else. nullopt: not an LSN.
std::optional<Lsn> ParseLsn(std::string_view text);

}  // namespace sluice
