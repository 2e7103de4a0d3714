#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/util/decimal.h>
#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cstring>

#include "destinations/memory/cell_text.h"

namespace sluice::memory {
namespace {

Error NotOfType(const ColumnType& type) {
  return Error{.kind = ErrorKind::kConversion,
               .message = fmt::format("text is not of type {}", type.name),
               .code = "SLU-5111"};
}

Status FromArrow(const arrow::Status& status) {
  if (status.ok()) return {};
  return Error{.kind = ErrorKind::kInternal,
               .message = "building a column failed",
               .server_message = status.ToString(),
               .code = "SLU-9001"};
}

template <class T>
std::optional<T> ParseNumber(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <class Float, class Bits>
std::optional<Float> ParseFloat(std::string_view text) {
  if (text == "NaN") return std::numeric_limits<Float>::quiet_NaN();
  if (text.starts_with("NaN:")) {
    Bits bits = 0;
    const auto [end, error] = std::from_chars(text.data() + 4, text.data() + text.size(), bits, 16);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return std::bit_cast<Float>(bits);
  }
  return ParseNumber<Float>(text);
}

std::optional<std::string> BytesOfHex(std::string_view hex) {
  std::string out;
  std::string digits;
  for (const char c : hex) {
    if (c != '-') digits += c;
  }
  if (digits.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(&digits[i], &digits[i] + 2, value, 16);
    if (error != std::errc{} || end != &digits[i] + 2) return std::nullopt;
    out += static_cast<char>(value);
  }
  return out;
}

std::optional<std::string> BytesOfInterval(std::string_view text) {
  std::string out(16, '\0');
  const auto take = [&text](auto& value, std::string_view unit) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.starts_with(unit)) return false;
    text.remove_prefix(unit.size());
    return true;
  };
  std::int32_t months = 0;
  std::int32_t days = 0;
  std::int64_t micros = 0;
  if (!take(months, " mon ") || !take(days, " d ") || !take(micros, " us") || !text.empty()) {
    return std::nullopt;
  }
  std::memcpy(out.data(), &micros, 8);
  std::memcpy(out.data() + 8, &days, 4);
  std::memcpy(out.data() + 12, &months, 4);
  return out;
}

/// Reads `open` item, item, ... `close` where an item is null or a quoted text.
class ItemReader {
 public:
  explicit ItemReader(std::string_view text) : text_(text) {}

  bool Take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool is_done() const { return text_.empty(); }
  std::optional<Cell> Item() {
    if (text_.starts_with("null")) {
      text_.remove_prefix(4);
      return Cell();
    }
    if (!Take('"')) return std::nullopt;
    std::string out;
    while (!text_.empty() && text_.front() != '"') {
      if (text_.front() == '\\') text_.remove_prefix(1);
      if (text_.empty()) return std::nullopt;
      out += text_.front();
      text_.remove_prefix(1);
    }
    if (!Take('"')) return std::nullopt;
    return Cell(std::move(out));
  }
  std::optional<TextRow> Items(char open, char close) {
    TextRow out;
    if (!Take(open)) return std::nullopt;
    if (Take(close)) return out;
    do {
      auto item = Item();
      if (!item) return std::nullopt;
      out.push_back(*std::move(item));
    } while (Take(','));
    if (!Take(close)) return std::nullopt;
    return out;
  }

