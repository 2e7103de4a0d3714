#include "cli/run_monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "cli/passwords.h"
#include "cli/progress_text.h"

namespace sluice::cli {
namespace {

constexpr std::chrono::milliseconds kLookInterval{200};
constexpr std::chrono::seconds kLineInterval{5};

/// Writes a line when there is something new, at most every kLineInterval.
class LineProgress {
 public:
  explicit LineProgress(Screen& screen) : screen_(screen) {}

  void Show(Clock::time_point now, const engine::PipelineStatus& status, const Rates& rates) {
    if (now < next_) return;
    std::string key = ProgressKey(status);
    if (key == last_key_) return;
    last_key_ = std::move(key);
    next_ = now + kLineInterval;
    screen_.Print(WithoutPasswords(PlainProgressLine(status, rates)) + '\n');
  }
  void ShowLast(const engine::PipelineStatus& status, const Rates& rates) {
    next_ = {};
    Show(Clock::now(), status, rates);
  }

 private:
  Screen& screen_;
  Clock::time_point next_;
  std::string last_key_;
};

}  // namespace

void WatchPipeline(const pipeline::Pipeline& pipeline, MetricsFeed& feed, Screen& screen,
                   ProgressStyle style, const std::stop_token& stop) {
  RateMeter meter;
  LineProgress lines(screen);
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  while (!stop.stop_requested()) {
    const engine::PipelineStatus status = pipeline.CurrentStatus();
    const Clock::time_point now = Clock::now();
    meter.Add(now, status);
    feed.Update(status, ReadProcessMemory());
    if (style == ProgressStyle::kBlock) {
      screen.Draw(ProgressLines(status, meter.rates(), screen.width() - 1));
    } else if (style == ProgressStyle::kLines) {
      lines.Show(now, status, meter.rates());
    }
    stopped.wait_for(lock, stop, kLookInterval, [] { return false; });
  }
  if (style == ProgressStyle::kLines) lines.ShowLast(pipeline.CurrentStatus(), meter.rates());
}

telemetry::Readiness ReadinessOf(const engine::PipelineStatus& status, bool all_tables) {
  if (!status.source_connected) return {.reason = "not connected to the source"};
  if (status.phase != engine::Phase::kRunning) return {.reason = engine::ToString(status.phase)};
  if (!all_tables) return {.is_ready = true, .reason = {}};
  for (const engine::TableStatus& table : status.tables) {
    const TableState state = table.record.state;
    if (state == TableState::kLive || state == TableState::kSkipped) continue;
    return {.reason = fmt::format("{} is {}", ToString(table.record.source), ToString(state))};
  }
  return {.is_ready = true, .reason = {}};
}

}  // namespace sluice::cli
