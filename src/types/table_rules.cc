#include "types/table_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace sluice::types {
namespace {

Error NotAllowed(std::string_view value, std::string_view allowed) {
  return {.kind = ErrorKind::kConfig,
          .message = fmt::format("{} is not allowed; allowed: {}",
                                 value.empty() ? std::string_view("\"\"") : value, allowed),
          .code = "SLU-1001"};
}

}  // namespace

std::optional<OnDrop> ParseOnDrop(std::string_view text) {
  if (text == "keep") return OnDrop::kKeep;
  if (text == "drop") return OnDrop::kDrop;
  return std::nullopt;
}

bool TableSettings::excludes(std::string_view column) const {
  return std::any_of(excluded.begin(), excluded.end(),
                     [&](const ExcludedColumn& one) { return one.name == column; });
}

void TableRules::SetDefaults(TableMode mode, OnDrop on_drop) {
  mode_ = mode;
  on_drop_ = on_drop;
}

Result<TableRules::Rule*> TableRules::RuleFor(std::string_view pattern) {
  SLUICE_ASSIGN_OR_RETURN(base::NamePattern parsed, base::NamePattern::ParseTable(pattern));
  const auto known = std::find_if(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    return rule.pattern.text() == parsed.text();
  });
  if (known != rules_.end()) return &*known;
  Rule rule{.pattern = std::move(parsed), .mode = {}, .on_drop = {}, .excluded = {}};
  const auto place = rule.pattern.is_exact()
                         ? rules_.end()
                         : std::find_if(rules_.begin(), rules_.end(),
                                        [](const Rule& other) { return other.pattern.is_exact(); });
  return &*rules_.insert(place, std::move(rule));
}

Status TableRules::SetMode(std::string_view pattern, std::string_view mode) {
  const auto parsed = ParseTableMode(mode);
  if (!parsed) return NotAllowed(mode, "mirror, append, history, both");
  SLUICE_ASSIGN_OR_RETURN(Rule* const rule, RuleFor(pattern));
  rule->mode = parsed;
  return {};
}

Status TableRules::SetOnDrop(std::string_view pattern, std::string_view on_drop) {
  const auto parsed = ParseOnDrop(on_drop);
  if (!parsed) return NotAllowed(on_drop, "keep, drop");
  SLUICE_ASSIGN_OR_RETURN(Rule* const rule, RuleFor(pattern));
  rule->on_drop = parsed;
  return {};
}

Status TableRules::Exclude(std::string_view pattern, const std::vector<std::string>& columns) {
  SLUICE_ASSIGN_OR_RETURN(Rule* const rule, RuleFor(pattern));
  for (const std::string& column : columns) {
    // The rules of names are those of a pattern's table part, without wildcards.
    const auto name = base::NamePattern::ParseTable("s." + column);
    if (!name || !name->is_exact()) return NotAllowed(column, "names of columns");
    rule->excluded.push_back(name->name().table);
  }
  return {};
}

TableSettings TableRules::For(const TableName& table) const {
  TableSettings settings{.mode = mode_, .on_drop = on_drop_, .excluded = {}};
  for (const Rule& rule : rules_) {
    if (!rule.pattern.Matches(table)) continue;
    settings.mode = rule.mode.value_or(settings.mode);
    settings.on_drop = rule.on_drop.value_or(settings.on_drop);
    for (const std::string& column : rule.excluded)
      settings.excluded.push_back({column, rule.pattern.is_exact()});
  }
  // Of two of one name the one that must exist stays.
  std::sort(settings.excluded.begin(), settings.excluded.end(),
            [](const ExcludedColumn& a, const ExcludedColumn& b) {
              return std::tie(a.name, b.must_exist) < std::tie(b.name, a.must_exist);
            });
  const auto again = std::unique(
      settings.excluded.begin(), settings.excluded.end(),
      [](const ExcludedColumn& a, const ExcludedColumn& b) { return a.name == b.name; });
  settings.excluded.erase(again, settings.excluded.end());
  return settings;
}

bool TableRules::may_append() const {
  return std::any_of(rules_.begin(), rules_.end(),
                     [](const Rule& rule) { return rule.mode == TableMode::kAppend; });
}

std::vector<TableName> TableRules::named() const {
  std::vector<TableName> names;
  for (const Rule& rule : rules_) {
    if (rule.pattern.is_exact()) names.push_back(rule.pattern.name());
  }
  return names;
}

}  // namespace sluice::types
