#include "postgres/catalog.h"

#include <algorithm>
#include <utility>

#include "postgres/catalog_sql.h"
#include "postgres/quote.h"

namespace sluice::postgres {
namespace {

// A root is as good as its worst leaf: an UPDATE is checked against the leaf it lands in.
// Sizes come from the file system; that takes a lock, so the caller limits it and falls back to
// what the last VACUUM counted.
std::string ListTablesSql(bool with_exact_sizes) {
  std::string sql = R"(
WITH rel AS MATERIALIZED (
  SELECT c.oid, c.relkind, c.relispartition, c.reltuples, c.relpages, c.reltoastrelid,)";
  sql += kIdentityStateSql;
  sql += R"( AS state
  FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND c.relnamespace NOT IN (SELECT oid FROM pg_namespace
      WHERE nspname = 'information_schema' OR nspname LIKE 'pg\_%'))
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relispartition, c.relpersistence, c.relreplident,
  CASE WHEN l.states IS NULL OR l.states = '' THEN r.state
    ELSE (SELECT s FROM unnest(ARRAY['n', 'b', 'm', 'v', 'g', 'u']) s
          WHERE strpos(l.states || r.state, s) > 0 LIMIT 1) END,
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary),
  EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
    AND d.deptype = 'e'),
  pg_has_role(c.relowner, 'USAGE'),
  has_schema_privilege(n.oid, 'USAGE') AND (has_table_privilege(c.oid, 'SELECT')
    OR NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
      AND NOT a.attisdropped AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT'))),
  c.relrowsecurity AND row_security_active(c.oid),
  coalesce(l.tuples, c.reltuples)::bigint, coalesce(l.bytes, 0)::bigint,
  (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
  CASE WHEN c.relispartition THEN
    (SELECT min(h.inhparent) FROM pg_inherits h WHERE h.inhrelid = c.oid) END
FROM rel r JOIN pg_class c ON c.oid = r.oid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
  SELECT sum(x.reltuples) FILTER (WHERE x.reltuples >= 0) AS tuples,
    sum()";
  sql += with_exact_sizes ? "pg_table_size(x.oid)"
                          : "(x.relpages + coalesce((SELECT t.relpages FROM pg_class t "
                            "WHERE t.oid = x.reltoastrelid), 0)) * "
                            "current_setting('block_size')::bigint";
  sql += R"() AS bytes,
    string_agg(x.state, '') FILTER (WHERE x.oid <> c.oid) AS states
  FROM (SELECT c.oid AS member WHERE c.relkind <> 'p'
        UNION ALL SELECT p.relid FROM pg_partition_tree(c.oid) p WHERE c.relkind = 'p' AND p.isleaf) m
  JOIN rel x ON x.oid = m.member WHERE x.relkind IN ('r', 'p', 'm')) l ON true
ORDER BY n.nspname, c.relname)";
  return sql;
}

TableKind KindOf(char relkind, bool is_partition) {
  switch (relkind) {
    case 'v':
      return TableKind::kView;
    case 'm':
      return TableKind::kMaterializedView;
    case 'f':
      return TableKind::kForeign;
    default:
      if (is_partition) return TableKind::kPartition;
      return relkind == 'p' ? TableKind::kPartitionedRoot : TableKind::kOrdinary;
  }
}

IdentityState StateOf(char state) {
  switch (state) {
    case 'u':
      return IdentityState::kUsable;
    case 'n':
      return IdentityState::kNothing;
    case 'm':
      return IdentityState::kMissing;
    case 'g':
      return IdentityState::kStored;
    case 'v':
      return IdentityState::kVirtual;
    default:
      return IdentityState::kBroken;
  }
}

ReplicaIdentity IdentityOf(char relreplident) {
  switch (relreplident) {
    case 'n':
      return ReplicaIdentity::kNothing;
    case 'f':
      return ReplicaIdentity::kFull;
    case 'i':
      return ReplicaIdentity::kIndex;
    default:
      return ReplicaIdentity::kDefault;
  }
}

char CharAt(const QueryResult& rows, std::size_t row, std::size_t column) {
  const std::string_view text = rows.text(row, column);
  return text.empty() ? '\0' : text.front();
}

