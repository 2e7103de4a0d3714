#include "cli/progress_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/units.h"

namespace sluice::cli {
namespace {

constexpr std::chrono::seconds kRateWindow{3};
constexpr std::size_t kBarsMax = 8;
constexpr std::size_t kBarWidth = 22;
constexpr std::size_t kNameWidthMax = 32;

std::size_t CountIn(const engine::PipelineStatus& status, TableState state) {
  return static_cast<std::size_t>(
      std::count_if(status.tables.begin(), status.tables.end(),
                    [&](const engine::TableStatus& t) { return t.record.state == state; }));
}

std::string RateText(double rate) {
  return base::FormatCount(static_cast<std::int64_t>(std::llround(std::max(rate, 0.0))));
}

std::string LagText(double seconds) {
  if (seconds < 60) return fmt::format("{:.1f} s", std::max(seconds, 0.0));
  const auto whole = static_cast<std::int64_t>(std::min(seconds, 1e9));
  return base::FormatDuration(std::chrono::seconds(whole));
}

/// "12 of 14 tables live, 1 copying, 1 halted".
std::string TablesText(const engine::PipelineStatus& status) {
  std::string out =
      fmt::format("{} of {} tables live", CountIn(status, TableState::kLive), status.tables.size());
  constexpr std::array kOthers = {TableState::kCopying, TableState::kPending, TableState::kHalted,
                                  TableState::kSkipped};
  for (const TableState state : kOthers) {
    const std::size_t count = CountIn(status, state);
    if (count > 0) out += fmt::format(", {} {}", count, ToString(state));
  }
  return out;
}

/// Why it is not running, where somebody is waited for or failed.
std::string WhyText(const engine::PipelineStatus& status) {
  if (!status.last_error.empty()) return ": " + status.last_error;
  if (!status.waiting_for.empty()) return ", waiting for " + status.waiting_for;
  return {};
}

std::string WholeLine(const engine::PipelineStatus& status, const Rates& rates) {
  std::string out = fmt::format("{}{}", engine::ToString(status.phase), WhyText(status));
  if (status.tables.empty()) return out;
  out +=
      fmt::format(" | {} | lag {} | {} rows/s, {} tx/s", TablesText(status),
                  LagText(status.lag_seconds), RateText(rates.rows), RateText(rates.transactions));
  if (status.durable.is_valid()) out += " | " + ToString(status.durable);
  return out;
}

std::string BarLine(const engine::TableStatus& table, std::size_t name_width) {
  const double ratio = CopyRatio(table);
  const std::string share =
      ratio < 0 ? std::string("   ?") : fmt::format("{:3.0f}%", std::floor(ratio * 100));
  std::string name = CutTo(ToString(table.record.source), name_width);
  return fmt::format("  {:<{}} {} {} {} rows, {}", name, name_width, Bar(ratio, kBarWidth), share,
                     base::FormatCount(table.rows_copied), base::FormatSize(table.bytes_copied));
}

bool IsContinuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

}  // namespace

void RateMeter::Add(Clock::time_point now, const engine::PipelineStatus& status) {
  samples_.push_back({.at = now,
                      .rows = status.rows_copied + status.rows_streamed,
                      .transactions = status.transactions});
  while (samples_.size() > 2 && now - samples_[1].at >= kRateWindow) samples_.pop_front();
}

Rates RateMeter::rates() const {
  if (samples_.size() < 2) return {};
  const Sample& first = samples_.front();
  const Sample& last = samples_.back();
  const double seconds = std::chrono::duration<double>(last.at - first.at).count();
  if (seconds <= 0) return {};
  return {.rows = static_cast<double>(last.rows - first.rows) / seconds,
          .transactions = static_cast<double>(last.transactions - first.transactions) / seconds};
}

double CopyRatio(const engine::TableStatus& table) {
  if (table.record.state == TableState::kLive) return 1;
  if (table.rows_estimated <= 0) return -1;
  const double ratio =
      static_cast<double>(table.rows_copied) / static_cast<double>(table.rows_estimated);
  return std::clamp(ratio, 0.0, 0.99);  // an estimate may be too low
}

std::string Bar(double ratio, std::size_t width) {
  if (width < 3) return {};
  const std::size_t inside = width - 2;
  const auto filled =
      static_cast<std::size_t>(std::clamp(ratio, 0.0, 1.0) * static_cast<double>(inside));
  std::string out = "[" + std::string(filled, '=');
  if (filled < inside) out += filled > 0 ? '>' : ' ';
  out.resize(width - 1, ' ');
  return out + ']';
}

std::string CutTo(std::string_view text, std::size_t columns) {
  std::size_t at = 0;
  for (std::size_t seen = 0; at < text.size(); ++seen) {
    if (seen == columns) break;
    ++at;
    while (at < text.size() && IsContinuation(text[at])) ++at;
  }
  std::string out(text.substr(0, at));
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

std::vector<std::string> ProgressLines(const engine::PipelineStatus& status, const Rates& rates,
                                       std::size_t width) {
  std::vector<const engine::TableStatus*> copying;
  std::size_t name_width = 0;
  for (const engine::TableStatus& table : status.tables) {
    if (table.record.state != TableState::kCopying) continue;
    copying.push_back(&table);
    name_width = std::max(name_width, ToString(table.record.source).size());
  }
  std::vector<std::string> out;
  for (std::size_t i = 0; i < std::min(copying.size(), kBarsMax); ++i) {
    out.push_back(CutTo(BarLine(*copying[i], std::min(name_width, kNameWidthMax)), width));
  }
  if (copying.size() > kBarsMax) {
    out.push_back(CutTo(fmt::format("  and {} more", copying.size() - kBarsMax), width));
  }
  out.push_back(CutTo(WholeLine(status, rates), width));
  return out;
}

std::string PlainProgressLine(const engine::PipelineStatus& status, const Rates& rates) {
  std::string out = WholeLine(status, rates);
  std::int64_t rows = 0;
  std::int64_t estimated = 0;
  for (const engine::TableStatus& table : status.tables) {
    if (table.record.state != TableState::kCopying && table.record.state != TableState::kPending) {
      continue;
    }
    rows += table.rows_copied;
    estimated += std::max(table.rows_estimated, table.rows_copied);
  }
  if (rows > 0 || estimated > 0) {
    out += fmt::format(" | {} of about {} rows copied", base::FormatCount(rows),
                       base::FormatCount(estimated));
  }
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

std::string ProgressKey(const engine::PipelineStatus& status) {
  std::string out =
      fmt::format("{}|{}|{}|{}|{}|{}", engine::ToString(status.phase), status.last_error,
                  status.waiting_for, status.transactions, status.rows_copied, TablesText(status));
  for (const engine::TableStatus& table : status.tables) {
    if (table.record.state == TableState::kCopying) out += fmt::format("|{}", table.rows_copied);
  }
  return out;
}

}  // namespace sluice::cli
