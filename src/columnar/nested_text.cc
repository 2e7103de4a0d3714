#include <algorithm>

#include "columnar/decoders.h"
#include "types/builtin_types.h"
#include "types/vectors.h"

// Grammar: array_out() in arrayfuncs.c, record_out() in rowtypes.c, hstore_out() in
// contrib/hstore. An item is collected into the scratch text of its container, free of quotes and
// escapes, and then read by the text decoder of its own type.

namespace sluice::columnar {
namespace {

using types::ValueFault;

bool IsNullWord(std::string_view word) {
  if (word.size() != 4) return false;
  constexpr std::string_view kNull = "null";
  for (std::size_t i = 0; i < kNull.size(); ++i) {
    if ((word[i] | 0x20) != kNull[i]) return false;
  }
  return true;
}

// Reads a quoted item whose opening quote is at `at`; leaves `at` behind the closing one.
// `doubled`: "" stands for a quote.
bool ReadQuoted(std::string_view text, std::size_t& at, bool doubled, std::string& out) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\') {
      if (++at == text.size()) return false;
      out += text[at];
    } else if (text[at] == '"') {
      if (!doubled || at + 1 >= text.size() || text[at + 1] != '"') {
        ++at;
        return true;
      }
      out += '"';
      ++at;
    } else {
      out += text[at];
    }
  }
  return false;
}

// An array element without quotes, up to the delimiter or the closing brace.
ValueFault ReadBareElement(std::string_view text, std::size_t& at, char delimiter,
                           std::string& out) {
  for (; at < text.size() && text[at] != delimiter && text[at] != '}'; ++at) {
    if (text[at] == '{') return ValueFault::kListShape;
    if (text[at] == '"') return ValueFault::kMalformed;
    if (text[at] == '\\' && ++at == text.size()) return ValueFault::kMalformed;
    out += text[at];
  }
  return out.empty() ? ValueFault::kMalformed : ValueFault::kNone;
}

ValueFault AppendElement(ColumnBuilder& column, std::string_view text, std::size_t& at,
                         char delimiter) {
  std::string& item = column.scratch();
  item.clear();
  ColumnBuilder& elements = column.child(0);
  if (at < text.size() && text[at] == '"') {
    if (!ReadQuoted(text, at, /*doubled=*/false, item)) return ValueFault::kMalformed;
    return elements.AppendText(item);
  }
  const ValueFault fault = ReadBareElement(text, at, delimiter, item);
  if (fault != ValueFault::kNone) return fault;
  if (IsNullWord(item)) {
    elements.AppendNull();
    return ValueFault::kNone;
  }
  return elements.AppendText(item);
}

// One attribute of a composite; nothing at all is NULL.
ValueFault AppendAttribute(ColumnBuilder& column, ColumnBuilder& attribute, std::string_view text,
                           std::size_t& at) {
  std::string& item = column.scratch();
  item.clear();
  if (at < text.size() && (text[at] == ',' || text[at] == ')')) {
    attribute.AppendNull();
    return ValueFault::kNone;
  }
  while (at < text.size() && text[at] != ',' && text[at] != ')') {
    if (text[at] == '"') {
      if (!ReadQuoted(text, at, /*doubled=*/true, item)) return ValueFault::kMalformed;
      continue;
    }
    if (text[at] == '\\' && ++at == text.size()) return ValueFault::kMalformed;
    item += text[at++];
  }
  return attribute.AppendText(item);
}

bool Skip(std::string_view text, std::size_t& at, std::string_view token) {
  if (!text.substr(at).starts_with(token)) return false;
  at += token.size();
  return true;
}

}  // namespace

ValueFault DecodeListText(ColumnBuilder& column, std::string_view text) {
  // "[0:1]={..}": printed only where some lower bound is not 1.
  if (text.starts_with('[')) return ValueFault::kListShape;
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return ValueFault::kMalformed;
  if (text.size() == 2) return column.PushList();
  const char delimiter = types::ArrayDelimiter(column.child(0).type());
  std::size_t at = 1;
  while (true) {
    const ValueFault fault = AppendElement(column, text, at, delimiter);
    if (fault != ValueFault::kNone) return fault;
    if (at >= text.size()) return ValueFault::kMalformed;
    const char next = text[at++];
    if (next == '}') break;
    if (next != delimiter) return ValueFault::kMalformed;
  }
  return at == text.size() ? column.PushList() : ValueFault::kMalformed;
}

ValueFault DecodeStructText(ColumnBuilder& column, std::string_view text) {
  if (text.size() < 2 || text.front() != '(') return ValueFault::kMalformed;
  std::size_t at = 1;
  for (std::size_t i = 0; i < column.child_count(); ++i) {
    const ValueFault fault = AppendAttribute(column, column.child(i), text, at);
    if (fault != ValueFault::kNone) return fault;
    if (at >= text.size()) return ValueFault::kMalformed;
    const bool is_last = i + 1 == column.child_count();
    const char next = text[at++];
    if (next != (is_last ? ')' : ',')) {
      // Fewer or more attributes than we know of.
      return next == ')' || next == ',' ? ValueFault::kCompositeShape : ValueFault::kMalformed;
    }
  }
  if (at != text.size()) return ValueFault::kMalformed;
  column.PushStruct();
  return ValueFault::kNone;
}

ValueFault DecodeVectorText(ColumnBuilder& column, std::string_view text) {
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return ValueFault::kMalformed;
  text = text.substr(1, text.size() - 2);
  ColumnBuilder& elements = column.child(0);
  std::size_t length = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const ValueFault fault = elements.AppendText(text.substr(0, end));
    if (fault != ValueFault::kNone) return fault;
    ++length;
    if (end + 1 == text.size()) return ValueFault::kMalformed;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const std::size_t declared = types::VectorLength(column.type());
  if (declared != 0 && length != declared) return ValueFault::kMalformed;
  return column.PushList();
}

ValueFault DecodeMapText(ColumnBuilder& column, std::string_view text) {
  std::string& item = column.scratch();
  std::size_t at = 0;
  while (at < text.size()) {
    if (at != 0 && !Skip(text, at, ", ")) return ValueFault::kMalformed;
    item.clear();
    if (at >= text.size() || text[at] != '"' || !ReadQuoted(text, at, false, item)) {
      return ValueFault::kMalformed;
    }
    ValueFault fault = column.child(0).AppendText(item);
    if (fault != ValueFault::kNone) return fault;
    if (!Skip(text, at, "=>")) return ValueFault::kMalformed;
    if (Skip(text, at, "NULL")) {
      column.child(1).AppendNull();
      continue;
    }
    item.clear();
    if (at >= text.size() || text[at] != '"' || !ReadQuoted(text, at, false, item)) {
      return ValueFault::kMalformed;
    }
    fault = column.child(1).AppendText(item);
    if (fault != ValueFault::kNone) return fault;
  }
  return column.PushList();
}

}  // namespace sluice::columnar
