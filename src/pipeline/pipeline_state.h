/// \file
/// What a pipeline has between its functions. pipeline_start.cc looks at both sides and makes the
/// session, pipeline.cc runs it and starts again, pipeline_requests.cc answers other threads.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "pipeline/fence_meeting.h"
#include "pipeline/memory_shortage.h"
#include "pipeline/pipeline.h"
#include "pipeline/session.h"
#include "pipeline/table_set.h"
#include "pipeline/until_watch.h"
#include "postgres/preflight.h"

namespace sluice::pipeline {

constexpr Duration kTick = std::chrono::milliseconds(20);
/// Before the first success, where --retry-for says nothing.
constexpr Duration kDefaultFirstRetry = std::chrono::minutes(1);

/// What the peer said, behind a colon; empty where it said nothing.
std::string Because(const Error& error);

struct Pipeline::State {
  State(engine::PipelineOptions given, telemetry::Logger& log)
      : options(std::move(given)), logger(log), until(options.until) {}

  engine::PipelineOptions options;
  telemetry::Logger& logger;
  std::function<void(const Plan&)> on_plan;
  engine::Progress progress;
  engine::LatencyWindow latency;

  /// Set once by Run()'s thread, under mutex, before there is a session: who has one may read it.
  std::optional<postgres::SourceUrl> url;

  // Run()'s thread only.
  std::optional<postgres::ServerFacts> facts;
  postgres::TableSelection selection;
  std::vector<postgres::PlannedTable> planned;
  std::optional<types::TypeCatalog> types;
  std::uint64_t system_identifier = 0;
  /// What the look was made with, for what comes right behind it.
  struct LookConnections {
    std::optional<postgres::Connection> control, replication;
    Clock::time_point at{};
  };
  LookConnections looked_with;
  std::atomic<bool> has_begun{false};  ///< read by whoever connects
  bool is_born = false;                ///< the destination holds a position
  std::optional<Birth> stored_birth;   ///< its slot and publication are the pipeline's
  bool created_file = false;
  bool made_state = false;  ///< schema sluice in a file that was there before
  bool is_half_born = false;
  bool remakes_slot = false;  ///< at the next opening
  int slots_remade = 0;
  std::optional<Error> lost;  ///< why the next opening makes slot and publication anew
  std::deque<Clock::time_point> born_anew_at;
  MemoryShortage memory_shortage;
  std::vector<postgres::Finding> of_named;  ///< named tables that cannot be replicated
  std::optional<Lsn> undecodable_at;        ///< of the last session
  std::optional<Error> undecodable;         ///< why the next opening passes to the end of the log
  int passes = 0;
  /// Start time of the server that was promoted under its stream.
  std::string promoted_server;
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

  std::string SlotName() const {
    return stored_birth ? stored_birth->slot : options.slot.value_or("sluice_" + options.pipeline);
  }
  std::string PublicationName() const {
    return stored_birth ? stored_birth->publication
                        : options.publication.value_or("sluice_" + options.pipeline);
  }

  Result<postgres::Connection> Connect(const std::string& role, bool is_replication) const {
    postgres::ConnectOptions connect;
    connect.pipeline = options.pipeline;
    connect.role = role;
    connect.is_replication = is_replication;
    connect.stop = end_statements.get_token();
    Result<postgres::Connection> connection =
        postgres::Connection::Open(*url, connect, connect.stop);
    return has_begun ? AsOfRunning(std::move(connection)) : std::move(connection);
  }
  static Result<postgres::Connection> AsOfRunning(Result<postgres::Connection> connection);

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
  Result<postgres::Connection> LookedWith(std::optional<postgres::Connection>& used,
                                          const std::string& role, bool is_replication);
  Status JudgeNamed() const;
  Status OpenAndPlan(std::stop_token stop);
  Result<bool> TakeNames(const DeliveryState& restored);
  Status ForgetBirth(DeliveryState& restored);
  Status CheckPast(postgres::Connection& control, DeliveryState& restored,
                   const std::stop_token& stop);
  bool MayRemakeSlot(const Error& error, const engine::PipelineStatus& last);
  Status MayBeBornAnew(const Error& error);
  bool MayGoOnWithLess(const Error& error);
  Status MayPassOver(const Error& error);
  Status PassUndecodable(postgres::Connection& control, DeliveryState& restored,
                         std::stop_token stop);
  void NoteWaiting(std::string_view what, const std::string& whom);
  void ShowPlan(const DeliveryState& restored);
  std::uint64_t KeepBytes() const;
  void MakeSession(const DeliveryState& restored);
  Status BeginBirth(postgres::Connection& control, DeliveryState& state, std::stop_token stop);
  std::vector<TableRecord> RecordsAnew(const TableSet& tables, const DeliveryState& state) const;
  Result<bool> RunSession(std::stop_token stop);
  FenceMeeting MeetingOf(Session& running) {
    return {running, [this](const std::string& role) { return Connect(role, false); },
            running.wal_segment_bytes(), progress};
  }
  void CloseDestination(Clock::time_point deadline, bool& left_wal);
  Error DropSpentSlot(Error spent);
  void UndoState();
  void UndoCreatedFile();
  RunOutcome Outcome(const Status& ended, bool left_wal);
};

}  // namespace sluice::pipeline
