// The server's side of the control protocol.
#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/util/base64.h>
#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include <nlohmann/json.hpp>

#include "base/version.h"
#include "cli/control_protocol.h"
#include "cli/status_json.h"
#include "destinations/duckdb/duckdb_destination.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;
using telemetry::ControlReply;

/// A start takes less, unless the source or the file is not there; then the answer says so.
constexpr Duration kStartPatience = std::chrono::seconds(10);
/// Rows leave in lines of about this size.
constexpr std::size_t kLineBytes = 256 * 1024;
/// Bytes of an Arrow stream in one line, before base64 makes them a third larger.
constexpr std::size_t kArrowPieceBytes = std::size_t{4} << 20;

Status Send(ControlReply& reply, const Json& json) {
  return reply.Send(PrintJson(json));
}

Error BadRequest(std::string message) {
  return Error{
      .kind = ErrorKind::kInvalidArgument, .message = std::move(message), .code = "SLU-1022"};
}

Error FromArrow(const arrow::Status& status) {
  return Error{.message = "the result cannot be written as Arrow: " + status.ToString(),
               .code = "SLU-9001"};
}

/// A list of texts under `name`; missing is empty.
Result<std::vector<std::string>> TextsOf(const Json& request, const char* name) {
  std::vector<std::string> out;
  const auto found = request.find(name);
  if (found == request.end()) return out;
  if (!found->is_array()) return BadRequest(fmt::format("\"{}\" must be a list", name));
  for (const Json& item : *found) {
    if (!item.is_string()) return BadRequest(fmt::format("\"{}\" must hold texts", name));
    out.push_back(item.get<std::string>());
  }
  return out;
}

Result<std::string> TextOf(const Json& request, const char* name) {
  const auto found = request.find(name);
  if (found == request.end() || !found->is_string()) {
    return BadRequest(fmt::format("\"{}\" is missing", name));
  }
  return found->get<std::string>();
}

Status Verify(pipeline::Pipeline& pipeline, const Json& request, ControlReply& reply) {
  SLUICE_ASSIGN_OR_RETURN(const auto patterns, TextsOf(request, "tables"));
  const auto progress = [&](const std::string& table) {
    // A client that is gone is seen by the stop token.
    static_cast<void>(Send(reply, {{"progress", table}}).has_value());
  };
  SLUICE_ASSIGN_OR_RETURN(const verify::VerifyResult result,
                          pipeline.Verify(patterns, reply.stop_token(), progress));
  Json report = verify::ToJson(result);
  return Send(reply, Json{{"report", std::move(report)}});
}

Status Repair(pipeline::Pipeline& pipeline, const Json& request, ControlReply& reply) {
  pipeline::RepairRequest repair;
  SLUICE_ASSIGN_OR_RETURN(repair.patterns, TextsOf(request, "tables"));
  const auto dry_run = request.find("dry_run");
  if (dry_run != request.end() && !dry_run->is_boolean())
    return BadRequest("\"dry_run\" must be true or false");
  repair.is_dry_run = dry_run != request.end() && dry_run->get<bool>();
  const auto progress = [&](const std::string& table) {
    // As above.
    static_cast<void>(Send(reply, {{"progress", table}}).has_value());
  };
  SLUICE_ASSIGN_OR_RETURN(const verify::RepairResult result,
                          pipeline.Repair(repair, reply.stop_token(), progress));
  Json report = verify::ToJson(result);
  return Send(reply, Json{{"report", std::move(report)}});
}

Status Resync(pipeline::Pipeline& pipeline, const Json& request, ControlReply& reply) {
  SLUICE_ASSIGN_OR_RETURN(const auto patterns, TextsOf(request, "tables"));
  if (patterns.empty()) return BadRequest("no table is named");
  SLUICE_RETURN_IF_ERROR(pipeline.Resync(patterns));
  return Send(reply, Json{{"done", true}});
}

Status Resume(pipeline::Pipeline& pipeline, const Json& request, ControlReply& reply) {
  SLUICE_ASSIGN_OR_RETURN(const auto patterns, TextsOf(request, "tables"));
  if (patterns.empty()) return BadRequest("no table is named");
  SLUICE_RETURN_IF_ERROR(pipeline.Resume(patterns));
  return Send(reply, Json{{"done", true}});
}

/// Rows as text, gathered into lines.
class TextRows {
 public:
  explicit TextRows(ControlReply& reply) : reply_(reply) {}

  Status Header(const std::vector<duckdb::SqlColumn>& columns) {
    Json list = Json::array();
    for (const duckdb::SqlColumn& column : columns) {
      Json one = Json::object();
      one["name"] = column.name;
      one["type"] = column.type;
      list.push_back(std::move(one));
    }
    Json line = Json::object();
    line["columns"] = std::move(list);
    return Send(reply_, line);
  }
  Status Row(const duckdb::SqlTextRow& row) {
    Json cells = Json::array();
    for (const auto& cell : row) {
      cells.push_back(cell ? Json(std::string(*cell)) : Json(nullptr));
      bytes_ += cell ? cell->size() + 4 : 4;
    }
    rows_.push_back(std::move(cells));
    return bytes_ < kLineBytes ? Status() : Flush();
  }
  Status Flush() {
    if (rows_.empty()) return {};
    Json line = Json::object();
    line["rows"] = std::exchange(rows_, Json::array());
    bytes_ = 0;
    return Send(reply_, line);
  }

 private:
  ControlReply& reply_;
  Json rows_ = Json::array();
  std::size_t bytes_ = 0;
};

