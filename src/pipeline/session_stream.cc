/// The log's way to the engine: who is asked before each start, as a stream or by SQL.
#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "base/units.h"
#include "engine/catch_up_feed.h"
#include "engine/walsender_feed.h"
#include "pipeline/birth.h"
#include "pipeline/session.h"
#include "postgres/ddl_trigger.h"
#include "postgres/publication.h"
#include "replication/catch_up.h"
#include "replication/position_tracker.h"

namespace sluice::pipeline {
namespace {

constexpr Duration kLastWords = std::chrono::seconds(1);
/// What could not be read by SQL is not tried so again for so long.
constexpr Duration kCatchUpPauseMax = std::chrono::hours(1);
/// Without a byte for so long, although asked, the source's connection is given up: see
/// SilenceMax().
constexpr Duration kSilenceLeast = std::chrono::seconds(10);
constexpr Duration kSilenceDefault = std::chrono::seconds(60);

/// How long the source may take to answer a sign of life, as its own walsender expects of us.
Duration SilenceMax(Duration wal_sender_timeout) {
  return wal_sender_timeout <= Duration::zero() ? kSilenceDefault
                                                : std::max(kSilenceLeast, wal_sender_timeout);
}

}  // namespace

Status Session::RunStream(std::stop_token stop) {
  Lsn start;
  replication::StartPoint past;
  leave_stream_.store(false);
  if (!stop.stop_requested()) progress_.lets_go.store(false);
  progress_.reads_by_sql.store(false);
  const std::uint64_t begun_with = restart_stream_.StartBegins();
  SLUICE_ASSIGN_OR_RETURN(std::unique_ptr<engine::LogFeed> feed, StartStream(start, past, stop));
  SLUICE_FAILPOINT("stream.started");
  engine::StreamReaderOptions reader_options;
  reader_options.assembler.batch_rows = options_.pipeline->batch_rows;
  reader_options.assembler.batch_bytes = options_.memory.batch;
  reader_options.assembler.batch_columns = options_.memory.columns;
  reader_options.assembler.staging_bytes = options_.memory.staging;
  reader_options.assembler.knows_past = past.knows_past;
  if (progress_.reads_by_sql.load()) reader_options.assembler.asked_from = past.start_lsn;
  reader_options.batch_age = options_.pipeline->batch_age;
  reader_options.feedback_interval = std::min<Duration>(
      replication::FeedbackInterval(options_.wal_sender_timeout), std::chrono::seconds(4));
  // Who asks by SQL waits with a limit of its own.
  reader_options.silence_max = progress_.reads_by_sql.load()
                                   ? Duration::max()
                                   : SilenceMax(options_.wal_sender_timeout) * silence_patience_;
  reader_options.spill_dir = options_.pipeline->state_dir;
  if (!options_.pipeline->acknowledges) reader_options.acknowledge_limit = Lsn{};
  restart_stream_.Started(begun_with);
  reader_options.restart = &restart_stream_;
  reader_options.leave = &leave_stream_;
  reader_options.listener = &ddl_messages_;
  reader_ = std::make_unique<engine::StreamReader>(
      std::move(feed), start, progress_.processed.Load(), past.witness, registry_,
      std::move(reader_options), writer_.inbox(), progress_, logger_);
  progress_.source_connected.store(true);
  NoteStreamError("");
  return reader_->Run(std::move(stop));
}

/// Every start asks again: is this the source that was copied, and has its slot everything we need?
Result<std::unique_ptr<engine::LogFeed>> Session::StartStream(Lsn& start,
                                                              replication::StartPoint& past,
                                                              const std::stop_token& stop) {
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection control, connect_("connect", false));
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection replication, connect_("stream", true));
  SLUICE_ASSIGN_OR_RETURN(replication::SourceFacts facts,
                          ReadSourceFacts(control, replication, birth_));
  // A walsender that was killed lingers: START_REPLICATION says so, and is tried again.
  if (facts.slot) facts.slot->is_active = false;
  SLUICE_ASSIGN_OR_RETURN(const Durable durable, ReadDurable());
  SLUICE_ASSIGN_OR_RETURN(
      const postgres::QueryResult server,
      control.Exec("read the server's start", "SELECT pg_postmaster_start_time()::text"));
  // A standby's stream goes on over its promotion: the position lies in this server's past.
  if (options_.facts.is_in_recovery && facts.server.switched_at &&
      stream_server() == server.str(0, 0)) {
    facts.server.switched_at = std::max(*facts.server.switched_at, durable.position.lsn);
  }
  SLUICE_ASSIGN_OR_RETURN(
      replication::StartPoint point,
      replication::CheckConnect(birth_, durable.position, facts, durable.knows_last));
  if (facts.server.timeline != birth_.timeline) {
    return Error{
        .kind = ErrorKind::kConnection,
        .message = "the source was promoted to timeline " + std::to_string(facts.server.timeline),
        .code = "SLU-3024"};
  }
  start = durable.position.lsn;
  SLUICE_ASSIGN_OR_RETURN(postgres::StreamOptions stream_options,
                          StreamOptionsOf(control, durable, point));
  past = point;
  SLUICE_FAILPOINT("stream.checked");
  const replication::LogPlaces places{.restart = facts.slot->restart_lsn.value_or(Lsn{}),
                                      .confirmed = facts.slot->confirmed_flush.value_or(Lsn{}),
                                      .received = start,
                                      .flushed = facts.server.flush_lsn};
  const char* form = stream_options.is_binary ? "" : ", text form";
  if (MayReadBySql() && places.confirmed >= companion_since_.Load() &&
      replication::BeginsBySql(places, *options_.pipeline->catch_up_from)) {
    progress_.reads_by_sql.store(true);
    logger_.Info("{} of the source's log are unread: read by SQL from {} on (durable {}{})",
                 base::FormatSize(places.flushed.value - start.value), ToString(places.confirmed),
                 ToString(start), form);
    return OpenCatchUp(std::move(control), std::move(stream_options), places.confirmed);
  }
  // Between two calls of who reads by SQL the server would start a stream without a word.
  SLUICE_RETURN_IF_ERROR(postgres::HoldSlot(replication, control, birth_.slot, stop));
  const int walsender = replication.backend_pid();
  SLUICE_ASSIGN_OR_RETURN(
      postgres::ReplicationStream stream,
      postgres::ReplicationStream::Start(std::move(replication), stream_options, stop));
  if (const Status taken = CheckTaken(control, *facts.slot, walsender); !taken) {
    // A walsender that cannot decode what comes first has ended by now: what it says counts.
    const Clock::time_point until = Clock::now() + kLastWords;
    while (Clock::now() < until) {
      SLUICE_ASSIGN_OR_RETURN([[maybe_unused]] const auto message, stream.Read(until, stop));
    }
    return taken.error();
  }
  {
    const base::MutexLock lock(mutex_);
    stream_server_ = server.str(0, 0);
  }
  logger_.Info("streaming from {} (durable {}{})", ToString(point.start_lsn), ToString(start),
               form);
  return std::unique_ptr<engine::LogFeed>(
      std::make_unique<engine::WalsenderFeed>(std::move(stream)));
}

