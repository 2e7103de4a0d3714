/// \file
/// The config file as a list of settings: key path, values, line. Pure: the text comes in.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/result.h"

#include "config/options.h"

namespace sluice::config {

inline constexpr std::size_t kConfigBytesMax = std::size_t{1} << 20;

/// One setting below one name of a kTables key.
struct TableEntry {
  std::string name;  ///< as written, a pattern
  std::string key;   ///< one of kTableKeys
  std::vector<std::string> values;
  int line = 0;  ///< from 1
};
inline constexpr std::string_view kTableKeys[] = {"mode", "columns.exclude", "on_drop"};

struct Setting {
  const OptionSpec* option = nullptr;
  std::vector<std::string> values;      ///< one, but for lists
  int line = 0;                         ///< from 1
  std::vector<TableEntry> tables = {};  ///< of a kTables key, in the file's order
};

/// Every key must be in OptionTable(); ${NAME} in a value is the variable's value, $${ is a plain
/// ${. Errors: SLU-1002 not YAML or too large, SLU-1003 unknown key or one given twice, SLU-1001 a
/// value of the wrong shape, SLU-1007 a variable that is not set; all name `file`, line and key.
Result<std::vector<Setting>> ParseConfig(const std::string& file, const std::string& text,
                                         const Environment& environment);

/// ${NAME} replaced; the error names the variable.
Result<std::string> ExpandVariables(std::string_view text, const Environment& environment);

}  // namespace sluice::config
