#include "replication/net_change_fold.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/byte_size.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "replication/fold_sources.h"
#include "replication/gather.h"
#include "replication/keyed_fold.h"
#include "replication/keyless_fold.h"
#include "types/arrow_type.h"

namespace sluice::replication {
namespace {

bool OnlyInserts(std::span<const FoldItem> items) {
  return std::all_of(items.begin(), items.end(), [](const FoldItem& item) {
    const auto& kinds = item.batch->kinds;
    if (kinds.empty()) return true;
    const std::size_t end = std::min(item.row_end, item.batch->row_count());
    for (std::size_t row = item.row_begin; row < end; ++row) {
      if (kinds[row] != ChangeKind::kInsert) return false;
    }
    return true;
  });
}

// No key is looked at: the source has no two rows of one key.
Status AppendInserts(std::span<const FoldItem> items, const FoldOptions& options, NetChange* net) {
  std::vector<RowsPtr> parts;
  std::size_t row_count = 0;
  for (const FoldItem& item : items) {
    const std::size_t end = std::min(item.row_end, item.batch->row_count());
    if (item.row_begin >= end) continue;
    const bool is_whole = item.row_begin == 0 && end == item.batch->row_count();
    parts.push_back(
        is_whole ? item.batch->values
                 : item.batch->values->Slice(static_cast<std::int64_t>(item.row_begin),
                                             static_cast<std::int64_t>(end - item.row_begin)));
    for (const Misfit& misfit : item.batch->misfits) {
      if (misfit.row < item.row_begin || misfit.row >= end) continue;
      net->insert_misfits.push_back(misfit);
      net->insert_misfits.back().row =
          static_cast<std::uint32_t>(row_count + misfit.row - item.row_begin);
    }
    row_count += end - item.row_begin;
    if (!options.wants_change_ids) continue;
    for (std::size_t row = item.row_begin; row < end; ++row) {
      net->insert_ids.push_back(ChangeIdOf(item, row));
    }
  }
  SLUICE_ASSIGN_OR_RETURN(net->inserts, ConcatenateRows(parts));
  return {};
}

std::size_t BytesOf(const RowsPtr& rows) {
  return rows == nullptr ? 0 : static_cast<std::size_t>(arrow::util::TotalBufferSize(*rows));
}

std::size_t BytesOf(const std::vector<Misfit>& misfits) {
  std::size_t bytes = 0;
  for (const Misfit& misfit : misfits) bytes += misfit.bytes();
  return bytes;
}

}  // namespace

Result<NetChange> FoldNet(const SchemaPtr& schema, std::span<const FoldItem> items,
                          const FoldOptions& options) {
  NetChange net;
  net.schema = schema;
  // Nothing before the last TRUNCATE is left.
  for (std::size_t i = items.size(); i > 0; --i) {
    if (items[i - 1].batch != nullptr) continue;
    net.truncate = true;
    items = items.subspan(i);
    break;
  }
  if (OnlyInserts(items)) {
    SLUICE_RETURN_IF_ERROR(AppendInserts(items, options, &net));
  } else {
    FoldSources sources(*schema);
    for (const FoldItem& item : items) SLUICE_RETURN_IF_ERROR(sources.Add(item));
    if (schema->is_keyless()) {
      SLUICE_RETURN_IF_ERROR(FoldKeyless(sources, options, &net));
    } else {
      SLUICE_RETURN_IF_ERROR(FoldKeyed(sources, options, &net));
    }
  }
  net.bytes = BytesOf(net.deletes) + BytesOf(net.update_origin_keys) + BytesOf(net.update_values) +
              BytesOf(net.inserts) + BytesOf(net.row_deletes) + BytesOf(net.update_misfits) +
              BytesOf(net.insert_misfits) + BytesOf(net.row_delete_misfits);
  return net;
}

}  // namespace sluice::replication
