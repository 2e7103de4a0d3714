/// \file
/// The engine over any destination, against a real server: what pipeline::Pipeline does around a
/// Session, with the destination given by the test.
///
/// Thread safety: one thread, except for progress().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "sluice/destination.h"

#include "engine/options.h"
#include "engine/progress.h"
#include "pipeline/session.h"
#include "postgres/preflight.h"
#include "postgres/server_facts.h"
#include "postgres/source_url.h"
#include "telemetry/log.h"
#include "types/type_catalog.h"

namespace sluice::integration {

using MakeDestination = std::function<std::unique_ptr<Destination>()>;

struct EngineRunOptions {
  std::string source;  ///< libpq URL of the test's database
  std::string pipeline;
  std::string state_dir;
  MakeDestination make;  ///< called at every open
  std::size_t memory_bytes = std::size_t{256} << 20;
  std::vector<std::string> excluded_tables = {};
};

class EngineRun {
 public:
  explicit EngineRun(EngineRunOptions options);
  ~EngineRun();
  EngineRun(const EngineRun&) = delete;
  EngineRun& operator=(const EngineRun&) = delete;

  /// Preflight, destination, birth where there was none, session. Started.
  Status Open();
  /// Looks after the session once: a retryable failure opens everything again. Errors: what ends a
  /// pipeline.
  Status Tick();
  /// Ticks until `is_done`. kTimeout, with `what`.
  Status Until(const std::string& what, const std::function<bool()>& is_done, Duration timeout);
  /// Every table live (or halted where `may_halt`), and what is in the server's WAL now visible at
  /// the destination. `nudge` is called now and then: a destination that shows only every n-th
  /// commit needs commits.
  Status CatchUp(Duration timeout, const std::function<void()>& nudge = {}, bool may_halt = false);
  /// Session, then destination. As Pipeline ends. What is not done within `grace` is interrupted.
  Status Stop(Duration grace = std::chrono::seconds(8));

  engine::Progress& progress() { return progress_; }
  pipeline::Session* session() { return session_.get(); }
  /// How often the destination was opened.
  int open_count() const { return open_count_; }
  const DeliveryState& restored() const { return restored_; }
  std::optional<engine::TableStatus> Table(const std::string& name) const;

 private:
  Result<postgres::Connection> Connect(const std::string& role, bool is_replication) const;
  Status LookAtSource();
  Status OpenDestination();
  Status BeginBirth(postgres::Connection& control);
  void CloseAll();

  engine::PipelineOptions options_;
  MakeDestination make_;
  telemetry::Logger logger_;
  engine::Progress progress_;
  engine::LatencyWindow latency_;
  std::optional<postgres::SourceUrl> url_;
  std::optional<postgres::ServerFacts> facts_;
  std::vector<postgres::PlannedTable> planned_;
  std::optional<types::TypeCatalog> types_;
  std::uint64_t system_identifier_ = 0;
  DeliveryState restored_;
  std::unique_ptr<Destination> destination_;
  std::unique_ptr<pipeline::Session> session_;
  int open_count_ = 0;
};

/// Rows of a table at a destination, opened read-only; cells as memory::CellText, sorted. Errors:
/// the table is unknown there.
Result<std::vector<std::vector<std::optional<std::string>>>> DestinationRows(
    const MakeDestination& make, const std::string& pipeline, const std::string& table);

}  // namespace sluice::integration
