#include "columnar/row_key.h"

#include <string_view>

#include "base/byte_reader.h"
#include "types/text_formats.h"
#include "types/text_output.h"
#include "types/utf8.h"

namespace sluice::columnar {
namespace {

using pgoutput::TupleCell;
using pgoutput::TupleView;

// Enough to find the row by; a key of several kilobytes would bury the reason.
constexpr std::size_t kValueBytesMax = 200;

std::string ValueText(const ColumnType& type, const TupleCell& cell) {
  if (cell.kind == TupleCell::Kind::kNull) return "NULL";
  std::string text = ExactText(type, cell).value_or("?");
  if (text.size() <= kValueBytesMax) return text;
  std::size_t end = kValueBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end) + "...";
}

}  // namespace

std::optional<std::string> ExactText(const ColumnType& type, const TupleCell& cell) {
  std::string text;
  if (cell.kind == TupleCell::Kind::kText) {
    text = base::AsText(cell.bytes);
  } else if (!types::FormatText(type, cell.bytes, text)) {
    return std::nullopt;
  }
  if (types::IsUtf8(base::AsBytes(text))) return text;
  std::string hex = "\\x";
  types::AppendHex(base::AsBytes(text), hex);
  return hex;
}

std::string RowKeyText(const TableSchema& schema, TupleView row, TupleView old) {
  std::string names;
  std::string values;
  for (const std::int32_t index : schema.key) {
    const auto column = static_cast<std::size_t>(index);
    const bool is_sent = column < row.size() && row[column].kind != TupleCell::Kind::kUnchanged;
    if (!is_sent && column >= old.size()) return {};
    if (!names.empty()) {
      names += ", ";
      values += ", ";
    }
    names += schema.columns[column].name;
    values += ValueText(schema.columns[column].type, is_sent ? row[column] : old[column]);
  }
  return names.empty() ? std::string() : "(" + names + ")=(" + values + ")";
}

}  // namespace sluice::columnar