/// What is durable, as far as a start needs it.
Result<Session::Durable> Session::ReadDurable() {
  return writer_.inbox().CallAndWait([this]() -> Result<Durable> {
    Durable now{.position = {progress_.durable.Load(), std::nullopt}};
    // The witness belongs to the last commit; it proves nothing while that
    // one is not durable.
    now.knows_last = progress_.durable.Load() == progress_.processed.Load();
    if (now.knows_last) now.position.last_transaction = writer_.last_transaction();
    now.has_appended = HasAppended(writer_.Records());
    return now;
  });
}

Result<postgres::StreamOptions> Session::StreamOptionsOf(postgres::Connection& control,
                                                         const Durable& durable,
                                                         replication::StartPoint& point) {
  postgres::StreamOptions stream_options{
      .slot = birth_.slot, .publications = {birth_.publication}, .start_lsn = {}};
  SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::Publication> publication,
                          postgres::ReadPublication(control, birth_.publication));
  const bool reads_companion = publication && publication->companion &&
                               publication->companion->may_be_read_from(durable.position.lsn);
  bool has_appended = durable.has_appended;
  if (!reads_companion && birth_.owns_publication && options_.pipeline->acknowledges) {
    // One may have landed since.
    SLUICE_ASSIGN_OR_RETURN(const bool has_none, writer_.inbox().CallAndWait([&]() -> Result<bool> {
      return HoldBackAppended(writer_, options_.pipeline->tables, WaitsForCompanion(birth_));
    }));
    has_appended = !has_none;
  }
  SLUICE_RETURN_IF_ERROR(CheckCompanion(birth_, publication, has_appended, durable.position.lsn));
  if (reads_companion) {
    stream_options.publications.push_back(postgres::CompanionOf(birth_.publication));
    point = replication::NotBefore(point, *publication->companion->since);
  }
  companion_since_.Store(reads_companion ? *publication->companion->since : Lsn{});
  read_companion_.store(reads_companion ? publication->companion->oid.value : 0);
  stream_options.start_lsn = point.start_lsn;
  stream_options.is_binary = registry_.TextOnlyColumns().empty();
  registry_.SetStreamIsBinary(stream_options.is_binary);
  SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::DdlTrigger> trigger,
                          postgres::ReadDdlTrigger(control));
  stream_options.with_messages = trigger && trigger->is_current;
  gets_messages_.store(stream_options.with_messages);
  if (trigger && !trigger->is_current) {
    logger_.Warn(
        "the source's event triggers sluice_ddl_* are disabled, or another version's, and not "
        "used: sluice check --install-ddl-trigger makes them anew");
  }
  return stream_options;
}

