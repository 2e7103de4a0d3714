#include "pipeline/ddl_trigger.h"

#include "postgres/connection.h"
#include "postgres/ddl_trigger.h"
#include "postgres/source_url.h"

namespace sluice::pipeline {
namespace {

Result<postgres::Connection> Connect(const std::string& source, const std::string& primary) {
  SLUICE_ASSIGN_OR_RETURN(const postgres::SourceUrl url,
                          postgres::SourceUrl::Parse(source, primary));
  postgres::ConnectOptions connect;
  connect.role = "check";
  connect.accept_sql_ascii = true;
  return postgres::Connection::Open(url, connect);
}

}  // namespace

Status ChangeDdlTrigger(const std::string& source, const std::string& primary,
                        DdlTriggerStep step) {
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection connection, Connect(source, primary));
  return step == DdlTriggerStep::kInstall ? postgres::InstallDdlTrigger(connection)
                                          : postgres::RemoveDdlTrigger(connection);
}

Result<std::string> DdlTriggerScript(const std::string& source, DdlTriggerStep step) {
  SLUICE_ASSIGN_OR_RETURN(const postgres::Connection connection, Connect(source, {}));
  return step == DdlTriggerStep::kInstall
             ? postgres::InstallDdlTriggerSql(connection.server_version())
             : postgres::RemoveDdlTriggerSql();
}

}  // namespace sluice::pipeline
