#include "destinations/duckdb/chunk_writer.h"

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "destinations/duckdb/bit_copy.h"
#include "destinations/duckdb/type_map.h"

namespace sluice::duckdb {
namespace {

constexpr std::size_t kChunkRows = 2048;

const std::uint8_t* BufferData(const arrow::ArrayData& data, std::size_t index) {
  return data.buffers[index] == nullptr ? nullptr : data.buffers[index]->data();
}

/// Null bitmap of the rows, or null where there is none. Also true where every bit may be set.
bool MayHaveNulls(const arrow::ArrayData& data) {
  return data.buffers[0] != nullptr && data.null_count != 0;
}

bool IsNull(const arrow::ArrayData& data, std::size_t row) {
  return MayHaveNulls(data) && !IsBitSet(BufferData(data, 0), row);
}

/// DuckDB takes it for granted that the fields of a NULL struct are NULL; Arrow does not.
void FillValidity(duckdb_vector vector, const arrow::ArrayData& data, std::size_t first,
                  std::size_t row_count, const std::uint64_t* parent) {
  if (!MayHaveNulls(data) && parent == nullptr) return;
  duckdb_vector_ensure_validity_writable(vector);
  std::uint64_t* mask = duckdb_vector_get_validity(vector);
  if (MayHaveNulls(data)) {
    CopyBits(BufferData(data, 0), first, row_count, mask);
  } else {
    std::fill_n(mask, (row_count + 63) / 64, ~std::uint64_t{0});
  }
  if (parent == nullptr) return;
  for (std::size_t word = 0; word < (row_count + 63) / 64; ++word) mask[word] &= parent[word];
}

template <class T>
void FillFixed(duckdb_vector vector, const arrow::ArrayData& data, std::size_t first,
               std::size_t row_count) {
  std::memcpy(duckdb_vector_get_data(vector), BufferData(data, 1) + first * sizeof(T),
              row_count * sizeof(T));
}

void FillBool(duckdb_vector vector, const arrow::ArrayData& data, std::size_t first,
              std::size_t row_count) {
  auto* out = static_cast<std::uint8_t*>(duckdb_vector_get_data(vector));
  const std::uint8_t* bits = BufferData(data, 1);
  for (std::size_t row = 0; row < row_count; ++row) out[row] = IsBitSet(bits, first + row) ? 1 : 0;
}

/// The low half of a decimal is the value, where its declared width says that it fits.
template <class T>
void FillNarrowDecimal(duckdb_vector vector, const arrow::ArrayData& data, std::size_t first,
                       std::size_t row_count) {
  auto* out = static_cast<T*>(duckdb_vector_get_data(vector));
  const std::uint8_t* in = BufferData(data, 1) + first * 16;
  for (std::size_t row = 0; row < row_count; ++row)
    std::memcpy(&out[row], in + row * 16, sizeof(T));
}

void FillDecimal(duckdb_vector vector, const ColumnType& type, const arrow::ArrayData& data,
                 std::size_t first, std::size_t row_count) {
  if (type.precision <= 4) return FillNarrowDecimal<std::int16_t>(vector, data, first, row_count);
  if (type.precision <= 9) return FillNarrowDecimal<std::int32_t>(vector, data, first, row_count);
  if (type.precision <= 18) return FillNarrowDecimal<std::int64_t>(vector, data, first, row_count);
  // Both sides: 128 bits of two's complement, low half first.
  static_assert(sizeof(duckdb_hugeint) == 16);
  FillFixed<duckdb_hugeint>(vector, data, first, row_count);
}

void FillStrings(duckdb_vector vector, const arrow::ArrayData& data, std::size_t first,
                 std::size_t row_count) {
  static_assert(sizeof(duckdb_string_t) == 16);
  auto* out = static_cast<duckdb_string_t*>(duckdb_vector_get_data(vector));
  std::int32_t offsets[2];
  const std::uint8_t* offset_bytes = BufferData(data, 1);
  const std::uint8_t* bytes = BufferData(data, 2);
  const bool may_have_nulls = MayHaveNulls(data);
  for (std::size_t row = 0; row < row_count; ++row) {
    std::memcpy(offsets, offset_bytes + (first + row) * sizeof(std::int32_t), sizeof offsets);
    auto length = static_cast<std::uint32_t>(offsets[1] - offsets[0]);
    if (may_have_nulls && !IsBitSet(BufferData(data, 0), first + row)) length = 0;
    duckdb_string_t& string = out[row];
    string = {};
    string.value.inlined.length = length;
    if (length == 0) continue;
    const std::uint8_t* value = bytes + offsets[0];
    if (length <= sizeof string.value.inlined.inlined) {
      std::memcpy(string.value.inlined.inlined, value, length);
    } else {
      std::memcpy(string.value.pointer.prefix, value, sizeof string.value.pointer.prefix);
      // DuckDB's field is not const; the vector is only read.
      string.value.pointer.ptr = reinterpret_cast<char*>(const_cast<std::uint8_t*>(value));
    }
  }
}

void FillUuids(duckdb_vector vector, const arrow::ArrayData& data, std::size_t first,
               std::size_t row_count) {
  auto* out = static_cast<duckdb_hugeint*>(duckdb_vector_get_data(vector));
  const std::uint8_t* in = BufferData(data, 1) + first * 16;
  for (std::size_t row = 0; row < row_count; ++row) {
    std::uint64_t halves[2];
    std::memcpy(halves, in + row * 16, sizeof halves);
    // DuckDB keeps a UUID as a signed number whose order is that of the bytes.
    out[row].upper = static_cast<std::int64_t>(__builtin_bswap64(halves[0]) ^ (1ULL << 63));
    out[row].lower = __builtin_bswap64(halves[1]);
  }
}

void FillIntervals(duckdb_vector vector, const arrow::ArrayData& data, std::size_t first,
                   std::size_t row_count) {
  auto* out = static_cast<duckdb_interval*>(duckdb_vector_get_data(vector));
  const std::uint8_t* in = BufferData(data, 1) + first * 16;
  for (std::size_t row = 0; row < row_count; ++row) {
    std::memcpy(&out[row].micros, in + row * 16, 8);
    std::memcpy(&out[row].days, in + row * 16 + 8, 4);
    std::memcpy(&out[row].months, in + row * 16 + 12, 4);
  }
}

void Fill(duckdb_vector vector, const ColumnType& type, const arrow::ArrayData& data,
          std::size_t first, std::size_t row_count, const std::uint64_t* parent);

const ColumnType& TextType() {
  static const ColumnType kText = [] {
    ColumnType type;
    type.carrier = Carrier::kText;
    return type;
  }();
  return kText;
}

/// The values of a list's rows as one run of its child, and the entries that point into it.
void FillList(duckdb_vector vector, const ColumnType& type, const arrow::ArrayData& data,
              std::size_t first, std::size_t row_count) {
  const auto* offsets = reinterpret_cast<const std::int32_t*>(BufferData(data, 1)) + first;
  auto* entries = static_cast<duckdb_list_entry*>(duckdb_vector_get_data(vector));
  const auto begin = static_cast<std::size_t>(offsets[0]);
  const auto end = static_cast<std::size_t>(offsets[row_count]);
  for (std::size_t row = 0; row < row_count; ++row) {
    const bool is_null = IsNull(data, first + row);
    entries[row].offset = static_cast<std::size_t>(offsets[row]) - begin;
    entries[row].length = is_null ? 0 : static_cast<std::size_t>(offsets[row + 1] - offsets[row]);
  }
  const std::size_t count = end - begin;
  SLUICE_CHECK(duckdb_list_vector_reserve(vector, count) == DuckDBSuccess);
  SLUICE_CHECK(duckdb_list_vector_set_size(vector, count) == DuckDBSuccess);
  if (count == 0) return;
  duckdb_vector child = duckdb_list_vector_get_child(vector);
  const arrow::ArrayData& values = *data.child_data[0];
  const std::size_t child_first = static_cast<std::size_t>(values.offset) + begin;
  if (type.carrier == Carrier::kList)
    return Fill(child, type.children[0], values, child_first, count, nullptr);
  for (std::size_t field = 0; field < 2; ++field) {
    const arrow::ArrayData& side = *values.child_data[field];
    Fill(duckdb_struct_vector_get_child(child, field), TextType(), side,
         static_cast<std::size_t>(side.offset) + child_first, count, nullptr);
  }
}

/// Values of one length, one behind the other: those of a NULL are there too, and are NULL.
void FillArray(duckdb_vector vector, const ColumnType& type, const arrow::ArrayData& data,
               std::size_t first, std::size_t row_count) {
  const std::size_t length = ArrayLength(type);
  const auto* offsets = reinterpret_cast<const std::int32_t*>(BufferData(data, 1)) + first;
  const std::uint64_t* mask = duckdb_vector_get_validity(vector);
  duckdb_vector child = duckdb_array_vector_get_child(vector);
  auto* out = static_cast<float*>(duckdb_vector_get_data(child));
  const arrow::ArrayData& values = *data.child_data[0];
  const std::uint8_t* in =
      BufferData(values, 1) + static_cast<std::size_t>(values.offset) * sizeof(float);
  for (std::size_t row = 0; row < row_count; ++row) {
    if (mask == nullptr || IsBitSet(reinterpret_cast<const std::uint8_t*>(mask), row)) {
      std::memcpy(out + row * length, in + static_cast<std::size_t>(offsets[row]) * sizeof(float),
                  length * sizeof(float));
      continue;
    }
    duckdb_vector_ensure_validity_writable(child);
    std::uint64_t* child_mask = duckdb_vector_get_validity(child);
    for (std::size_t i = row * length; i < (row + 1) * length; ++i)
      duckdb_validity_set_row_invalid(child_mask, i);
  }
}

void FillStruct(duckdb_vector vector, const ColumnType& type, const arrow::ArrayData& data,
                std::size_t first, std::size_t row_count) {
  const std::uint64_t* mask = duckdb_vector_get_validity(vector);
  for (std::size_t field = 0; field < type.children.size(); ++field) {
    const arrow::ArrayData& values = *data.child_data[field];
    Fill(duckdb_struct_vector_get_child(vector, field), type.children[field], values,
         static_cast<std::size_t>(values.offset) + first, row_count, mask);
  }
}

/// `first`: index into the buffers, the array's own offset included.
void Fill(duckdb_vector vector, const ColumnType& type, const arrow::ArrayData& data,
          std::size_t first, std::size_t row_count, const std::uint64_t* parent) {
  if (row_count == 0) return;
  FillValidity(vector, data, first, row_count, parent);
  switch (type.carrier) {
    case Carrier::kBool:
      return FillBool(vector, data, first, row_count);
    case Carrier::kInt16:
      return FillFixed<std::int16_t>(vector, data, first, row_count);
    case Carrier::kInt32:
    case Carrier::kUInt32:
    case Carrier::kFloat32:
    case Carrier::kDate:
      return FillFixed<std::int32_t>(vector, data, first, row_count);
    case Carrier::kInt64:
    case Carrier::kFloat64:
    case Carrier::kTimestamp:
    case Carrier::kTimestampTz:
    case Carrier::kTime:
      return FillFixed<std::int64_t>(vector, data, first, row_count);
    case Carrier::kDecimal:
      return FillDecimal(vector, type, data, first, row_count);
    case Carrier::kText:
    case Carrier::kBytes:
    case Carrier::kJson:
      return FillStrings(vector, data, first, row_count);
    case Carrier::kInterval:
      return FillIntervals(vector, data, first, row_count);
    case Carrier::kUuid:
      return FillUuids(vector, data, first, row_count);
    case Carrier::kList:
    case Carrier::kMap:
      if (ArrayLength(type) != 0) return FillArray(vector, type, data, first, row_count);
      return FillList(vector, type, data, first, row_count);
    case Carrier::kStruct:
      return FillStruct(vector, type, data, first, row_count);
  }
}

void FillFlags(duckdb_vector vector, const RowBits& bits, std::size_t begin,
               std::size_t row_count) {
  auto* out = static_cast<std::uint8_t*>(duckdb_vector_get_data(vector));
  for (std::size_t row = 0; row < row_count; ++row) out[row] = bits[begin + row] ? 1 : 0;
}

bool IsNested(const ColumnType& type) {
  return type.carrier == Carrier::kList || type.carrier == Carrier::kMap ||
         type.carrier == Carrier::kStruct;
}

Error OtherColumns(const std::string& schema, const std::string& table) {
  return {.kind = ErrorKind::kSchemaConflict,
          .message = "the table at the destination has other columns than it was given: " +
                     ToString(TableName{schema, table}),
          .code = "SLU-5025",
          .advice = "sluice resync " + ToString(TableName{schema, table})};
}

}  // namespace

void FillVector(duckdb_vector vector, const ColumnType& type, const arrow::ArrayData& data,
                std::int64_t begin, std::size_t row_count) {
  Fill(vector, type, data, static_cast<std::size_t>(data.offset + begin), row_count, nullptr);
}

void FillVector(duckdb_vector vector, const ColumnSource& source, std::size_t begin,
                std::size_t row_count) {
  if (source.data == nullptr) return FillFlags(vector, *source.bits, begin, row_count);
  FillVector(vector, *source.type, *source.data, static_cast<std::int64_t>(begin), row_count);
}

std::vector<ColumnSource> SourcesOf(const arrow::RecordBatch& batch,
                                    const std::vector<const ColumnType*>& types) {
  SLUICE_CHECK(static_cast<std::size_t>(batch.num_columns()) == types.size());
  std::vector<ColumnSource> out;
  for (std::size_t i = 0; i < types.size(); ++i)
    out.push_back({.type = types[i], .data = batch.column_data(static_cast<int>(i)).get()});
  return out;
}

Result<ChunkWriter> ChunkWriter::Open(Connection& connection, const std::string& catalog,
                                      const std::string& schema, const std::string& table,
                                      const std::vector<const ColumnType*>& types,
                                      const std::vector<std::string>& names) {
  AppenderHandle appender;
  if (duckdb_appender_create_ext(connection.get(), catalog.c_str(), schema.c_str(), table.c_str(),
                                 appender.out()) == DuckDBError) {
    const ErrorDataHandle error(duckdb_appender_error_data(appender.get()));
    return MakeError("open an appender", duckdb_error_data_message(error.get()));
  }
  for (const std::string& name : names) {
    if (duckdb_appender_add_column(appender.get(), name.c_str()) == DuckDBError)
      return OtherColumns(schema, table);
  }
  ChunkWriter writer(std::move(appender));
  if (duckdb_appender_column_count(writer.appender_.get()) != types.size())
    return OtherColumns(schema, table);
  for (std::size_t i = 0; i < types.size(); ++i) {
    LogicalTypeHandle type(duckdb_appender_column_type(writer.appender_.get(), i));
    const duckdb_type id = duckdb_get_type_id(type.get());
    const bool is_unsigned = !names.empty() && id == DUCKDB_TYPE_UBIGINT && types[i] != nullptr &&
                             types[i]->carrier == Carrier::kInt64;
    const bool fits = types[i] == nullptr ? id == DUCKDB_TYPE_BOOLEAN
                                          : is_unsigned || IsSameType(*types[i], type.get());
    if (!fits) return OtherColumns(schema, table);
    writer.has_nested_ |= types[i] != nullptr && IsNested(*types[i]);
    writer.types_.push_back(std::move(type));
  }
  return writer;
}

Status ChunkWriter::RenewChunk() {
  // A used chunk keeps the child vectors of its lists as large as they once were: made anew.
  if (chunk_ && !has_nested_) {
    duckdb_data_chunk_reset(chunk_.get());
    return {};
  }
  std::vector<duckdb_logical_type> raw;
  raw.reserve(types_.size());
  for (const LogicalTypeHandle& type : types_) raw.push_back(type.get());
  chunk_ = ChunkHandle(duckdb_create_data_chunk(raw.data(), raw.size()));
  if (!chunk_) return MakeError("make a chunk", "out of memory");
  return {};
}

Error ChunkWriter::AppendError() const {
  const ErrorDataHandle error(duckdb_appender_error_data(appender_.get()));
  return MakeError("append rows", duckdb_error_data_message(error.get()));
}

Status ChunkWriter::Append(std::span<const ColumnSource> columns, std::size_t row_count) {
  SLUICE_CHECK(columns.size() == types_.size());
  for (std::size_t begin = 0; begin < row_count; begin += kChunkRows) {
    const std::size_t now = std::min(kChunkRows, row_count - begin);
    SLUICE_RETURN_IF_ERROR(RenewChunk());
    for (std::size_t i = 0; i < columns.size(); ++i)
      FillVector(duckdb_data_chunk_get_vector(chunk_.get(), i), columns[i], begin, now);
    duckdb_data_chunk_set_size(chunk_.get(), now);
    if (duckdb_append_data_chunk(appender_.get(), chunk_.get()) == DuckDBError)
      return AppendError();
  }
  return {};
}

Status ChunkWriter::Flush() {
  if (duckdb_appender_flush(appender_.get()) == DuckDBError) return AppendError();
  return {};
}

Status ChunkWriter::Close() {
  if (duckdb_appender_close(appender_.get()) == DuckDBError) return AppendError();
  appender_.Reset();
  return {};
}

}  // namespace sluice::duckdb
