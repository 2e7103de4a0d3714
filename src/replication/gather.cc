#include "replication/gather.h"

#include <arrow/array.h>
#include <arrow/array/concatenate.h>
#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "replication/column_view.h"

namespace sluice::replication {
namespace {

using ArrayPtr = std::shared_ptr<arrow::ArrayData>;
using BufferPtr = std::shared_ptr<arrow::Buffer>;

Error TooLarge() {
  return {.kind = ErrorKind::kUnsupported,
          .message = "one column of the batch is over 2 GB",
          .code = "SLU-4203",
          .advice = "lower --batch-bytes"};
}

Error FromArrow(const arrow::Status& status) {
  if (status.IsOutOfMemory()) {
    return {.kind = ErrorKind::kInternal,
            .message = "out of memory while a batch was made",
            .code = "SLU-6020",
            .advice = "lower --memory or --batch-bytes"};
  }
  if (status.IsInvalid()) return TooLarge();  // offsets overflow
  return {.kind = ErrorKind::kInternal,
          .message = "columns do not fit together",
          .server_message = status.ToString(),
          .code = "SLU-9102"};
}

Result<BufferPtr> Allocate(std::size_t bytes) {
  auto buffer = arrow::AllocateBuffer(static_cast<std::int64_t>(bytes));
  if (!buffer.ok()) return FromArrow(buffer.status());
  return BufferPtr(*std::move(buffer));
}

Result<BufferPtr> AllocateBits(std::size_t count) {
  SLUICE_ASSIGN_OR_RETURN(BufferPtr bits, Allocate((count + 7) / 8));
  if (bits->size() > 0)
    std::memset(bits->mutable_data(), 0, static_cast<std::size_t>(bits->size()));
  return bits;
}

void SetBit(const BufferPtr& bits, std::size_t at) {
  std::uint8_t& byte = bits->mutable_data()[at / 8];
  byte = static_cast<std::uint8_t>(byte | (1U << (at % 8)));
}

bool IsNull(std::span<const ColumnView> sources, CellRef cell) {
  return cell == kNoCell || sources[cell.source].IsNull(cell.row);
}

struct Validity {
  BufferPtr bits;  ///< null: no NULLs
  std::int64_t null_count = 0;
};

Result<Validity> GatherValidity(std::span<const ColumnView> sources,
                                std::span<const CellRef> cells) {
  const bool may_be_null = std::any_of(cells.begin(), cells.end(), [&](CellRef cell) {
    return cell == kNoCell || sources[cell.source].validity != nullptr;
  });
  if (!may_be_null) return Validity{};
  Validity out;
  SLUICE_ASSIGN_OR_RETURN(out.bits, AllocateBits(cells.size()));
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (IsNull(sources, cells[i])) {
      ++out.null_count;
    } else {
      SetBit(out.bits, i);
    }
  }
  if (out.null_count == 0) out.bits = nullptr;
  return out;
}

template <std::size_t kWidth>
void CopyFixed(std::span<const ColumnView> sources, std::span<const CellRef> cells,
               std::uint8_t* to) {
  for (const CellRef cell : cells) {
    if (cell == kNoCell) {
      std::memset(to, 0, kWidth);
    } else {
      std::memcpy(to, sources[cell.source].values + std::size_t{cell.row} * kWidth, kWidth);
    }
    to += kWidth;
  }
}

Result<BufferPtr> GatherFixed(std::size_t width, std::span<const ColumnView> sources,
                              std::span<const CellRef> cells) {
  SLUICE_ASSIGN_OR_RETURN(BufferPtr buffer, Allocate(cells.size() * width));
  std::uint8_t* to = buffer->mutable_data();
  switch (width) {
    case 2:
      CopyFixed<2>(sources, cells, to);
      return buffer;
    case 4:
      CopyFixed<4>(sources, cells, to);
      return buffer;
    case 8:
      CopyFixed<8>(sources, cells, to);
      return buffer;
    case 16:
      CopyFixed<16>(sources, cells, to);
      return buffer;
    default:
      break;
  }
  for (const CellRef cell : cells) {
    if (cell == kNoCell) {
      std::memset(to, 0, width);
    } else {
      std::memcpy(to, sources[cell.source].values + std::size_t{cell.row} * width, width);
    }
    to += width;
  }
  return buffer;
}

Result<BufferPtr> GatherBits(std::span<const ColumnView> sources, std::span<const CellRef> cells) {
  SLUICE_ASSIGN_OR_RETURN(BufferPtr bits, AllocateBits(cells.size()));
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (!IsNull(sources, cells[i]) && sources[cells[i].source].Bit(cells[i].row)) SetBit(bits, i);
  }
  return bits;
}

