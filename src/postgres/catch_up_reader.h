/// \file
/// The log of a slot read by SQL, a stretch at a time: pg_logical_slot_peek_binary_changes()
/// through COPY. Some times as many changes a second as START_REPLICATION, as the walsender pays
/// for every message; for whoever is far behind.
///
/// A call begins where the slot stands (confirmed_flush_lsn), whatever was read before, gives whole
/// transactions in commit order and pieces of those over 64 MiB, and keeps the slot only until the
/// server has put its result together. Its snapshot stays until the last row was taken. In between
/// nobody holds the slot, so it is looked at before each call and once more when the first row
/// comes: what it began from is what it was thought to.
///
/// Bytes are carried, not understood, as by ReplicationStream.
///
/// Thread safety: one object, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>

#include "sluice/lsn.h"
#include "sluice/result.h"

#include "postgres/connection.h"
#include "postgres/replication_stream.h"

namespace sluice::postgres {

/// Up to where one call reads.
struct PeekCall {
  Lsn upto;  ///< flushed
  /// The call ends behind the transaction with which it has so many changes.
  int changes_max = 0;
};

/// One message of the log.
struct LoggedMessage {
  Lsn lsn;
  std::span<const std::byte> message;
};

/// COPY (SELECT lsn, data FROM pg_logical_slot_peek_binary_changes(...)) TO STDOUT (FORMAT binary):
/// protocol 2, streaming. So large transactions count in `changes_max` before they end: the server
/// keeps no result larger than that.
std::string PeekSql(const StreamOptions& options, const PeekCall& call);

/// What is in one CopyData message of that. An empty message: only the head or the end of the COPY.
/// \param is_first the message begins with the head.
/// Errors: kProtocol SLU-2019.
Result<LoggedMessage> ReadLoggedMessage(std::span<const std::byte> row, bool is_first);

/// Where a slot stands that nobody holds.
struct SlotPlace {
  Lsn restart;    ///< each call reads the log from here
  Lsn confirmed;  ///< and gives what commits here or later
};

/// The slot and calls on it; an interface for tests.
class SlotCalls {
 public:
  using Message = std::span<const std::byte>;

  virtual ~SlotCalls() = default;

  virtual Result<Lsn> ReadFlushLsn() = 0;
  /// Errors, all kConnection, so that whoever connects again finds out more: SLU-2102 (no such
  /// slot), SLU-2108 (invalidated), SLU-2105 (in use), SLU-3026 (it is not where it was left).
  virtual Result<SlotPlace> Look() = 0;
  /// What ends at or before `to`, which is flushed, is not read any more; never back. Not during a
  /// call. Errors: kCancelled (stop); kConnection SLU-2105, or of the line; whatever else the
  /// server has against it.
  virtual Status Advance(Lsn to, std::stop_token stop, Duration limit) = 0;

  /// Sends a call; errors of the server come with the first Next().
  /// \param is_wanted asked while nothing comes, about every 100 ms: false cancels the call.
  virtual Status Begin(const PeekCall& call, std::function<bool()> is_wanted) = 0;
  /// The next messages, for ReadLoggedMessage(), at least one; empty: the call has ended well.
  ///
  /// Errors: kCancelled (stop, or not wanted), kConnection SLU-2105, SLU-3026 (the slot was moved
  /// since Look()), SLU-2007; kProtocol SLU-2110; whatever else the server has against the
  /// statement, with is_alive() still true.
  virtual Result<std::span<const Message>> Next(const std::stop_token& stop) = 0;
  /// Cancels the call that runs, so that the source's snapshot goes; no other one may follow. What
  /// Next() gave is gone.
  virtual void Abandon() = 0;

  virtual bool is_calling() const = 0;
  /// The connection for calls works as far as known.
  virtual bool is_alive() const = 0;
  virtual Lsn confirmed() const = 0;
  virtual std::uint64_t received_bytes() const = 0;
};

class CatchUpReader final : public SlotCalls {
 public:
  /// Holds the slot (HoldSlot()) as long as it lives.
  /// \param control, calls two ordinary connections, idle. \param options start_lsn and
  /// is_streaming are not used. \param confirmed where the slot was when it was judged.
  static Result<CatchUpReader> Open(Connection control, Connection calls, StreamOptions options,
                                    Lsn confirmed);
  ~CatchUpReader() override;
  CatchUpReader(CatchUpReader&&) noexcept;
  CatchUpReader& operator=(CatchUpReader&&) noexcept;

  Result<Lsn> ReadFlushLsn() override;
  Result<SlotPlace> Look() override;
  Status Advance(Lsn to, std::stop_token stop = {},
                 Duration limit = std::chrono::minutes(10)) override;
  Status Begin(const PeekCall& call, std::function<bool()> is_wanted) override;
  Result<std::span<const Message>> Next(const std::stop_token& stop) override;
  void Abandon() override;
  bool is_calling() const override;
  bool is_alive() const override;
  Lsn confirmed() const override;
  std::uint64_t received_bytes() const override;

 private:
  struct State;
  explicit CatchUpReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sluice::postgres
