#include "pipeline/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <mutex>
#include <set>
#include <stop_token>
#include <thread>
#include <utility>

#include "base/backoff.h"
#include "base/failpoint.h"
#include "base/sleep.h"
#include "base/units.h"
#include "pipeline/birth.h"
#include "pipeline/destination_factory.h"
#include "pipeline/judgement.h"
#include "pipeline/repair_runner.h"
#include "pipeline/session.h"
#include "pipeline/status_builder.h"
#include "pipeline/table_set.h"
#include "pipeline/table_sync.h"
#include "pipeline/until_watch.h"
#include "pipeline/verify_runner.h"
#include "postgres/catalog.h"
#include "postgres/preflight.h"
#include "replication/snapshot.h"

namespace sluice::pipeline {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(20);
constexpr Duration kGrace = std::chrono::seconds(8);
constexpr Duration kCloseGrace = std::chrono::seconds(1);
constexpr Duration kFileWait = std::chrono::seconds(3);
constexpr Duration kDefaultFirstRetry = std::chrono::minutes(1);
constexpr int kSlotsRemadeMax = 3;
constexpr std::size_t kBornAnewMax = 3;
constexpr Duration kBornAnewWindow = std::chrono::hours(1);

std::string Because(const Error& error) {
  return error.server_message.empty() ? std::string() : ": " + error.server_message;
}

/// What the position means is the same on the new timeline; the next one need not be.
Status FollowTimeline(Destination& destination, const DeliveryState& state) {
  CommitRecord record;
  record.sequence = 1;
  record.birth = state.birth;
  record.position = state.position;
  record.passed = state.passed;
  if (state.position->last_transaction)
    record.committed_at = state.position->last_transaction->committed_at;
  SLUICE_ASSIGN_OR_RETURN(const CommitOutcome outcome, destination.Commit(record));
  if (outcome == CommitOutcome::kAccepted) return {};
  return Error{.kind = ErrorKind::kConnection,
               .message = "a commit's outcome is unknown",
               .code = "SLU-5005"};
}

/// \param records the tables as they were a moment ago.
Status CopyAgain(Session& session, const std::vector<RelationId>& tables,
                 const std::vector<TableRecord>& records) {
  // What the stream made of a table that halted is forgotten first: a failed description would halt
  // it again. So is what was excluded of a table and is not any more.
  const bool has_halted =
      std::any_of(records.begin(), records.end(), [&](const TableRecord& record) {
        return record.state == TableState::kHalted &&
               std::find(tables.begin(), tables.end(), record.relation) != tables.end();
      });
  bool is_released = false;
  for (const RelationId relation : tables)
    is_released = session.registry().Release(relation) || is_released;
  if (has_halted || is_released) {
    for (const RelationId relation : tables) session.registry().SetKnown(relation, nullptr);
    session.RestartStream(Clock::now() + std::chrono::seconds(10));
  }
  const auto mark_pending = [&]() -> Status {
    for (const RelationId relation : tables) {
      SLUICE_RETURN_IF_ERROR(session.writer().Resync(relation));
    }
    return session.writer().CommitStates();
  };
  SLUICE_RETURN_IF_ERROR(session.writer().inbox().CallAndWait(mark_pending));
  SLUICE_FAILPOINT("resync.marked");
  session.pool().Wake();
  return {};
}

}  // namespace

struct Pipeline::State {
  State(engine::PipelineOptions given, telemetry::Logger& log)
      : options(std::move(given)), logger(log), until(options.until) {}

  engine::PipelineOptions options;
  telemetry::Logger& logger;
  std::function<void(const Plan&)> on_plan;
  engine::Progress progress;
  engine::LatencyWindow latency;

  // Run()'s thread only.
  std::optional<postgres::SourceUrl> url;
  std::optional<postgres::ServerFacts> facts;
  postgres::TableSelection selection;
  std::vector<postgres::PlannedTable> planned;
  std::set<RelationId> existing;  ///< every relation the source has
  std::optional<types::TypeCatalog> types;
  std::uint64_t system_identifier = 0;
  bool has_begun = false;
  bool is_born = false;  ///< the destination holds a position
  bool created_file = false;
  bool made_state = false;  ///< schema sluice in a file that was there before
  bool is_half_born = false;
  bool remakes_slot = false;  ///< at the next opening
  int slots_remade = 0;
  std::optional<Error> lost;  ///< why the next opening makes slot and publication anew
  std::deque<Clock::time_point> born_anew_at;
  UntilWatch until;
  /// Asked to stop once the grace of a graceful end is over: a source that does not answer holds up
  /// nobody.
  std::stop_source end_statements;

