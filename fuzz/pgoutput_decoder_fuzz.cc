// One pgoutput message: it is taken, and all its views lie inside it, or it is a protocol error.
// First byte: 1, inside a stream block. Seeds: tests/data/pgoutput, one message of every kind.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <variant>

#include "pgoutput/decoder.h"
#include "pgoutput/envelope.h"

namespace {

using namespace sluice;            // NOLINT
using namespace sluice::pgoutput;  // NOLINT

void Check(bool is_true) {
  if (!is_true) std::abort();
}

void CheckTuple(TupleView tuple, std::span<const std::byte> message) {
  Check(tuple.size() <= message.size());
  for (const TupleCell& cell : tuple) {
    if (cell.bytes.empty()) continue;
    Check(cell.bytes.data() >= message.data() &&
          cell.bytes.data() + cell.bytes.size() <= message.data() + message.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span<const std::byte> message = std::as_bytes(std::span(data, size)).subspan(1);
  (void)DecodeEnvelope(message);
  Decoder decoder;
  if ((data[0] & 1U) != 0) {
    constexpr std::byte kStart[] = {std::byte{'S'}, {}, {}, {}, std::byte{1}, std::byte{1}};
    Check(decoder.Decode(kStart).has_value());
  }
  const Result<Message> decoded = decoder.Decode(message);
  if (!decoded) {
    Check(decoded.error().kind == ErrorKind::kProtocol && !decoded.error().code.empty());
    return 0;
  }
  if (const auto* insert = std::get_if<Insert>(&*decoded)) CheckTuple(insert->row, message);
  if (const auto* update = std::get_if<Update>(&*decoded)) {
    CheckTuple(update->row, message);
    CheckTuple(update->old, message);
  }
  if (const auto* gone = std::get_if<Delete>(&*decoded)) CheckTuple(gone->old, message);
  if (const auto* relation = std::get_if<Relation>(&*decoded)) {
    Check(relation->columns.size() < message.size());
  }
  return 0;
}
