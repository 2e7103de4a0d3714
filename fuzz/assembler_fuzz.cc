// A stream of pgoutput messages (each after its 16-bit length) through the transaction assembler,
// with limits so small that it cuts and spills: it stops with an error, or what leaves is sound.
// First byte: limits. Seeds: the captured streams of tests/data/pgoutput.
#include <arrow/record_batch.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "columnar/testing/schemas.h"
#include "replication/transaction_assembler.h"

namespace {

using namespace sluice;               // NOLINT
using namespace sluice::replication;  // NOLINT

void Check(bool is_true) {
  if (!is_true) std::abort();
}

/// int4 columns are int4, everything else is text; some relations are ignored or fail.
class Resolver : public RelationResolver {
 public:
  Result<Resolution> Resolve(const pgoutput::Relation& relation, const RelationContext&) override {
    if (relation.id.value % 7 == 1) return Resolution::Ignore();
    if (relation.id.value % 7 == 2) return Resolution::Fail(Error{.code = "SLU-4999"});
    auto schema = std::make_shared<TableSchema>();
    schema->relation = relation.id;
    schema->identity = relation.identity;
    for (std::size_t i = 0; i < relation.columns.size(); ++i) {
      const pgoutput::RelationColumn& column = relation.columns[i];
      schema->columns.push_back(
          {.name = column.name,
           .type = columnar::testing::Builtin(column.type.value == 23 ? 23 : 25),
           .is_identity = column.is_identity,
           .missing_value = {}});
      if (column.is_identity) schema->identity_columns.push_back(static_cast<std::int32_t>(i));
    }
    return Resolution::Use(std::move(schema));
  }
  void OnType(const pgoutput::Type&, const RelationContext&) override {}
};

void CheckBatch(const ChangeBatch& batch, std::size_t transaction_count) {
  const std::size_t row_count = batch.row_count();
  Check(batch.values->num_rows() == static_cast<std::int64_t>(row_count) && row_count > 0);
  Check(batch.values->ValidateFull().ok());
  Check(batch.kinds.empty() || batch.kinds.size() == row_count);
  Check(!batch.runs.empty() && batch.runs[0].first_row == 0);
  for (std::size_t run = 0; run < batch.runs.size(); ++run) {
    Check(batch.runs[run].transaction < transaction_count);
    const std::size_t end = run + 1 < batch.runs.size() ? batch.runs[run + 1].first_row : row_count;
    Check(batch.runs[run].first_row < end && end <= row_count);
    for (std::size_t row = batch.runs[run].first_row + 1; row < end; ++row) {
      Check(batch.ordinals[row - 1] < batch.ordinals[row]);
    }
  }
}

void CheckSet(const ChangeSet& set) {
  std::size_t row_count = 0;
  for (const TableChanges& table : set.tables) {
    for (const ChangeItem& item : table.items) {
      const auto* batch = std::get_if<ChangeBatch>(&item);
      if (batch == nullptr) continue;
      CheckBatch(*batch, set.transactions.size());
      row_count += batch->row_count();
    }
  }
  Check(row_count == set.row_count);
  Check(set.end.is_valid() == set.ends_at_boundary);
}

void Settle(TransactionAssembler& assembler,
            std::map<std::uint32_t, std::vector<ChangeBatch>>& spilled) {
  while (assembler.is_busy()) {
    for (Action& action : assembler.TakeActions()) {
      if (auto* spill = std::get_if<SpillBatch>(&action)) {
        std::vector<ChangeBatch>& log = spilled[spill->xid.value];
        Check(log.size() == spill->index);
        log.push_back(std::move(spill->batch));
      } else if (const auto* truncate = std::get_if<TruncateSpill>(&action)) {
        spilled[truncate->xid.value].resize(truncate->count);
      } else if (const auto* restore = std::get_if<RestoreBatch>(&action)) {
        assembler.Restore(restore->xid, restore->index,
                          spilled.at(restore->xid.value).at(restore->index));
      } else {
        spilled.erase(std::get<DropSpill>(action).xid.value);
      }
    }
    if (assembler.has_ready()) CheckSet(*assembler.Seal());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::span<const std::byte> bytes = std::as_bytes(std::span(data, size)).subspan(1);
  AssemblerOptions options;
  if ((data[0] & 1U) != 0) options.batch_rows = 2;
  if ((data[0] & 2U) != 0) options.staging_bytes = 100;
  if ((data[0] & 4U) != 0) options.batch_bytes = 500;
  Resolver resolver;
  TransactionAssembler assembler(options, Lsn{1}, std::nullopt, resolver);
  std::map<std::uint32_t, std::vector<ChangeBatch>> spilled;
  while (bytes.size() >= 2) {
    const auto length =
        std::to_integer<std::size_t>(bytes[0]) << 8U | std::to_integer<std::size_t>(bytes[1]);
    bytes = bytes.subspan(2);
    if (length > bytes.size()) break;
    if (!assembler.Consume(Lsn{}, bytes.first(length))) return 0;
    bytes = bytes.subspan(length);
    Settle(assembler, spilled);
  }
  while (assembler.has_sealable()) CheckSet(*assembler.Seal());
  return 0;
}
