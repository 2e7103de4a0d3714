/// \file
/// How much WAL the slot may keep at the source, and what follows when it keeps more. Pure: told
/// what was read and when, says what to do.
#pragma once

#include <cstdint>
#include <string>

#include "sluice/time.h"

#include "engine/options.h"

namespace sluice::engine {

class WalBudget {
 public:
  /// The slot is dropped where what it keeps is over the limit and gets no less for so long.
  static constexpr Duration kPatience = std::chrono::seconds(10);

  explicit WalBudget(WalBudgetOptions options) : options_(options) {}

  struct Verdict {
    /// To be logged as an alarm; empty: nothing is new. Once when it goes over the limit and at
    /// each doubling.
    std::string alarm;
    bool is_back = false;  ///< it came below the limit again: to be logged
    bool drops_slot = false;
  };
  /// \param retained_bytes what the slot keeps now
  Verdict Look(std::uint64_t retained_bytes, Clock::time_point now);

  bool has_limit() const { return options_.max_bytes > 0; }
  bool is_over() const { return is_over_; }
  /// Copies are to wait: from when it is over the limit until it is below four fifths of it.
  bool pauses_copies() const { return is_over_ && options_.policy == OnRetainedWal::kPauseCopy; }

 private:
  const WalBudgetOptions options_;
  bool is_over_ = false;
  std::uint64_t least_bytes_ = 0;  ///< since it went over
  std::uint64_t alarm_bytes_ = 0;  ///< the next alarm is due at so much
  Clock::time_point least_since_{};
};

}  // namespace sluice::engine
