#include "pgoutput/envelope.h"

#include <cstdint>

#include "base/byte_reader.h"

namespace sluice::pgoutput {
namespace {

UnixMicros FromWire(std::int64_t postgres_micros) {
  std::int64_t unix_micros = 0;
  // A clock beyond the end of time is nobody's; it is data, not worth an error.
  if (__builtin_add_overflow(postgres_micros, kPostgresEpochMicros, &unix_micros)) {
    unix_micros = postgres_micros;
  }
  return UnixMicros{unix_micros};
}

Error Malformed(const char* what) {
  Error error;
  error.kind = ErrorKind::kProtocol;
  error.message = std::string(what) + " is malformed";
  error.code = "SLU-3101";
  return error;
}

void PutU64(std::byte* at, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    *at++ = static_cast<std::byte>((value >> shift) & 0xFFU);
  }
}

}  // namespace

// XLogData: Byte1 'w', Int64 start of the WAL data, Int64 end of WAL on the server, Int64 its clock
// in microseconds since 2000, then the message to the end of the frame.
// Keepalive: Byte1 'k', Int64 end of WAL, Int64 clock, Byte1 1 if a reply is wanted at once.
Result<Envelope> DecodeEnvelope(std::span<const std::byte> frame) {
  base::ByteReader in(frame);
  const std::uint8_t kind = in.ReadU8();
  if (!in.ok()) return Malformed("an empty replication frame");
  if (kind == 'w') {
    XLogData data;
    data.wal_start = Lsn{in.ReadU64()};
    data.wal_end = Lsn{in.ReadU64()};
    data.sent_at = FromWire(in.ReadI64());
    data.message = in.ReadBytes(in.remaining());
    if (!in.Finish()) return Malformed("an XLogData frame");
    return Envelope(data);
  }
  if (kind == 'k') {
    Keepalive keepalive;
    keepalive.wal_end = Lsn{in.ReadU64()};
    keepalive.sent_at = FromWire(in.ReadI64());
    const std::uint8_t reply = in.ReadU8();
    keepalive.wants_reply = reply == 1;
    if (!in.Finish() || reply > 1) return Malformed("a keepalive frame");
    return Envelope(keepalive);
  }
  Error error = Malformed("a replication frame");
  error.message =
      "the server sent a replication frame of an unknown kind: byte " + std::to_string(kind);
  error.code = "SLU-3102";
  return error;
}

std::array<std::byte, kStandbyStatusBytes> EncodeStandbyStatus(const StandbyStatus& status) {
  std::array<std::byte, kStandbyStatusBytes> out{};
  out[0] = static_cast<std::byte>('r');
  PutU64(&out[1], status.write.value);
  PutU64(&out[9], status.flush.value);
  PutU64(&out[17], status.apply.value);
  PutU64(&out[25], static_cast<std::uint64_t>(status.clock.value - kPostgresEpochMicros));
  out[33] = static_cast<std::byte>(status.wants_reply ? 1 : 0);
  return out;
}

}  // namespace sluice::pgoutput
