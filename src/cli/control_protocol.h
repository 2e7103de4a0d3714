/// \file
/// What goes over STATE/NAME.sock: one request, one line of JSON; then lines of JSON.
///
///   {"command": "ping"}                          {"pipeline", "pid", "version"}
///   {"command": "status"}                        {"status": StatusJson()}
///   {"command": "tables"}                        {"tables": TablesJson()}
///   {"command": "verify", "tables": [PATTERN]}   {"progress": "public.orders"}* {"report":
///   verify::ToJson()}
///   {"command": "repair", "tables": [PATTERN], "dry_run": bool}   the same, with the report of
///   verify::ToJson(RepairResult)
///   {"command": "resync", "tables": [PATTERN]}   {"done": true}
///   {"command": "resume", "tables": [PATTERN]}   {"done": true}
///   {"command": "sql", "sql": "SELECT ..."}      {"columns": [{"name", "type"}]} {"rows": [[text
///   or null]]}*
///                                                {"done": true}
///   {"command": "sql", ..., "format": "arrow"}   {"arrow": base64}* {"done": true}: an Arrow IPC
///   stream in pieces
///
/// Anything that fails ends with {"error": ErrorJson()} in the place of the last line. A connection
/// that ends without one of the last lines above was cut.
#pragma once

#include "pipeline/pipeline.h"
#include "telemetry/control_socket.h"

namespace sluice::cli {

/// Answers requests from `pipeline`, which must outlive the server.
telemetry::ControlServer::Handler ControlHandler(pipeline::Pipeline& pipeline);

}  // namespace sluice::cli
