// The frame: from words to a command and its arguments. CLI11 is only known here.
#include "cli/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <exception>
#include <set>

#include <CLI/CLI.hpp>

#include "base/error_codes.h"
#include "cli/commands.h"
#include "cli/help_text.h"
#include "cli/passwords.h"

namespace sluice::cli {
namespace {

Error UsageError(std::string message) {
  return Error{
      .kind = ErrorKind::kInvalidArgument, .message = std::move(message), .code = "SLU-1020"};
}

std::string FlagNames(std::string_view name, char short_name) {
  std::string names = fmt::format("--{}", name);
  if (short_name != '\0') names += fmt::format(",-{}", short_name);
  return names;
}

/// A source, by its look: a URL, or the first keyword of a libpq string.
bool LooksLikeSource(std::string_view text) {
  if (text.starts_with("postgres://") || text.starts_with("postgresql://")) return true;
  std::size_t at = 0;
  while (at < text.size() && (std::isalpha(static_cast<unsigned char>(text[at])) != 0 ||
                              text[at] == '_' || text[at] == ' ')) {
    ++at;
  }
  return at > 0 && at < text.size() && text[at] == '=';
}

/// One command's CLI11 parser and where it puts what it finds.
class Parser {
 public:
  explicit Parser(const Command& command) : command_(command) {
    app_.set_help_flag();
    for (const config::OptionSpec& option : config::OptionTable()) AddOption(option);
    for (const CommandFlag& flag : command.flags) {
      Add(flag.name, flag.short_name, !flag.value.empty(), flag.is_list);
    }
    if (command.places != Places::kNone) app_.add_option("words", words_);
  }

  Result<Arguments> Parse(std::span<const std::string> words) {
    std::vector<std::string> reversed(words.rbegin(), words.rend());  // what CLI11 takes
    try {
      app_.parse(std::move(reversed));
    } catch (const CLI::ExtrasError& e) {
      return UsageError(e.what());
    } catch (const CLI::Error& e) {
      return UsageError(e.what());
    }
    Arguments out;
    for (auto& [name, values] : values_) Take(name, std::move(values), out);
    for (const auto& [name, flag] : flags_) {
      if (flag->count() > 0) Take(name, {flag->as<bool>() ? "true" : "false"}, out);
    }
    SLUICE_RETURN_IF_ERROR(Place(out));
    return out;
  }

 private:
  void AddOption(const config::OptionSpec& option) {
    if (option.name.empty() || option.is_argument || !TakesOption(command_, option.name)) return;
    Add(option.name, option.short_name, option.kind != config::OptionKind::kFlag,
        option.kind == config::OptionKind::kList);
  }

  void Add(std::string_view name, char short_name, bool takes_value, bool is_list) {
    const std::string key(name);
    if (!takes_value) {
      flags_[key] = app_.add_flag(FlagNames(name, short_name));
      return;
    }
    if (!is_list) scalars_.insert(key);
    app_.add_option(FlagNames(name, short_name), values_[key])
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }

  void Take(const std::string& name, std::vector<std::string> values, Arguments& out) const {
    if (values.empty()) return;
    if (scalars_.count(name) > 0) values = {values.back()};  // the last one wins
    const auto is_own = [&](const CommandFlag& flag) { return flag.name == name; };
    if (std::any_of(command_.flags.begin(), command_.flags.end(), is_own)) {
      if (values.size() == 1 && values[0] == "false" && flags_.count(name) > 0) return;
      out.flags[name] = std::move(values);
    } else {
      out.options[name] = std::move(values);
    }
  }

  Status Place(Arguments& out) {
    switch (command_.places) {
      case Places::kNone:
        return {};
      case Places::kWords:
        out.words = std::move(words_);
        return {};
      case Places::kWord:
        if (words_.size() > 1) return UsageError(fmt::format("one word too many: {}", words_[1]));
        out.words = std::move(words_);
        return {};
      case Places::kSource:
        if (words_.size() > 1) return UsageError(fmt::format("one word too many: {}", words_[1]));
        if (!words_.empty()) out.options["source"] = std::move(words_);
        return {};
      case Places::kEnds:
        return PlaceEnds(out);
    }
    return {};
  }

  Status PlaceEnds(Arguments& out) {
    if (words_.size() > 2) return UsageError(fmt::format("one word too many: {}", words_[2]));
    if (words_.size() == 2) {
      if (LooksLikeSource(words_[1]) && !LooksLikeSource(words_[0])) {
        return UsageError("the source comes first, then the destination");
      }
      out.options["source"] = {words_[0]};
      out.options["destination"] = {words_[1]};
    } else if (words_.size() == 1) {
      out.options[LooksLikeSource(words_[0]) ? "source" : "destination"] = {words_[0]};
    }
    return {};
  }