bool Session::MayReadBySql() const {
  // Before these a session can begin to decode only some seven times.
  const int version = options_.facts.version_num;
  const bool can_repeat = version >= 150003 || (version >= 140008 && version < 150000);
  return can_repeat && options_.pipeline->catch_up_from && !options_.facts.is_in_recovery &&
         options_.pipeline->acknowledges && Clock::now() >= catch_up_after_.load();
}

void Session::GiveUpCatchUp() {
  catch_up_after_.store(Clock::now() + catch_up_pause_);
  catch_up_pause_ = std::min(catch_up_pause_ * 2, kCatchUpPauseMax);
}

Result<std::unique_ptr<engine::LogFeed>> Session::OpenCatchUp(postgres::Connection control,
                                                              postgres::StreamOptions options,
                                                              Lsn confirmed) {
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection calls, connect_("catch-up", false));
  SLUICE_ASSIGN_OR_RETURN(postgres::CatchUpReader reader,
                          postgres::CatchUpReader::Open(std::move(control), std::move(calls),
                                                        std::move(options), confirmed));
  return std::unique_ptr<engine::LogFeed>(std::make_unique<engine::CatchUpFeed>(
      std::make_unique<postgres::CatchUpReader>(std::move(reader)),
      engine::CatchUpFeedOptions{.from = *options_.pipeline->catch_up_from,
                                 .on_given_up = [this] { GiveUpCatchUp(); }}));
}

/// The stream has fallen far behind: the log is read by SQL from the next boundary on. Not where
/// the destination is the slow one: whoever reads faster only waits for it, without a walsender.
void Session::LookAtLag(const postgres::SlotRow& slot) {
  if (!progress_.source_connected.load() || progress_.reads_by_sql.load() || !MayReadBySql())
    return;
  if (writer_.inbox().is_pressed(Clock::now())) return;
  const Lsn end{slot.restart_lsn.value +
                static_cast<std::uint64_t>(std::max<std::int64_t>(0, slot.retained_bytes))};
  const replication::LogPlaces places{.restart = slot.restart_lsn,
                                      .confirmed = slot.confirmed_flush_lsn,
                                      .received = progress_.durable.Load(),
                                      .flushed = end};
  if (places.confirmed < companion_since_.Load()) return;
  if (replication::IsFarBehind(places, *options_.pipeline->catch_up_from)) {
    leave_stream_.store(true);
  }
}

/// The slot is ours now and stays where it is, as nothing was acknowledged: what was judged must be
/// what we read from. Somebody may have read from it in between, or the connections have reached
/// two servers; the server itself would go on from there without a word.
Status Session::CheckTaken(postgres::Connection& control, const replication::SlotRow& judged,
                           int walsender) const {
  SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::SlotRow> taken,
                          postgres::ReadSlot(control, birth_.slot));
  const bool is_ours = taken && taken->active_pid == walsender;
  if (is_ours && taken->confirmed_flush_lsn == judged.confirmed_flush.value_or(Lsn{})) return {};
  return Error{.kind = ErrorKind::kConnection,
               .message = is_ours ? "the slot was read on while it was looked at"
                                  : "the stream and the other connections lead to two servers",
               .code = "SLU-3026",
               .advice =
                   "it is looked at again; if this stays: a URL that leads to one server "
                   "only, and nobody else who reads the slot"};
}

}  // namespace sluice::pipeline
