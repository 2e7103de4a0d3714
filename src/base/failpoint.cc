#include "base/failpoint.h"

#ifndef NDEBUG

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::base {
namespace {

// In the order of a pipeline's life; docs/reliability.md says where each is.
constexpr const char* kNames[] = {
    "birth.recorded",
    "birth.published",
    "birth.slot_made",
    "birth.committed",
    "open.taken_over",
    "pass_over.committed",
    "open.tables_synced",
    "stream.checked",
    "stream.started",
    "stream.feedback",
    "stream.acknowledged",
    "stream.set_sealed",
    "stream.reconnect",
    "catch_up.call",
    "catch_up.advance",
    "catch_up.advanced",
    "spill.write",
    "spill.written",
    "spill.read_back",
    "writer.staged",
    "writer.piece_staged",
    "writer.held",
    "writer.committed",
    "duckdb.commit",
    "duckdb.committed",
    "duckdb.checkpoint",
    "duckdb.checkpointed",
    "schema.alter",
    "schema.altered",
    "schema.move",
    "copy.snapshot",
    "copy.rows",
    "copy.loaded",
    "copy.read",
    "copy.flushed",
    "copy.shadow_finished",
    "copy.finished",
    "landing.staged",
    "landing.held_staged",
    "landing.committed",
    "companion.made",
    "companion.dated",
    "companion.read",
    "join.published",
    "join.admitted",
    "resync.marked",
    "kept.staged",
    "resume.piece_staged",
    "resume.piece_committed",
    "stop.drained",
    "stop.acknowledge",
    "stop.checkpoint",
    "drop.slot_gone",
    "drop.publication_gone",
    "drop.state_gone",
};

struct Wanted {
  std::string name;
  int signal = SIGKILL;
  std::atomic<int> left{1};
};

std::vector<std::unique_ptr<Wanted>> Parse(std::string_view text) {
  std::vector<std::unique_ptr<Wanted>> wanted;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    const std::size_t action = one.find(':');
    const std::size_t count = one.rfind(':');
    if (action == std::string_view::npos) continue;
    auto point = std::make_unique<Wanted>();
    point->name = one.substr(0, action);
    if (one.substr(action + 1).starts_with("stop")) point->signal = SIGSTOP;
    if (count != action) point->left = std::atoi(std::string(one.substr(count + 1)).c_str());
    wanted.push_back(std::move(point));
  }
  return wanted;
}

const std::vector<std::unique_ptr<Wanted>>& WantedPoints() {
  static const auto* const points = [] {
    const char* text = std::getenv("SLUICE_FAILPOINTS");  // NOLINT(concurrency-mt-unsafe)
    return new std::vector<std::unique_ptr<Wanted>>(Parse(text == nullptr ? "" : text));
  }();
  return *points;
}

bool IsAsked() {
  const char* text = std::getenv("SLUICE_FAILPOINTS");  // NOLINT: read before threads begin
  if (text == nullptr || *text == '\0') return false;
  if (std::string_view(text) != "list") return !WantedPoints().empty();
  for (const char* name : kNames) (void)std::fprintf(stderr, "failpoint %s\n", name);
  return false;
}

}  // namespace

std::atomic<bool> failpoints_are_set{IsAsked()};

std::span<const char* const> FailpointNames() {
  return kNames;
}

void PassFailpoint(const char* name) {
  for (const std::unique_ptr<Wanted>& point : WantedPoints()) {
    if (point->name != name || point->left.fetch_sub(1) != 1) continue;
    (void)std::fprintf(stderr, "failpoint %s\n", name);
    (void)std::raise(point->signal);
  }
}

}  // namespace sluice::base

#endif
