#include "types/key_bytes.h"

#include <arrow/array.h>
#include <arrow/type.h>

#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/check.h"

namespace sluice::types {
namespace {

using AppendFunction = void (*)(const arrow::Array&, std::int64_t, std::string&);

constexpr char kNull = '\0';
constexpr char kValue = '\1';

template <class T>
void AppendRaw(T value, std::string& out) {
  char bytes[1 + sizeof(T)];
  bytes[0] = kValue;
  std::memcpy(bytes + 1, &value, sizeof(T));
  out.append(bytes, sizeof(bytes));
}

template <class T>
T Normalised(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (value != value) return std::numeric_limits<T>::quiet_NaN();
    if (value == 0) return 0;  // -0 is 0
  }
  return value;
}

template <class ArrayType>
void AppendFixed(const arrow::Array& array, std::int64_t row, std::string& out) {
  if (array.IsNull(row)) {
    out.push_back(kNull);
    return;
  }
  AppendRaw(Normalised(static_cast<const ArrayType&>(array).Value(row)), out);
}

void AppendVariable(const arrow::Array& array, std::int64_t row, std::string& out) {
  if (array.IsNull(row)) {
    out.push_back(kNull);
    return;
  }
  const auto view = static_cast<const arrow::BinaryArray&>(array).GetView(row);
  AppendRaw(static_cast<std::uint32_t>(view.size()), out);
  out.append(view);
}

void AppendFixedBinary(const arrow::Array& array, std::int64_t row, std::string& out) {
  if (array.IsNull(row)) {
    out.push_back(kNull);
    return;
  }
  out.push_back(kValue);
  out.append(static_cast<const arrow::FixedSizeBinaryArray&>(array).GetView(row));
}

/// One month is 30 days, one day 24 hours: how intervals are ordered and compared for equality.
void AppendInterval(const arrow::Array& array, std::int64_t row, std::string& out) {
  if (array.IsNull(row)) {
    out.push_back(kNull);
    return;
  }
  __extension__ using Wide = __int128;
  constexpr Wide kMicrosPerDay = 86'400'000'000;
  const std::uint8_t* bytes = static_cast<const arrow::FixedSizeBinaryArray&>(array).GetValue(row);
  std::int64_t micros = 0;
  std::int32_t days = 0;
  std::int32_t months = 0;
  std::memcpy(&micros, bytes, 8);
  std::memcpy(&days, bytes + 8, 4);
  std::memcpy(&months, bytes + 12, 4);
  AppendRaw(micros + (days + Wide{30} * months) * kMicrosPerDay, out);
}

void AppendList(const arrow::Array& array, std::int64_t row, std::string& out) {
  if (array.IsNull(row)) {
    out.push_back(kNull);
    return;
  }
  const auto& list = static_cast<const arrow::ListArray&>(array);
  const std::int64_t begin = list.value_offset(row);
  const std::int64_t length = list.value_length(row);
  AppendRaw(static_cast<std::uint32_t>(length), out);
  for (std::int64_t i = begin; i < begin + length; ++i) AppendKeyBytes(*list.values(), i, out);
}

void AppendStruct(const arrow::Array& array, std::int64_t row, std::string& out) {
  if (array.IsNull(row)) {
    out.push_back(kNull);
    return;
  }
  out.push_back(kValue);
  // The raw children: field() would slice a sliced array once more for every cell.
  for (const std::shared_ptr<arrow::ArrayData>& child : array.data()->child_data) {
    AppendKeyBytes(*arrow::MakeArray(child), array.offset() + row, out);
  }
}

AppendFunction FunctionFor(arrow::Type::type id) {
  switch (id) {
    case arrow::Type::BOOL:
      return AppendFixed<arrow::BooleanArray>;
    case arrow::Type::INT16:
      return AppendFixed<arrow::Int16Array>;
    case arrow::Type::INT32:
      return AppendFixed<arrow::Int32Array>;
    case arrow::Type::INT64:
      return AppendFixed<arrow::Int64Array>;
    case arrow::Type::UINT32:
      return AppendFixed<arrow::UInt32Array>;
    case arrow::Type::FLOAT:
      return AppendFixed<arrow::FloatArray>;
    case arrow::Type::DOUBLE:
      return AppendFixed<arrow::DoubleArray>;
    case arrow::Type::DATE32:
      return AppendFixed<arrow::Date32Array>;
    case arrow::Type::TIMESTAMP:
      return AppendFixed<arrow::TimestampArray>;
    case arrow::Type::TIME64:
      return AppendFixed<arrow::Time64Array>;
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return AppendVariable;
    case arrow::Type::DECIMAL128:
    case arrow::Type::FIXED_SIZE_BINARY:
      return AppendFixedBinary;
    case arrow::Type::LIST:
    case arrow::Type::MAP:
      return AppendList;
    case arrow::Type::STRUCT:
      return AppendStruct;
    default:
      return nullptr;
  }
}

}  // namespace

void AppendKeyBytes(const arrow::Array& array, std::int64_t row, std::string& out) {
  const AppendFunction append = FunctionFor(array.type_id());
  SLUICE_CHECK(append != nullptr);  // not a carrier: our own mistake
  append(array, row, out);
}

KeyEncoder::KeyEncoder(std::span<const arrow::Array* const> columns,
                       std::span<const ColumnType* const> types) {
  SLUICE_CHECK(types.empty() || types.size() == columns.size());
  columns_.reserve(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    AppendFunction append = FunctionFor(columns[i]->type_id());
    SLUICE_CHECK(append != nullptr);
    if (!types.empty() && types[i]->carrier == Carrier::kInterval) append = AppendInterval;
    columns_.push_back({columns[i], append});
  }
}

}  // namespace sluice::types
