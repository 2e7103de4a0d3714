/// \file
/// One opened destination and everything that runs on it: writer, stream, copies, control. Lives
/// until told to stop, or until the destination has to be opened again; the stream inside
/// reconnects on its own, incarnation after incarnation.
///
/// Thread safety: Start(), Stop() by the owner; the rest from any thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "sluice/destination.h"

#include "base/mutex.h"
#include "engine/control_loop.h"
#include "engine/copy_pool.h"
#include "engine/ddl_messages.h"
#include "engine/delivery_writer.h"
#include "engine/options.h"
#include "engine/relation_registry.h"
#include "engine/restart_wishes.h"
#include "engine/stream_reader.h"
#include "pipeline/companion.h"
#include "pipeline/destination_factory.h"
#include "pipeline/table_watch.h"
#include "postgres/connection.h"
#include "postgres/replication_stream.h"
#include "replication/connect_checks.h"
#include "telemetry/log.h"

namespace sluice::pipeline {

struct SessionOptions {
  const engine::PipelineOptions* pipeline = nullptr;
  MemoryShares memory;
  std::uint64_t wal_segment_bytes = 16ULL << 20;
  Duration wal_sender_timeout = std::chrono::seconds(60);
  postgres::TableSelection selection;
  postgres::ServerFacts facts;
  /// What may be kept of halted tables; the disk decides, too.
  std::uint64_t keep_halted_bytes = 0;
  /// Reconnecting goes on for so long without useful work; empty: forever.
  std::optional<Duration> retry_for;
};

class Session {
 public:
  using Connect =
      std::function<Result<postgres::Connection>(const std::string& role, bool is_replication)>;

  Session(SessionOptions options, Connect connect, Destination& destination, DeliveryState state,
          types::TypeCatalog types, engine::Progress& progress, engine::LatencyWindow& latency,
          telemetry::Logger& logger);
  ~Session();

  void Start();
  /// Why it cannot go on; nullopt: it runs. kConnection and kTimeout: open the destination again;
  /// else a person.
  std::optional<Error> Failure() const;
  /// Graceful: what is whole is committed, then the last feedback is sent. What is not done at
  /// `deadline` is interrupted.
  Status Stop(Clock::time_point deadline);

  engine::DeliveryWriter& writer() { return writer_; }
  engine::CopyPool& pool() { return pool_; }
  engine::RelationRegistry& registry() { return registry_; }
  /// The slot is free soon, also where the destination stands still. Before Stop().
  void LetGoOfSource();
  /// Ends the incarnation of the stream, so that the next one resolves every table again, and waits
  /// until it has begun.
  void RestartStream(Clock::time_point deadline);
  const engine::ControlLoop& control() const { return control_; }
  /// What became of tables before the start is known and carried out: --until may be asked for.
  bool knows_tables() const { return !watches_tables_ || watch_.is_settled(); }
  /// Somebody found a table gone: look what became of it. false: nobody watches the tables here.
  bool LookAtTables() {
    if (watches_tables_) watch_.Wake();
    return watches_tables_;
  }
  /// ControlLoop's, for a run that is about to end.
  void FollowSchemas() { control_.FollowAll(); }
  bool has_followed_schemas() const { return control_.has_followed_all(); }
  const Birth& birth() const { return birth_; }
  std::uint64_t wal_segment_bytes() const { return options_.wal_segment_bytes; }
  /// Why the stream is not connected now; empty: it is.
  std::string last_stream_error() const;
  /// When the server was started that the last stream was begun at; empty: none was.
  std::string stream_server() const;
  /// Where the server cannot decode its log, behind a Failure() SLU-2111: the place it names, else
  /// the durable position.
  std::optional<Lsn> undecodable_at() const;

 private:
  engine::WriterOptions WriterOptionsOf();
  void WriterThread();
  void StreamThread(std::stop_token stop);
  /// One incarnation. The error says whether there is to be another.
  Status RunStream(std::stop_token stop);
  struct Durable {
    Position position;
    bool has_appended = false;
    bool knows_last = false;
  };
  Result<Durable> ReadDurable();
  Result<std::unique_ptr<engine::LogFeed>> StartStream(Lsn& start, replication::StartPoint& past,
                                                       const std::stop_token& stop);
  Result<postgres::StreamOptions> StreamOptionsOf(postgres::Connection& control,
                                                  const Durable& durable,
                                                  replication::StartPoint& point);
  Result<std::unique_ptr<engine::LogFeed>> OpenCatchUp(postgres::Connection control,
                                                       postgres::StreamOptions options,
                                                       Lsn confirmed);
  bool MayReadBySql() const;
  /// Not by SQL for a while, each time for twice as long as the time before.
  void GiveUpCatchUp();
  void LookAtLag(const postgres::SlotRow& slot);
  Status CheckTaken(postgres::Connection& control, const replication::SlotRow& judged,
                    int walsender) const;
  void Fail(const Error& error);
  void FailToDecode(Error error);
  void NoteStreamError(const std::string& message);

  const SessionOptions options_;
  Connect connect_;
  Destination& destination_;
  const Birth birth_;
  engine::Progress& progress_;
  telemetry::Logger& logger_;
  engine::RestartWishes restart_stream_;
  ReadCompanion read_companion_{kNotKnown};
  engine::RelationRegistry registry_;
  engine::DeliveryWriter writer_;
  engine::CopyPool pool_;
  engine::ControlLoop control_;
  TableWatch watch_;
  engine::DdlMessages ddl_messages_;
  const bool watches_tables_;

  std::unique_ptr<engine::StreamReader> reader_;  ///< stream thread; the owner after it was joined
  /// Stream thread: longer after each stream that ended in silence.
  int silence_patience_ = 1;
  std::jthread writer_thread_;
  std::jthread stream_thread_;
  const Duration held_timeout_;
  std::atomic<bool> is_stopping_{false};
  /// It is to end at a boundary, to be read by SQL.
  std::atomic<bool> leave_stream_{false};
  /// Not by SQL, which begins where the slot stands, where it stands before this.
  engine::AtomicLsn companion_since_;
  /// Not by SQL before.
  std::atomic<Clock::time_point> catch_up_after_{Clock::time_point{}};
  static constexpr Duration kCatchUpPause = std::chrono::minutes(1);
  Duration catch_up_pause_ = kCatchUpPause;  ///< of the next time; stream thread only
  /// The stream was asked for messages: the source tells of its schema changes.
  std::atomic<bool> gets_messages_{false};

  mutable base::Mutex mutex_;
  std::optional<Error> failure_ SLUICE_GUARDED_BY(mutex_);
  std::string stream_error_ SLUICE_GUARDED_BY(mutex_);
  std::optional<Lsn> undecodable_at_ SLUICE_GUARDED_BY(mutex_);
  std::string stream_server_ SLUICE_GUARDED_BY(mutex_);
};

}  // namespace sluice::pipeline
