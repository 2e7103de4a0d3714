/// \file
/// The frame of the command line: one table of commands, their arguments, and how an end is
/// reported.
///
/// A command is one entry of Commands() and one function. The options of `sluice run` come from
/// config::OptionTable() and are given to a command by name; what only one command takes is a
/// CommandFlag of it. Parsing, help and the refusal of what is unknown are the same for all.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/result.h"

#include "config/options.h"

namespace sluice::cli {

/// Exit codes as docs/cli.md has them.
enum ExitCode : int {
  kExitDone = 0,
  kExitDifferent = 1,  ///< verify found differences, check found problems
  kExitUsage = 2,      ///< before the first byte; nothing was touched
  kExitTables = 3,     ///< a table is halted or skipped
  kExitPerson = 4,     ///< a person is needed
  kExitRetries = 5,    ///< the retry budget is used up
  kExitInterrupted = 130,
};

/// A flag that is not an option of `run`.
struct CommandFlag {
  std::string_view name;  ///< long, without dashes
  char short_name = '\0';
  std::string_view value = {};  ///< "FILE"; empty: takes none
  std::string_view help = {};
  bool is_list = false;  ///< may be given several times
};

/// What a command takes by place.
enum class Places : std::uint8_t {
  kNone,
  kEnds,    ///< [SOURCE DESTINATION]; one alone is taken by its look
  kSource,  ///< SOURCE
  kWords,   ///< any number of words: Arguments::words
  kWord,    ///< at most one word
};

/// What the command line said.
struct Arguments {
  /// Options of OptionTable(), "source" and "destination" included: for config::ProcessRequest().
  config::FlagValues options;
  /// The command's own flags by long name; one without a value has "true".
  std::map<std::string, std::vector<std::string>, std::less<>> flags;
  /// Places::kWords, kWord.
  std::vector<std::string> words;

  bool has(std::string_view flag) const { return flags.find(flag) != flags.end(); }
  /// The last value given; nullopt: none.
  std::optional<std::string> flag(std::string_view name) const;
};

struct Command {
  std::string_view name;
  std::string_view synopsis = {};  ///< after the name: "[SOURCE DESTINATION]"
  std::string_view summary;        ///< one line, for the overview
  std::string_view text = {};      ///< paragraphs of `sluice help NAME`
  Places places = Places::kNone;
  bool takes_run_options = false;                  ///< every option of OptionTable()
  std::span<const std::string_view> options = {};  ///< else these of them, by name
  std::span<const CommandFlag> flags = {};
  int (*run)(const Arguments& arguments) = nullptr;
};

/// Every command, in the order of the overview. The table is in commands.cc.
std::span<const Command> Commands();
const Command* FindCommand(std::string_view name);

/// Is this option of OptionTable() one of the command's?
bool TakesOption(const Command& command, std::string_view option);

/// Arguments of `command` from what follows its name. Errors: kInvalidArgument, SLU-1020, one line.
Result<Arguments> ParseArguments(const Command& command, std::span<const std::string> words);

/// Finds the command, parses, runs; never throws. `words`: argv without the program's name. Returns
/// the exit code.
int RunCommandLine(std::span<const std::string> words);

/// "sluice: <message>" and "sluice help COMMAND" on stderr; returns 2.
int ReportUsage(std::string_view command, std::string_view message);

/// Prints what ErrorText() says to stderr; returns `exit_code`.
int ReportError(const Error& error, int exit_code);
/// What happened, why (the peer's words), what to do, and the code with `sluice help SLU-nnnn`;
/// without passwords.
std::string ErrorText(const Error& error);

/// The exit code of an error that came before anything was touched: 5 where the retry budget is
/// used up on the way to the source, else 2.
int ExitCodeBeforeStart(const Error& error);

/// To standard output, whole.
void PrintOut(std::string_view text);

}  // namespace sluice::cli
