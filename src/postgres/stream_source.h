/// \file
/// The two ways of reading and writing a replication stream. Private to replication_stream.cc and
/// its parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string_view>
#include <utility>
#include <vector>

#include "postgres/frame_buffer.h"
#include "postgres/receive_low_water.h"
#include "postgres/replication_stream.h"
#include "postgres/wake_policy.h"

namespace sluice::postgres {

inline constexpr std::string_view kReadingStream = "read the replication stream";

class ReplicationStream::Source {
 public:
  explicit Source(Connection opened)
      : connection(std::move(opened)),
        low_water(PQsocket(connection.native())),
        policy(low_water.is_effective()) {}
  virtual ~Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  /// Sends the statement, and waits for the stream to begin.
  virtual Status Begin(const std::string& sql, Clock::time_point deadline,
                       const std::stop_token& stop) = 0;
  /// The next message that is buffered; it lives until the next call. nullopt: none is.
  virtual Result<std::optional<Message>> Take() = 0;
  /// Reads what the socket has, without waiting.
  virtual Status Receive() = 0;
  virtual Status Send(Message update) = 0;
  virtual Result<bool> Flush() = 0;
  virtual void Close(Clock::time_point deadline) = 0;

  Connection connection;
  ReceiveLowWater low_water;
  WakePolicy policy;
  std::size_t bytes_since_wait = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t wake_ups = 0;
  bool has_unsent = false;
};

/// By libpq, which has the keys of an encrypted connection.
class ReplicationStream::LibpqSource final : public Source {
 public:
  using Source::Source;
  Status Begin(const std::string& sql, Clock::time_point deadline,
               const std::stop_token& stop) override;
  Result<std::optional<Message>> Take() override;
  Status Receive() override;
  Status Send(Message update) override;
  Result<bool> Flush() override;
  void Close(Clock::time_point deadline) override;

 private:
  Status CheckNotices();
  Error End();

  MemoryHandle message_;
  std::size_t notices_seen_ = 0;
};

/// Past libpq, which stays as it was before the statement: nothing is copied or allocated for a
/// message, and one read takes as much as there is.
class ReplicationStream::RawSource final : public Source {
 public:
  explicit RawSource(Connection opened);
  Status Begin(const std::string& sql, Clock::time_point deadline,
               const std::stop_token& stop) override;
  Result<std::optional<Message>> Take() override;
  Status Receive() override;
  Status Send(Message update) override;
  Result<bool> Flush() override;
  void Close(Clock::time_point deadline) override;

 private:
  /// Its error ends the stream.
  Status TakeOther(const FrameBuffer::Frame& frame);
  void BreakOff();
  Error Broken(ErrorKind kind, std::string_view why);

  FrameBuffer buffer_;
  std::vector<std::byte> unsent_;
};

/// What the server said when it ended the stream, or nothing.
Error StreamEnded(std::optional<Error> said);
Error RefineStreamError(Error error);
Error NoStreamInTime(const std::stop_token& stop);
Error NoStream();

}  // namespace sluice::postgres
