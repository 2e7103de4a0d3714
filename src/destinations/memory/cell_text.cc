#include "destinations/memory/cell_text.h"

#include <arrow/array.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>
#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

namespace sluice::memory {
namespace {

using arrow::internal::checked_cast;

std::string HexOf(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes)
    fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<unsigned char>(c));
  return out;
}

template <class Float, class Bits>
std::string FloatText(Float value) {
  if (std::isnan(value)) {
    const auto bits = std::bit_cast<Bits>(value);
    const auto usual = std::bit_cast<Bits>(std::numeric_limits<Float>::quiet_NaN());
    return bits == usual ? "NaN" : fmt::format("NaN:{:x}", bits);
  }
  char buffer[64];
  const auto end = std::to_chars(std::begin(buffer), std::end(buffer), value).ptr;
  return {buffer, static_cast<std::size_t>(end - buffer)};
}

std::string UuidText(std::string_view bytes) {
  std::string hex = HexOf(bytes);
  for (const std::size_t at : {20U, 16U, 12U, 8U}) hex.insert(at, 1, '-');
  return hex;
}

std::string IntervalText(std::string_view bytes) {
  std::int64_t micros = 0;
  std::int32_t days = 0;
  std::int32_t months = 0;
  std::memcpy(&micros, bytes.data(), 8);
  std::memcpy(&days, bytes.data() + 8, 4);
  std::memcpy(&months, bytes.data() + 12, 4);
  return fmt::format("{} mon {} d {} us", months, days, micros);
}

void AppendQuoted(std::string& out, const Cell& cell) {
  if (!cell) {
    out += "null";
    return;
  }
  out += '"';
  for (const char c : *cell) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

Result<Cell> ListText(const arrow::ListArray& list, std::int64_t row, const ColumnType& type) {
  std::string out = "[";
  for (std::int64_t i = list.value_offset(row); i < list.value_offset(row + 1); ++i) {
    if (out.size() > 1) out += ',';
    SLUICE_ASSIGN_OR_RETURN(const Cell cell, CellText(*list.values(), i, type.children.at(0)));
    AppendQuoted(out, cell);
  }
  return Cell(out + ']');
}

Result<Cell> StructText(const arrow::StructArray& array, std::int64_t row, const ColumnType& type) {
  std::string out = "(";
  for (std::size_t i = 0; i < type.children.size(); ++i) {
    if (i > 0) out += ',';
    // field() applies the offset of a sliced struct; children are row for row.
    SLUICE_ASSIGN_OR_RETURN(const Cell cell,
                            CellText(*array.field(static_cast<int>(i)), row, type.children[i]));
    AppendQuoted(out, cell);
  }
  return Cell(out + ')');
}

Result<Cell> MapText(const arrow::MapArray& map, std::int64_t row) {
  ColumnType text;
  std::string out = "[";
  for (std::int64_t i = map.value_offset(row); i < map.value_offset(row + 1); ++i) {
    if (out.size() > 1) out += ',';
    out += '(';
    SLUICE_ASSIGN_OR_RETURN(const Cell key, CellText(*map.keys(), i, text));
    SLUICE_ASSIGN_OR_RETURN(const Cell value, CellText(*map.items(), i, text));
    AppendQuoted(out, key);
    out += ',';
    AppendQuoted(out, value);
    out += ')';
  }
  return Cell(out + ']');
}

template <class Array>
auto At(const arrow::Array& array, std::int64_t row) {
  return checked_cast<const Array&>(array).Value(row);
}
template <class Array>
std::string_view ViewAt(const arrow::Array& array, std::int64_t row) {
  return checked_cast<const Array&>(array).GetView(row);
}

}  // namespace

