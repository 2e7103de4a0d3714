#include "pipeline/destination_factory.h"

#include <algorithm>
#include <filesystem>
#include <thread>
#include <utility>

#include "config/destination_url.h"
#include "destinations/duckdb/duckdb_destination.h"
#include "destinations/memory/memory_destination.h"
#include "destinations/null/null_destination.h"
#include "stores/sqlite/sqlite_state_store.h"
#include "stores/stateful_destination.h"

namespace sluice::pipeline {
namespace {

Result<config::DestinationUrl> ParseUrl(const engine::PipelineOptions& options) {
  std::error_code ignored;
  return config::ParseDestinationUrl(options.destination,
                                     std::filesystem::current_path(ignored).string());
}

/// Threads for an engine inside this process. We read and decode on others, and the server may be
/// on the same machine: more of them than there are processors left only take turns.
int EngineThreads() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency() / 2), 1, 8);
}

/// Of a destination that keeps nothing itself.
std::string StateFile(const engine::PipelineOptions& options) {
  return options.state_dir + "/" + options.pipeline + ".state";
}

}  // namespace

MemoryShares ShareMemory(const engine::PipelineOptions& options) {
  const Result<config::DestinationUrl> url = ParseUrl(options);
  const bool has_engine_inside = url && url->kind == config::DestinationUrl::Kind::kDuckDb;
  const std::size_t total = options.memory_bytes;
  MemoryShares shares;
  shares.destination = has_engine_inside ? total / 2 : 0;
  const std::size_t ours = total - shares.destination;
  // More would only be held for longer: what lies on disk is read back faster than it is applied,
  // and a few batches in the queue keep reader and writer busy.
  constexpr std::size_t kHeldMax = std::size_t{16} << 20;
  shares.staging = std::min(ours / 8, kHeldMax);
  shares.held = ours / 8;
  shares.inbox = std::min(ours / 8, kHeldMax);
  // A set is held once while it is built, once in the queue, and once more by fold and destination.
  // DuckDB takes up a vector, 32 KiB for texts, for each column that a transaction appends to, and
  // a block of 256 KiB for a table that it deletes from; it cannot spill them.
  constexpr std::size_t kVectorBytes = std::size_t{32} << 10;
  constexpr std::size_t kColumnsMax = 65'536;
  shares.columns = has_engine_inside ? shares.destination / 4 / kVectorBytes : kColumnsMax;
  shares.batch = std::clamp<std::size_t>(ours / 32, std::size_t{1} << 20, options.batch_bytes);
  return shares;
}

Result<std::unique_ptr<Destination>> MakeDestination(const engine::PipelineOptions& options,
                                                     bool spares_memory) {
  SLUICE_ASSIGN_OR_RETURN(const config::DestinationUrl url, ParseUrl(options));
  switch (url.kind) {
    case config::DestinationUrl::Kind::kDuckDb: {
      duckdb::DuckDbOptions duckdb_options{.path = url.path};
      duckdb_options.memory_bytes_max = ShareMemory(options).destination;
      duckdb_options.spares_memory = spares_memory;
      // Nothing else needs memory by then.
      if (spares_memory) duckdb_options.memory_bytes_open = options.memory_bytes;
      duckdb_options.threads = EngineThreads();
      return std::unique_ptr<Destination>(duckdb::MakeDuckDbDestination(std::move(duckdb_options)));
    }
    case config::DestinationUrl::Kind::kNull:
      return stores::MakeStatefulDestination(std::make_unique<null::NullDestination>(),
                                             stores::MakeSqliteStateStore(StateFile(options)));
    case config::DestinationUrl::Kind::kMemory:
      return std::unique_ptr<Destination>(
          std::make_unique<memory::MemoryDestination>(std::make_shared<memory::MemoryStorage>()));
  }
  return Error{
      .kind = ErrorKind::kInternal, .message = "unknown kind of destination", .code = "SLU-9001"};
}

std::string DestinationFile(const engine::PipelineOptions& options) {
  const Result<config::DestinationUrl> url = ParseUrl(options);
  return url && url->kind == config::DestinationUrl::Kind::kDuckDb ? url->path : std::string();
}

bool HasState(const engine::PipelineOptions& options) {
  const Result<config::DestinationUrl> url = ParseUrl(options);
  std::error_code ignored;
  if (!url || url->kind == config::DestinationUrl::Kind::kMemory) return false;
  return std::filesystem::exists(
      url->kind == config::DestinationUrl::Kind::kDuckDb ? url->path : StateFile(options), ignored);
}

}  // namespace sluice::pipeline
