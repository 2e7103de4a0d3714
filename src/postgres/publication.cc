#include "postgres/publication.h"

#include <algorithm>
#include <set>
#include <utility>

#include "postgres/catalog_sql.h"
#include "postgres/quote.h"
#include "postgres/standby.h"

namespace sluice::postgres {
namespace {

constexpr std::string_view kGenerationPrefix = "sluice generation ";
/// Behind the generation in a companion's comment.
constexpr std::string_view kBeingMade = " being made";
constexpr std::string_view kSince = " since ";

std::string TableList(std::span<const TableName> tables) {
  std::string list;
  for (const TableName& table : tables) {
    if (!list.empty()) list += ", ";
    // ONLY: descendants by inheritance are tables of their own. Partitions come with their root.
    list += "ONLY " + QuoteTable(table);
  }
  return list;
}

std::string LockTimeoutSql(Duration timeout) {
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
  return "SET LOCAL lock_timeout = " + std::to_string(std::max<std::int64_t>(1, millis)) + ";";
}

Status CommentOn(Connection& connection, std::string_view doing, std::string_view name,
                 const std::string& comment) {
  const auto commented =
      connection.Exec(std::string(doing), "COMMENT ON PUBLICATION " + QuoteIdentifier(name) +
                                              " IS " + QuoteLiteral(comment));
  return commented ? Status{} : Status(commented.error());
}

/// Within a transaction.
Status Create(Connection& connection, std::string_view name, std::span<const TableName> tables,
              std::string_view publish, const std::string& comment) {
  const std::string doing = "create publication " + std::string(name);
  SLUICE_RETURN_IF_ERROR(connection.Exec(doing, LockTimeoutSql(std::chrono::seconds(10))));
  std::string sql = "CREATE PUBLICATION " + QuoteIdentifier(name);
  if (!tables.empty()) sql += " FOR TABLE " + TableList(tables);
  sql += " WITH (publish = '" + std::string(publish) + "', publish_via_partition_root = true)";
  SLUICE_RETURN_IF_ERROR(connection.Exec(doing, sql));
  return CommentOn(connection, doing, name, comment);
}

/// \param comment of a companion
std::optional<Lsn> SinceOf(std::string_view comment) {
  comment.remove_prefix(kGenerationPrefix.size() + GenerationOf(comment).size());
  if (comment.empty()) return Lsn{};
  return comment.starts_with(kSince) ? ParseLsn(comment.substr(kSince.size())) : std::nullopt;
}

}  // namespace

/// Of the publication `p` that is asked for: is `other` its companion? Same words in every query.
constexpr std::string_view kIsCompanion =
    "(other.pubname = p.pubname || '_append' AND starts_with(obj_description(other.oid, "
    "'pg_publication') || ' ', obj_description(p.oid, 'pg_publication') || ' ') AND "
    "obj_description(p.oid, 'pg_publication') LIKE 'sluice generation %')";

// 14 lists a partition beside the ancestor that its changes are sent as. A row of
// pg_publication_rel is enough: FOR ALL TABLES it lists none.
constexpr std::string_view kNotThroughAncestor =
    " AND NOT (other.pubviaroot AND EXISTS (SELECT FROM pg_partition_ancestors(c.oid) a JOIN "
    "pg_publication_rel up ON up.prrelid = a.relid AND up.prpubid = other.oid "
    "WHERE a.relid <> c.oid))";

// PublishedTable::entry of a relation `c` that is a partition or has some.
std::string PartitionEntrySql(bool has_schemas) {
  std::string sql =
      "(SELECT 1 + (hashtextextended(string_agg(concat_ws('/', p.xmin, a.relid::oid, h.xmin, "
      "up.oid";
  if (has_schemas) sql += ", pn.oid";
  sql +=
      "), ' ' ORDER BY a.relid::oid), 0) & 1073741823) FROM pg_partition_ancestors(c.oid) a "
      "JOIN pg_class ac ON ac.oid = a.relid LEFT JOIN pg_inherits h ON h.inhrelid = a.relid "
      "LEFT JOIN pg_publication_rel up ON up.prrelid = a.relid AND up.prpubid = other.oid";
  if (has_schemas)
    sql +=
        " LEFT JOIN pg_publication_namespace pn ON pn.pnpubid = other.oid AND pn.pnnspid = "
        "ac.relnamespace";
  return sql + ")";
}

std::string CompanionOf(std::string_view publication) {
  return std::string(publication) + "_append";
}

Result<std::optional<Publication>> ReadPublication(Connection& connection, std::string_view name) {
  // publish_generated_columns came with 18.
  const std::string generated =
      connection.server_version() >= 180000 ? "p.pubgencols <> 'n'" : "false";
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("read the publication",
                      "SELECT p.oid, pg_get_userbyid(p.pubowner), "
                      "pg_has_role(p.pubowner, 'USAGE'), p.puballtables, p.pubinsert, "
                      "p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot, " +
                          generated +
                          ", coalesce(obj_description(p.oid, 'pg_publication'), ''), "
                          "other.oid, coalesce(obj_description(other.oid, 'pg_publication'), '') "
                          "FROM pg_publication p LEFT JOIN pg_publication other ON " +
                          std::string(kIsCompanion) + " WHERE p.pubname = $1",
                      {std::string(name)}));
  if (rows.row_count() == 0) return std::optional<Publication>();
  Publication out;
  SLUICE_ASSIGN_OR_RETURN(out.oid.value, rows.Unsigned32(0, 0));
  out.name = name;
  out.owner = rows.str(0, 1);
  out.is_ours_to_alter = rows.is_true(0, 2);
  out.is_all_tables = rows.is_true(0, 3);
  out.publishes_insert = rows.is_true(0, 4);
  out.publishes_update = rows.is_true(0, 5);
  out.publishes_delete = rows.is_true(0, 6);
  out.publishes_truncate = rows.is_true(0, 7);
  out.is_via_root = rows.is_true(0, 8);
  out.publishes_generated = rows.is_true(0, 9);
  out.comment = rows.str(0, 10);
  if (!rows.is_null(0, 11)) {
    out.companion.emplace();
    SLUICE_ASSIGN_OR_RETURN(out.companion->oid.value, rows.Unsigned32(0, 11));
    out.companion->since = SinceOf(rows.text(0, 12));
  }
  return std::optional(std::move(out));
}

