#include "integration/stream_rows.h"

#include <gtest/gtest.h>

#include <charconv>

#include "base/byte_reader.h"

namespace sluice::tests {
namespace {

std::vector<pgoutput::TupleCell> ReadTuple(base::ByteReader& in) {
  std::vector<pgoutput::TupleCell> cells(in.ReadU16());
  for (pgoutput::TupleCell& cell : cells) {
    cell.kind = static_cast<pgoutput::TupleCell::Kind>(in.ReadU8());
    if (cell.kind == pgoutput::TupleCell::Kind::kText ||
        cell.kind == pgoutput::TupleCell::Kind::kBinary) {
      cell.bytes = in.ReadBytes(in.ReadU32());
    }
  }
  return cells;
}

}  // namespace

int IntegerOf(const pgoutput::TupleCell& cell) {
  if (cell.kind == pgoutput::TupleCell::Kind::kBinary)
    return base::ByteReader(cell.bytes).ReadI32();
  int id = 0;
  const std::string_view text = base::AsText(cell.bytes);
  std::from_chars(text.data(), text.data() + text.size(), id);
  return id;
}

std::optional<StreamRow> ReadStreamRow(std::string_view message) {
  base::ByteReader in(base::AsBytes(message));
  StreamRow out;
  out.kind = static_cast<char>(in.ReadU8());
  if (out.kind != 'I' && out.kind != 'U' && out.kind != 'D') return std::nullopt;
  out.relation = in.ReadU32();
  auto tuple = static_cast<char>(in.ReadU8());
  if (tuple != 'N') {
    out.old = ReadTuple(in);
    if (out.kind == 'U') tuple = static_cast<char>(in.ReadU8());
  }
  if (tuple == 'N') out.row = ReadTuple(in);
  EXPECT_TRUE(in.Finish());
  out.id = IntegerOf(out.row.empty() ? out.old[0] : out.row[0]);
  return out;
}

std::string FromHex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    unsigned char byte = 0;
    std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    out += static_cast<char>(byte);
  }
  return out;
}

}  // namespace sluice::tests
