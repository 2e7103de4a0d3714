#include "postgres/table_facts.h"

#include <algorithm>

namespace sluice::postgres {
namespace {

// Not pg_partition_tree(): that locks every leaf. A partition that CREATE TABLE ... PARTITION OF
// made was empty when it joined: it has its first file still, and its first row in pg_attribute and
// the one in pg_inherits come from the same transaction, 2 or 3 commands apart (14 to 18), whereas
// CREATE TABLE and ATTACH with rows in between are 6 at least. And one whose first file has no page
// never had a row; only the few that were never analysed are asked, and only unlocked ones.
std::string FilesSql(bool with_empty_ones) {
  std::string sql =
      "CASE WHEN c.relkind <> 'p' THEN c.relfilenode::text ELSE (WITH RECURSIVE tree AS ("
      "SELECT h.inhrelid, h.xmin, h.cmin, h.xmax, h.inhdetachpending FROM pg_inherits h WHERE"
      " h.inhparent = c.oid UNION ALL SELECT h.inhrelid, h.xmin, h.cmin, h.xmax, h.inhdetachpending"
      " FROM tree JOIN pg_inherits h ON h.inhparent = tree.inhrelid)"
      " SELECT coalesce(string_agg(concat(f.oid, '/', f.relfilenode, '/', tree.xmin, CASE WHEN"
      " f.relfilenode IN (f.oid, 0) AND tree.xmin = a.xmin AND tree.xmax = '0' AND a.xmax = '0' AND"
      " tree.cmin::text::bigint - a.cmin::text::bigint BETWEEN 0 AND 3 THEN '+' END,";
  if (with_empty_ones) {
    sql +=
        " CASE WHEN f.relkind = 'r' AND f.relfilenode = f.oid AND f.relpages = 0 THEN CASE WHEN NOT"
        " EXISTS (SELECT FROM pg_locks l WHERE l.relation = f.oid AND l.mode ="
        " 'AccessExclusiveLock') THEN CASE WHEN pg_relation_size(f.oid) = 0 THEN 'e' END END END,";
  }
  return sql +
         " CASE WHEN tree.inhdetachpending THEN '-' END), ' ' ORDER BY f.oid), '') FROM tree"
         " JOIN pg_class f ON f.oid = tree.inhrelid"
         " JOIN pg_attribute a ON a.attrelid = f.oid AND a.attnum = -6) END";
}

// Every type that a value of the table can hold, down through arrays, domains, ranges, composites.
constexpr std::string_view kUsedTypesSql =
    "WITH RECURSIVE used(oid) AS (SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = c.oid"
    " AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384 UNION SELECT n.oid FROM used"
    " JOIN pg_type t ON t.oid = used.oid CROSS JOIN LATERAL (SELECT t.typelem AS oid UNION SELECT"
    " t.typbasetype UNION SELECT r.rngsubtype FROM pg_range r WHERE t.oid IN (r.rngtypid,"
    " r.rngmultitypid) UNION SELECT m.atttypid FROM pg_attribute m WHERE m.attrelid = t.typrelid"
    " AND m.attnum > 0 AND NOT m.attisdropped) n WHERE n.oid >= 16384) ";

std::string StampSql(int server_version) {
  std::string sql = "md5(concat_ws('|', n.nspname, c.relname, c.relreplident, c.relnatts, ";
  sql += FilesSql(false);
  sql +=
      ", (SELECT string_agg(concat_ws(',', a.attnum, a.attname, a.atttypid, a.atttypmod,"
      " a.attisdropped, a.xmin), ';' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid ="
      " c.oid AND a.attnum > 0)"
      ", (SELECT string_agg(concat_ws(',', i.indexrelid, i.indkey::text, i.indisprimary,"
      " i.indisreplident, i.indisvalid, i.indimmediate), ';' ORDER BY i.indexrelid) FROM pg_index i"
      " WHERE i.indrelid = c.oid AND (i.indisprimary OR i.indisreplident))";
  sql += ", (";
  sql += kUsedTypesSql;
  sql +=
      "SELECT string_agg(concat_ws('=', e.oid, e.enumlabel, e.xmin), ',' ORDER BY e.oid) FROM used "
      "JOIN pg_enum e"
      " ON e.enumtypid = used.oid), (";
  sql += kUsedTypesSql;
  sql +=
      "SELECT string_agg(concat_ws('=', t.oid, m.attnum, m.attname, m.atttypid, m.atttypmod), ','"
      " ORDER BY t.oid, m.attnum) FROM used JOIN pg_type t ON t.oid = used.oid JOIN pg_attribute m"
      " ON m.attrelid = t.typrelid AND m.attnum > 0 AND NOT m.attisdropped)";
  // Column lists came with 15, generated columns with 18.
  if (server_version >= 150000) {
    sql += ", (SELECT concat_ws(',', p.oid, r.prattrs::text, r.prqual::text";
    if (server_version >= 180000) sql += ", p.pubgencols";
    sql +=
        ") FROM pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND"
        " r.prrelid = c.oid WHERE p.pubname = $2)";
  } else {
    sql += ", $2::text";
  }
  return sql + "))";
}

}  // namespace

Result<std::map<RelationId, std::string>> ReadTableStamps(Connection& connection,
                                                          std::span<const RelationId> relations,
                                                          std::string_view publication) {
  std::string list = "{";
  for (const RelationId relation : relations) {
    if (list.size() > 1) list += ',';
    list += std::to_string(relation.value);
  }
  list += '}';
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("look for altered tables",
                      "SELECT c.oid, " + StampSql(connection.server_version()) +
                          " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                          " WHERE c.oid = ANY ($1::oid[])",
                      {list, std::string(publication)}));
  std::map<RelationId, std::string> stamps;
  for (std::size_t row = 0; row < rows.row_count(); ++row) {
    SLUICE_ASSIGN_OR_RETURN(const std::uint32_t relation, rows.Unsigned32(row, 0));
    stamps[RelationId{relation}] = rows.str(row, 1);
  }
  return stamps;
}

