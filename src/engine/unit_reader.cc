#include "engine/unit_reader.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>

#include "base/failpoint.h"
#include "base/sleep.h"
#include "replication/key_ranges.h"

namespace sluice::engine {
namespace {

constexpr Duration kPauseLook = std::chrono::milliseconds(100);
/// A COPY may be silent for long, behind a filter; then its session is looked at.
constexpr Duration kSilenceMax = std::chrono::seconds(20);
/// Then a helper looks whether another table waits.
constexpr int kSharesPerVisit = 8;

}  // namespace

ShadowWriter::ShadowWriter(CopyWriter& writer)
    : queue_(2), thread_([this, &writer] {
        pthread_setname_np(pthread_self(), "copy-write");
        while (std::optional<CopiedRows> rows = queue_.Pop({})) {
          if (failed_.load()) continue;
          status_ = writer.Append(*rows);
          if (!status_) failed_.store(true);
        }
      }) {}

bool ShadowWriter::Write(CopiedRows rows, std::stop_token stop) {
  while (!failed_.load() && !stop.stop_requested()) {
    if (queue_.PushUntil(rows, 1, Clock::now() + std::chrono::milliseconds(200), stop)) return true;
  }
  return false;
}

Status ShadowWriter::Finish() {
  queue_.Close();
  if (thread_.joinable()) thread_.join();
  return status_;
}

UnitReader::UnitReader(UnitReaderOptions options, ShadowWriter& writer, Progress& progress)
    : options_(std::move(options)),
      writer_(writer),
      progress_(progress),
      format_(options_.statement.is_binary ? columnar::CopyFormat::kBinary
                                           : columnar::CopyFormat::kText) {}

Status UnitReader::Read(postgres::Connection& connection, std::string range, std::stop_token stop) {
  postgres::CopyStatement statement = options_.statement;
  statement.range = std::move(range);
  const int backend = connection.backend_pid();
  SLUICE_ASSIGN_OR_RETURN(
      postgres::CopyReader reader,
      postgres::CopyReader::Start(connection, postgres::CopySql(statement),
                                  {.idle_timeout = kSilenceMax, .is_at_work = [this, backend] {
                                     return options_.is_at_work(backend);
                                   }}));
  columnar::CopyDecoder decoder(options_.schema, format_);
  std::uint64_t counted = 0;
  for (;;) {
    const auto messages = reader.NextRows(stop);
    if (!messages) return postgres::RefineCopyError(messages.error(), statement.table);
    if (messages->empty()) break;
    for (const postgres::CopyReader::Message& message : *messages) {
      SLUICE_RETURN_IF_ERROR(decoder.Append(message));
    }
    const std::uint64_t received = reader.received_bytes();
    bytes_ += received - counted;
    counted = received;
    if (options_.read_bytes_max > 0 && received > options_.read_bytes_max)
      return replication::RangesAgainError("a range has far more rows than the statistics say");
    if (decoder.row_count() >= options_.batch_rows || decoder.bytes() >= options_.batch_bytes) {
      SLUICE_RETURN_IF_ERROR(HandOn(decoder, stop));
    }
  }
  SLUICE_RETURN_IF_ERROR(decoder.CheckComplete());
  return decoder.row_count() > 0 ? HandOn(decoder, stop) : Status{};
}

Status UnitReader::HandOn(columnar::CopyDecoder& decoder, const std::stop_token& stop) {
  while (progress_.copies_pause.load() && !stop.stop_requested()) {
    base::SleepFor(kPauseLook, stop);
  }
  const auto row_count = static_cast<std::int64_t>(decoder.row_count());
  CopiedRows rows = decoder.Finish();
  if (!rows.misfits.empty()) {
    const std::scoped_lock lock(mutex_);
    CountMisfits(*options_.schema, rows.misfits, misfits_);
  }
  if (!writer_.Write(std::move(rows), stop)) {
    return Error{.kind = ErrorKind::kCancelled, .message = "the copy was stopped"};
  }
  SLUICE_FAILPOINT("copy.rows");
  rows_ += row_count;
  progress_.rows_copied += row_count;
  options_.report(rows_.load(), bytes_.load());
  return {};
}

std::optional<std::string> PageShares::Take() {
  const std::uint64_t first = next_.fetch_add(step_);
  if (first >= pages_) return std::nullopt;
  std::string range = "ctid >= '(" + std::to_string(first) + ",0)'::pg_catalog.tid";
  if (first + step_ < pages_)
    range += " AND ctid < '(" + std::to_string(first + step_) + ",0)'::pg_catalog.tid";
  return range;
}

Status SharedRead::ReadAll(postgres::Connection& connection, const std::stop_token& stop) {
  Status read;
  while (read && !has_failed_.load()) {
    std::optional<std::string> range = pages_.Take();
    if (!range) break;
    read = reader_.Read(connection, *std::move(range), stop);
  }
  if (!read) Fail(read.error());
  std::unique_lock lock(mutex_);
  may_join_ = false;
  all_left_.wait(lock, [this] { return helpers_ == 0; });
  return failure_ ? Status(*failure_) : Status{};
}

bool SharedRead::TryJoin() {
  const std::scoped_lock lock(mutex_);
  if (!may_join_ || has_failed_.load() || pages_.is_empty()) return false;
  ++helpers_;
  return true;
}

void SharedRead::Help(const std::function<Result<postgres::Connection>()>& connect,
                      Duration lock_timeout, const std::stop_token& stop) {
  const auto prepare = [&]() -> Result<postgres::Connection> {
    SLUICE_ASSIGN_OR_RETURN(postgres::Connection connection, connect());
    SLUICE_RETURN_IF_ERROR(postgres::ImportSnapshot(connection, snapshot_, stop));
    SLUICE_RETURN_IF_ERROR(postgres::LockForReading(connection, table_, lock_timeout));
    return connection;
  };
  Result<postgres::Connection> connection = prepare();
  Status read;
  if (connection) read = HelpOn(*connection, stop);
  if (!read) Fail(read.error());
  const std::scoped_lock lock(mutex_);
  if (!connection) may_join_ = false;
  --helpers_;
  all_left_.notify_all();
}

Status SharedRead::HelpOn(postgres::Connection& connection, const std::stop_token& stop) {
  for (int i = 0; i < kSharesPerVisit && !has_failed_.load(); ++i) {
    std::optional<std::string> range = pages_.Take();
    if (!range) break;
    SLUICE_RETURN_IF_ERROR(reader_.Read(connection, *std::move(range), stop));
  }
  return {};
}

/// The first failure counts; those that it causes elsewhere are none of their own.
void SharedRead::Fail(Error error) {
  const std::scoped_lock lock(mutex_);
  if (!failure_) failure_ = std::move(error);
  has_failed_.store(true);
  reader_.GiveUp();
}

}  // namespace sluice::engine
