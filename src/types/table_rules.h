/// \file
/// What a user declared for single tables: `tables:` in the config file, with the global --mode and
/// --on-drop as what holds without it.
///
///   PATTERN:                            psql's pattern, or a name SCHEMA.TABLE
///     mode: mirror|append|history|both
///     columns: {exclude: [COLUMN, ...]}
///     on_drop: keep|drop
///
/// Of several that match a table, an exact name counts before patterns, then the later one before
/// the earlier; what they exclude adds up.
///
/// Thread safety: const members from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/delivery_state.h"
#include "sluice/ids.h"
#include "sluice/result.h"

#include "base/name_pattern.h"

namespace sluice::types {

using sluice::ParseTableMode;
using sluice::TableMode;
using sluice::ToString;

/// What becomes of the destination's table when the source's is dropped.
enum class OnDrop : std::uint8_t { kKeep, kDrop };

struct ExcludedColumn {
  std::string name;
  bool must_exist = false;  ///< declared for this very table, not by a pattern
  auto operator<=>(const ExcludedColumn&) const = default;
};

/// What holds for one table.
struct TableSettings {
  TableMode mode = TableMode::kMirror;
  OnDrop on_drop = OnDrop::kKeep;
  std::vector<ExcludedColumn> excluded;  ///< by name, each once

  bool excludes(std::string_view column) const;
};

class TableRules {
 public:
  /// What holds where no rule says otherwise.
  void SetDefaults(TableMode mode, OnDrop on_drop);
  /// Errors of all three: kConfig SLU-2018 (the pattern), SLU-1001 (what is allowed).
  Status SetMode(std::string_view pattern, std::string_view mode);
  Status SetOnDrop(std::string_view pattern, std::string_view on_drop);
  /// Column names fold as in SQL: "Odd" in quotes keeps its case.
  Status Exclude(std::string_view pattern, const std::vector<std::string>& columns);

  TableSettings For(const TableName& table) const;
  /// Some table may be appended to.
  bool may_append() const;
  /// Tables that rules name exactly, for those who look whether they are there.
  std::vector<TableName> named() const;

 private:
  struct Rule {
    base::NamePattern pattern;
    std::optional<TableMode> mode;
    std::optional<OnDrop> on_drop;
    std::vector<std::string> excluded;
  };
  Result<Rule*> RuleFor(std::string_view pattern);

  TableMode mode_ = TableMode::kMirror;
  OnDrop on_drop_ = OnDrop::kKeep;
  std::vector<Rule> rules_;  ///< patterns as they came, exact names behind them
};

/// nullopt: there is none of that name.
std::optional<OnDrop> ParseOnDrop(std::string_view text);

}  // namespace sluice::types