  // Shared with callers of Status(), Verify() and so on.
  mutable std::mutex mutex;
  std::shared_ptr<Destination> opened;  ///< a verify under way keeps it
  std::shared_ptr<Session> session;
  std::uint64_t epoch = 0;
  engine::Phase phase = engine::Phase::kConnecting;
  std::string last_error;
  std::string waiting_for;

  std::string SlotName() const { return options.slot.value_or("sluice_" + options.pipeline); }
  std::string PublicationName() const {
    return options.publication.value_or("sluice_" + options.pipeline);
  }

  Result<postgres::Connection> Connect(const std::string& role, bool is_replication) const {
    postgres::ConnectOptions connect;
    connect.pipeline = options.pipeline;
    connect.role = role;
    connect.is_replication = is_replication;
    connect.stop = end_statements.get_token();
    return postgres::Connection::Open(*url, connect, connect.stop);
  }

  void SetPhase(engine::Phase now, std::string error = {}) {
    const std::scoped_lock lock(mutex);
    phase = now;
    last_error = std::move(error);
  }

  std::shared_ptr<Session> CurrentSession() const {
    const std::scoped_lock lock(mutex);
    return session;
  }

  Status LookAtSource(std::stop_token stop);
  Status ReadPreflight(postgres::Connection& control);
  Status OpenAndPlan(std::stop_token stop);
  Status ForgetBirth(DeliveryState& restored);
  Status CheckPast(postgres::Connection& control, DeliveryState& restored);
  bool MayRemakeSlot(const Error& error, const engine::PipelineStatus& last);
  Status MayBeBornAnew(const Error& error);
  void ShowPlan(const DeliveryState& restored);
  std::uint64_t KeepBytes() const;
  void MakeSession(const DeliveryState& restored);
  Status BeginBirth(postgres::Connection& control, DeliveryState& state, std::stop_token stop);
  std::vector<TableRecord> RecordsAnew(const TableSet& tables, const DeliveryState& state) const;
  Result<bool> RunSession(std::stop_token stop);
  FenceMeeting MeetingOf(Session& running) {
    return {running, [this](const std::string& role) { return Connect(role, false); },
            facts->wal_segment_size, progress};
  }
  void CloseDestination(Clock::time_point deadline, bool& left_wal);
  void DropSpentSlot();
  void UndoState();
  void UndoCreatedFile();
  RunOutcome Outcome(const Status& ended, bool left_wal);
};

// Before the first byte

/// Connects, with patience where the source is not there yet, and finds what is wrong.
Status Pipeline::State::LookAtSource(std::stop_token stop) {
  SLUICE_ASSIGN_OR_RETURN(url, postgres::SourceUrl::Parse(options.source));
  // Before the first success a minute; after it as long as it takes.
  std::optional<Clock::time_point> give_up;
  if (options.retry_for || !has_begun) {
    give_up = Clock::now() + options.retry_for.value_or(kDefaultFirstRetry);
  }
  base::Backoff backoff(std::chrono::milliseconds(200), std::chrono::seconds(5));
  for (;;) {
    Result<postgres::Connection> control = Connect("control", false);
    Status looked = control ? ReadPreflight(*control) : Status(control.error());
    if (looked) return looked;
    if (!base::IsRetryable(looked.error().kind) || (give_up && Clock::now() > *give_up)) {
      return looked;
    }
    if (stop.stop_requested()) return Error{.kind = ErrorKind::kCancelled, .message = "stopped"};
    SetPhase(engine::Phase::kRetrying, looked.error().message);
    ++progress.retries_source;
    const Duration wait = backoff.Next(0);
    logger.Warn("the source does not answer, again in {}: {}{} ({})", base::FormatDuration(wait),
                looked.error().message, Because(looked.error()), looked.error().code);
    base::SleepFor(wait, stop);
  }
}

