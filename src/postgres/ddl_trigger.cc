#include "postgres/ddl_trigger.h"

#include <utility>

namespace sluice::postgres {
namespace {

/// What pg_proc.prosrc holds: compared, to know an older one. Schemas in publications came with 15.
std::string FunctionBody(int server_version) {
  std::string body = R"(
DECLARE
  told json;
BEGIN
  IF tg_event = 'sql_drop' THEN
    SELECT json_agg(o.objid::bigint) INTO told
    FROM (SELECT d.objid FROM pg_event_trigger_dropped_objects() d
          WHERE d.object_type = 'table' AND NOT d.is_temporary LIMIT 100) o;
  ELSE
    SELECT json_agg(o.objid::bigint) INTO told
    FROM (SELECT DISTINCT d.objid FROM pg_event_trigger_ddl_commands() d
          LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
          WHERE d.classid = 'pg_type'::regclass
            OR c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND (d.command_tag <> 'ALTER TABLE'
              OR EXISTS (SELECT FROM pg_publication p WHERE p.puballtables))";
  if (server_version >= 150000) {
    body += R"(
              OR EXISTS (SELECT FROM pg_publication_namespace p WHERE p.pnnspid = c.relnamespace))";
  }
  body += R"(
              OR EXISTS (WITH RECURSIVE up(oid) AS (SELECT c.oid UNION SELECT h.inhparent FROM up
                           JOIN pg_inherits h ON h.inhrelid = up.oid)
                         SELECT FROM up JOIN pg_publication_rel p ON p.prrelid = up.oid))
          LIMIT 100) o;
  END IF;
  IF told IS NOT NULL THEN
    PERFORM pg_logical_emit_message(true, 'sluice_ddl',
      json_build_object('version', 1, 'event', tg_event, 'tag', tg_tag, 'objects', told)::text);
  END IF;
EXCEPTION WHEN OTHERS THEN
  NULL;  -- the statement goes on; Sluice finds the change in the catalog
END;
)";
  return body;
}

constexpr std::string_view kDropTriggersSql =
    "DROP EVENT TRIGGER IF EXISTS sluice_ddl_end;\n"
    "DROP EVENT TRIGGER IF EXISTS sluice_ddl_drop;\n"
    "DROP FUNCTION IF EXISTS sluice.tell_ddl();\n";

Error NotAllowed(Error error, std::string_view what) {
  if (error.sqlstate != "42501") return error;
  error.kind = ErrorKind::kAuth;
  error.code = "SLU-2116";
  error.message = "the role may not " + std::string(what);
  error.advice =
      "do it as a superuser, or as the role that a managed service has for it; `sluice check --sql "
      "--install-ddl-trigger` prints the statements. Sluice works without, too";
  return error;
}

}  // namespace

Result<std::optional<DdlTrigger>> ReadDdlTrigger(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("look for the event triggers",
                      "SELECT e.evtname, e.evtenabled IN ('O', 'A'), pg_has_role(e.evtowner, "
                      "'USAGE'), r.rolname, p.prosrc, n.nspname = 'sluice' FROM pg_event_trigger e "
                      "JOIN pg_proc p ON p.oid = e.evtfoid JOIN pg_namespace n ON n.oid = "
                      "p.pronamespace JOIN pg_roles r ON r.oid = e.evtowner WHERE e.evtname IN "
                      "('sluice_ddl_end', 'sluice_ddl_drop')"));
  if (rows.row_count() == 0) return std::optional<DdlTrigger>();
  DdlTrigger trigger{.is_current = rows.row_count() == 2, .is_ours_to_remove = true, .owner = {}};
  const std::string body = FunctionBody(connection.server_version());
  for (std::size_t row = 0; row < rows.row_count(); ++row) {
    trigger.is_current = trigger.is_current && rows.is_true(row, 1) && rows.text(row, 4) == body &&
                         rows.is_true(row, 5);
    trigger.is_ours_to_remove = trigger.is_ours_to_remove && rows.is_true(row, 2);
    trigger.owner = rows.str(row, 3);
  }
  return std::optional(std::move(trigger));
}

std::string InstallDdlTriggerSql(int server_version) {
  // The function is made anew, never replaced: it must not be somebody else's.
  std::string sql = "BEGIN;\nCREATE SCHEMA IF NOT EXISTS sluice;\n";
  sql += kDropTriggersSql;
  sql +=
      "CREATE FUNCTION sluice.tell_ddl() RETURNS event_trigger LANGUAGE plpgsql\n"
      "SET search_path = pg_catalog, pg_temp AS $sluice$";
  sql += FunctionBody(server_version);
  sql +=
      "$sluice$;\n"
      "CREATE EVENT TRIGGER sluice_ddl_end ON ddl_command_end\n"
      "  WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER "
      "TYPE')"
      "\n  EXECUTE FUNCTION sluice.tell_ddl();\n"
      "CREATE EVENT TRIGGER sluice_ddl_drop ON sql_drop\n"
      "  WHEN TAG IN ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED')\n"
      "  EXECUTE FUNCTION sluice.tell_ddl();\n"
      "ALTER EVENT TRIGGER sluice_ddl_end ENABLE ALWAYS;\n"
      "ALTER EVENT TRIGGER sluice_ddl_drop ENABLE ALWAYS;\n"
      "COMMIT;\n";
  return sql;
}

std::string RemoveDdlTriggerSql() {
  return "BEGIN;\n" + std::string(kDropTriggersSql) + "COMMIT;\n";
}

Status InstallDdlTrigger(Connection& source) {
  SLUICE_ASSIGN_OR_RETURN(Connection * writing, source.ForWriting());
  Connection& connection = *writing;
  const auto made =
      connection.Exec("make the event triggers", InstallDdlTriggerSql(connection.server_version()));
  if (made) return {};
  if (connection.is_alive()) (void)connection.Exec("give up the event triggers", "ROLLBACK");
  return NotAllowed(made.error(), "make event triggers");
}

Status RemoveDdlTrigger(Connection& source) {
  SLUICE_ASSIGN_OR_RETURN(Connection * writing, source.ForWriting());
  Connection& connection = *writing;
  const auto removed = connection.Exec("remove the event triggers", RemoveDdlTriggerSql());
  if (!removed) {
    if (connection.is_alive()) (void)connection.Exec("keep the event triggers", "ROLLBACK");
    return NotAllowed(removed.error(), "remove event triggers of another role");
  }
  // Ours, unless somebody put something into it.
  const auto schema = connection.Exec("remove their schema", "DROP SCHEMA IF EXISTS sluice");
  if (!schema && !connection.is_alive()) return schema.error();
  return {};
}

}  // namespace sluice::postgres
