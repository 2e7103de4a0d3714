// COPY framing, binary and text, into columns of many types. First byte: the format; then the
// messages, each with a length byte pair.
#include <arrow/record_batch.h>

#include <cstdint>
#include <cstdlib>

#include "columnar/copy_decoder.h"
#include "columnar/testing/schemas.h"

namespace {

sluice::SchemaPtr FuzzSchema() {
  using sluice::columnar::testing::Builtin;
  static const sluice::SchemaPtr kSchema = sluice::columnar::testing::Schema(
      {Builtin(23), Builtin(25), Builtin(1700, sluice::columnar::testing::NumericTypmod(10, 2)),
       Builtin(1009)});
  return kSchema;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sluice::columnar::CopyFormat;
  if (size < 1) return 0;
  sluice::columnar::CopyDecoder decoder(
      FuzzSchema(), (data[0] & 1) != 0 ? CopyFormat::kBinary : CopyFormat::kText);
  auto rest = std::as_bytes(std::span(data, size)).subspan(1);
  while (rest.size() >= 2) {
    const std::size_t wanted =
        std::to_integer<std::size_t>(rest[0]) * 256 + std::to_integer<std::size_t>(rest[1]);
    rest = rest.subspan(2);
    const std::size_t length = wanted < rest.size() ? wanted : rest.size();
    const std::size_t rows = decoder.row_count();
    const bool is_ok = decoder.Append(rest.first(length)).has_value();
    if (decoder.row_count() < rows) std::abort();
    rest = rest.subspan(length);
    if (!is_ok) break;
  }
  if (!decoder.Finish().rows->ValidateFull().ok()) std::abort();
  return 0;
}
