#include "postgres/quote.h"

namespace sluice::postgres {
namespace {

void AppendDoubled(std::string& out, std::string_view text, char quote) {
  for (const char c : text) {
    if (c == quote) out += quote;
    out += c;
  }
}

}  // namespace

std::string QuoteIdentifier(std::string_view name) {
  std::string out = "\"";
  AppendDoubled(out, name, '"');
  return out += '"';
}

std::string QuoteTable(const TableName& name) {
  return QuoteIdentifier(name.schema) + '.' + QuoteIdentifier(name.table);
}

std::string QuoteLiteral(std::string_view text) {
  const bool has_backslash = text.find('\\') != std::string_view::npos;
  std::string out = has_backslash ? "E'" : "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += c;
    out += c;
  }
  return out += '\'';
}

std::string QuoteReplicationLiteral(std::string_view text) {
  std::string out = "'";
  AppendDoubled(out, text, '\'');
  return out += '\'';
}

std::string QuotePublicationNames(std::span<const std::string> names) {
  std::string list;
  for (const std::string& name : names) {
    if (!list.empty()) list += ',';
    list += QuoteIdentifier(name);
  }
  return QuoteReplicationLiteral(list);
}

std::string ArrayLiteral(std::span<const std::string> elements) {
  std::string out = "{";
  for (const std::string& element : elements) {
    if (out.size() > 1) out += ',';
    out += '"';
    for (const char c : element) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out += '}';
}

}  // namespace sluice::postgres