  const Command& command_;
  CLI::App app_;
  std::map<std::string, std::vector<std::string>> values_;
  std::map<std::string, CLI::Option*> flags_;
  std::set<std::string> scalars_;
  std::vector<std::string> words_;
};

bool AsksForHelp(std::span<const std::string> words) {
  const auto end = std::find(words.begin(), words.end(), "--");
  return std::any_of(words.begin(), end,
                     [](const std::string& word) { return word == "--help" || word == "-h"; });
}

int RunChecked(std::span<const std::string> words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    PrintOut(OverviewText());
    return kExitDone;
  }
  const std::string name = words[0] == "--version" ? "version" : words[0];
  const Command* command = FindCommand(name);
  if (command == nullptr) {
    const std::string near = NearestCommand(name);
    const std::string guess = near.empty() ? "" : fmt::format("; did you mean {}?", near);
    return ReportUsage("", fmt::format("no such command: {}{}", WithoutPasswords(name), guess));
  }
  if (AsksForHelp(words.subspan(1))) {
    PrintOut(CommandText(*command));
    return kExitDone;
  }
  const auto arguments = ParseArguments(*command, words.subspan(1));
  if (!arguments) return ReportUsage(name, arguments.error().message);
  return command->run(*arguments);
}

/// Lines after the first are indented like it.
std::string Indented(std::string_view label, std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  std::string out = fmt::format("  {:<9}", label);
  for (const char c : text) {
    out += c;
    if (c == '\n') out.append(11, ' ');
  }
  return out + '\n';
}

}  // namespace

std::optional<std::string> Arguments::flag(std::string_view name) const {
  const auto found = flags.find(name);
  if (found == flags.end() || found->second.empty()) return std::nullopt;
  return found->second.back();
}

const Command* FindCommand(std::string_view name) {
  const auto commands = Commands();
  const auto found = std::find_if(commands.begin(), commands.end(),
                                  [&](const Command& command) { return command.name == name; });
  return found == commands.end() ? nullptr : &*found;
}

bool TakesOption(const Command& command, std::string_view option) {
  return command.takes_run_options ||
         std::find(command.options.begin(), command.options.end(), option) != command.options.end();
}

Result<Arguments> ParseArguments(const Command& command, std::span<const std::string> words) {
  try {
    return Parser(command).Parse(words);
  } catch (const std::exception& e) {
    return UsageError(e.what());
  }
}

int RunCommandLine(std::span<const std::string> words) {
  // A limit on the size of files (ulimit -f) is an error of the write that meets it, not the end.
  std::signal(SIGXFSZ, SIG_IGN);  // NOLINT(cert-err33-c): there is no other handler to miss
  try {
    return RunChecked(words);
  } catch (const std::exception& e) {
    return ReportError(Error{.message = e.what(), .code = "SLU-9001"}, kExitPerson);
  }
}

int ReportUsage(std::string_view command, std::string_view message) {
  const std::string what =
      command.empty() ? std::string("sluice help") : fmt::format("sluice help {}", command);
  fmt::print(stderr, "sluice: {} (see: {})\n", WithoutPasswords(message), what);
  return kExitUsage;
}

std::string ErrorText(const Error& error) {
  std::string out = "sluice: " + error.message + '\n';
  const base::ErrorCode* known = base::FindErrorCode(error.code);
  if (!error.server_message.empty()) out += Indented("because:", error.server_message);
  if (!error.advice.empty()) {
    out += Indented("to do:", error.advice);
  } else if (known != nullptr) {
    out += Indented("to do:", known->remedy);
  }
  if (!error.code.empty()) {
    out +=
        Indented("code:", fmt::format("{}{} (sluice help {})", error.code,
                                      error.sqlstate.empty() ? "" : ", SQLSTATE " + error.sqlstate,
                                      error.code));
  }
  return WithoutPasswords(out);
}

int ReportError(const Error& error, int exit_code) {
  std::fflush(stdout);
  const std::string text = ErrorText(error);
  std::fwrite(text.data(), 1, text.size(), stderr);
  return exit_code;
}

int ExitCodeBeforeStart(const Error& error) {
  // Wrong passwords and unknown host names are kAuth and kConfig; SLU-2003 is the latter.
  const bool is_budget =
      (error.kind == ErrorKind::kConnection || error.kind == ErrorKind::kTimeout) &&
      error.code != "SLU-2003";
  return is_budget ? kExitRetries : kExitUsage;
}

void PrintOut(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace sluice::cli