Result<std::vector<PublishedTable>> ReadPublishedTables(Connection& connection,
                                                        std::string_view name) {
  const bool has_schemas = connection.server_version() >= 150000;
  const std::string extras =
      has_schemas ? "pr.prqual IS NOT NULL, pr.prattrs IS NOT NULL" : "false, false";
  const std::string membership =
      "CASE WHEN (c.relispartition OR c.relkind = 'p') AND coalesce(obj_description(p.oid, "
      "'pg_publication'), '') NOT LIKE 'sluice generation %' THEN coalesce(" +
      PartitionEntrySql(has_schemas) + ", 1) ELSE " +
      (has_schemas ? "coalesce(pr.oid, (SELECT pn.oid FROM pg_publication_namespace pn WHERE "
                     "pn.pnpubid = other.oid AND pn.pnnspid = c.relnamespace), 0)"
                   : "coalesce(pr.oid, 0)") +
      " END";
  // ALTER PUBLICATION ... SET (...) writes the publication's row anew, ADD, DROP and SET TABLE
  // leave it as it is (14 to 18).
  constexpr std::string_view kEntry =
      "1 + (hashtextextended(concat_ws('/', other.oid, other.xmin, m.membership), 0) & 1073741823)";
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("read the publication's tables",
                      "SELECT DISTINCT c.oid, n.nspname, c.relname, " + std::string(kEntry) +
                          ", m.membership, " + extras +
                          ", other.oid <> p.oid FROM pg_publication p JOIN pg_publication other ON "
                          "other.oid = p.oid OR " +
                          std::string(kIsCompanion) +
                          " CROSS JOIN LATERAL pg_get_publication_tables(other.pubname) g "
                          "JOIN pg_class c ON c.oid = g.relid "
                          "JOIN pg_namespace n ON n.oid = c.relnamespace "
                          "LEFT JOIN pg_publication_rel pr ON pr.prrelid = c.oid AND "
                          "pr.prpubid = other.oid CROSS JOIN LATERAL (SELECT " +
                          membership + " AS membership) m WHERE p.pubname = $1" +
                          (has_schemas ? "" : std::string(kNotThroughAncestor)) + " ORDER BY 2, 3",
                      {std::string(name)}));
  std::vector<PublishedTable> tables;
  for (std::size_t i = 0; i < rows.row_count(); ++i) {
    PublishedTable table;
    SLUICE_ASSIGN_OR_RETURN(table.relation.value, rows.Unsigned32(i, 0));
    table.name = {rows.str(i, 1), rows.str(i, 2)};
    SLUICE_ASSIGN_OR_RETURN(table.entry, rows.Unsigned32(i, 3));
    SLUICE_ASSIGN_OR_RETURN(table.membership, rows.Unsigned32(i, 4));
    table.has_row_filter = rows.is_true(i, 5);
    table.has_column_list = rows.is_true(i, 6);
    table.is_append = rows.is_true(i, 7);
    tables.push_back(std::move(table));
  }
  return tables;
}