Result<BufferPtr> GatherOffsets(std::span<const ColumnView> sources,
                                std::span<const CellRef> cells) {
  SLUICE_ASSIGN_OR_RETURN(BufferPtr buffer, Allocate((cells.size() + 1) * sizeof(std::int32_t)));
  auto* const offsets = reinterpret_cast<std::int32_t*>(buffer->mutable_data());
  std::int64_t total = 0;
  offsets[0] = 0;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (!IsNull(sources, cells[i])) {
      const std::int32_t* const at = sources[cells[i].source].offsets + cells[i].row;
      total += at[1] - at[0];
    }
    if (total > std::numeric_limits<std::int32_t>::max()) return TooLarge();
    offsets[i + 1] = static_cast<std::int32_t>(total);
  }
  return buffer;
}

Result<BufferPtr> GatherBytes(std::span<const ColumnView> sources, std::span<const CellRef> cells,
                              const BufferPtr& offsets_buffer) {
  const auto* const offsets = reinterpret_cast<const std::int32_t*>(offsets_buffer->data());
  SLUICE_ASSIGN_OR_RETURN(BufferPtr buffer,
                          Allocate(static_cast<std::size_t>(offsets[cells.size()])));
  std::uint8_t* const to = buffer->mutable_data();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const auto length = static_cast<std::size_t>(offsets[i + 1] - offsets[i]);
    if (length == 0) continue;
    const ColumnView& source = sources[cells[i].source];
    std::memcpy(to + offsets[i], source.values + source.offsets[cells[i].row], length);
  }
  return buffer;
}

// The same sources, one level down.
std::vector<const arrow::ArrayData*> Children(std::span<const ColumnView> sources,
                                              std::size_t child) {
  std::vector<const arrow::ArrayData*> out;
  out.reserve(sources.size());
  for (const ColumnView& source : sources) {
    out.push_back(source.data == nullptr ? nullptr : source.data->child_data[child].get());
  }
  return out;
}

Result<ArrayPtr> GatherItems(const arrow::DataType& type, std::span<const ColumnView> sources,
                             std::span<const CellRef> cells) {
  std::vector<CellRef> items;
  for (const CellRef cell : cells) {
    if (IsNull(sources, cell)) continue;
    const std::int32_t* const at = sources[cell.source].offsets + cell.row;
    for (std::int32_t i = at[0]; i < at[1]; ++i) {
      items.push_back({.source = cell.source, .row = static_cast<std::uint32_t>(i)});
    }
  }
  return Gather(type.field(0)->type(), Children(sources, 0), items);
}

Result<std::vector<ArrayPtr>> GatherAttributes(const arrow::DataType& type,
                                               std::span<const ColumnView> sources,
                                               std::span<const CellRef> cells) {
  std::vector<CellRef> inner(cells.begin(), cells.end());
  for (CellRef& cell : inner) {
    if (cell == kNoCell) continue;
    cell.row += static_cast<std::uint32_t>(sources[cell.source].offset);
  }
  std::vector<ArrayPtr> out;
  for (int child = 0; child < type.num_fields(); ++child) {
    SLUICE_ASSIGN_OR_RETURN(ArrayPtr column,
                            Gather(type.field(child)->type(),
                                   Children(sources, static_cast<std::size_t>(child)), inner));
    out.push_back(std::move(column));
  }
  return out;
}

}  // namespace

