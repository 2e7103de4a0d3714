#include "destinations/duckdb/chunk_reader.h"

#include <arrow/array/array_base.h>
#include <arrow/array/concatenate.h>
#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>

#include <cstring>
#include <limits>

#include "destinations/duckdb/bit_copy.h"
#include "destinations/duckdb/type_map.h"
#include "types/arrow_type.h"

namespace sluice::duckdb {
namespace {

__extension__ using Int128 = __int128;
using ArrayDataPtr = std::shared_ptr<arrow::ArrayData>;

Error ArrowError(const arrow::Status& status) {
  return {.kind = ErrorKind::kDestination,
          .message = "no memory for rows read back",
          .server_message = status.ToString(),
          .code = "SLU-5018"};
}

Result<std::shared_ptr<arrow::Buffer>> NewBuffer(std::size_t bytes) {
  auto buffer = arrow::AllocateBuffer(static_cast<std::int64_t>(bytes));
  if (!buffer.ok()) return ArrowError(buffer.status());
  return std::shared_ptr<arrow::Buffer>(std::move(*buffer));
}

bool IsValid(const std::uint64_t* mask, std::size_t row) {
  return mask == nullptr || ((mask[row / 64] >> (row % 64)) & 1U) != 0;
}

/// Null where every row is valid.
Result<std::shared_ptr<arrow::Buffer>> ReadValidity(duckdb_vector vector, std::size_t row_count) {
  const std::uint64_t* mask = duckdb_vector_get_validity(vector);
  if (mask == nullptr || row_count == 0) return std::shared_ptr<arrow::Buffer>();
  SLUICE_ASSIGN_OR_RETURN(auto buffer, NewBuffer((row_count + 63) / 64 * 8));
  auto* out = reinterpret_cast<std::uint64_t*>(buffer->mutable_data());
  const bool has_null = CopyBits(reinterpret_cast<const std::uint8_t*>(mask), 0, row_count, out);
  if (!has_null) return std::shared_ptr<arrow::Buffer>();
  return buffer;
}

Result<std::shared_ptr<arrow::Buffer>> ReadFixed(duckdb_vector vector, std::size_t bytes) {
  SLUICE_ASSIGN_OR_RETURN(auto buffer, NewBuffer(bytes));
  if (bytes != 0) std::memcpy(buffer->mutable_data(), duckdb_vector_get_data(vector), bytes);
  return buffer;
}

Result<std::shared_ptr<arrow::Buffer>> ReadBools(duckdb_vector vector, std::size_t row_count) {
  SLUICE_ASSIGN_OR_RETURN(auto buffer, NewBuffer((row_count + 7) / 8));
  std::uint8_t* out = buffer->mutable_data();
  std::memset(out, 0, (row_count + 7) / 8);
  const auto* in = static_cast<const std::uint8_t*>(duckdb_vector_get_data(vector));
  for (std::size_t row = 0; row < row_count; ++row) {
    if (in[row] != 0) out[row / 8] = static_cast<std::uint8_t>(out[row / 8] | (1U << (row % 8)));
  }
  return buffer;
}

template <class T>
void WidenDecimals(const void* in, std::uint8_t* out, std::size_t row_count) {
  for (std::size_t row = 0; row < row_count; ++row) {
    const Int128 value = static_cast<const T*>(in)[row];
    std::memcpy(out + row * 16, &value, sizeof value);
  }
}

Result<std::shared_ptr<arrow::Buffer>> ReadDecimals(duckdb_vector vector, int precision,
                                                    std::size_t row_count) {
  SLUICE_ASSIGN_OR_RETURN(auto buffer, NewBuffer(row_count * 16));
  const void* in = duckdb_vector_get_data(vector);
  if (precision <= 4) {
    WidenDecimals<std::int16_t>(in, buffer->mutable_data(), row_count);
  } else if (precision <= 9) {
    WidenDecimals<std::int32_t>(in, buffer->mutable_data(), row_count);
  } else if (precision <= 18) {
    WidenDecimals<std::int64_t>(in, buffer->mutable_data(), row_count);
  } else if (row_count != 0) {
    std::memcpy(buffer->mutable_data(), in, row_count * 16);
  }
  return buffer;
}

Result<std::shared_ptr<arrow::Buffer>> ReadUuids(duckdb_vector vector, std::size_t row_count) {
  SLUICE_ASSIGN_OR_RETURN(auto buffer, NewBuffer(row_count * 16));
  const auto* in = static_cast<const duckdb_hugeint*>(duckdb_vector_get_data(vector));
  for (std::size_t row = 0; row < row_count; ++row) {
    const std::uint64_t halves[2] = {
        __builtin_bswap64(static_cast<std::uint64_t>(in[row].upper) ^ (1ULL << 63)),
        __builtin_bswap64(in[row].lower)};
    std::memcpy(buffer->mutable_data() + row * 16, halves, sizeof halves);
  }
  return buffer;
}

Result<std::shared_ptr<arrow::Buffer>> ReadIntervals(duckdb_vector vector, std::size_t row_count) {
  SLUICE_ASSIGN_OR_RETURN(auto buffer, NewBuffer(row_count * 16));
  const auto* in = static_cast<const duckdb_interval*>(duckdb_vector_get_data(vector));
  for (std::size_t row = 0; row < row_count; ++row) {
    std::uint8_t* out = buffer->mutable_data() + row * 16;
    std::memcpy(out, &in[row].micros, 8);
    std::memcpy(out + 8, &in[row].days, 4);
    std::memcpy(out + 12, &in[row].months, 4);
  }
  return buffer;
}

/// Offsets and bytes, as the second and third buffer.
Status ReadStrings(duckdb_vector vector, std::size_t row_count, arrow::ArrayData* out) {
  auto* in = static_cast<duckdb_string_t*>(duckdb_vector_get_data(vector));
  const std::uint64_t* mask = duckdb_vector_get_validity(vector);
  SLUICE_ASSIGN_OR_RETURN(auto offsets, NewBuffer((row_count + 1) * sizeof(std::int32_t)));
  auto* ends = reinterpret_cast<std::int32_t*>(offsets->mutable_data());
  std::size_t total = 0;
  ends[0] = 0;
  for (std::size_t row = 0; row < row_count; ++row) {
    if (IsValid(mask, row)) total += duckdb_string_t_length(in[row]);
    if (total > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
      return Error{.kind = ErrorKind::kUnsupported,
                   .message = "2,048 rows hold more than 2 GiB in one column",
                   .code = "SLU-5041"};
    }
    ends[row + 1] = static_cast<std::int32_t>(total);
  }
  SLUICE_ASSIGN_OR_RETURN(auto bytes, NewBuffer(total));
  for (std::size_t row = 0; row < row_count; ++row) {
    if (ends[row + 1] == ends[row]) continue;
    std::memcpy(bytes->mutable_data() + ends[row], duckdb_string_t_data(&in[row]),
                static_cast<std::size_t>(ends[row + 1] - ends[row]));
  }
  out->buffers.push_back(std::move(offsets));
  out->buffers.push_back(std::move(bytes));
  return {};
}

Result<ArrayDataPtr> ReadVector(duckdb_vector vector, const ColumnType& type,
                                const std::shared_ptr<arrow::DataType>& arrow_type,
                                std::size_t row_count);

const ColumnType& TextType() {
  static const ColumnType kText = [] {
    ColumnType type;
    type.carrier = Carrier::kText;
    return type;
  }();
  return kText;
}

/// Where a list vector's values lie in its child: runs in the order of the rows. One run from 0 to
/// the child's end where nothing was filtered; a scan that skips deleted rows leaves gaps.
struct ListRuns {
  std::shared_ptr<arrow::Buffer> offsets;  ///< Arrow's, as if the runs lay one behind the other
  std::vector<std::pair<std::size_t, std::size_t>> runs;  ///< [first, end) in the child
};

Result<ListRuns> ReadListRuns(duckdb_vector vector, std::size_t row_count) {
  const auto* entries = static_cast<const duckdb_list_entry*>(duckdb_vector_get_data(vector));
  const std::uint64_t* mask = duckdb_vector_get_validity(vector);
  ListRuns out;
  SLUICE_ASSIGN_OR_RETURN(out.offsets, NewBuffer((row_count + 1) * sizeof(std::int32_t)));
  auto* ends = reinterpret_cast<std::int32_t*>(out.offsets->mutable_data());
  std::size_t total = 0;
  ends[0] = 0;
  for (std::size_t row = 0; row < row_count; ++row) {
    if (IsValid(mask, row) && entries[row].length != 0) {
      const std::size_t first = entries[row].offset;
      const std::size_t end = first + entries[row].length;
      total += entries[row].length;
      if (!out.runs.empty() && out.runs.back().second == first) {
        out.runs.back().second = end;
      } else {
        out.runs.emplace_back(first, end);
      }
    }
    if (total > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
      return Error{.kind = ErrorKind::kUnsupported,
                   .message = "2,048 rows hold more than 2 billion list elements",
                   .code = "SLU-5041"};
    }
    ends[row + 1] = static_cast<std::int32_t>(total);
  }
  return out;
}

Result<ArrayDataPtr> JoinRuns(const ListRuns& list, ArrayDataPtr values, std::size_t count) {
  const auto& runs = list.runs;
  if (runs.size() == 1 && runs[0].first == 0 && runs[0].second == count) return values;
  const std::shared_ptr<arrow::Array> all = arrow::MakeArray(values);
  if (runs.empty()) return all->Slice(0, 0)->data();
  arrow::ArrayVector slices;
  for (const auto& [first, end] : runs) {
    slices.push_back(
        all->Slice(static_cast<std::int64_t>(first), static_cast<std::int64_t>(end - first)));
  }
  auto joined = arrow::Concatenate(slices);
  if (!joined.ok()) return ArrowError(joined.status());
  return (*joined)->data();
}

Result<ArrayDataPtr> ReadEntries(duckdb_vector child, const arrow::DataType& map_type,
                                 std::size_t count) {
  auto out = arrow::ArrayData::Make(map_type.field(0)->type(), static_cast<std::int64_t>(count),
                                    {nullptr}, 0);
  for (int side = 0; side < 2; ++side) {
    SLUICE_ASSIGN_OR_RETURN(ArrayDataPtr texts, ReadVector(duckdb_struct_vector_get_child(
                                                               child, static_cast<idx_t>(side)),
                                                           TextType(), arrow::utf8(), count));
    out->child_data.push_back(std::move(texts));
  }
  return out;
}

/// Of an ARRAY: offsets and values as of a list, without those of NULLs.
Status ReadArray(duckdb_vector vector, std::size_t length,
                 const std::shared_ptr<arrow::DataType>& element, std::size_t row_count,
                 arrow::ArrayData* out) {
  const std::uint64_t* mask = duckdb_vector_get_validity(vector);
  const auto* in =
      static_cast<const float*>(duckdb_vector_get_data(duckdb_array_vector_get_child(vector)));
  SLUICE_ASSIGN_OR_RETURN(auto offsets, NewBuffer((row_count + 1) * sizeof(std::int32_t)));
  SLUICE_ASSIGN_OR_RETURN(auto values, NewBuffer(row_count * length * sizeof(float)));
  // Ours have no NULL inside; somebody else may have written one.
  const std::uint64_t* inner = duckdb_vector_get_validity(duckdb_array_vector_get_child(vector));
  std::shared_ptr<arrow::Buffer> validity;
  if (inner != nullptr) {
    SLUICE_ASSIGN_OR_RETURN(validity, NewBuffer((row_count * length + 7) / 8));
  }
  auto* ends = reinterpret_cast<std::int32_t*>(offsets->mutable_data());
  std::size_t total = 0;
  ends[0] = 0;
  for (std::size_t row = 0; row < row_count; ++row) {
    if (IsValid(mask, row)) {
      for (std::size_t i = 0; validity && i < length; ++i) {
        arrow::bit_util::SetBitTo(validity->mutable_data(), static_cast<std::int64_t>(total + i),
                                  IsValid(inner, row * length + i));
      }
      std::memcpy(values->mutable_data() + total * sizeof(float), in + row * length,
                  length * sizeof(float));
      total += length;
    }
    ends[row + 1] = static_cast<std::int32_t>(total);
  }
  out->buffers.push_back(std::move(offsets));
  out->child_data.push_back(arrow::ArrayData::Make(element, static_cast<std::int64_t>(total),
                                                   {std::move(validity), std::move(values)},
                                                   arrow::kUnknownNullCount));
  return {};
}

Status ReadNested(duckdb_vector vector, const ColumnType& type, const arrow::DataType& arrow_type,
                  std::size_t row_count, arrow::ArrayData* out) {
  if (type.carrier == Carrier::kStruct) {
    for (std::size_t i = 0; i < type.children.size(); ++i) {
      SLUICE_ASSIGN_OR_RETURN(
          ArrayDataPtr child,
          ReadVector(duckdb_struct_vector_get_child(vector, i), type.children[i],
                     arrow_type.field(static_cast<int>(i))->type(), row_count));
      out->child_data.push_back(std::move(child));
    }
    return {};
  }
  if (const std::size_t length = ArrayLength(type); length != 0)
    return ReadArray(vector, length, arrow_type.field(0)->type(), row_count, out);
  SLUICE_ASSIGN_OR_RETURN(ListRuns list, ReadListRuns(vector, row_count));
  duckdb_vector child = duckdb_list_vector_get_child(vector);
  const std::size_t count = duckdb_list_vector_get_size(vector);
  ArrayDataPtr values;
  if (type.carrier == Carrier::kList) {
    SLUICE_ASSIGN_OR_RETURN(
        values, ReadVector(child, type.children[0], arrow_type.field(0)->type(), count));
  } else {
    SLUICE_ASSIGN_OR_RETURN(values, ReadEntries(child, arrow_type, count));
  }
  SLUICE_ASSIGN_OR_RETURN(values, JoinRuns(list, std::move(values), count));
  out->buffers.push_back(std::move(list.offsets));
  out->child_data.push_back(std::move(values));
  return {};
}

Result<std::shared_ptr<arrow::Buffer>> ReadFlat(duckdb_vector vector, const ColumnType& type,
                                                std::size_t row_count) {
  switch (type.carrier) {
    case Carrier::kBool:
      return ReadBools(vector, row_count);
    case Carrier::kInt16:
      return ReadFixed(vector, row_count * 2);
    case Carrier::kInt32:
    case Carrier::kUInt32:
    case Carrier::kFloat32:
    case Carrier::kDate:
      return ReadFixed(vector, row_count * 4);
    case Carrier::kDecimal:
      return ReadDecimals(vector, type.precision, row_count);
    case Carrier::kInterval:
      return ReadIntervals(vector, row_count);
    case Carrier::kUuid:
      return ReadUuids(vector, row_count);
    default:
      return ReadFixed(vector, row_count * 8);
  }
}

Result<ArrayDataPtr> ReadVector(duckdb_vector vector, const ColumnType& type,
                                const std::shared_ptr<arrow::DataType>& arrow_type,
                                std::size_t row_count) {
  SLUICE_ASSIGN_OR_RETURN(auto validity, ReadValidity(vector, row_count));
  const std::int64_t null_count = validity == nullptr ? 0 : arrow::kUnknownNullCount;
  auto out = arrow::ArrayData::Make(arrow_type, static_cast<std::int64_t>(row_count),
                                    {std::move(validity)}, null_count);
  switch (type.carrier) {
    case Carrier::kText:
    case Carrier::kBytes:
    case Carrier::kJson:
      SLUICE_RETURN_IF_ERROR(ReadStrings(vector, row_count, out.get()));
      break;
    case Carrier::kList:
    case Carrier::kStruct:
    case Carrier::kMap:
      SLUICE_RETURN_IF_ERROR(ReadNested(vector, type, *arrow_type, row_count, out.get()));
      break;
    default: {
      SLUICE_ASSIGN_OR_RETURN(auto values, ReadFlat(vector, type, row_count));
      out->buffers.push_back(std::move(values));
    }
  }
  return out;
}

}  // namespace

std::shared_ptr<arrow::Schema> ArrowSchema(const std::vector<const Column*>& columns) {
  arrow::FieldVector fields;
  for (const Column* column : columns)
    fields.push_back(arrow::field(column->name, types::ArrowType(column->type)));
  return arrow::schema(std::move(fields));
}

Result<RowsPtr> ReadChunk(duckdb_data_chunk chunk, const std::vector<const Column*>& columns,
                          const std::shared_ptr<arrow::Schema>& schema) {
  const std::size_t row_count = duckdb_data_chunk_get_size(chunk);
  std::vector<ArrayDataPtr> data;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    SLUICE_ASSIGN_OR_RETURN(ArrayDataPtr column,
                            ReadVector(duckdb_data_chunk_get_vector(chunk, i), columns[i]->type,
                                       schema->field(static_cast<int>(i))->type(), row_count));
    data.push_back(std::move(column));
  }
  return RowsPtr(
      arrow::RecordBatch::Make(schema, static_cast<std::int64_t>(row_count), std::move(data)));
}

}  // namespace sluice::duckdb
