#include "postgres/copy_reader.h"

#include <utility>

#include "postgres/copy_source.h"
#include "postgres/quote.h"
#include "postgres/socket_wait.h"

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kDoing = "copy a table";
constexpr int kLowWater = 128 * 1024;
constexpr Duration kHighWait = 2ms;
constexpr std::size_t kRowsMax = 16 * 1024;

}  // namespace

namespace {

/// An error that nothing else raises, before the first row.
constexpr std::string_view kOtherTable = "sluice.this_is_another_table";

/// The name is looked up together with the one of FROM; the planner leaves a condition that is true
/// away.
std::string IsTableSql(const CopyStatement& statement) {
  return "CASE WHEN " + QuoteLiteral(QuoteTable(statement.table)) +
         "::pg_catalog.regclass::pg_catalog.oid = " + std::to_string(statement.relation.value) +
         "::pg_catalog.oid THEN true ELSE pg_catalog.current_setting(" + QuoteLiteral(kOtherTable) +
         ") IS NULL END";
}

}  // namespace

Error RefineCopyError(Error error, const TableName& table) {
  const bool is_other =
      error.sqlstate == "42P01" || error.sqlstate == "3F000" ||
      (error.sqlstate == "42704" && error.server_message.find(kOtherTable) != std::string::npos);
  if (!is_other) return error;
  error.kind = ErrorKind::kConfig;
  error.code = "SLU-2103";
  error.message = "a table was dropped or renamed during its copy: " + ToString(table);
  return error;
}

std::string CopySql(const CopyStatement& statement) {
  std::string sql = "COPY (SELECT ";
  for (const std::string& column : statement.columns) {
    if (&column != statement.columns.data()) sql += ", ";
    sql += QuoteIdentifier(column);
  }
  sql += " FROM ";
  if (statement.is_only) sql += "ONLY ";
  sql += QuoteTable(statement.table);
  std::string_view joint = " WHERE (";
  const std::string is_table = statement.relation.value == 0 ? "" : IsTableSql(statement);
  for (const std::string* condition : {&is_table, &statement.row_filter, &statement.range}) {
    if (condition->empty()) continue;
    sql.append(joint).append(*condition).append(")");
    joint = " AND (";
  }
  return sql + ") TO STDOUT (FORMAT " + (statement.is_binary ? "binary" : "text") + ")";
}

CopyReader::CopyReader(std::unique_ptr<Source> source) : source_(std::move(source)) {}
CopyReader::~CopyReader() = default;
CopyReader::CopyReader(CopyReader&&) noexcept = default;
CopyReader& CopyReader::operator=(CopyReader&&) noexcept = default;

Result<CopyReader> CopyReader::Start(Connection& connection, std::string_view sql,
                                     const CopyReaderOptions& options) {
  if (!connection.is_alive()) return connection.LastError(kDoing);
  std::unique_ptr<Source> source;
  if (options.may_read_raw && !connection.is_encrypted()) {
    source = std::make_unique<RawSource>(connection, options);
  } else {
    source = std::make_unique<LibpqSource>(connection, options);
  }
  SLUICE_RETURN_IF_ERROR(source->Begin(sql));
  return CopyReader(std::move(source));
}

Result<std::span<const CopyReader::Message>> CopyReader::NextRows(std::stop_token stop) {
  return source_->Next(std::move(stop));
}
std::size_t CopyReader::received_bytes() const {
  return source_->received_bytes;
}
bool CopyReader::is_raw() const {
  return source_->is_raw();
}

CopyReader::LibpqSource::~LibpqSource() {
  low_water_.Set(1);
  if (is_running_) (void)connection_.Cancel();
}

Status CopyReader::LibpqSource::Begin(std::string_view sql) {
  SLUICE_RETURN_IF_ERROR(connection_.Start(kDoing, sql));
  is_running_ = true;
  return {};
}

