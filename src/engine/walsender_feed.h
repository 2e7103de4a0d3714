/// \file
/// The log as a stream: START_REPLICATION. Thread safety: one object, one thread.
#pragma once

#include <span>

#include "engine/log_feed.h"
#include "postgres/replication_stream.h"

namespace sluice::engine {

class WalsenderFeed final : public LogFeed {
 public:
  explicit WalsenderFeed(postgres::ReplicationStream stream) : stream_(std::move(stream)) {}

  Status Read(Clock::time_point deadline, const std::stop_token& stop,
              StreamReader& reader) override;
  Result<Lsn> Acknowledge(const replication::Feedback& feedback, bool wants_reply) override;
  bool wants_feedback() const override { return false; }
  void Close(Duration timeout) override;
  std::uint64_t received_bytes() const override { return stream_.received_bytes(); }

 private:
  static Status HandleFrame(std::span<const std::byte> frame, StreamReader& reader);

  postgres::ReplicationStream stream_;
};

}  // namespace sluice::engine
