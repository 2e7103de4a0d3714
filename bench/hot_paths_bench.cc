/// \file
/// The hot paths without a server: COPY into columns, pgoutput into change sets, changes into their
/// net effect. items_per_second are rows.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/byte_reader.h"
#include "base/check.h"
#include "columnar/copy_decoder.h"
#include "columnar/table_builder.h"
#include "columnar/testing/schemas.h"
#include "pgoutput/testing/message_writer.h"
#include "replication/net_change_fold.h"
#include "replication/transaction_assembler.h"

namespace sluice {
namespace {

using columnar::testing::Builtin;
using columnar::testing::WireBytes;
using pgoutput::testing::Binary;
using pgoutput::testing::Cells;
using pgoutput::testing::Int4;
using pgoutput::testing::Int8;

constexpr int kRows = 10'000;
constexpr std::uint32_t kInt8Oid = 20;
constexpr std::uint32_t kInt4Oid = 23;
constexpr std::uint32_t kTextOid = 25;
constexpr std::uint32_t kFloat8Oid = 701;
constexpr std::uint32_t kTimestamptzOid = 1184;
constexpr RelationId kRelation{16400};

/// The types of the narrow table of bench/workloads.py, `times` times over; the first is the key.
SchemaPtr NarrowTypes(int times) {
  std::vector<ColumnType> types;
  for (int i = 0; i < times; ++i) {
    for (const std::uint32_t oid : {kInt8Oid, kInt4Oid, kFloat8Oid, kTextOid, kTimestamptzOid}) {
      types.push_back(Builtin(oid));
    }
  }
  return columnar::testing::Schema(std::move(types), {0});
}

/// One CopyData message a row, behind the header.
std::vector<std::string> CopyMessages(int times) {
  std::vector<std::string> messages = {std::string("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19)};
  for (int row = 0; row < kRows; ++row) {
    WireBytes out;
    out.I16(static_cast<std::int16_t>(5 * times));
    for (int i = 0; i < times; ++i) {
      out.I32(8).I64(row).I32(4).I32(row % 1000).I32(8).I64(0x3FF8000000000000);
      out.Item("text " + std::to_string(row)).I32(8).I64(800'000'000'000'000 + row);
    }
    messages.push_back(out.text());
  }
  return messages;
}

void DecodeCopy(benchmark::State& state, int times) {
  const SchemaPtr schema = NarrowTypes(times);
  const std::vector<std::string> messages = CopyMessages(times);
  std::size_t bytes = 0;
  for (const std::string& message : messages) bytes += message.size();
  for (auto _ : state) {
    columnar::CopyDecoder decoder(schema, columnar::CopyFormat::kBinary);
    for (const std::string& message : messages) {
      SLUICE_CHECK(decoder.Append(base::AsBytes(message)).has_value());
    }
    benchmark::DoNotOptimize(decoder.Finish());
  }
  state.SetItemsProcessed(state.iterations() * kRows);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}
BENCHMARK_CAPTURE(DecodeCopy, 5_columns, 1);
BENCHMARK_CAPTURE(DecodeCopy, 40_columns, 8);

class OneTable : public replication::RelationResolver {
 public:
  explicit OneTable(SchemaPtr schema) : schema_(std::move(schema)) {}
  Result<replication::Resolution> Resolve(const pgoutput::Relation&,
                                          const replication::RelationContext&) override {
    return replication::Resolution::Use(schema_);
  }
  void OnType(const pgoutput::Type&, const replication::RelationContext&) override {}

 private:
  SchemaPtr schema_;
};

Cells NarrowRow(int key) {
  return {Int8(key), Int4(key % 1000), Int8(0x3FF8000000000000),
          Binary("text " + std::to_string(key)), Int8(800'000'000'000'000 + key)};
}

/// kRows inserts in transactions of state.range(0) rows.
void Assemble(benchmark::State& state) {
  const SchemaPtr schema = NarrowTypes(1);
  pgoutput::Relation relation;
  relation.id = kRelation;
  relation.name = schema->name;
  for (const Column& column : schema->columns) {
    relation.columns.push_back({column.name, column.type.oid, -1, column.is_identity});
  }
  std::vector<std::string> messages;
  const int size = static_cast<int>(state.range(0));
  for (int row = 0; row < kRows; ++row) {
    const Lsn commit{1000 + 100 * static_cast<std::uint64_t>(row / size)};
    if (row % size == 0) {
      messages.push_back(pgoutput::testing::WriteBegin(
          {commit, UnixMicros{1000}, TransactionId{static_cast<std::uint32_t>(7 + row / size)}}));
    }
    if (row == 0) messages.push_back(pgoutput::testing::WriteRelation(relation));
    messages.push_back(pgoutput::testing::WriteInsert(kRelation, NarrowRow(row)));
    if ((row + 1) % size == 0) {
      messages.push_back(
          pgoutput::testing::WriteCommit({commit, Lsn{commit.value + 10}, UnixMicros{1000}}));
    }
  }
  OneTable resolver(schema);
  for (auto _ : state) {
    replication::TransactionAssembler assembler({}, Lsn{1}, std::nullopt, resolver);
    for (const std::string& message : messages) {
      SLUICE_CHECK(assembler.Consume(Lsn{0x5000}, base::AsBytes(message)).has_value());
      while (assembler.has_ready()) benchmark::DoNotOptimize(assembler.Seal());
    }
    while (auto set = assembler.Seal()) benchmark::DoNotOptimize(set);
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(Assemble)->Arg(1)->Arg(4)->Arg(1000);

/// kRows updates, each key state.range(0) times.
void FoldUpdates(benchmark::State& state) {
  const SchemaPtr schema = NarrowTypes(1);
  columnar::TableBuilder builder(schema);
  builder.BeginTransaction(0);
  const int keys = kRows / static_cast<int>(state.range(0));
  for (int row = 0; row < kRows; ++row) {
    const Cells cells = NarrowRow(row % keys);
    std::vector<pgoutput::TupleCell> tuple;
    tuple.reserve(cells.size());
    for (const auto& cell : cells) tuple.push_back({cell.kind, base::AsBytes(cell.bytes)});
    SLUICE_CHECK(builder.AppendUpdate(tuple, {}, static_cast<std::uint32_t>(row)).has_value());
  }
  const ChangeBatch batch = builder.Finish();
  const replication::FoldItem item{.batch = &batch};
  for (auto _ : state) {
    auto net = replication::FoldNet(schema, std::span(&item, 1));
    SLUICE_CHECK(net.has_value());
    benchmark::DoNotOptimize(net);
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(FoldUpdates)->Arg(1)->Arg(10);

}  // namespace
}  // namespace sluice

BENCHMARK_MAIN();