// Takes what libpq has buffered; true: the COPY has ended.
Result<bool> CopyReader::LibpqSource::Drain() {
  const std::size_t before = received_bytes;
  while (received_bytes - before < options_.batch_bytes_max && messages_.size() < kRowsMax) {
    char* row = nullptr;
    const int size = PQgetCopyData(connection_.native(), &row, 1);
    if (size == -2) return connection_.LastError(kDoing);
    if (size == -1) return true;
    if (size == 0) return false;
    rows_.emplace_back(row);
    const auto length = static_cast<std::size_t>(size);
    messages_.emplace_back(reinterpret_cast<const std::byte*>(row),  // NOLINT: bytes are chars
                           length);
    received_bytes += length;
  }
  return false;
}

// true: something came; false: stopped, or nothing for too long.
Result<bool> CopyReader::LibpqSource::Wait(const std::stop_token& stop) {
  const Clock::time_point now = Clock::now();
  Clock::time_point idle = options_.idle_timeout >= Clock::time_point::max() - now
                               ? Clock::time_point::max()
                               : now + options_.idle_timeout;
  low_water_.Set(kLowWater);
  Readiness ready = Readiness::kDeadline;
  if (low_water_.is_effective()) {
    ready = WaitSocket(PQsocket(connection_.native()), {}, now + kHighWait, stop);
    low_water_.Set(1);
  }
  while (ready == Readiness::kDeadline) {
    ready = WaitSocket(PQsocket(connection_.native()), {}, idle, stop);
    if (ready != Readiness::kDeadline || !options_.is_at_work) break;
    if (!options_.is_at_work()) {
      is_running_ = false;
      connection_.Break();
      return Error{.kind = ErrorKind::kConnection,
                   .message = "cannot " + std::string(kDoing) + ": " + std::string(kSilent),
                   .code = "SLU-2007",
                   .advice = "Sluice connects again by itself"};
    }
    idle = Clock::now() + options_.idle_timeout;
  }
  if (ready != Readiness::kReady) return false;
  if (PQconsumeInput(connection_.native()) == 0) return connection_.LastError(kDoing);
  return true;
}

Status CopyReader::LibpqSource::Finish() {
  is_running_ = false;
  low_water_.Set(1);
  SLUICE_ASSIGN_OR_RETURN(const auto result,
                          connection_.Poll(Clock::now() + connection_.statement_timeout()));
  if (result) return {};
  SLUICE_RETURN_IF_ERROR(connection_.Cancel());
  return Error{.kind = ErrorKind::kTimeout,
               .message = "the server did not end a COPY in time",
               .code = "SLU-2008"};
}

Result<std::span<const CopyReader::Message>> CopyReader::LibpqSource::Next(std::stop_token stop) {
  messages_.clear();
  rows_.clear();
  if (!is_running_) return std::span<const Message>();
  if (!has_started_) {
    // Up to the server's CopyOutResponse, or its error.
    auto started = connection_.Poll(Clock::time_point::max(), stop);
    if (!started || (*started && (*started)->status() != PGRES_COPY_OUT)) {
      is_running_ = false;
      if (!started) return std::move(started).error();
      return Error{.kind = ErrorKind::kProtocol,
                   .message = "the server did not answer COPY with rows",
                   .code = "SLU-2019"};
    }
    has_started_ = started->has_value();
  }
  while (!stop.stop_requested()) {
    SLUICE_ASSIGN_OR_RETURN(const bool has_ended, Drain());
    if (has_ended) SLUICE_RETURN_IF_ERROR(Finish());
    if (has_ended || !messages_.empty()) return std::span<const Message>(messages_);
    SLUICE_ASSIGN_OR_RETURN(const bool came, Wait(stop));
    if (!came) break;
  }
  is_running_ = false;
  low_water_.Set(1);
  SLUICE_RETURN_IF_ERROR(connection_.Cancel());
  const bool is_stop = stop.stop_requested();
  return Error{.kind = is_stop ? ErrorKind::kCancelled : ErrorKind::kTimeout,
               .message = is_stop ? "stopped while copying" : "no row came for too long",
               .code = is_stop ? "" : "SLU-2008"};
}

}  // namespace sluice::postgres