Status Pipeline::State::ReadPreflight(postgres::Connection& control) {
  SLUICE_ASSIGN_OR_RETURN(
      selection,
      postgres::ParseSelection(options.selection.tables, options.selection.excluded_tables,
                               options.selection.schemas, options.selection.excluded_schemas));
  const postgres::PreflightRequest request{.selection = selection,
                                           .publication = PublicationName(),
                                           .is_publication_ours = !options.publication.has_value(),
                                           .slot = SlotName(),
                                           .is_copy_only = false,
                                           .rules = options.tables};
  SLUICE_ASSIGN_OR_RETURN(const postgres::PreflightInput input,
                          postgres::ReadPreflightInput(control, request));
  const postgres::Preflight preflight = postgres::FindProblems(request, input);
  for (const postgres::Finding& finding : preflight.findings) {
    // Of a first run SLU-2048 is an error, JudgeFirstRun()'s.
    const bool is_said = has_begun || finding.code == "SLU-2048";
    if (finding.severity != postgres::Severity::kWarning || is_said) continue;
    logger.Warn("{} ({})", finding.message, finding.code);
  }
  if (std::optional<Error> problem = postgres::FirstProblem(preflight)) return *std::move(problem);
  facts = input.facts;
  planned = preflight.tables;
  existing.clear();
  for (const postgres::SourceTable& table : input.tables) existing.insert(table.relation);
  SLUICE_ASSIGN_OR_RETURN(types, postgres::LoadTypeCatalog(control));
  types->SetPolicies(options.types);
  types->SetRules(std::make_shared<const types::TableRules>(options.tables));
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection replication, Connect("identify", true));
  SLUICE_ASSIGN_OR_RETURN(const postgres::ServerIdentity identity,
                          postgres::ReadServerIdentity(replication));
  system_identifier = identity.system_identifier;
  return {};
}

/// Opens the destination, compares what it remembers with the source, makes the birth where there
/// was none.
Status Pipeline::State::OpenAndPlan(std::stop_token stop) {
  const std::string file = DestinationFile(options);
  std::error_code ignored;
  if (!has_begun && !file.empty() && !std::filesystem::exists(file, ignored)) created_file = true;
  std::filesystem::create_directories(options.state_dir, ignored);
  SLUICE_ASSIGN_OR_RETURN(std::unique_ptr<Destination> destination, MakeDestination(options));
  const OpenRequest request{.pipeline = options.pipeline, .system_identifier = system_identifier};
  Result<DeliveryState> open = destination->Open(request);
  // `sluice status` and its like hold the file for a moment; a longer holder is named.
  const Clock::time_point give_up = Clock::now() + kFileWait;
  while (!open && open.error().code == "SLU-5001" && Clock::now() < give_up &&
         !stop.stop_requested()) {
    base::SleepFor(std::chrono::milliseconds(50), stop);
    open = destination->Open(request);
  }
  SLUICE_ASSIGN_OR_RETURN(DeliveryState restored, std::move(open));
  {
    const std::scoped_lock lock(mutex);
    opened = std::move(destination);
    epoch = restored.epoch;
  }
  if (std::exchange(remakes_slot, false)) SLUICE_RETURN_IF_ERROR(ForgetBirth(restored));
  is_born = restored.position.has_value() || IsToBeBornAnew(restored);
  made_state = !created_file && !has_begun && IsUntouched(restored);
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection control, Connect("control", false));
  if (restored.position) SLUICE_RETURN_IF_ERROR(CheckPast(control, restored));
  if (IsToBeBornAnew(restored) && !options.may_create) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "slot and publication are being made anew, and no table is compared",
                 .code = "SLU-3025",
                 .advice = "sluice run goes on with it"};
  }
  const bool is_first_run = !is_born;
  if (is_first_run) SLUICE_RETURN_IF_ERROR(JudgeFirstRun(options, restored, planned));
  if (!is_first_run && options.acknowledges)
    SLUICE_RETURN_IF_ERROR(JudgeNames(options.names, restored));
  const TableSyncInput tables{.options = options,
                              .planned = planned,
                              .existing = existing,
                              .types = *types,
                              .control = control,
                              .logger = logger};
  SLUICE_RETURN_IF_ERROR(CheckDestinationTables(tables, *opened, restored));
  if (on_plan && !has_begun) ShowPlan(restored);
  if (!restored.position) {
    SLUICE_RETURN_IF_ERROR(BeginBirth(control, restored, stop));
  } else {
    SLUICE_RETURN_IF_ERROR(SyncTables(tables, *opened, restored));
  }
  LookAgainForExcluded(options.tables, restored);
  MakeSession(restored);
  return {};
}

