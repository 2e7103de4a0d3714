#include "pipeline/session.h"

#include <pthread.h>

#include <algorithm>
#include <random>
#include <utility>

#include "base/backoff.h"
#include "base/failpoint.h"
#include "base/sleep.h"
#include "pipeline/birth.h"
#include "pipeline/compare_rows.h"
#include "types/hidden_columns.h"

namespace sluice::pipeline {
namespace {

/// What reads by SQL and is dead has let the slot go by then (CatchUpReader::Open()).
constexpr Duration kDeadPeerMax = std::chrono::seconds(45);
constexpr Duration kFirstWait = std::chrono::milliseconds(100);
constexpr Duration kLongestWait = std::chrono::seconds(10);
/// So many internal errors of the server in a row, at one position, are no accident.
constexpr int kInternalErrorsMax = 6;
/// A walsender that reorders one huge transaction of tables we do not follow says nothing either.
constexpr int kSilencePatienceMax = 16;
/// An interrupt reaches what the destination does at that moment, not what it does next.
constexpr Duration kInterruptAgain = std::chrono::milliseconds(50);

engine::CopyPoolOptions PoolOptionsOf(const SessionOptions& options, const Birth& birth,
                                      std::function<void()> on_missing,
                                      engine::CompareRows compare) {
  engine::CopyPoolOptions pool;
  pool.workers = options.pipeline->copy_workers;
  pool.range.bytes = options.pipeline->copy_range_bytes;
  pool.range.bytes_most = options.pipeline->copy_range_bytes_most;
  pool.publication = birth.publication;
  if (options.pipeline->acknowledges) pool.on_missing = std::move(on_missing);
  pool.wal_segment_bytes = options.wal_segment_bytes;
  pool.compare = std::move(compare);
  pool.is_compared = IsToBeCompared;
  pool.batch_bytes =
      std::min(pool.batch_bytes, std::max<std::size_t>(options.memory.batch / 2, 1U << 20));
  return pool;
}

}  // namespace

Session::Session(SessionOptions options, Connect connect, Destination& destination,
                 DeliveryState state, types::TypeCatalog types, engine::Progress& progress,
                 engine::LatencyWindow& latency, telemetry::Logger& logger)
    : options_(std::move(options)),
      connect_(std::move(connect)),
      destination_(destination),
      birth_(state.birth.value_or(Birth{})),
      progress_(progress),
      logger_(logger),
      registry_([this] { return connect_("catalog", false); }, birth_.publication,
                std::move(types)),
      writer_(destination, state, WriterOptionsOf(), progress, latency, logger),
      pool_(
          PoolOptionsOf(
              options_, birth_, [this] { watch_.Wake(); },
              [this](const engine::OldRows& rows, std::stop_token stop) {
                return CompareOldRows(rows, destination_, logger_, std::move(stop));
              }),
          [this](const std::string& role) { return connect_(role, false); }, writer_, destination,
          registry_, progress, logger),
      control_(
          {birth_.slot, birth_.publication, birth_.owns_publication,
           [this](bool has_trigger) {
             if (has_trigger != gets_messages_.load()) restart_stream_.Wish();
           },
           [this](const postgres::SlotRow& slot) { LookAtLag(slot); },
           options_.pipeline->acknowledges ? options_.pipeline->wal_budget
                                           : engine::WalBudgetOptions{},
           [this](const Error& error) { Fail(error); }, options_.facts.is_in_recovery},
          [this] { return connect_("control", false); }, writer_, registry_, progress, logger),
      watch_({.options = *options_.pipeline,
              .birth = birth_,
              .writer = writer_,
              .pool = pool_,
              .registry = registry_,
              .destination = destination,
              .progress = progress,
              .logger = logger,
              .read_companion = read_companion_,
              .restart_stream = restart_stream_},
             options_.selection, options_.facts, options_.wal_segment_bytes,
             [this] { return connect_("tables", false); }),
      ddl_messages_(registry_,
                    [this] {
                      control_.LookSoon();
                      watch_.LookSoon();
                    }),
      watches_tables_(options_.pipeline->acknowledges),
      held_timeout_(options_.wal_sender_timeout + std::chrono::seconds(5)) {
  for (const TableRecord& table : state.tables) {
    // What its rows are placed behind: while it is copied in ranges, the version of these.
    const SchemaPtr& known = table.ranges ? table.ranges->schema : table.schema;
    if (known) registry_.RememberHidden(table.relation, *known);
    if (table.state != TableState::kSkipped)
      registry_.AddTable(table.relation, table.source, known);
    if (table.state == TableState::kHalted) registry_.SetRaw(table.relation, true);
  }
  if (watches_tables_) {
    registry_.TakeUnknown([this](const TableName& name) { return watch_.Wants(name); },
                          [this] { watch_.Wake(); });
  }
}

engine::WriterOptions Session::WriterOptionsOf() {
  engine::WriterOptions writer;
  writer.spill_dir = options_.pipeline->state_dir;
  writer.held_memory_bytes = options_.memory.held;
  writer.inbox_bytes = options_.memory.inbox;
  writer.landing_bytes = options_.memory.batch;
  writer.names = options_.pipeline->names;
  writer.rules = options_.pipeline->tables;
  writer.keep_bytes = options_.keep_halted_bytes;
  writer.keep_for = options_.pipeline->keep_halted_for;
  writer.on_raw = [this](RelationId relation, bool is_raw, bool again) {
    registry_.SetRaw(relation, is_raw);
    if (again) restart_stream_.Wish();
  };
  writer.redeclare = [this](const SchemaPtr& version) { return registry_.Redeclare(version); };
  return writer;
}

Session::~Session() {
  (void)Stop(Clock::now());
}

void Session::Start() {
  writer_thread_ = std::jthread([this] {
    pthread_setname_np(pthread_self(), "deliver");
    WriterThread();
  });
  stream_thread_ = std::jthread([this](std::stop_token stop) {
    pthread_setname_np(pthread_self(), "stream");
    StreamThread(std::move(stop));
  });
  if (options_.pipeline->copy_existing) pool_.Start();
  control_.Start();
  if (watches_tables_) watch_.Start();
}

std::optional<Error> Session::Failure() const {
  const base::MutexLock lock(mutex_);
  return failure_;
}

std::string Session::last_stream_error() const {
  const base::MutexLock lock(mutex_);
  return stream_error_;
}

void Session::Fail(const Error& error) {
  if (error.kind == ErrorKind::kCancelled && is_stopping_.load()) return;
  const base::MutexLock lock(mutex_);
  if (!failure_) failure_ = error;
}

/// A walsender that fails to decode a record fails there each time.
void Session::FailToDecode(Error error) {
  error.kind = ErrorKind::kConfig;
  // The start was refused again and again, for a slot in which the looks find nothing wrong.
  if (error.code == "SLU-2102" || error.code == "SLU-2108") return Fail(error);
  const std::optional<Lsn> named = postgres::DecodedPlace(error.server_message);
  const Lsn place = named.value_or(progress_.durable.Load());
  error.code = "SLU-2111";
  error.message = "the server cannot decode its log " +
                  (named ? "at " + ToString(place)
                         : "somewhere behind " + ToString(place) + ", where the mirror stands") +
                  ": SQLSTATE " + error.sqlstate;
  error.advice =
      "correct what raises, such as a row filter; then `sluice run` with --skip-transaction " +
      ToString(place) + " goes on behind it, and compares every table";
  {
    const base::MutexLock lock(mutex_);
    undecodable_at_ = place;
  }
  Fail(error);
}

std::optional<Lsn> Session::undecodable_at() const {
  const base::MutexLock lock(mutex_);
  return undecodable_at_;
}

std::string Session::stream_server() const {
  const base::MutexLock lock(mutex_);
  return stream_server_;
}

void Session::NoteStreamError(const std::string& message) {
  const base::MutexLock lock(mutex_);
  stream_error_ = message;
}

void Session::WriterThread() {
  const Status ended = writer_.Run();
  if (!ended) Fail(ended.error());
  writer_.fence().Close();
  writer_.inbox().Stop();
}

void Session::StreamThread(std::stop_token stop) {
  base::Backoff backoff(kFirstWait, kLongestWait);
  std::mt19937 random{std::random_device{}()};
  Clock::time_point last_useful = Clock::now();
  Clock::time_point held_since{};  // default: not held
  int internal_errors = 0;
  bool has_read_by_sql = false;
  while (!stop.stop_requested()) {
    const std::int64_t transactions_before = progress_.transactions.load();
    const Clock::time_point began = Clock::now();
    const Status ended = RunStream(stop);
    progress_.source_connected.store(false);
    // Not to the writer's time: the slot is free, and a server that shuts down waits for us no
    // more.
    const bool says_goodbye =
        ended || ended.error().kind == ErrorKind::kCancelled || ended.error().code == "SLU-3093";
    if (reader_ && (progress_.lets_go.load() || !says_goodbye)) reader_->Disconnect();
    has_read_by_sql = has_read_by_sql || progress_.reads_by_sql.load();
    // Also at a stop: inside an unfinished transaction the writer takes no calls, and whoever waits
    // for one (copies, control) would never end.
    writer_.inbox().PushStreamLostAndWait();
    if (ended) return;  // stopped; what was whole has been handed on
    if (ended.error().kind == ErrorKind::kCancelled) return;
    // The slot is let go before it is read in the other way.
    if (ended.error().code == "SLU-3093" && reader_) reader_->SendLastFeedback();
    reader_.reset();
    if (ended.error().code == "SLU-3024") {
      Fail(ended.error());  // the destination is opened again, and the timeline stored
      return;
    }
    const bool is_wanted = ended.error().code == "SLU-3090" || ended.error().code == "SLU-3091" ||
                           ended.error().code == "SLU-3093";
    const bool is_caught_up = ended.error().code == "SLU-3093" && progress_.reads_by_sql.load() &&
                              Clock::now() >= catch_up_after_.load();
    if (is_caught_up) catch_up_pause_ = kCatchUpPause;
    if (is_wanted) logger_.Info("{} ({})", ended.error().message, ended.error().code);
    if (is_wanted) continue;
    // A walsender that was killed lingers; one that stays belongs to somebody.
    if (ended.error().code != "SLU-2105") held_since = {};
    if (ended.error().code == "SLU-2105" && held_since == Clock::time_point{}) {
      held_since = Clock::now();
    }
    // SLU-2102, SLU-2108: the slot went between the look and the start, which the next look says.
    const bool is_internal = ended.error().sqlstate.starts_with("XX") ||
                             ended.error().code == "SLU-2102" || ended.error().code == "SLU-2108";
    const bool brought_nothing = progress_.transactions.load() == transactions_before;
    if (brought_nothing && progress_.reads_by_sql.load() && ended.error().code != "SLU-2105")
      GiveUpCatchUp();
    const bool was_silent = ended.error().code == "SLU-2113" && brought_nothing;
    silence_patience_ = was_silent ? std::min(silence_patience_ * 2, kSilencePatienceMax) : 1;
    internal_errors = is_internal && brought_nothing ? internal_errors + 1 : 0;
    if (internal_errors >= kInternalErrorsMax) {
      FailToDecode(ended.error());
      return;
    }
    const Duration patience =
        has_read_by_sql ? std::max(held_timeout_, kDeadPeerMax) : held_timeout_;
    const bool is_held = held_since != Clock::time_point{} && Clock::now() - held_since > patience;
    if (ended.error().code == "SLU-2111") {
      FailToDecode(ended.error());
      return;
    }
    if (is_held || !base::IsRetryable(ended.error().kind)) {
      Fail(ended.error());
      return;
    }
    const bool was_useful = !brought_nothing || (ended.error().code != "SLU-2113" &&
                                                 Clock::now() - began > std::chrono::seconds(30));
    if (was_useful) {
      backoff.Reset();
      last_useful = Clock::now();
    }
    if (options_.retry_for && Clock::now() - last_useful > *options_.retry_for) {
      Error error = ended.error();
      error.code = error.code.empty() ? "SLU-2007" : error.code;
      Fail(Error{.kind = ErrorKind::kAuth,  // not retryable any more; the code says what it was
                 .message = "gave up reconnecting: " + error.message,
                 .server_message = error.server_message,
                 .sqlstate = error.sqlstate,
                 .code = "SLU-3092",
                 .advice = error.advice});
      return;
    }
    SLUICE_FAILPOINT("stream.reconnect");
    ++progress_.retries_source;
    NoteStreamError(ended.error().message);
    const Duration wait = backoff.Next(static_cast<std::uint32_t>(random()));
    logger_.Warn("the stream broke and is opened again in {} ms: {} ({})",
                 std::chrono::duration_cast<std::chrono::milliseconds>(wait).count(),
                 ended.error().message, ended.error().code);
    base::SleepFor(wait, stop);
  }
}

void Session::LetGoOfSource() {
  progress_.lets_go.store(true);
  stream_thread_.request_stop();
}

void Session::RestartStream(Clock::time_point deadline) {
  const std::uint64_t wish = restart_stream_.Wish();
  while (!restart_stream_.is_met(wish) && Clock::now() < deadline && !Failure()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Status Session::Stop(Clock::time_point deadline) {
  if (is_stopping_.exchange(true)) return {};
  // Whoever waits below waits for the writer in the end, and the writer for the destination.
  bool was_interrupted = false;  // the watchdog's until it is joined
  std::jthread watchdog([this, deadline, &was_interrupted](std::stop_token done) {
    base::SleepFor(deadline - Clock::now(), done);
    if (done.stop_requested()) return;
    logger_.Warn(
        "the destination is still busy: what is not committed is rolled back and read again next "
        "time");
    was_interrupted = true;
    while (!done.stop_requested()) {
      writer_.Interrupt();
      base::SleepFor(kInterruptAgain, done);
    }
  });
  writer_.GiveUpFences();
  stream_thread_.request_stop();
  pool_.Stop();
  if (stream_thread_.joinable()) stream_thread_.join();
  const Status copied = pool_.Join();
  control_.Stop();
  watch_.Stop();
  writer_.inbox().Close();
  if (writer_thread_.joinable()) writer_thread_.join();
  watchdog.request_stop();
  watchdog.join();
  SLUICE_FAILPOINT("stop.drained");
  if (reader_) reader_->SendLastFeedback();
  SLUICE_FAILPOINT("stop.acknowledge");
  reader_.reset();
  const std::optional<Error> failure = Failure();
  if (failure && was_interrupted && base::IsRetryable(failure->kind)) {
    return Error{.kind = ErrorKind::kCancelled, .message = "what was not committed is rolled back"};
  }
  if (failure) return *failure;
  return copied;
}

}  // namespace sluice::pipeline
