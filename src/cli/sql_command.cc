// sluice sql: one query on the mirror, through the running pipeline or on the file itself.
#include <arrow/io/stdio.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/util/base64.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/pipeline_client.h"
#include "cli/query_output.h"
#include "cli/screen.h"
#include "cli/status_json.h"
#include "pipeline/stored_state.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;

/// What a query may be long; the control socket takes a megabyte.
constexpr std::size_t kQueryBytesMax = 512 * 1024;

Error ReadError(const std::string& path, const std::string& why) {
  return {.kind = ErrorKind::kConfig,
          .message = "cannot read the query from " + path + ": " + why,
          .code = "SLU-1044"};
}

Result<std::string> ReadAll(std::FILE* file, const std::string& name) {
  std::string text(kQueryBytesMax + 1, '\0');
  const std::size_t got = std::fread(text.data(), 1, text.size(), file);
  if (std::ferror(file) != 0) {
    return ReadError(name, std::error_code(errno, std::generic_category()).message());
  }
  if (got > kQueryBytesMax) return ReadError(name, "it is larger than 512 KiB");
  text.resize(got);
  return text;
}

Result<std::string> ReadQuery(const Arguments& arguments) {
  if (const auto text = arguments.flag("command")) return *text;
  const std::string path = arguments.flag("file").value_or("-");
  if (path == "-") return ReadAll(stdin, "standard input");
  struct Close {
    void operator()(std::FILE* file) const { (void)std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rbe"));
  if (!file) {
    return ReadError(path, std::error_code(errno, std::generic_category()).message());
  }
  return ReadAll(file.get(), path);
}

Status WriteOut(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return {};
  return Error{.kind = ErrorKind::kConfig,
               .message = "cannot write to standard output: " +
                          std::error_code(errno, std::generic_category()).message(),
               .code = "SLU-1045"};
}

Error FromArrow(const arrow::Status& status) {
  return {.kind = ErrorKind::kInternal,
          .message = "the result cannot be written as Arrow: " + status.ToString(),
          .code = "SLU-9001"};
}

Result<bool> TakeRows(const Json& line, QueryOutput& output) {
  if (const auto columns = line.find("columns"); columns != line.end()) {
    std::vector<OutputColumn> header;
    for (const Json& column : *columns) {
      header.push_back({column.value("name", std::string()), column.value("type", std::string())});
    }
    SLUICE_RETURN_IF_ERROR(output.Header(header));
  }
  if (const auto rows = line.find("rows"); rows != line.end()) {
    OutputRow cells;
    for (const Json& row : *rows) {
      cells.clear();
      for (const Json& cell : row) {
        const auto* text = cell.get_ptr<const std::string*>();
        cells.push_back(text == nullptr ? std::nullopt : std::optional<std::string_view>(*text));
      }
      SLUICE_RETURN_IF_ERROR(output.Row(cells));
    }
  }
  return line.contains("done");
}

Status AskText(telemetry::ControlClient& client, const std::string& sql, QueryOutput& output) {
  Json request = Json::object();
  request["command"] = "sql";
  request["sql"] = sql;
  SLUICE_RETURN_IF_ERROR(
      Ask(client, request, [&](const Json& line) { return TakeRows(line, output); }));
  return output.Finish();
}

Status AskArrow(telemetry::ControlClient& client, const std::string& sql) {
  Json request = Json::object();
  request["command"] = "sql";
  request["sql"] = sql;
  request["format"] = "arrow";
  return Ask(client, request, [&](const Json& line) -> Result<bool> {
    const auto piece = line.find("arrow");
    if (piece != line.end() && piece->is_string()) {
      auto bytes = arrow::util::base64_decode(piece->get<std::string>());
      if (!bytes.ok()) return FromArrow(bytes.status());
      SLUICE_RETURN_IF_ERROR(WriteOut(*bytes));
    }
    return line.contains("done");
  });
}

Status QueryText(duckdb::SqlSession& session, const std::string& sql, QueryOutput& output) {
  SLUICE_RETURN_IF_ERROR(session.QueryText(
      sql,
      [&](const std::vector<duckdb::SqlColumn>& columns) {
        std::vector<OutputColumn> header;
        for (const duckdb::SqlColumn& column : columns) {
          header.push_back({column.name, column.type});
        }
        return output.Header(header);
      },
      [&](const duckdb::SqlTextRow& row) { return output.Row(row); }));
  return output.Finish();
}

Status QueryArrow(duckdb::SqlSession& session, const std::string& sql) {
  arrow::io::StdoutStream out;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer;
  SLUICE_RETURN_IF_ERROR(session.QueryArrow(
      sql,
      [&](const std::shared_ptr<arrow::Schema>& schema) -> Status {
        auto made = arrow::ipc::MakeStreamWriter(&out, schema);
        if (!made.ok()) return FromArrow(made.status());
        writer = *made;
        return {};
      },
      [&](const RowsPtr& rows) -> Status {
        const auto written = writer->WriteRecordBatch(*rows);
        return written.ok() ? Status() : FromArrow(written);
      }));
  if (!writer) return {};
  const auto closed = writer->Close();
  return closed.ok() ? Status() : FromArrow(closed);
}

OutputFormat FormatOf(const Arguments& arguments) {
  if (arguments.has("json")) return OutputFormat::kJson;
  if (arguments.has("csv")) return OutputFormat::kCsv;
  return IsTerminal(stdout) ? OutputFormat::kTable : OutputFormat::kCsv;
}

Status Query(const Arguments& arguments, const std::string& sql) {
  SLUICE_ASSIGN_OR_RETURN(const config::RunOptions options, LoadOptionsFor(arguments));
  SLUICE_ASSIGN_OR_RETURN(std::optional<telemetry::ControlClient> client, FindRunning(options));
  if (!client) SLUICE_RETURN_IF_ERROR(RequireEnds(options, false, true));
  const bool is_arrow = arguments.has("arrow");
  const std::unique_ptr<QueryOutput> output = MakeQueryOutput(FormatOf(arguments), WriteOut);
  if (client) return is_arrow ? AskArrow(*client, sql) : AskText(*client, sql, *output);
  SLUICE_ASSIGN_OR_RETURN(const pipeline::OpenedSql opened,
                          pipeline::OpenSql(options.pipeline, {}));
  return is_arrow ? QueryArrow(*opened.session, sql) : QueryText(*opened.session, sql, *output);
}

}  // namespace

int RunSql(const Arguments& arguments) {
  int formats = 0;
  for (const char* name : {"json", "csv", "arrow"}) formats += arguments.has(name) ? 1 : 0;
  if (formats > 1) return ReportUsage("sql", "--json, --csv and --arrow exclude each other");
  const bool has_query = arguments.has("command") || arguments.has("file");
  if (arguments.has("command") && arguments.has("file")) {
    return ReportUsage("sql", "-c and -f exclude each other");
  }
  if (!has_query && IsTerminal(stdin)) return ReportUsage("sql", "give a query with -c or -f");
  if (arguments.has("arrow") && IsTerminal(stdout)) {
    return ReportUsage("sql", "--arrow is binary: write it to a file or a pipe");
  }
  const Result<std::string> sql = ReadQuery(arguments);
  if (!sql) return ReportError(sql.error(), ExitCodeOfAnswer(sql.error()));
  const Status status = WithPatience([&] { return Query(arguments, *sql); });
  if (!status) return ReportError(status.error(), ExitCodeOfAnswer(status.error()));
  if (std::fflush(stdout) != 0) {
    return ReportError({.kind = ErrorKind::kConfig,
                        .message = "cannot write to standard output",
                        .code = "SLU-1045"},
                       kExitPerson);
  }
  return kExitDone;
}

}  // namespace sluice::cli
