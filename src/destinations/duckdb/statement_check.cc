#include "destinations/duckdb/statement_check.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include <nlohmann/json.hpp>

#include "destinations/duckdb/statement_text.h"

namespace sluice::duckdb {
namespace {

constexpr auto kHarmless = std::to_array<std::string_view>(
    {"generate_series", "histogram", "histogram_values", "icu_calendar_names", "json_each",
     "json_tree", "pg_timezone_names", "range", "repeat", "repeat_row", "summary", "unnest"});
/// Whole families that show the catalog.
constexpr auto kHarmlessPrefixes = std::to_array<std::string_view>({"duckdb_", "pragma_"});

std::string Lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

/// {"type": "TABLE_FUNCTION", ..., "function": {..., "function_name": NAME, ...}}, at any depth.
class TreeReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  StatementTree Take() {
    if (has_error_) return {};
    return std::move(tree_);
  }
  /// A table function without a name where it is looked for: another DuckDB writes another tree.
  bool is_understood() const { return !has_unnamed_; }

  bool key(string_t& name) override {
    levels_.back().key = name;
    return true;
  }
  bool string(string_t& value) override {
    if (levels_.empty()) return true;
    Level& level = levels_.back();
    if (level.key == "type" && value == "TABLE_FUNCTION") level.is_table_function = true;
    if (level.is_its_function && level.key == "function_name") {
      tree_.table_functions.push_back(value);
      levels_[levels_.size() - 2].is_named = true;
    }
    return true;
  }
  bool boolean(bool value) override {
    if (levels_.size() != 1 || levels_.back().key != "error") return true;
    has_error_ = value;
    tree_.is_select = !value;
    return true;
  }
  bool start_object(std::size_t /*elements*/) override {
    const bool is_its_function =
        !levels_.empty() && levels_.back().is_table_function && levels_.back().key == "function";
    levels_.emplace_back().is_its_function = is_its_function;
    return true;
  }
  bool end_object() override {
    has_unnamed_ |= levels_.back().is_table_function && !levels_.back().is_named;
    levels_.pop_back();
    return true;
  }
  bool start_array(std::size_t /*elements*/) override {
    levels_.emplace_back();
    return true;
  }
  bool end_array() override {
    levels_.pop_back();
    return true;
  }
  bool null() override { return true; }
  bool number_integer(number_integer_t /*value*/) override { return true; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
  bool binary(binary_t& /*value*/) override { return true; }
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                   const nlohmann::json::exception& /*why*/) override {
    return false;
  }

 private:
  struct Level {
    std::string key;
    bool is_table_function = false;
    bool is_its_function = false;
    bool is_named = false;
  };
  std::vector<Level> levels_;
  StatementTree tree_;
  bool has_error_ = true;
  bool has_unnamed_ = false;
};

bool IsWordByte(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// The word that the text begins with, in small letters, taken off it.
std::string TakeWord(std::string_view& text) {
  text = WithoutLeadingSpace(text);
  std::size_t end = 0;
  while (end < text.size() && IsWordByte(text[end])) ++end;
  std::string word = Lower(text.substr(0, end));
  text.remove_prefix(end);
  return word;
}

}  // namespace

Result<StatementTree> ReadStatementTree(std::string_view json) {
  TreeReader reader;
  const bool is_json = nlohmann::json::sax_parse(json, &reader);
  if (is_json && reader.is_understood()) return reader.Take();
  return Error{.kind = ErrorKind::kInternal,
               .message = "the tree of the query cannot be read",
               .code = "SLU-9001"};
}

bool IsHarmlessTableFunction(std::string_view name) {
  const std::string lower = Lower(name);
  const auto begins = [&](std::string_view prefix) { return lower.starts_with(prefix); };
  return std::ranges::find(kHarmless, lower) != kHarmless.end() ||
         std::ranges::any_of(kHarmlessPrefixes, begins);
}

std::vector<std::string_view> Explained(std::string_view statement) {
  std::string_view rest = statement;
  if (TakeWord(rest) != "explain") return {};
  for (std::string_view next = rest;;) {
    const std::string word = TakeWord(next);
    if (word != "analyze" && word != "verbose") break;
    rest = next;
  }
  rest = WithoutLeadingSpace(rest);
  std::vector<std::string_view> out = {rest};
  if (rest.starts_with('(')) out.push_back(BehindBrackets(rest));
  return out;
}

}  // namespace sluice::duckdb