/// Nothing is live: what was begun is begun again, as after a birth that was cut off.
Status Pipeline::State::ForgetBirth(DeliveryState& restored) {
  if (!restored.birth) return {};
  SLUICE_RETURN_IF_ERROR(opened->StoreBirth(*restored.birth));
  restored = DeliveryState{
      .birth = restored.birth, .position = {}, .passed = {}, .tables = {}, .epoch = restored.epoch};
  return {};
}

/// Is this the source that was copied, and has its slot what comes after the position? The stream
/// asks again at every connect; here it is asked before anything is stored, and here is where slot
/// and publication are made anew if it is lost.
Status Pipeline::State::CheckPast(postgres::Connection& control, DeliveryState& restored) {
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection replication, Connect("identify", true));
  SLUICE_ASSIGN_OR_RETURN(replication::SourceFacts seen,
                          ReadSourceFacts(control, replication, *restored.birth));
  // Who holds it is asked when the stream begins, which waits for a walsender that was killed.
  if (seen.slot) seen.slot->is_active = false;
  const auto checked = replication::CheckConnect(*restored.birth, *restored.position, seen);
  const std::optional<Error> why = std::exchange(lost, std::nullopt);
  if (checked && !why) {
    if (seen.server.timeline == restored.birth->timeline) return {};
    logger.Info("the source was promoted: timeline {} follows {}, which it left at {}",
                seen.server.timeline, restored.birth->timeline,
                ToString(seen.server.switched_at.value_or(Lsn{})));
    restored.birth->timeline = seen.server.timeline;
    return FollowTimeline(*opened, restored);
  }
  const Error error = checked ? *why : checked.error();
  SLUICE_RETURN_IF_ERROR(MayBeBornAnew(error));
  born_anew_at.push_back(Clock::now());
  progress.server_flush.Store(Lsn{});
  logger.Warn("slot and publication are made anew, and every table is brought up to them: {} ({})",
              error.message, error.code);
  return ForgetPosition(seen, error, options.on_lost_slot == engine::OnLostSlot::kRepair,
                        options.slot.has_value(), *opened, restored);
}

/// \return `error` itself where it stands.
Status Pipeline::State::MayBeBornAnew(const Error& error) {
  const bool may_be = replication::IsLostStream(error) && options.acknowledges &&
                      options.may_create && options.on_lost_slot != engine::OnLostSlot::kStop;
  if (!may_be) return error;
  if (!options.copy_existing) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = error.message + "; with --copy none nothing is copied again",
                 .code = error.code,
                 .advice =
                     "bring the tables up to the source by hand, then `sluice drop` and "
                     "`sluice run` with --existing adopt"};
  }
  while (!born_anew_at.empty() && born_anew_at.front() < Clock::now() - kBornAnewWindow)
    born_anew_at.pop_front();
  if (born_anew_at.size() < kBornAnewMax) return {};
  Error again = error;
  again.advice = "the stream was lost " + std::to_string(kBornAnewMax) +
                 " times within an hour: find out what reads or drops the slot";
  return again;
}

/// A slot can be made at a place of the log that the server will not decode (bugs of its own, a row
/// filter that raises). As long as no table is live, a new slot leaves that place behind.
bool Pipeline::State::MayRemakeSlot(const Error& error, const engine::PipelineStatus& last) {
  if (error.code != "SLU-2111" || options.slot || slots_remade >= kSlotsRemadeMax) return false;
  const bool is_pristine =
      std::all_of(last.tables.begin(), last.tables.end(), [](const engine::TableStatus& table) {
        return table.record.state != TableState::kLive &&
               table.record.state != TableState::kHalted && !table.record.schema;
      });
  if (!is_pristine) return false;
  ++slots_remade;
  remakes_slot = true;
  return true;
}