Result<SourceTable> ReadTable(const QueryResult& rows, std::size_t row) {
  SourceTable table;
  SLUICE_ASSIGN_OR_RETURN(table.relation.value, rows.Unsigned32(row, 0));
  table.name = {rows.str(row, 1), rows.str(row, 2)};
  table.kind = KindOf(CharAt(rows, row, 3), rows.is_true(row, 4));
  table.is_partitioned = CharAt(rows, row, 3) == 'p';
  table.persistence = CharAt(rows, row, 5);
  table.identity = IdentityOf(CharAt(rows, row, 6));
  table.identity_state = StateOf(CharAt(rows, row, 7));
  table.has_primary_key = rows.is_true(row, 8);
  table.is_in_extension = rows.is_true(row, 9);
  table.is_ours_to_alter = rows.is_true(row, 10);
  table.may_select = rows.is_true(row, 11);
  table.has_row_security = rows.is_true(row, 12);
  table.row_estimate = rows.integer_or(row, 13, -1);
  table.size_bytes = rows.integer_or(row, 14, 0);
  if (!rows.is_null(row, 16)) {
    SLUICE_ASSIGN_OR_RETURN(table.parent.value, rows.Unsigned32(row, 16));
  }
  if (!rows.is_null(row, 15)) {
    auto names = ParseArrayText(rows.text(row, 15));
    if (!names) {
      return Error{.kind = ErrorKind::kProtocol,
                   .message = "column names cannot be read: table " + ToString(table.name),
                   .code = "SLU-2019"};
    }
    table.column_names = *std::move(names);
  }
  return table;
}

}  // namespace

Result<std::vector<SourceTable>> ListTables(Connection& connection, TableSizes sizes) {
  const bool is_exact = sizes == TableSizes::kExact;
  // One implicit transaction: the lock timeout ends with it.
  auto rows =
      connection.Exec("list the tables",
                      (is_exact ? "SET LOCAL lock_timeout = '2s';" : "") + ListTablesSql(is_exact));
  if (!rows && is_exact && rows.error().sqlstate == "55P03" && !connection.is_in_transaction()) {
    rows = connection.Exec("list the tables", ListTablesSql(false));
  }
  if (!rows) return std::move(rows).error();
  std::vector<SourceTable> tables;
  tables.reserve(rows->row_count());
  for (std::size_t i = 0; i < rows->row_count(); ++i) {
    SLUICE_ASSIGN_OR_RETURN(SourceTable table, ReadTable(*rows, i));
    tables.push_back(std::move(table));
  }
  return tables;
}

Result<std::string> ReadTablesFingerprint(Connection& connection, std::string_view publication) {
  // Names as the server compares them, rights as lists: whatever decides is in it, or is looked at
  // by the full look now and then. Schema members of a publication came with 15.
  std::string sql = R"(
SELECT count(*)::text || ' ' || coalesce(sum(hashtextextended(concat_ws(' ', c.oid,
    quote_ident(n.nspname), quote_ident(c.relname), c.relkind, c.relpersistence, c.relispartition,
    c.relowner, c.relrowsecurity, c.relnatts > 0, c.relacl::text, n.nspacl::text,
    CASE WHEN c.relispartition THEN (SELECT string_agg(concat_ws('/', h.inhparent, h.xmin,
      h.inhdetachpending), ',') FROM pg_inherits h WHERE h.inhrelid = c.oid) END, )";
  sql += kIdentityStateSql;
  sql += R"(), 0)), 0)::text || ' ' ||
  (SELECT coalesce(sum(hashtextextended(concat_ws(' ', p.oid, p.xmin, p.puballtables, r.oid, r.prrelid), 0)), 0)::text
   FROM pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid WHERE p.pubname IN ($1::text, $1::text || '_append')))";
  if (connection.server_version() >= 150000) {
    sql += R"( || ' ' ||
  (SELECT coalesce(sum(hashtextextended(concat_ws(' ', s.oid, s.pnnspid), 0)), 0)::text
   FROM pg_publication p JOIN pg_publication_namespace s ON s.pnpubid = p.oid WHERE p.pubname = $1))";
  }
  sql += R"(
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%')";
  SLUICE_ASSIGN_OR_RETURN(const QueryResult rows,
                          connection.Exec("look for new tables", sql, {std::string(publication)}));
  return rows.str(0, 0);
}

Result<std::uint32_t> ReadFileNode(Connection& connection, RelationId relation) {
  SLUICE_ASSIGN_OR_RETURN(const QueryResult rows,
                          connection.Exec("read a table's file number",
                                          "SELECT relfilenode FROM pg_class WHERE oid = $1::oid",
                                          {std::to_string(relation.value)}));
  if (rows.row_count() == 0) return std::uint32_t{0};
  return rows.Unsigned32(0, 0);
}

Result<std::vector<RelationId>> ReadLeaves(Connection& connection, RelationId relation) {
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("list a table's partitions",
                      "SELECT c.oid FROM pg_class c WHERE c.oid = $1::oid AND c.relkind <> 'p' "
                      "UNION ALL SELECT relid::oid FROM pg_partition_tree($1::oid::regclass) "
                      "WHERE isleaf AND EXISTS (SELECT FROM pg_class WHERE oid = $1::oid AND "
                      "relkind = 'p')",
                      {std::to_string(relation.value)}));
  std::vector<RelationId> leaves;
  for (std::size_t i = 0; i < rows.row_count(); ++i) {
    SLUICE_ASSIGN_OR_RETURN(const std::uint32_t oid, rows.Unsigned32(i, 0));
    leaves.push_back({oid});
  }
  return leaves;
}

}  // namespace sluice::postgres