std::shared_ptr<arrow::DataType> ArrowTypeOf(const ColumnType& type) {
  switch (type.carrier) {
    case Carrier::kBool:
      return arrow::boolean();
    case Carrier::kInt16:
      return arrow::int16();
    case Carrier::kInt32:
      return arrow::int32();
    case Carrier::kInt64:
      return arrow::int64();
    case Carrier::kUInt32:
      return arrow::uint32();
    case Carrier::kFloat32:
      return arrow::float32();
    case Carrier::kFloat64:
      return arrow::float64();
    case Carrier::kDecimal:
      return arrow::decimal128(type.precision, type.scale);
    case Carrier::kText:
    case Carrier::kJson:
      return arrow::utf8();
    case Carrier::kBytes:
      return arrow::binary();
    case Carrier::kDate:
      return arrow::date32();
    case Carrier::kTimestamp:
      return arrow::timestamp(arrow::TimeUnit::MICRO);
    case Carrier::kTimestampTz:
      return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case Carrier::kTime:
      return arrow::time64(arrow::TimeUnit::MICRO);
    case Carrier::kInterval:
    case Carrier::kUuid:
      return arrow::fixed_size_binary(16);
    case Carrier::kList:
      return arrow::list(ArrowTypeOf(type.children.at(0)));
    case Carrier::kStruct: {
      arrow::FieldVector fields;
      for (std::size_t i = 0; i < type.children.size(); ++i) {
        fields.push_back(arrow::field(type.child_names.at(i), ArrowTypeOf(type.children[i])));
      }
      return arrow::struct_(std::move(fields));
    }
    case Carrier::kMap:
      return arrow::map(arrow::utf8(), arrow::utf8());
  }
  return arrow::null();
}

// One case a carrier.
Result<Cell> CellText(const arrow::Array& array, std::int64_t row, const ColumnType& type) {
  if (array.IsNull(row)) return Cell();
  switch (type.carrier) {
    case Carrier::kBool:
      return Cell(At<arrow::BooleanArray>(array, row) ? "t" : "f");
    case Carrier::kInt16:
      return Cell(std::to_string(At<arrow::Int16Array>(array, row)));
    case Carrier::kInt32:
      return Cell(std::to_string(At<arrow::Int32Array>(array, row)));
    case Carrier::kInt64:
      return Cell(std::to_string(At<arrow::Int64Array>(array, row)));
    case Carrier::kUInt32:
      return Cell(std::to_string(At<arrow::UInt32Array>(array, row)));
    case Carrier::kFloat32:
      return Cell(FloatText<float, std::uint32_t>(At<arrow::FloatArray>(array, row)));
    case Carrier::kFloat64:
      return Cell(FloatText<double, std::uint64_t>(At<arrow::DoubleArray>(array, row)));
    case Carrier::kDecimal:
      return Cell(checked_cast<const arrow::Decimal128Array&>(array).FormatValue(row));
    case Carrier::kText:
    case Carrier::kJson:
      return Cell(std::string(ViewAt<arrow::StringArray>(array, row)));
    case Carrier::kBytes:
      return Cell("\\x" + HexOf(ViewAt<arrow::BinaryArray>(array, row)));
    case Carrier::kDate:
      return Cell(std::to_string(At<arrow::Date32Array>(array, row)));
    case Carrier::kTimestamp:
    case Carrier::kTimestampTz:
      return Cell(std::to_string(At<arrow::TimestampArray>(array, row)));
    case Carrier::kTime:
      return Cell(std::to_string(At<arrow::Time64Array>(array, row)));
    case Carrier::kInterval:
      return Cell(IntervalText(ViewAt<arrow::FixedSizeBinaryArray>(array, row)));
    case Carrier::kUuid:
      return Cell(UuidText(ViewAt<arrow::FixedSizeBinaryArray>(array, row)));
    case Carrier::kList:
      return ListText(checked_cast<const arrow::ListArray&>(array), row, type);
    case Carrier::kStruct:
      return StructText(checked_cast<const arrow::StructArray&>(array), row, type);
    case Carrier::kMap:
      return MapText(checked_cast<const arrow::MapArray&>(array), row);
  }
  return Error{.kind = ErrorKind::kInternal, .message = "unknown carrier", .code = "SLU-9001"};
}

std::string EncodeCells(const TextRow& cells) {
  std::string out;
  for (const Cell& cell : cells) {
    if (!cell) {
      out += 'N';
      continue;
    }
    fmt::format_to(std::back_inserter(out), "{}:", cell->size());
    out += *cell;
  }
  return out;
}

}  // namespace sluice::memory
