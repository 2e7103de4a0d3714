/// \file
/// Schemas and wire bytes for tests, in a few words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/schema.h"

#include "base/byte_reader.h"
#include "pgoutput/tuple.h"
#include "types/type_catalog.h"

namespace sluice::columnar::testing {

/// A built-in type by oid.
inline ColumnType Builtin(std::uint32_t oid, std::int32_t typmod = -1) {
  return *types::TypeCatalog().Resolve(Oid{oid}, typmod);
}

inline constexpr std::int32_t NumericTypmod(int precision, int scale) {
  return ((precision << 16) | scale) + 4;
}

/// Columns c0, c1, ... of these types; `identity`: indexes of the identity columns.
inline SchemaPtr Schema(std::vector<ColumnType> types, std::vector<std::int32_t> identity = {},
                        ReplicaIdentity kind = ReplicaIdentity::kDefault) {
  auto schema = std::make_shared<TableSchema>();
  schema->relation = RelationId{16400};
  schema->name = {"public", "t"};
  schema->identity = kind;
  for (std::size_t i = 0; i < types.size(); ++i) {
    schema->columns.push_back(
        {.name = "c" + std::to_string(i), .type = std::move(types[i]), .missing_value = {}});
  }
  for (const std::int32_t index : identity) {
    schema->columns[static_cast<std::size_t>(index)].is_identity = true;
  }
  schema->key = identity;
  schema->identity_columns = std::move(identity);
  return schema;
}

/// Big-endian bytes, appended.
class WireBytes {
 public:
  WireBytes& U8(std::uint8_t value) { return Integer(value, 1); }
  WireBytes& I16(std::int16_t value) { return Integer(static_cast<std::uint16_t>(value), 2); }
  WireBytes& I32(std::int32_t value) { return Integer(static_cast<std::uint32_t>(value), 4); }
  WireBytes& I64(std::int64_t value) { return Integer(static_cast<std::uint64_t>(value), 8); }
  WireBytes& Text(std::string_view text) {
    bytes_ += text;
    return *this;
  }
  /// Int32 length, then the text.
  WireBytes& Item(std::string_view text) {
    return I32(static_cast<std::int32_t>(text.size())).Text(text);
  }
  const std::string& text() const { return bytes_; }
  std::span<const std::byte> bytes() const { return base::AsBytes(bytes_); }

 private:
  WireBytes& Integer(std::uint64_t value, int width) {
    for (int shift = (width - 1) * 8; shift >= 0; shift -= 8) {
      bytes_ += static_cast<char>((value >> shift) & 0xFF);
    }
    return *this;
  }
  std::string bytes_;
};

/// A cell in text form; it views `text`.
inline pgoutput::TupleCell TextCell(std::string_view text) {
  return {pgoutput::TupleCell::Kind::kText, base::AsBytes(text)};
}
inline pgoutput::TupleCell NullCell() {
  return {pgoutput::TupleCell::Kind::kNull, {}};
}
inline pgoutput::TupleCell UnchangedCell() {
  return {pgoutput::TupleCell::Kind::kUnchanged, {}};
}

}  // namespace sluice::columnar::testing
