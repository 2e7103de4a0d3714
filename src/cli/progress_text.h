/// \file
/// Progress of a pipeline as text: bars of what is copied, one line of what is live. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/time.h"

#include "engine/status.h"

namespace sluice::cli {

/// What a pipeline did, per second, over the last few seconds.
struct Rates {
  double rows = 0;  ///< copied and streamed
  double transactions = 0;
};

class RateMeter {
 public:
  /// `now` must not go back.
  void Add(Clock::time_point now, const engine::PipelineStatus& status);
  Rates rates() const;

 private:
  struct Sample {
    Clock::time_point at;
    std::int64_t rows = 0;
    std::int64_t transactions = 0;
  };
  std::deque<Sample> samples_;
};

/// 0 to 1; nullopt-like -1 where the size is not known. At most 0.99 until the copy has ended.
double CopyRatio(const engine::TableStatus& table);

/// "[=====>    ]"; all of it in `width` columns.
std::string Bar(double ratio, std::size_t width);

/// The first `columns` characters of UTF-8 text; what follows is cut.
std::string CutTo(std::string_view text, std::size_t columns);

/// For a terminal: a bar for each table being copied (at most eight), then the line of the whole.
std::vector<std::string> ProgressLines(const engine::PipelineStatus& status, const Rates& rates,
                                       std::size_t width);

/// For logs: the line of the whole, and how far the copies are.
std::string PlainProgressLine(const engine::PipelineStatus& status, const Rates& rates);

/// Changes when there is something to say: a plain line is only written then.
std::string ProgressKey(const engine::PipelineStatus& status);

}  // namespace sluice::cli
