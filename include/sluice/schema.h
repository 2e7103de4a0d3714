/// \file
/// What a source table looks like in one version, and how its values are carried in Arrow.
///
/// Made from the catalog or from a Relation message, completed by types/; immutable and shared
/// afterwards.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sluice/ids.h"
#include "sluice/lsn.h"

namespace sluice {

/// How one value is carried in Arrow. The destination narrows from here; decoding never depends on
/// it.
///
///   kind          Arrow type                     what it carries
///   kBool         bool
///   kInt16..64    int16, int32, int64
///   kUInt32       uint32                         oid
///   kFloat32/64   float, double                  bits as sent: NaN payloads and -0 survive
///   kDecimal      decimal128(precision, scale)   numeric(p,s), p <= 38, 0 <= s <= p
///   kText         utf8                           text types, enums, xml, and every type carried as
///   PostgreSQL's text kBytes        binary                         bytea kDate         date32 days
///   since 1970; INT32_MAX is infinity, -INT32_MAX is -infinity kTimestamp    timestamp[us] since
///   1970; INT64_MAX is infinity, -INT64_MAX is -infinity kTimestampTz  timestamp[us, UTC] the
///   same, in UTC kTime         time64[us]                     0 .. 86'400'000'000 (24:00:00)
///   kInterval     fixed_size_binary(16)          little-endian: int64 microseconds, int32 days,
///   int32 months kUuid         fixed_size_binary(16)          in network order kJson         utf8
///   json and jsonb as the server prints them kList         list<element>                  one
///   dimension, lower bound 1; else a misfit kStruct       struct<attributes>             composite
///   kMap          map<utf8, utf8>                hstore
enum class Carrier : std::uint8_t {
  kBool,
  kInt16,
  kInt32,
  kInt64,
  kUInt32,
  kFloat32,
  kFloat64,
  kDecimal,
  kText,
  kBytes,
  kDate,
  kTimestamp,
  kTimestampTz,
  kTime,
  kInterval,
  kUuid,
  kJson,
  kList,
  kStruct,
  kMap,
};

/// A resolved type: domains are already replaced by their base type, elements and attributes filled
/// in.
struct ColumnType {
  Oid oid;                   ///< pg_type.oid of the base type (domains resolved)
  std::int32_t typmod = -1;  ///< pg_attribute.atttypmod, or the domain's
  std::string name;          ///< format_type() text, for people: "numeric(10,2)"
  Carrier carrier = Carrier::kText;
  std::uint8_t precision = 0;  ///< kDecimal
  std::int8_t scale = 0;       ///< kDecimal
  /// The decoder that reads this type's binary form, types/ decides; empty: only the text form is
  /// understood, so the table's COPY and the stream must be asked for text.
  std::string codec;
  std::vector<ColumnType> children;      ///< kList: the element; kStruct: attributes
  std::vector<std::string> child_names;  ///< kStruct

  bool operator==(const ColumnType&) const = default;
};

/// What becomes of a value of a column that has no exact form (a misfit).
enum class OnMisfit : std::uint8_t {
  kHalt,        ///< its table halts
  kNull,        ///< the cell becomes NULL, and is counted
  kQuarantine,  ///< also, the destination keeps the exact text
};

/// halt, null, quarantine.
const char* ToString(OnMisfit policy);

/// One published column, in table order.
struct Column {
  std::string name;
  ColumnType type{};
  std::int16_t attnum =
      0;  ///< pg_attribute.attnum; 0 where only a Relation message told of the column
  bool is_identity = false;  ///< part of the replica identity (pgoutput's key flag)
  bool is_nullable = true;
  /// Where the column was added to a filled table: the text form of attmissingval, what older rows
  /// read as.
  std::optional<std::string> missing_value{};
  /// pg_attribute.xmin: the transaction that altered the column last; 0 where only a message told.
  std::uint32_t altered_by = 0;
  /// As declared; no part of the column's shape.
  OnMisfit on_misfit = OnMisfit::kHalt;

  bool operator==(const Column&) const = default;
};

/// A label of an enum type that some column uses. Its oid stays when it is renamed.
struct EnumLabel {
  Oid oid{};
  std::string text;
  /// pg_enum.xmin: the transaction that renamed it last; 0 where it is not known.
  std::uint32_t written_by = 0;

  bool operator==(const EnumLabel&) const = default;
};

/// What the catalog knew beside the columns when a version was read: proof that nothing happened
/// that no message tells of. Empty where the version comes from a message, or from an older format.
struct CatalogFacts {
  std::string stamp;  ///< a hash of everything below and of the columns: the same, nothing altered
  std::string
      files;  ///< relfilenode, of a partitioned table those of its leaves: changes on a rewrite
  std::int16_t attnum_max = 0;  ///< pg_class.relnatts: numbers above it were not given out yet
  std::vector<EnumLabel> labels;

  bool operator==(const CatalogFacts&) const = default;
};

/// A column that the user excluded: at the source, and nowhere else. Known by its number, so that
/// another name does not bring it back.
struct HiddenColumn {
  Column column;          ///< as the source has it
  TableName rule_table;   ///< under which names it was excluded
  std::string rule_name;  ///< of the column
  bool is_gone = false;   ///< dropped at the source since

  bool operator==(const HiddenColumn&) const = default;
};

/// pg_class.relreplident.
enum class ReplicaIdentity : char { kDefault = 'd', kNothing = 'n', kFull = 'f', kIndex = 'i' };

/// One version of one table. Shared, immutable.
struct TableSchema {
  RelationId relation;
  TableName name;
  ReplicaIdentity identity = ReplicaIdentity::kDefault;
  std::vector<Column> columns;
  /// Indexes into `columns`: what finds a row at the destination. The replica identity's columns;
  /// under REPLICA IDENTITY FULL the primary key's, where there is one. Empty: keyless (rows are
  /// matched whole).
  std::vector<std::int32_t> key;
  /// Indexes into `columns`: what the server sends as old tuple; all columns under FULL.
  std::vector<std::int32_t> identity_columns;
  Lsn since;  ///< insert LSN of the catalog read behind this version
  CatalogFacts facts = {};
  /// What is not among `columns` because the user excluded it, by number.
  std::vector<HiddenColumn> hidden = {};
  /// Not empty: a message said so, and how its columns come from those known cannot be told. Rows
  /// of it are decoded; to apply them the table must be at this very shape already.
  std::string unplaced = {};

  /// Not null: rows are not decoded. Each is one change of a table of this version as it came over
  /// the wire, in a single column (columnar/raw_rows.h); `columns` and the rest describe that.
  std::shared_ptr<const TableSchema> raw_of = {};

  bool is_keyless() const { return key.empty(); }
};

using SchemaPtr = std::shared_ptr<const TableSchema>;

/// Same columns, types, key: rows of one need no lifting for the other. `since`, attnums, defaults
/// do not count.
bool SameShape(const TableSchema& a, const TableSchema& b);

/// Per column of `to`, its index in `from`; nullopt: added. Columns are the same that have the same
/// attnum; by name only where one side does not know them.
std::vector<std::optional<std::size_t>> ColumnOrigins(const TableSchema& from,
                                                      const TableSchema& to);

/// One step between two versions of a table, for people: a row of sluice.schema_changes.
struct ShapeChange {
  std::string kind;    ///< drop column, rename column, change type, add column, change key
  std::string before;  ///< empty: not there
  std::string after;
};
std::vector<ShapeChange> ChangesBetween(const TableSchema& from, const TableSchema& to);

}  // namespace sluice
