#include "base/name_pattern.h"

#include <algorithm>

namespace sluice::base {
namespace {

Error Unreadable(std::string_view text, std::string_view why) {
  return Error{
      .kind = ErrorKind::kConfig,
      .message = "the pattern cannot be read (" + std::string(why) + "): " + std::string(text),
      .code = "SLU-2018",
      .advice =
          "write schema.table, with * and ? as wildcards, or \"...\" around a name "
          "that is to be taken as it is"};
}

/// Special in psql's patterns, and refused outside quotes: taken as they are they would match
/// nothing, and an exclusion would leave nothing out. Not $, which stands for itself there, too.
constexpr std::string_view kOfExpressions = "()[]{}|+^\\";

char Fold(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

Result<std::vector<NamePattern::Units>> NamePattern::Split(std::string_view text) {
  std::vector<Units> parts(1);
  bool is_quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      if (is_quoted && i + 1 < text.size() && text[i + 1] == '"') {
        parts.back().push_back({Unit::Kind::kLiteral, '"'});
        ++i;
      } else {
        is_quoted = !is_quoted;
      }
    } else if (is_quoted) {
      parts.back().push_back({Unit::Kind::kLiteral, c});
    } else if (c == '.') {
      parts.emplace_back();
    } else if (c == '*') {
      parts.back().push_back({Unit::Kind::kAny, '*'});
    } else if (c == '?') {
      parts.back().push_back({Unit::Kind::kOne, '?'});
    } else if (kOfExpressions.find(c) != std::string_view::npos) {
      return Unreadable(text, "regular expressions are not supported");
    } else {
      parts.back().push_back({Unit::Kind::kLiteral, Fold(c)});
    }
  }
  if (is_quoted) return Unreadable(text, "a quote is not closed");
  const bool has_empty =
      std::any_of(parts.begin(), parts.end(), [](const Units& part) { return part.empty(); });
  if (has_empty) return Unreadable(text, "a name is empty");
  return parts;
}

Result<NamePattern> NamePattern::ParseTable(std::string_view text) {
  SLUICE_ASSIGN_OR_RETURN(std::vector<Units> parts, Split(text));
  if (parts.size() > 2) return Unreadable(text, "more than schema.table");
  NamePattern pattern;
  pattern.text_ = text;
  if (parts.size() == 2) pattern.schema_ = std::move(parts.front());
  pattern.table_ = std::move(parts.back());
  return pattern;
}

Result<NamePattern> NamePattern::ParseSchema(std::string_view text) {
  SLUICE_ASSIGN_OR_RETURN(std::vector<Units> parts, Split(text));
  if (parts.size() > 1) return Unreadable(text, "a schema's name has no dot");
  NamePattern pattern;
  pattern.text_ = text;
  pattern.schema_ = std::move(parts.front());
  pattern.table_ = {{Unit::Kind::kAny, '*'}};
  return pattern;
}

// Greedy with one point to come back to: linear in practice, quadratic at worst, no recursion.
bool NamePattern::Match(const Units& pattern, std::string_view name) {
  std::size_t at = 0;
  std::size_t in_name = 0;
  std::size_t star = pattern.size();
  std::size_t star_in_name = 0;
  while (in_name < name.size()) {
    if (at < pattern.size() && pattern[at].kind == Unit::Kind::kAny) {
      star = at++;
      star_in_name = in_name;
    } else if (at < pattern.size() &&
               (pattern[at].kind == Unit::Kind::kOne || pattern[at].character == name[in_name])) {
      // "?" is one character, not one byte: continuation bytes of UTF-8 go with the first.
      const bool is_one = pattern[at].kind == Unit::Kind::kOne;
      ++at;
      ++in_name;
      while (is_one && in_name < name.size() &&
             (static_cast<unsigned char>(name[in_name]) & 0xC0U) == 0x80U) {
        ++in_name;
      }
    } else if (star < pattern.size()) {
      at = star + 1;
      in_name = ++star_in_name;
    } else {
      return false;
    }
  }
  while (at < pattern.size() && pattern[at].kind == Unit::Kind::kAny) ++at;
  return at == pattern.size();
}

bool NamePattern::Matches(const TableName& name) const {
  return MatchesSchema(name.schema) && Match(table_, name.table);
}

bool NamePattern::MatchesSchema(std::string_view schema) const {
  return !schema_ || Match(*schema_, schema);
}

bool NamePattern::is_exact() const {
  const auto is_literal = [](const Unit& unit) { return unit.kind == Unit::Kind::kLiteral; };
  return schema_ && std::all_of(schema_->begin(), schema_->end(), is_literal) &&
         std::all_of(table_.begin(), table_.end(), is_literal);
}

TableName NamePattern::name() const {
  const auto text = [](const Units& units) {
    std::string out;
    for (const Unit& unit : units) out += unit.character;
    return out;
  };
  return {text(schema_.value()), text(table_)};
}

}  // namespace sluice::base
