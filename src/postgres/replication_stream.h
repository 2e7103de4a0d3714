/// \file
/// START_REPLICATION and the CopyBoth stream after it: messages in, status updates out.
///
/// Bytes are carried, not understood: what is in a message is pgoutput's affair, what a status
/// update says the caller's.
///
/// Thread safety: one object, one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "sluice/lsn.h"
#include "sluice/result.h"

#include "postgres/connection.h"

namespace sluice::postgres {

struct StreamOptions {
  std::string slot;
  std::vector<std::string> publications;
  Lsn start_lsn;             ///< never 0: the server would take its own idea of the position
  bool is_binary = true;     ///< values in binary form
  bool is_streaming = true;  ///< large transactions before their end
  bool with_messages = false;
  bool may_read_raw = true;  ///< past libpq where the connection is not encrypted
};

/// SLU-2110 where a server of 18 says, only in a warning, that it leaves out the changes of a
/// publication that is not there at that point of the WAL; nullopt: it says something else.
std::optional<Error> SkippedPublication(const Notice& notice);

/// START_REPLICATION SLOT ... for that server version: protocol 2.
std::string StartReplicationSql(const StreamOptions& options);

class ReplicationStream {
 public:
  using Message = std::span<const std::byte>;

  /// \param connection a replication connection, idle.
  /// Errors: kConnection SLU-2105 (slot in use, names the pid: wait and try again), kConfig
  /// SLU-2102 (no such slot), SLU-2108 (invalidated), SLU-2037 (publication missing), kAuth,
  /// kConnection.
  static Result<ReplicationStream> Start(Connection connection, const StreamOptions& options,
                                         std::stop_token stop = {});
  ~ReplicationStream();
  ReplicationStream(ReplicationStream&&) noexcept;
  ReplicationStream& operator=(ReplicationStream&&) noexcept;

  /// The next message, at once where one is buffered; else waits until `deadline`. nullopt:
  /// deadline. The message lives until the next call. With Clock::time_point{} it only takes what
  /// is buffered and asks the socket for nothing: a look there at every message would undo what
  /// WakePolicy gathers.
  ///
  /// Errors: kCancelled (stop), kConnection SLU-2109 (the server shut down or ended the stream) and
  /// SLU-2007, kProtocol SLU-2110 (the server left out a publication that was dropped: changes are
  /// lost from here on), kConfig SLU-2111 (the server's own decoding failed: again at every try).
  Result<std::optional<Message>> Read(Clock::time_point deadline, const std::stop_token& stop = {});

  /// Queues a status update and sends as much as goes without waiting; the rest goes with the next
  /// Read() or Flush(). Works while nobody reads.
  Status Send(Message update);
  /// true: everything is sent.
  Result<bool> Flush();
  /// Waits until it is sent, for the last update before closing.
  Status FlushUntil(Clock::time_point deadline);

  /// Ends the stream in good order: CopyDone, then the server's end. Best effort within `timeout`.
  void Close(Duration timeout);

  const Connection& connection() const;
  std::uint64_t received_bytes() const;
  std::uint64_t wake_ups() const;

 private:
  class Source;
  class LibpqSource;
  class RawSource;
  explicit ReplicationStream(std::unique_ptr<Source> source);
  Result<bool> Wait(Clock::time_point deadline, const std::stop_token& stop);
  std::unique_ptr<Source> source_;
};

}  // namespace sluice::postgres