Status CreatePublication(Connection& connection, std::string_view name, std::string_view generation,
                         const PublicationContents& contents, std::stop_token stop) {
  SLUICE_ASSIGN_OR_RETURN(Connection * primary, connection.ForWriting());
  SLUICE_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*primary));
  const std::string comment = GenerationComment(generation);
  SLUICE_RETURN_IF_ERROR(
      Create(*primary, name, contents.tables, "insert, update, delete, truncate", comment));
  if (contents.has_companion) {
    SLUICE_RETURN_IF_ERROR(Create(*primary, CompanionOf(name), contents.append, "insert", comment));
  }
  SLUICE_RETURN_IF_ERROR(transaction.Commit());
  return AwaitReplay(connection, std::move(stop));
}

Status CreateCompanion(Connection& connection, std::string_view name, std::string_view generation,
                       std::stop_token stop) {
  SLUICE_ASSIGN_OR_RETURN(Connection * primary, connection.ForWriting());
  SLUICE_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*primary));
  SLUICE_RETURN_IF_ERROR(Create(*primary, CompanionOf(name), {}, "insert",
                                GenerationComment(generation) + std::string(kBeingMade)));
  SLUICE_RETURN_IF_ERROR(transaction.Commit());
  return AwaitReplay(connection, std::move(stop));
}

Status SetCompanionSince(Connection& connection, std::string_view name, std::string_view generation,
                         Lsn since, std::stop_token stop) {
  SLUICE_ASSIGN_OR_RETURN(Connection * primary, connection.ForWriting());
  SLUICE_RETURN_IF_ERROR(
      CommentOn(*primary, "publish by " + CompanionOf(name), CompanionOf(name),
                GenerationComment(generation) + std::string(kSince) + ToString(since)));
  return AwaitReplay(connection, std::move(stop));
}

namespace {

Status Alter(Connection& connection, std::string_view name, std::string_view verb,
             const TableName& table, Duration lock_timeout, std::stop_token stop) {
  const std::string doing = std::string(verb) + " table " + ToString(table) +
                            (verb == "ADD" ? " to" : " from") + " publication " + std::string(name);
  const std::span<const TableName> one(&table, 1);
  SLUICE_ASSIGN_OR_RETURN(Connection * primary, connection.ForWriting());
  // One statement string is one transaction: the lock timeout ends with it.
  auto result = primary->Exec(doing, LockTimeoutSql(lock_timeout) + "ALTER PUBLICATION " +
                                         QuoteIdentifier(name) + " " + std::string(verb) +
                                         " TABLE " + TableList(one));
  if (!result) return std::move(result).error();
  return AwaitReplay(connection, std::move(stop));
}

}  // namespace

Status AddToPublication(Connection& connection, std::string_view name, const TableName& table,
                        Duration lock_timeout, std::stop_token stop) {
  return Alter(connection, name, "ADD", table, lock_timeout, std::move(stop));
}

Status DropFromPublication(Connection& connection, std::string_view name, const TableName& table,
                           Duration lock_timeout, std::stop_token stop) {
  return Alter(connection, name, "DROP", table, lock_timeout, std::move(stop));
}