/// What the reader sees before the first byte.
void Pipeline::State::ShowPlan(const DeliveryState& restored) {
  // Tables of `sluice copy` that are to be replaced are not live.
  const std::vector<TableRecord> none;
  Plan plan = DescribePlan(planned, restored.position ? restored.tables : none, options, selection);
  plan.source = url->redacted() + " (PostgreSQL " + facts->version + ")";
  plan.slot = SlotName();
  plan.publication = PublicationName();
  plan.is_first_run = !restored.position.has_value();
  if (const std::string file = DestinationFile(options); !file.empty()) {
    std::error_code ignored;
    const auto space = std::filesystem::space(std::filesystem::path(file).parent_path(), ignored);
    plan.bytes_free = ignored ? 0 : space.available;
  }
  on_plan(plan);
}

/// A tenth of the free disk at most.
std::uint64_t Pipeline::State::KeepBytes() const {
  const std::string file = DestinationFile(options);
  if (file.empty()) return options.keep_halted_bytes;
  std::error_code failed;
  const auto space = std::filesystem::space(std::filesystem::path(file).parent_path(), failed);
  return failed ? options.keep_halted_bytes
                : std::min<std::uint64_t>(options.keep_halted_bytes, space.available / 10);
}

void Pipeline::State::MakeSession(const DeliveryState& restored) {
  SessionOptions session_options;
  session_options.pipeline = &options;
  session_options.memory = ShareMemory(options);
  session_options.wal_segment_bytes = facts->wal_segment_size;
  session_options.wal_sender_timeout = std::chrono::milliseconds(facts->wal_sender_timeout_ms);
  session_options.retry_for = options.retry_for;
  session_options.keep_halted_bytes = KeepBytes();
  session_options.selection = selection;
  session_options.facts = *facts;
  // Whoever holds the session keeps the destination under it.
  std::shared_ptr<Session> made(new Session(
                                    session_options,
                                    [this](const std::string& role, bool is_replication) {
                                      return Connect(role, is_replication);
                                    },
                                    *opened, restored, *types, progress, latency, logger),
                                [keep = opened](Session* ended) { delete ended; });
  for (const postgres::PlannedTable& table : planned) {
    made->pool().SetEstimate(table.table.relation, table.table.size_bytes);
  }
  const std::scoped_lock lock(mutex);
  session = std::move(made);
}

Status Pipeline::State::BeginBirth(postgres::Connection& control, DeliveryState& state,
                                   std::stop_token stop) {
  SetPhase(engine::Phase::kCreatingSlot);
  const bool is_anew = IsToBeBornAnew(state);
  const std::vector<TableRecord> none;
  const TableSet tables = PlanTables(planned, existing, is_anew ? state.tables : none, {}, options);
  BirthRequest request;
  request.is_anew = is_anew;
  request.options = &options;
  request.slot = SlotName();
  request.publication = PublicationName();
  request.owns_publication = !options.publication.has_value();
  for (const postgres::WantedTable& table : tables.published)
    (table.is_append ? request.published.append : request.published.tables).push_back(table.name);
  request.published.has_companion = options.tables.may_append();
  request.records = is_anew ? RecordsAnew(tables, state) : tables.added;
  request.on_waiting = [this](const std::string& whom) {
    const std::scoped_lock lock(mutex);
    // Once for each; how long it has been open stands in brackets and changes.
    const bool is_new =
        whom.substr(0, whom.find('(')) != waiting_for.substr(0, waiting_for.find('('));
    if (is_new && !whom.empty()) logger.Warn("creating the slot waits for {}", whom);
    waiting_for = whom;
  };
  request.generation = NewGeneration();
  request.slot_wait =
      std::chrono::milliseconds(facts->wal_sender_timeout_ms) + std::chrono::seconds(5);
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection replication,
                          Connect(BirthRole(request.generation), true));
  is_half_born = true;
  const Status born =
      GiveBirth(request, control, replication, *opened, state, logger, std::move(stop));
  // What cannot be undone now is recognised at the next start by the intent, so the file has to
  // stay then.
  is_half_born = !born && !UndoBirth(state.birth.value_or(Birth{}), !options.slot, control);
  if (born) {
    created_file = false;
    is_born = true;
  }
  return born;
}

