#include "engine/walsender_feed.h"

#include <optional>
#include <utility>
#include <variant>

#include "engine/progress.h"
#include "engine/stream_reader.h"
#include "pgoutput/envelope.h"

namespace sluice::engine {
namespace {

/// A look at the clock and the timers costs a little; a burst is read in runs of this many
/// messages.
constexpr int kMessagesPerLook = 128;

}  // namespace

Status WalsenderFeed::Read(Clock::time_point deadline, const std::stop_token& stop,
                           StreamReader& reader) {
  for (int i = 0; i < kMessagesPerLook; ++i) {
    Result<std::optional<postgres::ReplicationStream::Message>> message =
        stream_.Read(i == 0 ? deadline : Clock::time_point{}, stop);
    if (!message) {
      if (message.error().kind == ErrorKind::kCancelled) break;
      return std::move(message).error();
    }
    if (!message->has_value()) break;
    SLUICE_RETURN_IF_ERROR(HandleFrame(**message, reader));
  }
  return {};
}

Status WalsenderFeed::HandleFrame(std::span<const std::byte> frame, StreamReader& reader) {
  SLUICE_ASSIGN_OR_RETURN(const pgoutput::Envelope envelope, pgoutput::DecodeEnvelope(frame));
  if (const auto* data = std::get_if<pgoutput::XLogData>(&envelope)) {
    reader.NoteServerFlush(data->wal_end);
    return reader.TakeMessage(data->wal_start, data->message);
  }
  const auto& keepalive = std::get<pgoutput::Keepalive>(envelope);
  reader.NoteServerFlush(keepalive.wal_end);
  SLUICE_RETURN_IF_ERROR(reader.TakeReached(keepalive.wal_end));
  if (keepalive.wants_reply) reader.RequestReply();
  return {};
}

Result<Lsn> WalsenderFeed::Acknowledge(const replication::Feedback& feedback, bool wants_reply) {
  const auto update = pgoutput::EncodeStandbyStatus({.write = feedback.written,
                                                     .flush = feedback.flushed,
                                                     .apply = feedback.applied,
                                                     .clock = WallClock(),
                                                     .wants_reply = wants_reply});
  SLUICE_RETURN_IF_ERROR(stream_.Send(update));
  return feedback.flushed;
}

void WalsenderFeed::Close(Duration timeout) {
  (void)stream_.FlushUntil(Clock::now() + timeout);
  stream_.Close(timeout);
}

}  // namespace sluice::engine
