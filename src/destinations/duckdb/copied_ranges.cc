#include "destinations/duckdb/copied_ranges.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/check.h"
#include "destinations/duckdb/name_lookup.h"
#include "destinations/duckdb/names.h"
#include "destinations/duckdb/schema_json.h"

namespace sluice::duckdb {
namespace {

std::string Ranges() {
  return QualifiedSchema("sluice") + "._ranges";
}

std::string Number(std::uint64_t value) {
  return std::to_string(value);
}

Error Unreadable() {
  return {.kind = ErrorKind::kStateStore,
          .message = "sluice._ranges cannot be read",
          .code = "SLU-5016",
          .advice = "the file was changed by something else: restore it, or copy again"};
}

Result<std::vector<std::int64_t>> ParseBounds(const std::string& text) {
  std::vector<std::int64_t> out;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at != end) {
    std::int64_t bound = 0;
    const auto [next, error] = std::from_chars(at, end, bound);
    if (error != std::errc() || (next != end && *next != ',')) return Unreadable();
    out.push_back(bound);
    at = next == end ? end : next + 1;
  }
  return out;
}

const Column* FindKey(const TableSchema& schema, const CopyRanges& ranges) {
  const auto found =
      std::find_if(schema.columns.begin(), schema.columns.end(),
                   [&](const Column& column) { return column.attnum == ranges.attnum; });
  return found == schema.columns.end() ? nullptr : &*found;
}

/// True for the rows from one range through another one.
std::string BetweenSql(const TableSchema& schema, const CopyRanges& ranges, std::size_t first,
                       std::size_t last) {
  const Column* const column = FindKey(schema, ranges);
  SLUICE_CHECK(column != nullptr);
  const std::string name = QuoteIdentifier(column->name);
  std::string sql;
  if (first > 0) sql = name + " > " + std::to_string(ranges.bounds[first - 1]);
  if (last < ranges.bounds.size())
    sql += (sql.empty() ? "" : " AND ") + name + " <= " + std::to_string(ranges.bounds[last]);
  return sql.empty() ? "true" : sql;
}

}  // namespace

std::string RangeSql(const TableSchema& schema, const CopyRanges& ranges, std::size_t index) {
  return BetweenSql(schema, ranges, index, index);
}

std::string LandedSql(const CopyRanges& ranges) {
  std::string sql;
  for (std::size_t first = 0; first < ranges.landed.size(); ++first) {
    if (!ranges.landed[first]) continue;
    std::size_t last = first;
    while (last + 1 < ranges.landed.size() && ranges.landed[last + 1]) ++last;
    sql += (sql.empty() ? "(" : " OR (") + BetweenSql(*ranges.schema, ranges, first, last) + ")";
    first = last;
  }
  return sql.empty() ? "false" : sql;
}

std::string CreateRangesSql() {
  return "CREATE TABLE IF NOT EXISTS " + Ranges() +
         "(relation UINTEGER, attnum SMALLINT, bounds VARCHAR, landed VARCHAR, \"rows\" BIGINT,"
         " \"schema\" VARCHAR, epoch UBIGINT);";
}

Status ReadRanges(Connection& connection, DeliveryState& state) {
  SLUICE_ASSIGN_OR_RETURN(const NameUse use, LookUpName(connection, {"sluice", "_ranges"}));
  if (use == NameUse::kFree) return {};  // of an earlier version, opened for reading
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult rows,
      connection.Query("SELECT relation::UBIGINT, attnum::BIGINT, bounds, landed, \"rows\","
                       " \"schema\" FROM " +
                           Ranges() + " WHERE epoch = " + Number(state.epoch),
                       "read sluice._ranges"));
  for (std::size_t row = 0; row < rows.row_count(); ++row) {
    CopyRanges ranges;
    ranges.attnum = static_cast<std::int16_t>(rows.i64(row, 1));
    SLUICE_ASSIGN_OR_RETURN(ranges.bounds, ParseBounds(rows.text(row, 2)));
    for (const char landed : rows.text(row, 3)) ranges.landed.push_back(landed == '1');
    ranges.row_count = rows.i64(row, 4);
    SLUICE_ASSIGN_OR_RETURN(ranges.schema, SchemaFromJson(rows.text(row, 5)));
    const bool fits = ranges.landed.size() == ranges.bounds.size() + 1 &&
                      FindKey(*ranges.schema, ranges) != nullptr;
    if (!fits) return Unreadable();
    for (TableRecord& table : state.tables) {
      const bool is_on_its_way =
          table.state == TableState::kPending || table.state == TableState::kCopying;
      if (table.relation.value == rows.u64(row, 0) && is_on_its_way) table.ranges = ranges;
    }
  }
  return {};
}

Status WriteRanges(Connection& connection, RelationId relation,
                   const std::optional<CopyRanges>& ranges, std::uint64_t epoch) {
  const std::string oid = Number(relation.value);
  std::string sql = "DELETE FROM " + Ranges() + " WHERE relation = " + oid;
  if (ranges) {
    std::string bounds;
    for (const std::int64_t bound : ranges->bounds)
      bounds += (bounds.empty() ? "" : ",") + std::to_string(bound);
    std::string landed;
    for (const bool is_landed : ranges->landed) landed.push_back(is_landed ? '1' : '0');
    sql += "; INSERT INTO " + Ranges() + " VALUES (" + oid + ", " + std::to_string(ranges->attnum) +
           ", " + QuoteLiteral(bounds) + ", " + QuoteLiteral(landed) + ", " +
           std::to_string(ranges->row_count) + ", " + QuoteLiteral(SchemaToJson(*ranges->schema)) +
           ", " + Number(epoch) + ")";
  }
  return connection.Run(sql, "write sluice._ranges");
}

std::map<RelationId, TableName> PickRanges(std::vector<TableName>& aside,
                                           std::vector<TableRecord>& tables) {
  std::map<RelationId, TableName> places;
  for (TableRecord& table : tables) {
    if (!table.ranges) continue;
    const auto has_name = [name = RangesName(table.relation)](const TableName& other) {
      return other.table == name;
    };
    if (std::count_if(aside.begin(), aside.end(), has_name) != 1) {
      table.ranges.reset();
      continue;
    }
    const auto found = std::find_if(aside.begin(), aside.end(), has_name);
    places[table.relation] = *found;
    aside.erase(found);
  }
  return places;
}

Status TakeOverRanges(Connection& connection, DeliveryState& state,
                      const std::map<RelationId, TableName>& places) {
  std::string known = "0";
  for (TableRecord& table : state.tables) {
    if (!table.ranges) continue;
    known += ", " + Number(table.relation.value);
    SLUICE_ASSIGN_OR_RETURN(const SmallResult rows,
                            connection.Query("SELECT count(*)::BIGINT FROM " +
                                                 QualifiedName(places.at(table.relation)) +
                                                 " WHERE " + LandedSql(*table.ranges),
                                             "count ranges"));
    table.ranges->row_count = rows.i64(0, 0);
  }
  return connection.Run("DELETE FROM " + Ranges() + " WHERE relation NOT IN (" + known +
                            "); UPDATE " + Ranges() + " SET epoch = " + Number(state.epoch),
                        "write sluice._ranges");
}

}  // namespace sluice::duckdb