/// An Arrow IPC stream, cut into lines as it grows.
class ArrowStream {
 public:
  explicit ArrowStream(ControlReply& reply) : reply_(reply) {}

  Status Header(const std::shared_ptr<arrow::Schema>& schema) {
    auto out = arrow::io::BufferOutputStream::Create();
    if (!out.ok()) return FromArrow(out.status());
    out_ = *out;
    auto writer = arrow::ipc::MakeStreamWriter(out_, schema);
    if (!writer.ok()) return FromArrow(writer.status());
    writer_ = *writer;
    return {};
  }
  Status Batch(const RowsPtr& rows) {
    if (const auto written = writer_->WriteRecordBatch(*rows); !written.ok()) {
      return FromArrow(written);
    }
    return Flush();
  }
  Status Close() {
    if (!writer_) return {};
    if (const auto closed = writer_->Close(); !closed.ok()) return FromArrow(closed);
    return Flush();
  }

 private:
  Status Flush() {
    const auto buffer = out_->Finish();
    if (!buffer.ok()) return FromArrow(buffer.status());
    const std::string_view bytes(**buffer);
    for (std::size_t at = 0; at < bytes.size(); at += kArrowPieceBytes) {
      Json line = Json::object();
      line["arrow"] = arrow::util::base64_encode(bytes.substr(at, kArrowPieceBytes));
      SLUICE_RETURN_IF_ERROR(Send(reply_, line));
    }
    if (const auto reset = out_->Reset(); !reset.ok()) return FromArrow(reset);
    return {};
  }

  ControlReply& reply_;
  std::shared_ptr<arrow::io::BufferOutputStream> out_;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
};

Result<std::unique_ptr<duckdb::SqlSession>> OpenSession(pipeline::Pipeline& pipeline) {
  const std::shared_ptr<Destination> destination = pipeline.destination();
  if (destination == nullptr) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "the destination is not open yet",
                 .code = "SLU-1023",
                 .advice = "try again when `sluice status` says running"};
  }
  auto* file = dynamic_cast<duckdb::DuckDbDestination*>(destination.get());
  if (file == nullptr) {
    return Error{.kind = ErrorKind::kUnsupported,
                 .message = "this destination answers no SQL",
                 .code = "SLU-1024"};
  }
  return file->Sql({});
}

Status Sql(pipeline::Pipeline& pipeline, const Json& request, ControlReply& reply) {
  SLUICE_ASSIGN_OR_RETURN(const std::string sql, TextOf(request, "sql"));
  SLUICE_ASSIGN_OR_RETURN(const auto session, OpenSession(pipeline));
  const std::stop_callback cancel(reply.stop_token(), [&] { session->Cancel(); });
  const auto format = request.find("format");
  if (format != request.end() && *format == "arrow") {
    ArrowStream stream(reply);
    SLUICE_RETURN_IF_ERROR(session->QueryArrow(
        sql, [&](const std::shared_ptr<arrow::Schema>& schema) { return stream.Header(schema); },
        [&](const RowsPtr& rows) { return stream.Batch(rows); }));
    SLUICE_RETURN_IF_ERROR(stream.Close());
  } else {
    TextRows rows(reply);
    SLUICE_RETURN_IF_ERROR(session->QueryText(
        sql, [&](const std::vector<duckdb::SqlColumn>& columns) { return rows.Header(columns); },
        [&](const duckdb::SqlTextRow& row) { return rows.Row(row); }));
    SLUICE_RETURN_IF_ERROR(rows.Flush());
  }
  return Send(reply, Json{{"done", true}});
}

Status Answer(pipeline::Pipeline& pipeline, const std::string& text, ControlReply& reply) {
  const Json request = Json::parse(text, nullptr, false);
  if (!request.is_object()) return BadRequest("not a JSON object");
  SLUICE_ASSIGN_OR_RETURN(const std::string command, TextOf(request, "command"));
  if (command != "ping" && command != "status") {
    pipeline.WaitForStart(kStartPatience, reply.stop_token());
  }
  if (command == "verify") return Verify(pipeline, request, reply);
  if (command == "repair") return Repair(pipeline, request, reply);
  if (command == "resync") return Resync(pipeline, request, reply);
  if (command == "resume") return Resume(pipeline, request, reply);
  if (command == "sql") return Sql(pipeline, request, reply);
  Json line = Json::object();
  if (command == "ping") {
    line["pipeline"] = pipeline.CurrentStatus().pipeline;
    line["pid"] = static_cast<std::int64_t>(::getpid());
    line["version"] = base::kVersion;
  } else if (command == "status") {
    line["status"] = StatusJson(pipeline.CurrentStatus());
  } else if (command == "tables") {
    line["tables"] = TablesJson(pipeline.CurrentStatus());
  } else {
    return BadRequest(fmt::format("no such command: {}", command));
  }
  return Send(reply, line);
}

}  // namespace

telemetry::ControlServer::Handler ControlHandler(pipeline::Pipeline& pipeline) {
  return [&pipeline](const std::string& text, ControlReply& reply) {
    Status answered;
    try {
      answered = Answer(pipeline, text, reply);
    } catch (const std::exception& e) {  // third parties, memory
      answered = Error{.message = e.what(), .code = "SLU-9001"};
    }
    if (answered) return;
    Json line = Json::object();
    line["error"] = ErrorJson(answered.error());
    static_cast<void>(Send(reply, line).has_value());  // the client may be gone: nobody to tell
  };
}

}  // namespace sluice::cli