/// What is stored of the tables when slot and publication were made anew.
std::vector<TableRecord> Pipeline::State::RecordsAnew(const TableSet& tables,
                                                      const DeliveryState& state) const {
  std::vector<TableRecord> records = tables.added;
  for (const TableRecord& known : state.tables) {
    const bool begins_anew =
        std::any_of(tables.added.begin(), tables.added.end(),
                    [&](const TableRecord& added) { return added.relation == known.relation; });
    if (begins_anew) continue;
    records.push_back(known);
    records.back().was_removed = std::find(tables.removed.begin(), tables.removed.end(),
                                           known.relation) != tables.removed.end();
  }
  return records;
}

// Running

/// \return true: done (stopped, or `until` was reached); false: open the destination again.
Result<bool> Pipeline::State::RunSession(std::stop_token stop) {
  const std::shared_ptr<Session> running = CurrentSession();
  has_begun = true;
  running->Start();
  SetPhase(engine::Phase::kRunning);
  std::optional<engine::PositionWish> wish;
  for (;;) {
    base::SleepFor(kTick, stop);
    if (stop.stop_requested()) return true;
    const std::optional<Error> failure = running->Failure();
    if (failure) {
      if (!base::IsRetryable(failure->kind)) return *failure;
      logger.Warn("the destination is opened again: {} ({})", failure->message, failure->code);
      return false;
    }
    if (running->pool().has_failed()) {
      running->pool().Stop();  // the others would go on for as long as their copies take
      SLUICE_RETURN_IF_ERROR(running->pool().Join());
    }
    if (!running->knows_tables()) continue;
    SLUICE_ASSIGN_OR_RETURN(
        const bool is_reached,
        until.IsReached(running->writer().AreCopiesVisible(), progress, facts->wal_segment_size,
                        [this] { return Connect("until", false); }));
    if (is_reached) return true;
    if (until.lsn() && !wish) wish.emplace(progress);
  }
}

void Pipeline::State::CloseDestination(Clock::time_point deadline, bool& left_wal) {
  std::shared_ptr<Destination> closing;
  {
    const std::scoped_lock lock(mutex);
    session.reset();
    closing = std::move(opened);
  }
  if (!closing) return;
  const Status closed = closing->Close(deadline);
  if (!closed)
    logger.Warn("closing the destination: {} ({})", closed.error().message, closed.error().code);
  closing.reset();
  std::error_code ignored;
  const std::string file = DestinationFile(options);
  left_wal = !file.empty() && std::filesystem::exists(file + ".wal", ignored);
}

/// The source's disk comes first, as the user asked.
void Pipeline::State::DropSpentSlot() {
  Result<postgres::Connection> control = Connect("end", false);
  const Status dropped =
      control ? postgres::DropSlot(*control, SlotName(), kGrace) : Status(control.error());
  if (!dropped) {
    logger.Failed("slot {} could not be dropped and goes on keeping WAL: {} ({})", SlotName(),
                  dropped.error().message, dropped.error().code);
  }
}

/// Nothing half-made stays behind in a file of the user's that was refused: the open destination is
/// left as it was found.
void Pipeline::State::UndoState() {
  if (!made_state || has_begun || is_born || is_half_born) return;
  const std::scoped_lock lock(mutex);
  if (!opened) return;
  const Status forgotten = opened->Forget();
  if (!forgotten) logger.Write(telemetry::LogLevel::kWarn, forgotten.error());
}

/// Nor a file that was not there before and holds no position yet.
void Pipeline::State::UndoCreatedFile() {
  if (!created_file || has_begun || is_half_born) return;
  std::error_code ignored;
  const std::string file = DestinationFile(options);
  std::filesystem::remove(file, ignored);
  std::filesystem::remove(file + ".wal", ignored);
}

RunOutcome Pipeline::State::Outcome(const Status& ended, bool left_wal) {
  RunOutcome outcome;
  outcome.left_wal_file = left_wal;
  if (!ended) {
    outcome.error = ended.error();
    outcome.exit_code = ended.error().kind == ErrorKind::kCancelled
                            ? 0
                            : ExitCodeFor(ended.error(), has_begun, is_born);
    if (outcome.exit_code == 0) outcome.error.reset();
  }
  return outcome;
}

Pipeline::Pipeline(engine::PipelineOptions options, telemetry::Logger& logger)
    : state_(std::make_unique<State>(std::move(options), logger)) {}