Result<ArrayPtr> Gather(const std::shared_ptr<arrow::DataType>& type,
                        std::span<const arrow::ArrayData* const> sources,
                        std::span<const CellRef> cells) {
  const auto layout = LayoutOf(*type);
  if (!layout) {
    return Error{.kind = ErrorKind::kInternal,
                 .message = "type without a carrier: " + type->ToString(),
                 .code = "SLU-9102"};
  }
  std::vector<ColumnView> views;
  views.reserve(sources.size());
  for (const arrow::ArrayData* source : sources) views.push_back(ViewOf(source));
  SLUICE_ASSIGN_OR_RETURN(const Validity validity, GatherValidity(views, cells));
  std::vector<BufferPtr> buffers{validity.bits};
  std::vector<ArrayPtr> children;
  switch (*layout) {
    case CellLayout::kAbsent:
      break;
    case CellLayout::kBits: {
      SLUICE_ASSIGN_OR_RETURN(buffers.emplace_back(), GatherBits(views, cells));
      break;
    }
    case CellLayout::kFixed:
    case CellLayout::kFloat:
    case CellLayout::kDouble: {
      const auto width = static_cast<std::size_t>(type->bit_width() / 8);
      SLUICE_ASSIGN_OR_RETURN(buffers.emplace_back(), GatherFixed(width, views, cells));
      break;
    }
    case CellLayout::kBytes: {
      SLUICE_ASSIGN_OR_RETURN(BufferPtr offsets, GatherOffsets(views, cells));
      SLUICE_ASSIGN_OR_RETURN(BufferPtr bytes, GatherBytes(views, cells, offsets));
      buffers.push_back(std::move(offsets));
      buffers.push_back(std::move(bytes));
      break;
    }
    case CellLayout::kList: {
      SLUICE_ASSIGN_OR_RETURN(buffers.emplace_back(), GatherOffsets(views, cells));
      SLUICE_ASSIGN_OR_RETURN(children.emplace_back(), GatherItems(*type, views, cells));
      break;
    }
    case CellLayout::kStruct: {
      SLUICE_ASSIGN_OR_RETURN(children, GatherAttributes(*type, views, cells));
      break;
    }
  }
  return arrow::ArrayData::Make(type, static_cast<std::int64_t>(cells.size()), std::move(buffers),
                                std::move(children), validity.null_count);
}

Result<RowsPtr> ConcatenateRows(std::span<const RowsPtr> batches) {
  if (batches.empty()) return RowsPtr{};
  if (batches.size() == 1) return batches.front();
  std::int64_t row_count = 0;
  for (const RowsPtr& batch : batches) row_count += batch->num_rows();
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (int column = 0; column < batches.front()->num_columns(); ++column) {
    arrow::ArrayVector parts;
    parts.reserve(batches.size());
    for (const RowsPtr& batch : batches) parts.push_back(batch->column(column));
    auto joined = arrow::Concatenate(parts);
    if (!joined.ok()) return FromArrow(joined.status());
    columns.push_back(*std::move(joined));
  }
  return RowsPtr(
      arrow::RecordBatch::Make(batches.front()->schema(), row_count, std::move(columns)));
}

Result<ArrayPtr> Repeat(const ArrayPtr& column, std::uint32_t row, std::size_t count) {
  const std::vector<CellRef> cells(count, CellRef{.source = 0, .row = row});
  const arrow::ArrayData* const source = column.get();
  return Gather(column->type, std::span(&source, 1), cells);
}

Result<ArrayPtr> Nulls(const std::shared_ptr<arrow::DataType>& type, std::size_t count) {
  return Gather(type, {}, std::vector<CellRef>(count, kNoCell));
}

}  // namespace sluice::replication
