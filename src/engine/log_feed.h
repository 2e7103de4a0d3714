/// \file
/// Where the messages of the log come from, for StreamReader: the walsender (walsender_feed.h), or
/// SQL (catch_up_feed.h).
///
/// Thread safety: one object, one thread.
#pragma once

#include <cstdint>
#include <stop_token>

#include "sluice/lsn.h"
#include "sluice/result.h"
#include "sluice/time.h"

#include "replication/position_tracker.h"

namespace sluice::engine {

class StreamReader;

class LogFeed {
 public:
  LogFeed() = default;
  virtual ~LogFeed() = default;
  LogFeed(const LogFeed&) = delete;
  LogFeed& operator=(const LogFeed&) = delete;

  /// Gives `reader` what is there, in small portions, or waits for something until `deadline`. A
  /// stop is no error.
  virtual Status Read(Clock::time_point deadline, const std::stop_token& stop,
                      StreamReader& reader) = 0;
  /// What may be forgotten at the source, and what is asked there. Returns what the source was told
  /// so far.
  virtual Result<Lsn> Acknowledge(const replication::Feedback& feedback, bool wants_reply) = 0;
  /// Wants to be told what is durable more often than the source has to be.
  virtual bool wants_feedback() const = 0;
  /// The last Acknowledge() reaches the source, and the slot is let go; best effort.
  virtual void Close(Duration timeout) = 0;
  virtual std::uint64_t received_bytes() const = 0;
};

}  // namespace sluice::engine