Result<MembershipChange> KeepPublication(Connection& connection, std::string_view name,
                                         std::span<const WantedTable> wanted, Duration lock_timeout,
                                         std::stop_token stop) {
  SLUICE_ASSIGN_OR_RETURN(const std::vector<PublishedTable> published,
                          ReadPublishedTables(connection, name));
  // Of each, in which of the two.
  std::set<std::pair<RelationId, bool>> have;
  std::set<std::pair<RelationId, bool>> want;
  for (const PublishedTable& table : published) have.emplace(table.relation, table.is_append);
  for (const WantedTable& table : wanted) want.emplace(table.relation, table.is_append);

  MembershipChange change;
  const auto alter = [&](std::string_view verb, const TableName& table, bool is_append,
                         std::vector<TableName>& done) -> Status {
    Status result = Alter(connection, is_append ? CompanionOf(name) : std::string(name), verb,
                          table, lock_timeout, stop);
    if (result) {
      done.push_back(table);
      return {};
    }
    if (!connection.is_alive() || stop.stop_requested()) return std::move(result).error();
    change.not_done.emplace_back(table, std::move(result).error());
    return {};
  };
  for (const PublishedTable& table : published) {
    if (want.contains({table.relation, table.is_append})) continue;
    SLUICE_RETURN_IF_ERROR(alter("DROP", table.name, table.is_append, change.removed));
  }
  for (const WantedTable& table : wanted) {
    if (have.contains({table.relation, table.is_append})) continue;
    SLUICE_RETURN_IF_ERROR(alter("ADD", table.name, table.is_append, change.added));
  }
  return change;
}

Status DropPublication(Connection& connection, std::string_view name) {
  SLUICE_ASSIGN_OR_RETURN(Connection * primary, connection.ForWriting());
  SLUICE_ASSIGN_OR_RETURN(const std::optional<Publication> known, ReadPublication(*primary, name));
  std::string names = QuoteIdentifier(name);
  if (known && known->companion) names += ", " + QuoteIdentifier(CompanionOf(name));
  auto dropped =
      primary->Exec("drop publication " + std::string(name), "DROP PUBLICATION IF EXISTS " + names);
  return dropped ? Status{} : Status(std::move(dropped).error());
}

std::string_view GenerationOf(std::string_view comment) {
  if (!comment.starts_with(kGenerationPrefix)) return {};
  comment.remove_prefix(kGenerationPrefix.size());
  return comment.substr(0, comment.find(' '));
}

std::string GenerationComment(std::string_view generation) {
  return std::string(kGenerationPrefix) + std::string(generation);
}

Result<std::vector<LostIdentity>> FindLostIdentities(Connection& connection,
                                                     std::string_view publication) {
  std::string sql = R"(
WITH RECURSIVE member AS (
  SELECT g.relid AS root, g.relid AS oid FROM pg_get_publication_tables($1) g
  UNION ALL
  SELECT m.root, i.inhrelid FROM member m JOIN pg_inherits i ON i.inhparent = m.oid
    JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relispartition)
SELECT m.root, n.nspname, r.relname, min(s.state), c.relname
FROM member m JOIN pg_class c ON c.oid = m.oid JOIN pg_class r ON r.oid = m.root
JOIN pg_namespace n ON n.oid = r.relnamespace
JOIN LATERAL (SELECT )";
  sql += kIdentityStateSql;
  sql += " AS state) s ON s.state <> 'u'";
  if (connection.server_version() >= 180000) {
    sql += R"( AND NOT (s.state = 'g' AND EXISTS (
      SELECT FROM pg_publication p WHERE p.pubname = $1 AND p.pubgencols = 's')))";
  }
  sql += R"(
GROUP BY m.root, n.nspname, r.relname, c.relname ORDER BY 2, 3)";
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("read the published tables' identities", sql, {std::string(publication)}));
  std::vector<LostIdentity> lost;
  for (std::size_t i = 0; i < rows.row_count(); ++i) {
    LostIdentity one;
    SLUICE_ASSIGN_OR_RETURN(one.relation.value, rows.Unsigned32(i, 0));
    if (!lost.empty() && lost.back().relation == one.relation) continue;
    one.name = {rows.str(i, 1), rows.str(i, 2)};
    const std::string_view state = rows.text(i, 3);
    one.reason = state == "m"   ? "no primary key"
                 : state == "n" ? "REPLICA IDENTITY NOTHING"
                 : state == "g" || state == "v"
                     ? "a generated column is in its replica identity, and is not published"
                     : "the index of its replica identity is gone or not usable";
    if (rows.text(i, 4) != one.name.table) one.reason += " (partition " + rows.str(i, 4) + ")";
    lost.push_back(std::move(one));
  }
  return lost;
}

}  // namespace sluice::postgres