Pipeline::~Pipeline() = default;

void Pipeline::OnPlan(std::function<void(const Plan&)> callback) {
  state_->on_plan = std::move(callback);
}

RunOutcome Pipeline::Run(std::stop_token stop) {
  State& state = *state_;
  bool left_wal = false;
  engine::PipelineStatus last;
  std::optional<Clock::time_point> trouble_since;
  std::int64_t commits_seen = 0;
  const std::jthread grace([&](std::stop_token done) {
    while (!stop.stop_requested() && !done.stop_requested()) base::SleepFor(kTick * 10, done);
    base::SleepFor(kGrace, done);
    if (!done.stop_requested()) state.end_statements.request_stop();
  });
  Status ended = state.LookAtSource(stop);
  base::Backoff backoff(std::chrono::milliseconds(200), std::chrono::seconds(10));
  while (ended) {
    ended = state.OpenAndPlan(stop);
    Result<bool> ran = ended ? state.RunSession(stop) : Result<bool>(ended.error());
    const Clock::time_point deadline = Clock::now() + kGrace;
    state.SetPhase(engine::Phase::kStopping, ran ? "" : ran.error().message);
    if (const std::shared_ptr<Session> session = state.CurrentSession()) {
      const bool was_connected = state.progress.source_connected.load();
      const Status stopped = session->Stop(deadline);
      const bool is_harmless = stopped || stopped.error().kind == ErrorKind::kCancelled ||
                               (stop.stop_requested() && base::IsRetryable(stopped.error().kind));
      if (ran && *ran && !is_harmless) ran = stopped.error();
      last = CurrentStatus();
      const bool answers = was_connected || (!ran && !base::IsRetryable(ran.error().kind));
      if (!ran && ran.error().code == "SLU-3030") state.DropSpentSlot();
      if (answers && Clock::now() < deadline) ReadSlotAtEnd(*state.url, last);
    }
    if (!ran) state.UndoState();
    state.CloseDestination(std::max(deadline, Clock::now() + kCloseGrace), left_wal);
    if (ran && *ran) break;
    if (!ran && state.MayRemakeSlot(ran.error(), last)) {
      state.logger.Warn("no table is live yet: the slot is made anew: {}{} ({})",
                        ran.error().message, Because(ran.error()), ran.error().code);
      ran = false;
    }
    if (!ran && state.has_begun && state.MayBeBornAnew(ran.error())) {
      state.lost = ran.error();
      ran = false;
    }
    if (!ran) {
      ended = ran.error();
      const std::int64_t commits = state.progress.commits.load();
      if (!trouble_since || commits > commits_seen) trouble_since = Clock::now();
      commits_seen = commits;
      const Duration patience = state.has_begun
                                    ? state.options.retry_for.value_or(Duration::max())
                                    : state.options.retry_for.value_or(kDefaultFirstRetry);
      // A table was dropped after it was listed: they are listed again.
      const bool is_passing =
          base::IsRetryable(ended.error().kind) || ended.error().code == "SLU-2103";
      const bool again = is_passing && Clock::now() - *trouble_since < patience;
      if (!again || stop.stop_requested()) break;
      state.logger.Warn("starting again: {}{} ({})", ended.error().message, Because(ended.error()),
                        ended.error().code);
      ended = {};
    }
    ++state.progress.retries_destination;
    state.SetPhase(engine::Phase::kRetrying);
    base::SleepFor(backoff.Next(0), stop);
    if (stop.stop_requested()) break;
    ended = state.LookAtSource(stop);
  }
  state.SetPhase(engine::Phase::kStopped);
  if (!ended) state.UndoCreatedFile();
  RunOutcome outcome = state.Outcome(ended, left_wal);
  last.phase = engine::Phase::kStopped;
  outcome.final_status = std::move(last);
  FinishOutcome(outcome, state.planned, state.selection);
  return outcome;
}

// From other threads

engine::PipelineStatus Pipeline::CurrentStatus() const {
  const State& state = *state_;
  const std::scoped_lock lock(state.mutex);
  return BuildStatus({.options = state.options,
                      .source = state.url ? state.url->redacted() : "",
                      .phase = state.phase,
                      .last_error = state.last_error,
                      .waiting_for = state.waiting_for,
                      .epoch = state.epoch,
                      .planned = state.planned,
                      .session = state.session.get(),
                      .progress = state.progress,
                      .latency = state.latency});
}

