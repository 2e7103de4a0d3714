/// \file
/// Strong types for what PostgreSQL names by number or by text, so that two of them never swap
/// places.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace sluice {

/// Object identifier of a type, pg_type.oid.
struct Oid {
  std::uint32_t value = 0;
  constexpr auto operator<=>(const Oid&) const = default;
};

/// pg_class.oid of a table; pgoutput's relation id.
struct RelationId {
  std::uint32_t value = 0;
  constexpr auto operator<=>(const RelationId&) const = default;
};

/// A 32-bit transaction id as the stream carries it. Compare only after widening
/// (replication/snapshot.h).
struct TransactionId {
  std::uint32_t value = 0;
  constexpr auto operator<=>(const TransactionId&) const = default;
};

/// A schema-qualified name, unquoted, as in the catalog.
struct TableName {
  std::string schema;
  std::string table;
  auto operator<=>(const TableName&) const = default;
};

/// "schema.table" for people; quoted where an unquoted identifier would read differently.
std::string ToString(const TableName& name);

/// Part of a table that is copied and landed on its own: a whole table (index 0), or one key range.
struct UnitId {
  RelationId relation;
  std::uint32_t index = 0;
  constexpr auto operator<=>(const UnitId&) const = default;
};

}  // namespace sluice

template <>
struct std::hash<sluice::RelationId> {
  std::size_t operator()(sluice::RelationId id) const noexcept {
    return std::hash<std::uint32_t>{}(id.value);
  }
};
template <>
struct std::hash<sluice::Oid> {
  std::size_t operator()(sluice::Oid id) const noexcept {
    return std::hash<std::uint32_t>{}(id.value);
  }
};
template <>
struct std::hash<sluice::TransactionId> {
  std::size_t operator()(sluice::TransactionId id) const noexcept {
    return std::hash<std::uint32_t>{}(id.value);
  }
};
