// Before the first byte: what both sides say, the birth, the session.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <utility>

#include "base/backoff.h"
#include "base/failpoint.h"
#include "base/sleep.h"
#include "base/units.h"
#include "pipeline/birth.h"
#include "pipeline/companion.h"
#include "pipeline/destination_factory.h"
#include "pipeline/judgement.h"
#include "pipeline/pass_over.h"
#include "pipeline/pipeline_state.h"
#include "pipeline/table_sync.h"
#include "postgres/catalog.h"
#include "postgres/slot.h"
#include "replication/snapshot.h"

namespace sluice::pipeline {
namespace {

constexpr Duration kLookLife = std::chrono::seconds(1);
constexpr Duration kFileWait = std::chrono::seconds(3);
constexpr int kSlotsRemadeMax = 3;
constexpr int kPassesMax = 5;
constexpr std::size_t kBornAnewMax = 3;
constexpr Duration kBornAnewWindow = std::chrono::hours(1);

/// A walsender that was killed lingers for so long.
Duration LingeringMax(const postgres::ServerFacts& facts) {
  return std::chrono::milliseconds(facts.wal_sender_timeout_ms) + std::chrono::seconds(5);
}

Error NothingIsCopied(const Error& error) {
  return Error{.kind = ErrorKind::kConfig,
               .message = error.message + "; with --copy none nothing is copied again",
               .code = error.code,
               .advice =
                   "bring the tables up to the source by hand, then `sluice drop` and "
                   "`sluice run` with --existing adopt"};
}

/// A stream from the position brings the tables that are appended to, too.
Status CheckAppended(postgres::Connection& control, const DeliveryState& state) {
  if (!HasAppended(state.tables)) return {};
  SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::Publication> publication,
                          postgres::ReadPublication(control, state.birth->publication));
  return CheckCompanion(*state.birth, publication, true, state.position->lsn);
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
  return CommitAlone(destination, record);
}

}  // namespace

std::string Because(const Error& error) {
  return error.server_message.empty() ? std::string() : ": " + error.server_message;
}

/// A source that was reached before, and is away for a while or being replaced: a name that does
/// not resolve, and a standby that answers in the primary's place, pass.
Result<postgres::Connection> Pipeline::State::AsOfRunning(Result<postgres::Connection> connection) {
  if (!connection && connection.error().code == "SLU-2003") {
    Error error = std::move(connection).error();
    error.kind = ErrorKind::kConnection;
    return error;
  }
  if (connection && connection->is_standby() && connection->url().primary() == nullptr) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "a standby answers in the place of the source",
                 .code = "SLU-2106",
                 .advice =
                     "it goes on when the primary answers; for a URL of several hosts add "
                     "target_session_attrs=primary"};
  }
  return connection;
}