void Pipeline::WaitForStart(Duration patience, const std::stop_token& stop) const {
  const Clock::time_point give_up = Clock::now() + patience;
  const auto is_starting = [this] {
    const std::scoped_lock lock(state_->mutex);
    return !state_->session && state_->phase == engine::Phase::kConnecting;
  };
  while (is_starting() && Clock::now() < give_up && !stop.stop_requested()) {
    base::SleepFor(kTick, stop);
  }
}

Status Pipeline::Resync(const std::vector<std::string>& patterns) {
  const std::shared_ptr<Session> session = state_->CurrentSession();
  if (!session)
    return Error{.kind = ErrorKind::kConnection, .message = "the destination is not open now"};
  SLUICE_ASSIGN_OR_RETURN(
      const std::vector<TableRecord> records,
      session->writer().inbox().CallAndWait(
          [&]() -> Result<std::vector<TableRecord>> { return session->writer().Records(); }));
  SLUICE_ASSIGN_OR_RETURN(const std::vector<RelationId> tables, MatchTables(patterns, records));
  return CopyAgain(*session, tables, records);
}

Status Pipeline::Resume(const std::vector<std::string>& patterns) {
  const std::shared_ptr<Session> session = state_->CurrentSession();
  if (!session)
    return Error{.kind = ErrorKind::kConnection, .message = "the destination is not open now"};
  engine::DeliveryWriter& writer = session->writer();
  const Status marked = writer.inbox().CallAndWait([&]() -> Status {
    const std::vector<TableRecord> records = writer.Records();
    SLUICE_ASSIGN_OR_RETURN(const std::vector<RelationId> tables, MatchTables(patterns, records));
    for (const TableRecord& record : records) {
      if (std::find(tables.begin(), tables.end(), record.relation) == tables.end()) continue;
      if (std::optional<Error> refused = replication::WhyNoResume(record))
        return *std::move(refused);
    }
    for (const RelationId relation : tables) SLUICE_RETURN_IF_ERROR(writer.Resume(relation));
    return {};
  });
  SLUICE_RETURN_IF_ERROR(marked);
  // The marks are committed when the next call is taken: a kill finds them.
  return writer.inbox().CallAndWait([]() -> Status { return {}; });
}

Result<verify::VerifyResult> Pipeline::Verify(
    const std::vector<std::string>& patterns, std::stop_token stop,
    const std::function<void(const std::string&)>& progress) {
  const std::shared_ptr<Session> session = state_->CurrentSession();
  const std::shared_ptr<Destination> opened = destination();
  if (!session || !opened)
    return Error{.kind = ErrorKind::kConnection, .message = "the destination is not open now"};
  FenceMeeting meeting = state_->MeetingOf(*session);
  return VerifyRunner(*session, *opened, meeting).Run(patterns, std::move(stop), progress);
}

Result<verify::RepairResult> Pipeline::Repair(
    const RepairRequest& request, std::stop_token stop,
    const std::function<void(const std::string&)>& progress) {
  const std::shared_ptr<Session> session = state_->CurrentSession();
  const std::shared_ptr<Destination> opened = destination();
  if (!session || !opened)
    return Error{.kind = ErrorKind::kConnection, .message = "the destination is not open now"};
  FenceMeeting meeting = state_->MeetingOf(*session);
  RepairRunner runner(
      *session, *opened, meeting,
      [&](RelationId relation) { return CopyAgain(*session, {relation}, {}); }, state_->options,
      state_->logger);
  return runner.Run(request, std::move(stop), progress);
}

std::shared_ptr<Destination> Pipeline::destination() {
  const std::scoped_lock lock(state_->mutex);
  return state_->opened;
}

bool Pipeline::IsStuck() const {
  const std::shared_ptr<Session> session = state_->CurrentSession();
  if (!session || session->Failure()) return false;
  const std::int64_t now = engine::WallClock().value;
  const std::int64_t beat = state_->progress.writer_beat_us.load();
  constexpr std::int64_t kStuckMicros = 15LL * 60 * 1'000'000;
  return beat != 0 && now - beat > kStuckMicros;
}

}  // namespace sluice::pipeline
