/// \file
/// The two ways of reading a COPY. Private to copy_reader.cc and its parts.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string_view>
#include <vector>

#include "sluice/result.h"

#include "postgres/connection.h"
#include "postgres/copy_reader.h"
#include "postgres/frame_buffer.h"
#include "postgres/receive_low_water.h"

namespace sluice::postgres {

inline constexpr std::size_t kRawBufferBytes = 1U << 20;
inline constexpr std::string_view kSilent =
    "nothing comes, and the server does not say that it still works at it";

class CopyReader::Source {
 public:
  Source() = default;
  virtual ~Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  virtual Status Begin(std::string_view sql) = 0;
  virtual Result<std::span<const Message>> Next(std::stop_token stop) = 0;
  virtual bool is_raw() const = 0;
  std::size_t received_bytes = 0;
};

class CopyReader::LibpqSource : public Source {
 public:
  LibpqSource(Connection& connection, const CopyReaderOptions& options)
      : connection_(connection), options_(options), low_water_(PQsocket(connection.native())) {}
  ~LibpqSource() override;
  Status Begin(std::string_view sql) override;
  Result<std::span<const Message>> Next(std::stop_token stop) override;
  bool is_raw() const override { return false; }

 private:
  Result<bool> Wait(const std::stop_token& stop);
  Result<bool> Drain();
  Status Finish();

  Connection& connection_;  // Must outlive this.
  CopyReaderOptions options_;
  ReceiveLowWater low_water_;
  std::vector<MemoryHandle> rows_;
  std::vector<Message> messages_;
  bool is_running_ = false;
  bool has_started_ = false;  // the server has answered the statement
};

class CopyReader::RawSource : public Source {
 public:
  RawSource(Connection& connection, const CopyReaderOptions& options)
      : connection_(connection),
        options_(options),
        low_water_(PQsocket(connection.native())),
        buffer_(kRawBufferBytes) {}
  ~RawSource() override;
  Status Begin(std::string_view sql) override;
  Result<std::span<const Message>> Next(std::stop_token stop) override;
  bool is_raw() const override { return true; }

 private:
  bool is_at_end() const { return !is_running_ && buffer_.is_empty(); }
  Status SendAll(std::vector<std::byte> bytes);
  /// False: nothing is there.
  Result<bool> ReceiveSome();
  Status Receive(const std::stop_token& stop);
  Status Frame();
  Status TakeOther(const FrameBuffer::Frame& frame);
  Status Stop();
  Status DrainToReady(Clock::time_point deadline);
  Error Broken(ErrorKind kind, std::string_view why);

  Connection& connection_;  // Must outlive this.
  CopyReaderOptions options_;
  ReceiveLowWater low_water_;
  FrameBuffer buffer_;
  std::vector<Message> messages_;
  std::optional<Error> failure_;
  bool has_command_completed_ = false;
  bool is_running_ = false;
};

}  // namespace sluice::postgres
