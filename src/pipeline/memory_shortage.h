/// \file
/// How often a run may open its destination again because DuckDB's share of memory was used up.
/// Pure: the time and the position come in.
#pragma once

#include <cstddef>
#include <deque>

#include "sluice/lsn.h"
#include "sluice/time.h"

namespace sluice::pipeline {

class MemoryShortage {
 public:
  static constexpr std::size_t kMax = 5;
  static constexpr Duration kWindow = std::chrono::hours(1);

  /// It was short of memory again. \param durable how far the destination had come by then.
  /// \return may it go on? Always where it got further since the last time; else kMax times within
  /// kWindow.
  bool MayGoOn(Clock::time_point now, Lsn durable);
  /// It was short of memory within kWindow.
  bool is_recent() const { return !at_.empty(); }

 private:
  std::deque<Clock::time_point> at_;
  Lsn durable_;
};

}  // namespace sluice::pipeline
