#include "destinations/duckdb/statement_text.h"

namespace sluice::duckdb {
namespace {

/// Index behind the closing `end`, or the end of the text.
std::size_t SkipTo(std::string_view sql, std::size_t from, std::string_view end) {
  const std::size_t found = sql.find(end, from);
  return found == std::string_view::npos ? sql.size() : found + end.size();
}

/// `/* ... */` nests in PostgreSQL's grammar, which DuckDB's parser comes from.
std::size_t SkipBlockComment(std::string_view sql, std::size_t at) {
  int depth = 0;
  while (at < sql.size()) {
    if (sql.substr(at, 2) == "/*") {
      ++depth;
      at += 2;
    } else if (sql.substr(at, 2) == "*/") {
      at += 2;
      if (--depth == 0) return at;
    } else {
      ++at;
    }
  }
  return at;
}

bool IsTagByte(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// `$tag$ ... $tag$`; a lone dollar (a parameter) is one byte.
std::size_t SkipDollar(std::string_view sql, std::size_t at) {
  std::size_t end = at + 1;
  while (end < sql.size() && IsTagByte(sql[end])) ++end;
  if (end >= sql.size() || sql[end] != '$') return at + 1;
  const std::string_view tag = sql.substr(at, end + 1 - at);
  return SkipTo(sql, end + 1, tag);
}

bool IsEscapeString(std::string_view sql, std::size_t quote) {
  if (quote == 0 || (sql[quote - 1] != 'e' && sql[quote - 1] != 'E')) return false;
  return quote == 1 || !IsTagByte(sql[quote - 2]);
}

std::size_t SkipString(std::string_view sql, std::size_t at) {
  if (!IsEscapeString(sql, at)) return SkipTo(sql, at + 1, "'");
  for (++at; at < sql.size() && sql[at] != '\''; ++at) {
    if (sql[at] == '\\') ++at;
  }
  return at < sql.size() ? at + 1 : sql.size();
}

/// Index behind what begins here and is one piece: a string, a quoted name, a comment, or a byte.
std::size_t SkipPiece(std::string_view sql, std::size_t at) {
  if (sql[at] == '\'') return SkipString(sql, at);
  if (sql[at] == '"') return SkipTo(sql, at + 1, "\"");
  if (sql[at] == '$') return SkipDollar(sql, at);
  if (sql.substr(at, 2) == "--") return SkipTo(sql, at, "\n");
  if (sql.substr(at, 2) == "/*") return SkipBlockComment(sql, at);
  return at + 1;
}

bool IsSpace(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

}  // namespace

std::string_view FirstStatement(std::string_view sql) {
  for (std::size_t at = 0; at < sql.size(); at = SkipPiece(sql, at)) {
    if (sql[at] == ';') return sql.substr(0, at);
  }
  return sql;
}

std::string_view WithoutLeadingSpace(std::string_view sql) {
  std::size_t at = 0;
  while (at < sql.size()) {
    const bool is_comment = sql.substr(at, 2) == "--" || sql.substr(at, 2) == "/*";
    if (!is_comment && !IsSpace(sql[at])) break;
    at = SkipPiece(sql, at);
  }
  return sql.substr(at);
}

std::string_view BehindBrackets(std::string_view sql) {
  int depth = 0;
  for (std::size_t at = 0; at < sql.size(); at = SkipPiece(sql, at)) {
    if (sql[at] == '(') ++depth;
    if (sql[at] == ')' && --depth == 0) return sql.substr(at + 1);
  }
  return {};
}

}  // namespace sluice::duckdb
