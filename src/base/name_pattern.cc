#include "base/name_pattern.h"

#include <algorithm>
#include <codecvt>
#include <locale>
#include <regex>

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

/// Those of a regular expression that psql's patterns leave as they are. Not $, which stands for
/// itself there, nor the dot.
constexpr std::string_view kOfExpressions = "()[]{}|+^\\";

char Fold(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// libstdc++'s flag: no expression takes time that is exponential in a name's length.
constexpr auto kPolynomial = std::regex_constants::ECMAScript | std::regex_constants::__polynomial;

/// Empty: not UTF-8.
std::wstring Wide(const std::string& text) {
  std::wstring_convert<std::codecvt_utf8<wchar_t>> convert(std::string{}, std::wstring{});
  return convert.from_bytes(text);
}

}  // namespace

struct NamePattern::Expression {
  std::wregex regex;
};

Result<std::vector<NamePattern::Part>> NamePattern::Split(std::string_view text) {
  std::vector<Part> parts(1);
  bool is_quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      if (is_quoted && i + 1 < text.size() && text[i + 1] == '"') {
        parts.back().units.push_back({Unit::Kind::kLiteral, '"'});
        ++i;
      } else {
        is_quoted = !is_quoted;
      }
    } else if (is_quoted) {
      parts.back().units.push_back({Unit::Kind::kLiteral, c});
    } else if (c == '.') {
      parts.emplace_back();
    } else if (c == '*') {
      parts.back().units.push_back({Unit::Kind::kAny, '*'});
    } else if (c == '?') {
      parts.back().units.push_back({Unit::Kind::kOne, '?'});
    } else if (kOfExpressions.find(c) != std::string_view::npos) {
      parts.back().units.push_back({Unit::Kind::kExpression, c});
    } else {
      parts.back().units.push_back({Unit::Kind::kLiteral, Fold(c)});
    }
  }
  if (is_quoted) return Unreadable(text, "a quote is not closed");
  for (Part& part : parts) {
    if (part.units.empty()) return Unreadable(text, "a name is empty");
    SLUICE_RETURN_IF_ERROR(part.Compile(text));
  }
  return parts;
}

Status NamePattern::Part::Compile(std::string_view text) {
  const bool has_expression = std::any_of(units.begin(), units.end(), [](const Unit& unit) {
    return unit.kind == Unit::Kind::kExpression;
  });
  if (!has_expression) return {};
  std::string written;
  for (const Unit& unit : units) {
    const char c = unit.character;
    const bool is_special = unit.kind == Unit::Kind::kLiteral &&
                            std::string_view("()[]{}|+^\\$.*?/").find(c) != std::string_view::npos;
    if (is_special) written += '\\';
    if (unit.kind == Unit::Kind::kAny) written += '.';
    written += unit.kind == Unit::Kind::kOne ? '.' : c;
  }
  const std::wstring wide = Wide(written);
  if (wide.empty()) return Unreadable(text, "it is not UTF-8");
  try {
    expression = std::make_shared<const Expression>(Expression{std::wregex(wide, kPolynomial)});
  } catch (const std::regex_error&) {
    return Unreadable(text, "it is not a regular expression");
  }
  return {};
}

Result<NamePattern> NamePattern::ParseTable(std::string_view text) {
  SLUICE_ASSIGN_OR_RETURN(std::vector<Part> parts, Split(text));
  if (parts.size() > 2) return Unreadable(text, "more than schema.table");
  NamePattern pattern;
  pattern.text_ = text;
  if (parts.size() == 2) pattern.schema_ = std::move(parts.front());
  pattern.table_ = std::move(parts.back());
  return pattern;
}

Result<NamePattern> NamePattern::ParseSchema(std::string_view text) {
  SLUICE_ASSIGN_OR_RETURN(std::vector<Part> parts, Split(text));
  if (parts.size() > 1) return Unreadable(text, "a schema's name has no dot");
  NamePattern pattern;
  pattern.text_ = text;
  pattern.schema_ = std::move(parts.front());
  pattern.table_.units = {{Unit::Kind::kAny, '*'}};
  return pattern;
}

// Greedy with one point to come back to: linear in practice, quadratic at worst, no recursion.
bool NamePattern::Part::Matches(std::string_view name) const {
  if (expression) return std::regex_match(Wide(std::string(name)), expression->regex);
  const Units& pattern = units;
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

bool NamePattern::Part::is_exact() const {
  return std::all_of(units.begin(), units.end(),
                     [](const Unit& unit) { return unit.kind == Unit::Kind::kLiteral; });
}

std::string NamePattern::Part::name() const {
  std::string out;
  for (const Unit& unit : units) out += unit.character;
  return out;
}

bool NamePattern::Matches(const TableName& name) const {
  return MatchesSchema(name.schema) && table_.Matches(name.table);
}

bool NamePattern::MatchesSchema(std::string_view schema) const {
  return !schema_ || schema_->Matches(schema);
}

bool NamePattern::is_exact() const {
  return schema_ && schema_->is_exact() && table_.is_exact();
}

TableName NamePattern::name() const {
  return {schema_.value().name(), table_.name()};
}

}  // namespace sluice::base
