#include "cli/help_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/error_codes.h"

namespace sluice::cli {
namespace {

constexpr std::size_t kFlagColumn = 28;

std::string FlagLine(std::string_view name, char short_name, std::string_view value,
                     const std::string& help) {
  std::string left = short_name == '\0' ? "      " : fmt::format("  -{}, ", short_name);
  left += fmt::format("--{}", name);
  if (!value.empty()) left += fmt::format(" {}", value);
  if (left.size() + 2 > kFlagColumn) {
    left += '\n';
    left.append(kFlagColumn, ' ');
  } else {
    left.append(kFlagColumn - left.size(), ' ');
  }
  return left + Wrapped(help, kFlagColumn) + '\n';
}

/// What stands for an option's value.
std::string_view ValueName(const config::OptionSpec& option) {
  switch (option.kind) {
    case config::OptionKind::kText:
      return "TEXT";
    case config::OptionKind::kList:
      return "PATTERN";
    case config::OptionKind::kFlag:
      return "";
    case config::OptionKind::kNumber:
      return "N";
    case config::OptionKind::kSize:
      return "SIZE";
    case config::OptionKind::kDuration:
      return "DURATION";
    case config::OptionKind::kChoice:
      return option.range;
    case config::OptionKind::kChoiceOrMap:
      return option.range.substr(0, option.range.find(';'));
    case config::OptionKind::kMap:
    case config::OptionKind::kTables:
      return "";
  }
  return "";
}

std::string OptionLine(const config::OptionSpec& option) {
  std::string help(option.help);
  const bool shows_range =
      option.kind == config::OptionKind::kText || option.kind == config::OptionKind::kNumber ||
      option.kind == config::OptionKind::kSize || option.kind == config::OptionKind::kDuration;
  std::string more;
  if (shows_range && !option.range.empty()) more = std::string(option.range);
  if (!option.default_text.empty() && option.kind != config::OptionKind::kFlag) {
    more += fmt::format("{}default: {}", more.empty() ? "" : "; ", option.default_text);
  }
  if (!more.empty()) help += fmt::format(" [{}]", more);
  return FlagLine(option.name, option.short_name, ValueName(option), help);
}

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string_view SectionTitle(char digit) {
  switch (digit) {
    case '1':
      return "Command line, configuration";
    case '2':
      return "The source";
    case '3':
      return "Stream, slot, positions";
    case '4':
      return "Tables and values";
    case '5':
      return "Destination and state";
    case '6':
      return "This machine";
    default:
      return "Bugs";
  }
}

}  // namespace

std::string Wrapped(std::string_view text, std::size_t indent, std::size_t width) {
  std::string out;
  std::size_t column = indent;
  bool at_line_start = true;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] == '\n') {
      out += '\n';
      if (at + 1 < text.size() && text[at + 1] != '\n') out.append(indent, ' ');
      column = indent;
      at_line_start = true;
      ++at;
      continue;
    }
    if (text[at] == ' ' && at_line_start) {  // a line that is set as it is
      const std::size_t end = std::min(text.find('\n', at), text.size());
      out.append(text.substr(at, end - at));
      at = end;
      continue;
    }
    if (text[at] == ' ') {
      ++at;
      continue;
    }
    const std::size_t end = std::min(text.find_first_of(" \n", at), text.size());
    const std::string_view word = text.substr(at, end - at);
    if (!at_line_start && column + 1 + word.size() > width) {
      out += '\n';
      out.append(indent, ' ');
      column = indent;
      at_line_start = true;
    }
    if (!at_line_start) {
      out += ' ';
      ++column;
    }
    out.append(word);
    column += word.size();
    at_line_start = false;
    at = end;
  }
  return out;
}

std::string OverviewText() {
  std::string out =
      "Sluice replicates PostgreSQL into DuckDB: a copy, then every change, exactly once.\n\n"
      "  sluice run postgres://user@host/db shop.duckdb\n\nCommands:\n";
  for (const Command& command : Commands()) {
    out += fmt::format("  {:<10}{}\n", command.name, Wrapped(command.summary, 12));
  }
  out +=
      "\nsluice help COMMAND tells more; sluice help SLU-2002 explains an error. SOURCE and\n"
      "DESTINATION may come from SLUICE_SOURCE and SLUICE_DESTINATION or from --config FILE.\n";
  return out;
}

std::string CommandText(const Command& command) {
  std::string flags;
  for (const CommandFlag& flag : command.flags) {
    flags += FlagLine(flag.name, flag.short_name, flag.value, std::string(flag.help));
  }
  for (const config::OptionSpec& option : config::OptionTable()) {
    if (option.name.empty() || option.is_argument || option.is_planned) continue;
    if (TakesOption(command, option.name)) flags += OptionLine(option);
  }
  std::string out = fmt::format("sluice {}", command.name);
  if (!command.synopsis.empty()) out += fmt::format(" {}", command.synopsis);
  out += fmt::format("\n\n{}\n", Wrapped(command.text.empty() ? command.summary : command.text, 0));
  if (!flags.empty()) out += "\nOptions:\n" + flags;
  if (command.takes_run_options) {
    out += "\nEach option is also a variable SLUICE_... and a key of the config file.\n";
  }
  return out;
}

std::string ErrorCodeText(std::string_view code) {
  std::string upper;
  for (const char c : code) upper += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  if (!upper.starts_with("SLU-")) upper.insert(0, "SLU-");
  const base::ErrorCode* found = base::FindErrorCode(upper);
  if (found == nullptr) return {};
  return fmt::format("{}: {}\n\nCause:  {}\n\nTo do:  {}\n", found->code, found->title,
                     Wrapped(found->cause, 8), Wrapped(found->remedy, 8));
}

std::string ErrorCodesMarkdown() {
  std::string out =
      "# Error codes\n\nEvery error has a code that stays the same from version to version. "
      "`sluice "
      "help SLU-2002` prints its entry.\n";
  char section = '\0';
  for (const base::ErrorCode& code : base::ErrorCodes()) {
    if (code.code[4] != section) {
      section = code.code[4];
      out += fmt::format("\n## {}\n", SectionTitle(section));
    }
    out += fmt::format("\n### {}: {}\n\n{}\n\nTo do: {}\n", code.code, code.title, code.cause,
                       code.remedy);
  }
  return out;
}

std::string NearestCommand(std::string_view typed) {
  std::string nearest;
  std::size_t least = 3;  // of three letters' difference on, a guess only confuses
  for (const Command& command : Commands()) {
    const std::size_t distance = EditDistance(typed, command.name);
    if (distance < least) {
      least = distance;
      nearest = std::string(command.name);
    }
  }
  return nearest;
}

}  // namespace sluice::cli