/// Connects, with patience where the source is not there yet, and finds what is wrong.
Status Pipeline::State::LookAtSource(std::stop_token stop) {
  if (!url) {
    SLUICE_ASSIGN_OR_RETURN(postgres::SourceUrl parsed,
                            postgres::SourceUrl::Parse(options.source, options.primary));
    const std::scoped_lock lock(mutex);
    url = std::move(parsed);
  }
  // Before the first success a minute; after it as long as it takes.
  std::optional<Clock::time_point> give_up;
  if (options.retry_for || !has_begun) {
    give_up = Clock::now() + options.retry_for.value_or(kDefaultFirstRetry);
  }
  base::Backoff backoff(std::chrono::milliseconds(200), std::chrono::seconds(5));
  for (;;) {
    Result<postgres::Connection> control = Connect("control", false);
    Status looked = control ? ReadPreflight(*control) : Status(control.error());
    if (looked) looked_with.control = *std::move(control);
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
  // How much there is to copy is asked before the first copy, and not by every start.
  const std::string file = DestinationFile(options);
  std::error_code ignored;
  const bool is_first = !has_begun && (file.empty() || !std::filesystem::exists(file, ignored));
  const postgres::PreflightRequest request{
      .selection = selection,
      .publication = PublicationName(),
      .is_publication_ours = !options.publication.has_value(),
      .slot = SlotName(),
      .is_copy_only = false,
      .sizes = is_first ? postgres::TableSizes::kExact : postgres::TableSizes::kCounted,
      .rules = options.tables};
  SLUICE_ASSIGN_OR_RETURN(const postgres::PreflightInput input,
                          postgres::ReadPreflightInput(control, request));
  postgres::Preflight preflight = postgres::FindProblems(request, input);
  // Whether they are problems, the destination says.
  const auto named = std::ranges::stable_partition(preflight.findings, std::logical_not(),
                                                   &postgres::Finding::is_of_named);
  of_named.assign(named.begin(), named.end());
  preflight.findings.erase(named.begin(), named.end());
  for (const postgres::Finding& finding : preflight.findings) {
    // Of a first run SLU-2048 is an error, JudgeFirstRun()'s.
    const bool is_said = has_begun || finding.code == "SLU-2048";
    if (finding.severity != postgres::Severity::kWarning || is_said) continue;
    logger.Warn("{} ({})", finding.message, finding.code);
  }
  if (std::optional<Error> problem = postgres::FirstProblem(preflight.findings))
    return *std::move(problem);
  facts = input.facts;
  planned = preflight.tables;
  SLUICE_ASSIGN_OR_RETURN(types, postgres::LoadTypeCatalog(control));
  types->SetPolicies(options.types);
  types->SetRules(std::make_shared<const types::TableRules>(options.tables));
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection replication, Connect("identify", true));
  SLUICE_ASSIGN_OR_RETURN(const postgres::ServerIdentity identity,
                          postgres::ReadServerIdentity(replication));
  system_identifier = identity.system_identifier;
  looked_with = {.control = {}, .replication = std::move(replication), .at = Clock::now()};
  return {};
}

/// A connection of the look that was just made, or a new one.
Result<postgres::Connection> Pipeline::State::LookedWith(std::optional<postgres::Connection>& used,
                                                         const std::string& role,
                                                         bool is_replication) {
  std::optional<postgres::Connection> last = std::exchange(used, std::nullopt);
  const bool is_fresh = Clock::now() - looked_with.at < kLookLife;
  if (last && is_fresh && last->is_alive()) return *std::move(last);
  return Connect(role, is_replication);
}

/// Of a pipeline that goes on. Once: what happens to a table while it runs is said when it is seen.
/// Where no table is left at all a name is misspelt, most likely.
Status Pipeline::State::JudgeNamed() const {
  const bool has_others = std::any_of(planned.begin(), planned.end(),
                                      [](const auto& table) { return !table.is_skipped; });
  if (!has_others) {
    if (std::optional<Error> problem = postgres::FirstProblem(of_named)) return *std::move(problem);
  }
  for (const postgres::Finding& finding : of_named)
    logger.Warn("{} ({}); the other tables go on; to have it too: {}", finding.message,
                finding.code, finding.advice);
  return {};
}

