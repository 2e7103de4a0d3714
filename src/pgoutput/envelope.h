/// \file
/// The frames around pgoutput's messages: what a CopyData message of START_REPLICATION holds, both
/// ways.
///
///   server -> us   'w' XLogData             a piece of WAL: one pgoutput message
///                  'k' primary keepalive    how far the server is; may ask for a reply
///   us -> server   'r' standby status       what is written, flushed, applied here
///
/// Source: PostgreSQL docs, "Streaming Replication Protocol"; src/backend/replication/walsender.c,
/// XLogSendLogical(), WalSndKeepalive(), ProcessStandbyReplyMessage().
/// Thread safety: free functions. Lifetime: XLogData::message points into the bytes given.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <variant>

#include "sluice/lsn.h"
#include "sluice/result.h"
#include "sluice/time.h"

namespace sluice::pgoutput {

struct XLogData {
  Lsn wal_start;  ///< of the message; not ordered and 0 for Relation messages: never a position
  Lsn wal_end;    ///< how far the server had got when it was sent
  UnixMicros sent_at;
  std::span<const std::byte> message;
};

struct Keepalive {
  Lsn wal_end;  ///< everything that committed before it has been sent
  UnixMicros sent_at;
  bool wants_reply = false;  ///< answer at once, or wal_sender_timeout ends the connection
};

using Envelope = std::variant<XLogData, Keepalive>;

/// Errors: kProtocol, SLU-3101 (cut off, or too long), SLU-3102 (neither 'w' nor 'k').
Result<Envelope> DecodeEnvelope(std::span<const std::byte> frame);

/// Feedback. The server frees WAL up to `flush`, so that it must be durable at the destination.
struct StandbyStatus {
  Lsn write;
  Lsn flush;
  Lsn apply;
  UnixMicros clock;
  bool wants_reply = false;
};

inline constexpr std::size_t kStandbyStatusBytes = 1 + 8 + 8 + 8 + 8 + 1;

std::array<std::byte, kStandbyStatusBytes> EncodeStandbyStatus(const StandbyStatus& status);

}  // namespace sluice::pgoutput