 private:
  std::string_view text_;
};

Status AppendCell(arrow::ArrayBuilder& builder, const ColumnType& type, const Cell& cell);

template <class Builder, class Value>
Status AppendValue(arrow::ArrayBuilder& builder, const ColumnType& type,
                   const std::optional<Value>& value) {
  if (!value) return NotOfType(type);
  return FromArrow(static_cast<Builder&>(builder).Append(*value));
}

Status AppendDecimal(arrow::ArrayBuilder& builder, const ColumnType& type,
                     const std::string& text) {
  arrow::Decimal128 value;
  std::int32_t precision = 0;
  std::int32_t scale = 0;
  if (!arrow::Decimal128::FromString(text, &value, &precision, &scale).ok()) return NotOfType(type);
  const auto rescaled = value.Rescale(scale, type.scale);
  if (!rescaled.ok() || !rescaled->FitsInPrecision(type.precision)) return NotOfType(type);
  return FromArrow(static_cast<arrow::Decimal128Builder&>(builder).Append(*rescaled));
}

Status AppendList(arrow::ArrayBuilder& builder, const ColumnType& type, const std::string& text) {
  ItemReader reader(text);
  const auto items = reader.Items('[', ']');
  if (!items || !reader.is_done()) return NotOfType(type);
  auto& list = static_cast<arrow::ListBuilder&>(builder);
  SLUICE_RETURN_IF_ERROR(FromArrow(list.Append()));
  for (const Cell& item : *items) {
    SLUICE_RETURN_IF_ERROR(AppendCell(*list.value_builder(), type.children.at(0), item));
  }
  return {};
}

Status AppendStruct(arrow::ArrayBuilder& builder, const ColumnType& type, const std::string& text) {
  ItemReader reader(text);
  const auto items = reader.Items('(', ')');
  if (!items || !reader.is_done() || items->size() != type.children.size()) return NotOfType(type);
  auto& out = static_cast<arrow::StructBuilder&>(builder);
  SLUICE_RETURN_IF_ERROR(FromArrow(out.Append()));
  for (std::size_t i = 0; i < items->size(); ++i) {
    SLUICE_RETURN_IF_ERROR(
        AppendCell(*out.field_builder(static_cast<int>(i)), type.children[i], (*items)[i]));
  }
  return {};
}

Status AppendMap(arrow::ArrayBuilder& builder, const ColumnType& type, const std::string& text) {
  ItemReader reader(text);
  if (!reader.Take('[')) return NotOfType(type);
  auto& map = static_cast<arrow::MapBuilder&>(builder);
  SLUICE_RETURN_IF_ERROR(FromArrow(map.Append()));
  const ColumnType plain;
  if (!reader.Take(']')) {
    do {
      const auto pair = reader.Items('(', ')');
      if (!pair || pair->size() != 2 || !pair->front()) return NotOfType(type);
      SLUICE_RETURN_IF_ERROR(AppendCell(*map.key_builder(), plain, (*pair)[0]));
      SLUICE_RETURN_IF_ERROR(AppendCell(*map.item_builder(), plain, (*pair)[1]));
    } while (reader.Take(','));
    if (!reader.Take(']')) return NotOfType(type);
  }
  if (!reader.is_done()) return NotOfType(type);
  return {};
}

Status AppendFixed(arrow::ArrayBuilder& builder, const ColumnType& type,
                   const std::optional<std::string>& bytes) {
  if (!bytes || bytes->size() != 16) return NotOfType(type);
  return AppendValue<arrow::FixedSizeBinaryBuilder>(builder, type,
                                                    std::optional<std::string_view>(*bytes));
}

// One case a carrier.
Status AppendCell(arrow::ArrayBuilder& builder, const ColumnType& type, const Cell& cell) {
  if (!cell) return FromArrow(builder.AppendNull());
  const std::string& text = *cell;
  switch (type.carrier) {
    case Carrier::kBool:
      if (text != "t" && text != "f") return NotOfType(type);
      return FromArrow(static_cast<arrow::BooleanBuilder&>(builder).Append(text == "t"));
    case Carrier::kInt16:
      return AppendValue<arrow::Int16Builder>(builder, type, ParseNumber<std::int16_t>(text));
    case Carrier::kInt32:
      return AppendValue<arrow::Int32Builder>(builder, type, ParseNumber<std::int32_t>(text));
    case Carrier::kInt64:
      return AppendValue<arrow::Int64Builder>(builder, type, ParseNumber<std::int64_t>(text));
    case Carrier::kUInt32:
      return AppendValue<arrow::UInt32Builder>(builder, type, ParseNumber<std::uint32_t>(text));
    case Carrier::kFloat32:
      return AppendValue<arrow::FloatBuilder>(builder, type,
                                              ParseFloat<float, std::uint32_t>(text));
    case Carrier::kFloat64:
      return AppendValue<arrow::DoubleBuilder>(builder, type,
                                               ParseFloat<double, std::uint64_t>(text));
    case Carrier::kDecimal:
      return AppendDecimal(builder, type, text);
    case Carrier::kText:
    case Carrier::kJson:
      return FromArrow(static_cast<arrow::StringBuilder&>(builder).Append(text));
    case Carrier::kBytes:
      if (!text.starts_with("\\x")) return NotOfType(type);
      return AppendValue<arrow::BinaryBuilder>(builder, type,
                                               BytesOfHex(std::string_view(text).substr(2)));
    case Carrier::kDate:
      return AppendValue<arrow::Date32Builder>(builder, type, ParseNumber<std::int32_t>(text));
    case Carrier::kTimestamp:
    case Carrier::kTimestampTz:
      return AppendValue<arrow::TimestampBuilder>(builder, type, ParseNumber<std::int64_t>(text));
    case Carrier::kTime:
      return AppendValue<arrow::Time64Builder>(builder, type, ParseNumber<std::int64_t>(text));
    case Carrier::kInterval:
      return AppendFixed(builder, type, BytesOfInterval(text));
    case Carrier::kUuid:
      return AppendFixed(builder, type, BytesOfHex(text));
    case Carrier::kList:
      return AppendList(builder, type, text);
    case Carrier::kStruct:
      return AppendStruct(builder, type, text);
    case Carrier::kMap:
      return AppendMap(builder, type, text);
  }
  return NotOfType(type);
}

}  // namespace

Result<std::shared_ptr<arrow::Array>> ArrayFromText(const ColumnType& type,
                                                    const std::vector<Cell>& cells) {
  auto builder = arrow::MakeBuilder(ArrowTypeOf(type));
  SLUICE_RETURN_IF_ERROR(FromArrow(builder.status()));
  for (const Cell& cell : cells) SLUICE_RETURN_IF_ERROR(AppendCell(**builder, type, cell));
  auto array = (*builder)->Finish();
  SLUICE_RETURN_IF_ERROR(FromArrow(array.status()));
  return *std::move(array);
}

}  // namespace sluice::memory