/// Opens the destination, compares what it remembers with the source, makes the birth where there
/// was none.
Status Pipeline::State::OpenAndPlan(std::stop_token stop) {
  const std::string file = DestinationFile(options);
  std::error_code ignored;
  const bool is_new = !has_begun && !file.empty() && !std::filesystem::exists(file, ignored);
  std::filesystem::create_directories(options.state_dir, ignored);
  SLUICE_ASSIGN_OR_RETURN(std::unique_ptr<Destination> destination,
                          MakeDestination(options, memory_shortage.is_recent()));
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
  created_file = is_new && IsUntouched(restored);
  made_state = !created_file && !has_begun && IsUntouched(restored);
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection control,
                          LookedWith(looked_with.control, "control", false));
  SLUICE_ASSIGN_OR_RETURN(const bool has_other_names, TakeNames(restored));
  if (has_other_names) SLUICE_RETURN_IF_ERROR(ReadPreflight(control));
  if (restored.position) SLUICE_RETURN_IF_ERROR(CheckPast(control, restored, stop));
  looked_with = {};
  SLUICE_RETURN_IF_ERROR(PassUndecodable(control, restored, stop));
  if (IsToBeBornAnew(restored) && !options.may_create) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "slot and publication are being made anew, and no table is compared",
                 .code = "SLU-3025",
                 .advice = "sluice run goes on with it"};
  }
  const bool is_first_run = !is_born;
  if (is_first_run) SLUICE_RETURN_IF_ERROR(JudgeFirstRun(options, restored, planned, of_named));
  if (!is_first_run && !has_begun) SLUICE_RETURN_IF_ERROR(JudgeNamed());
  if (!is_first_run && options.acknowledges)
    SLUICE_RETURN_IF_ERROR(JudgeNames(options.names, restored));
  const TableSyncInput tables{.options = options,
                              .planned = planned,
                              .types = *types,
                              .control = control,
                              .logger = logger,
                              .stop = stop};
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

/// The slot and the publication of a pipeline are those it was born with.
/// \return true: others were looked at.
Result<bool> Pipeline::State::TakeNames(const DeliveryState& restored) {
  if (!is_born || !restored.birth || restored.birth->slot.empty()) return false;
  const Birth& birth = *restored.birth;
  const bool names_another = options.slot.value_or(birth.slot) != birth.slot ||
                             options.publication.value_or(birth.publication) != birth.publication;
  if (names_another) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "this pipeline reads slot " + birth.slot + " and publication " +
                            birth.publication + ", and --slot or --publication names another",
                 .code = "SLU-1050",
                 .advice =
                     "leave the option out; `sluice drop` first for a pipeline that reads "
                     "another slot"};
  }
  const bool was_same = birth.slot == SlotName() && birth.publication == PublicationName();
  stored_birth = birth;
  // What is not ours by its name is the user's.
  if (birth.slot != "sluice_" + birth.pipeline) options.slot = birth.slot;
  if (!birth.owns_publication) options.publication = birth.publication;
  return !was_same;
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
Status Pipeline::State::CheckPast(postgres::Connection& control, DeliveryState& restored,
                                  const std::stop_token& stop) {
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection replication,
                          LookedWith(looked_with.replication, "identify", true));
  SLUICE_ASSIGN_OR_RETURN(replication::SourceFacts seen,
                          ReadSourceFacts(control, replication, *restored.birth));
  // Who holds it is asked when the stream begins, or before it is made anew: both wait for a
  // walsender that was killed.
  if (seen.slot) seen.slot->is_active = false;
  // The stream went on over the promotion, on this server: the position lies in its past.
  const bool has_seen_it = !promoted_server.empty() && promoted_server == facts->postmaster_start;
  if (has_seen_it && seen.server.switched_at)
    seen.server.switched_at = std::max(*seen.server.switched_at, restored.position->lsn);
  auto checked = replication::CheckConnect(*restored.birth, *restored.position, seen);
  if (checked) {
    if (const Status appended = CheckAppended(control, restored); !appended)
      checked = appended.error();
  }
  // What this look judges itself may have been another server's, or have passed.
  std::optional<Error> why = std::exchange(lost, std::nullopt);
  if (why && !replication::IsKnownToStreamOnly(*why)) why.reset();
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
  const bool is_users_slot = options.slot.has_value();
  const SlotWait wait{.most = LingeringMax(*facts), .on_waiting = [this](const std::string& whom) {
                        NoteWaiting("making the slot anew", whom);
                      }};
  SLUICE_RETURN_IF_ERROR(
      AwaitRebirth(*restored.birth, is_users_slot, wait, control, replication, seen, stop));
  born_anew_at.push_back(Clock::now());
  progress.server_flush.Store(Lsn{});
  progress.unread.Forget();
  until.Forget();
  logger.Warn("slot and publication are made anew, and every table is brought up to them: {} ({})",
              error.message, error.code);
  return ForgetPosition(seen, error, options.on_lost_slot == engine::OnLostSlot::kRepair,
                        is_users_slot, *opened, restored);
}

