#include "integration/type_values.h"

#include <charconv>
#include <fstream>
#include <sstream>

namespace sluice::tests {

int Number(std::string_view text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

ValuesFile ReadValues(const std::string& path) {
  ValuesFile out;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with("#")) continue;
    if (line.starts_with("== ")) {
      TypeValues type{.type = line.substr(3), .since = 0, .values = {}};
      if (const auto at = type.type.find(" since "); at != std::string::npos) {
        type.since = Number(std::string_view(type.type).substr(at + 7));
        type.type.resize(at);
      }
      out.types.push_back(std::move(type));
    } else if (out.types.empty()) {
      out.setup += line + "\n";
    } else {
      Value value;
      if (line.size() > 4 && line.substr(2, 2) == ": ") {
        value.since = Number(line);
        line.erase(0, 4);
      }
      if (line.starts_with("SLU-")) {
        value.code = line.substr(0, 8);
        line.erase(0, 9);
      }
      value.sql = line;
      out.types.back().values.push_back(std::move(value));
    }
  }
  return out;
}

std::string ResultsFor(const std::string& document, int server_version) {
  const auto begin = document.find(kResultsBegin);
  const auto end = document.find(kResultsEnd);
  if (begin == std::string::npos || end == std::string::npos) return "there are no results";
  std::istringstream lines(
      document.substr(begin + kResultsBegin.size(), end - begin - kResultsBegin.size()));
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    const auto later = line.find(" and later");
    if (later != std::string::npos &&
        Number(std::string_view(line).substr(later - 2)) > server_version)
      continue;
    out += line + "\n";
  }
  return out;
}

}  // namespace sluice::tests