Result<CatalogFacts> ReadTableFacts(Connection& connection, RelationId relation,
                                    std::string_view publication) {
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("read a table's facts",
                      "SELECT " + StampSql(connection.server_version()) + ", " + FilesSql(true) +
                          ", c.relnatts FROM pg_class c JOIN pg_namespace n ON n.oid ="
                          " c.relnamespace WHERE c.oid = $1::oid",
                      {std::to_string(relation.value), std::string(publication)}));
  CatalogFacts facts;
  if (rows.row_count() == 0) return facts;
  facts.stamp = rows.str(0, 0);
  facts.files = rows.str(0, 1);
  facts.attnum_max = static_cast<std::int16_t>(rows.integer_or(0, 2, 0));
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult labels,
      connection.Exec(
          "read a table's enum labels",
          "SELECT e.oid, e.enumlabel, e.written_by FROM pg_class c CROSS JOIN LATERAL (" +
              std::string(kUsedTypesSql) +
              "SELECT l.oid, l.enumlabel, l.xmin AS written_by FROM used JOIN pg_enum l ON "
              "l.enumtypid ="
              " used.oid) e WHERE c.oid = $1::oid ORDER BY e.oid",
          {std::to_string(relation.value)}));
  for (std::size_t row = 0; row < labels.row_count(); ++row) {
    SLUICE_ASSIGN_OR_RETURN(const std::uint32_t oid, labels.Unsigned32(row, 0));
    SLUICE_ASSIGN_OR_RETURN(const std::uint32_t written_by, labels.Unsigned32(row, 2));
    facts.labels.push_back({Oid{oid}, labels.str(row, 1), written_by});
  }
  return facts;
}

Result<std::vector<ColumnWrite>> ReadColumnWrites(Connection& connection, RelationId relation) {
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec(
          "read who altered a table's columns",
          "SELECT attnum, xmin FROM pg_attribute WHERE attrelid = $1::oid AND attnum > 0",
          {std::to_string(relation.value)}));
  std::vector<ColumnWrite> writes;
  for (std::size_t row = 0; row < rows.row_count(); ++row) {
    ColumnWrite& write = writes.emplace_back();
    write.attnum = static_cast<std::int16_t>(rows.integer_or(row, 0, 0));
    SLUICE_ASSIGN_OR_RETURN(write.written_by, rows.Unsigned32(row, 1));
  }
  return writes;
}

Result<std::uint64_t> ReadHeapPages(Connection& connection, RelationId relation) {
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("read a table's size",
                      "SELECT pg_relation_size(c.oid) / current_setting('block_size')::bigint "
                      "FROM pg_class c JOIN pg_am a ON a.oid = c.relam "
                      "WHERE c.oid = $1::oid AND c.relkind = 'r' AND a.amname = 'heap'",
                      {std::to_string(relation.value)}));
  if (rows.row_count() == 0) return std::uint64_t{0};
  SLUICE_ASSIGN_OR_RETURN(const std::int64_t pages, rows.Integer(0, 0));
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, pages));
}

}  // namespace sluice::postgres