/// \return `error` itself where it stands.
Status Pipeline::State::MayBeBornAnew(const Error& error) {
  const bool may_be = replication::IsLostStream(error) && options.acknowledges &&
                      options.may_create && options.on_lost_slot != engine::OnLostSlot::kStop;
  if (!may_be) return error;
  if (!options.copy_existing) return NothingIsCopied(error);
  while (!born_anew_at.empty() && born_anew_at.front() < Clock::now() - kBornAnewWindow)
    born_anew_at.pop_front();
  if (born_anew_at.size() < kBornAnewMax) return {};
  Error again = error;
  again.advice = "the stream was lost " + std::to_string(kBornAnewMax) +
                 " times within an hour: find out what reads or drops the slot";
  return again;
}

/// What the destination took is free once it is closed, and it takes less then. What does not fit
/// even so comes back.
bool Pipeline::State::MayGoOnWithLess(const Error& error) {
  if (error.code != "SLU-5018") return false;
  if (!memory_shortage.MayGoOn(Clock::now(), progress.durable.Load())) return false;
  logger.Warn("the destination is opened again, to go on in less memory: {}{} ({})", error.message,
              Because(error), error.code);
  return true;
}

/// \return `error` itself where it stands: it is not at the place that --skip-transaction names.
Status Pipeline::State::MayPassOver(const Error& error) {
  const bool is_named = error.code == "SLU-2111" && options.skip_transaction &&
                        undecodable_at == options.skip_transaction;
  if (!is_named || !options.acknowledges || !options.may_create) return error;
  if (!options.copy_existing) return NothingIsCopied(error);
  return ++passes > kPassesMax ? error : Status{};
}

/// Where MayPassOver() said so. The slot follows, also where an earlier start was killed before it
/// did.
Status Pipeline::State::PassUndecodable(postgres::Connection& control, DeliveryState& restored,
                                        std::stop_token stop) {
  const std::optional<Error> why = std::exchange(undecodable, std::nullopt);
  if (why && restored.position) {
    const PassOver request{.why = *why,
                           .control = control,
                           .destination = *opened,
                           .logger = logger,
                           .on_waiting = [this](const std::string& whom) {
                             NoteWaiting("passing over what cannot be decoded", whom);
                           }};
    SLUICE_RETURN_IF_ERROR(PassToEndOfLog(request, restored, stop));
  }
  if (!options.acknowledges || !MayBringSlotAlong(restored)) return {};
  return postgres::AdvanceSlot(control, restored.birth->slot, restored.position->lsn,
                               LingeringMax(*facts), std::move(stop));
}

void Pipeline::State::NoteWaiting(std::string_view what, const std::string& whom) {
  const std::scoped_lock lock(mutex);
  // Once for each; how long it has been open stands in brackets and changes.
  const bool is_new =
      whom.substr(0, whom.find('(')) != waiting_for.substr(0, waiting_for.find('('));
  if (is_new && !whom.empty()) logger.Warn("{} waits for {}", what, whom);
  waiting_for = whom;
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
  const TableSet tables = PlanTables(planned, is_anew ? state.tables : none, {}, options);
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
  request.on_waiting = [this](const std::string& whom) { NoteWaiting("creating the slot", whom); };
  request.generation = NewGeneration();
  request.slot_wait = LingeringMax(*facts);
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection replication,
                          Connect(BirthRole(request.generation), true));
  is_half_born = true;
  bool made_slot = false;
  const Status born =
      GiveBirth(request, control, replication, *opened, state, logger, made_slot, std::move(stop));
  // What cannot be undone now is recognised at the next start by the intent, so the file has to
  // stay then.
  is_half_born = !born && !UndoBirth(state.birth.value_or(Birth{}), made_slot, control);
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

}  // namespace sluice::pipeline
