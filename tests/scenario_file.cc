#include "scenario_file.h"

#include <algorithm>
#include <array>
#include <optional>

namespace sluice::tests {
namespace {

struct Verb {
  std::string_view name;
  std::size_t arguments_min;
  std::size_t arguments_max;
  bool has_body;
  bool may_expect;
};

constexpr std::size_t kAny = 100;
constexpr auto kVerbs = std::to_array<Verb>({
    {"requires", 1, 2, false, false},    {"options", 1, kAny, false, false},
    {"environment", 2, 2, false, false}, {"source", 0, 1, true, false},
    {"source-fails", 1, 2, true, false}, {"source-eventually", 0, 0, true, true},
    {"writer", 1, 1, true, false},       {"writers", 1, 1, false, false},
    {"sync", 0, kAny, false, true},      {"start", 0, kAny, false, false},
    {"settle", 0, 0, false, false},      {"stop", 0, 0, false, false},
    {"kill", 0, 0, false, false},        {"exited", 1, 1, false, false},
    {"pause", 1, 1, false, false},       {"postgres", 1, kAny, false, false},
    {"destination", 0, 1, true, true},   {"same", 0, 0, true, false},
    {"change-file", 0, 0, true, false},  {"expect", 3, 4, false, false},
    {"verify", 1, 1, false, false},      {"sluice", 1, kAny, false, true},
    {"file-limit", 1, 1, false, false},  {"administrator", 0, kAny, false, false},
    {"write-file", 1, 1, true, false},   {"own-server", 0, kAny, false, false},
    {"mirror", 1, 1, false, false},      {"standby-eventually", 0, 0, true, true},
    {"standby", 0, 0, true, false},
});

Error At(int line, const std::string& message) {
  return {.kind = ErrorKind::kConfig, .message = "line " + std::to_string(line) + ": " + message};
}

std::vector<std::string> SplitArguments(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = '\0';
  for (const char c : text) {
    if (quote != '\0') {
      if (c == quote) {
        quote = '\0';
      } else {
        word += c;
      }
    } else if (c == '\'' || (c == '"' && !in_word)) {
      quote = c;
      in_word = true;
    } else if (c == ' ') {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (in_word) words.push_back(word);
  return words;
}

Status CheckStep(const ScenarioStep& step) {
  const auto* verb = std::find_if(kVerbs.begin(), kVerbs.end(),
                                  [&](const Verb& known) { return known.name == step.verb; });
  if (verb == kVerbs.end()) return At(step.line, "unknown step: " + step.verb);
  const std::size_t count = step.arguments.size();
  if (count < verb->arguments_min || count > verb->arguments_max) {
    return At(step.line, "wrong number of arguments: " + step.verb);
  }
  const bool has_body = step.body.find_first_not_of(" \n") != std::string::npos;
  if (has_body != verb->has_body) {
    return At(step.line,
              has_body ? "unexpected text below: " + step.verb : "nothing below: " + step.verb);
  }
  if (step.has_expected && !verb->may_expect) {
    return At(step.line, "nothing can be expected of: " + step.verb);
  }
  const bool must_expect = step.verb == "destination" || step.verb == "source-eventually" ||
                           step.verb == "standby-eventually";
  if (must_expect && !step.has_expected) return At(step.line, "no ---- below: " + step.verb);
  return {};
}

void TrimExpected(ScenarioStep& step) {
  while (!step.expected.empty() && step.expected.back().empty()) step.expected.pop_back();
}

}  // namespace

Result<std::vector<ScenarioStep>> ParseScenario(std::string_view text) {
  std::vector<ScenarioStep> steps;
  int line_number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
    if (line == "#" || line.starts_with("# ")) continue;
    if (line.starts_with("-- ")) {
      std::vector<std::string> words = SplitArguments(line.substr(3));
      if (words.empty()) return At(line_number, "no step after --");
      ScenarioStep step{.line = line_number, .verb = std::move(words.front())};
      words.erase(words.begin());
      step.arguments = std::move(words);
      steps.push_back(std::move(step));
    } else if (steps.empty()) {
      if (!line.empty()) return At(line_number, "text before the first step");
    } else if (line == "----") {
      if (steps.back().has_expected) return At(line_number, "a second ---- in one step");
      steps.back().has_expected = true;
    } else if (steps.back().has_expected) {
      steps.back().expected.emplace_back(line);
    } else {
      steps.back().body.append(line).append("\n");
    }
  }
  for (ScenarioStep& step : steps) {
    TrimExpected(step);
    SLUICE_RETURN_IF_ERROR(CheckStep(step));
  }
  if (steps.empty()) return At(1, "no steps");
  return steps;
}

namespace {

// The end of what begins at `at`: a quoted string, a dollar quote, a comment, or one character.
std::size_t SkipToken(std::string_view sql, std::size_t at) {
  const char c = sql[at];
  const auto after = [&](std::size_t end, std::size_t size) {
    return end == std::string_view::npos ? sql.size() : end + size;
  };
  if (c == '-' && sql.substr(at).starts_with("--")) return after(sql.find('\n', at), 1);
  if (c == '"') return after(sql.find('"', at + 1), 1);
  if (c == '\'') {
    const bool escapes = at > 0 && (sql[at - 1] == 'E' || sql[at - 1] == 'e');
    for (std::size_t end = at + 1; end < sql.size(); ++end) {
      if (escapes && sql[end] == '\\') {
        ++end;
      } else if (sql[end] == '\'') {
        return end + 1;
      }
    }
    return sql.size();
  }
  if (c == '$') {
    const std::size_t tag_end = sql.find('$', at + 1);
    if (tag_end == std::string_view::npos) return at + 1;
    const std::string_view tag = sql.substr(at, tag_end + 1 - at);
    if (tag.find_first_of(" \n;") != std::string_view::npos) return at + 1;
    return after(sql.find(tag, tag_end + 1), tag.size());
  }
  return at + 1;
}

}  // namespace

std::vector<std::string> SplitStatements(std::string_view sql) {
  std::vector<std::string> statements;
  std::size_t begin = 0;
  const auto take = [&](std::size_t end) {
    const std::string_view statement = sql.substr(begin, end - begin);
    if (statement.find_first_not_of(" \n") != std::string_view::npos) {
      statements.emplace_back(statement);
    }
    begin = end + 1;
  };
  for (std::size_t at = 0; at < sql.size();) {
    if (sql[at] == ';') {
      take(at++);
    } else {
      at = SkipToken(sql, at);
    }
  }
  if (begin < sql.size()) take(sql.size());
  return statements;
}

std::vector<std::string> RowsOfCsv(std::string_view csv) {
  std::vector<std::string> rows;
  std::string row;
  bool quoted = false;
  for (std::size_t at = 0; at < csv.size(); ++at) {
    const char c = csv[at];
    if (quoted) {
      if (c == '"' && at + 1 < csv.size() && csv[at + 1] == '"') {
        row += csv[++at];
      } else if (c == '"') {
        quoted = false;
      } else if (c == '\n') {
        row += "\\n";
      } else {
        row += c;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == ',') {
      row += '|';
    } else if (c == '\n') {
      rows.push_back(std::exchange(row, {}));
    } else if (c != '\r') {
      row += c;
    }
  }
  if (!row.empty()) rows.push_back(row);
  if (!rows.empty()) rows.erase(rows.begin());
  return rows;
}

}  // namespace sluice::tests
