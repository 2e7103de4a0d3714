#include "pipeline/slots.h"

#include <utility>

#include "postgres/connection.h"
#include "postgres/source_url.h"

namespace sluice::pipeline {

Result<SourceSlots> ReadSlots(const std::string& source) {
  SLUICE_ASSIGN_OR_RETURN(const postgres::SourceUrl url, postgres::SourceUrl::Parse(source));
  postgres::ConnectOptions connect;
  connect.role = "slots";
  connect.accept_sql_ascii = true;
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection connection,
                          postgres::Connection::Open(url, connect));
  SourceSlots out;
  out.source = url.redacted();
  out.database = url.database();
  SLUICE_ASSIGN_OR_RETURN(out.slots, postgres::ListSluiceSlots(connection));
  SLUICE_ASSIGN_OR_RETURN(out.ddl_trigger, postgres::ReadDdlTrigger(connection));
  return out;
}

}  // namespace sluice::pipeline
