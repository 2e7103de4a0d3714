/// \file
/// The values of tests/data/type_values.txt, whose head says how it is written.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice::tests {

struct Value {
  std::string sql;
  std::string code;  ///< of the error that refuses it; empty: it has an exact form
  int since = 0;
};

struct TypeValues {
  std::string type;
  int since = 0;
  std::vector<Value> values;
};

struct ValuesFile {
  std::string setup;
  std::vector<TypeValues> types;
};

/// Between these lines docs/types.md has what became of them.
inline constexpr std::string_view kResultsBegin = "<!-- results: begin -->\n";
inline constexpr std::string_view kResultsEnd = "<!-- results: end -->\n";

/// The number that `text` begins with; 0 without one.
int Number(std::string_view text);

/// Empty where there is no such file.
ValuesFile ReadValues(const std::string& path);

/// The results of the document without those that came later than `server_version`.
std::string ResultsFor(const std::string& document, int server_version);

}  // namespace sluice::tests
