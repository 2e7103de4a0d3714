/// \file
/// Everything `sluice run` (and what shares its options) is told, resolved: flag, then environment,
/// then file, then default.
///
/// One table, OptionTable(), drives the command line, the environment, the YAML file and
/// docs/options.md.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/result.h"

#include "config/destination_url.h"
#include "engine/options.h"

namespace sluice::config {

enum class OptionKind : std::uint8_t {
  kText,
  kList,  ///< repeatable flag, YAML sequence, comma-separated variable
  kFlag,  ///< no value; true or false in file and environment
  kNumber,
  kSize,
  kDuration,
  kChoice,       ///< `range` lists what is allowed, "a|b|c"
  kMap,          ///< only in the file: names and values, which come in turn
  kChoiceOrMap,  ///< one word of many; in the file also names and values, which come in turn
  kTables,       ///< only in the file: names with settings of their own (yaml_file.h)
};

/// One option under its three names. `key` is its place in the file, "source.url".
struct OptionSpec {
  std::string_view name = {};  ///< long flag without dashes; empty: no flag
  char short_name = '\0';
  std::string_view key = {};  ///< empty: not in the file
  std::string_view env = {};  ///< empty: no variable
  OptionKind kind = OptionKind::kText;
  std::string_view default_text = {};  ///< for people
  std::string_view range = {};         ///< for people; for kChoice also what is checked
  std::string_view help = {};
  bool is_argument = false;  ///< given by place, not as --name
  bool is_secret = false;    ///< never printed
  bool is_planned = false;   ///< known, refused with SLU-1006 unless it has its default
};

std::span<const OptionSpec> OptionTable();
const OptionSpec* FindOption(std::string_view name);
/// The table of docs/options.md, Markdown.
std::string OptionsMarkdown();

enum class LogFormat : std::uint8_t { kAuto, kText, kJson };
enum class Progress : std::uint8_t { kAuto, kPlain, kOff };

struct HttpOptions {
  bool is_enabled = true;
  std::string host = "127.0.0.1";
  std::uint16_t port = 9464;
  /// A port named by the user that is taken is an error; the default goes on to the next free one.
  bool is_named_by_user = false;
};

struct RunOptions {
  engine::PipelineOptions pipeline;
  std::optional<DestinationUrl> destination;
  HttpOptions http;
  LogFormat log_format = LogFormat::kAuto;
  std::string log_level = "info";  ///< trace debug info warn error
  Progress progress = Progress::kAuto;
  bool quiet = false;
  std::optional<std::string> report;  ///< "-": standard output
  std::string config_file;            ///< empty: none
  bool is_pipeline_named = false;     ///< by flag, variable or file; else made from the destination
};

/// What a command line said: long name (or "source", "destination" for the arguments) to its
/// values; a kFlag has "true".
using FlagValues = std::map<std::string, std::vector<std::string>, std::less<>>;
/// nullopt: not set.
using Environment = std::function<std::optional<std::string>(const std::string&)>;
/// The whole file.
using FileReader = std::function<Result<std::string>(const std::string& path)>;

struct LoadRequest {
  FlagValues flags;
  Environment environment;
  FileReader read_file;
  bool needs_source = true;
  bool needs_destination = true;
  bool is_root = false;
  std::size_t machine_memory_bytes = 0;
  std::string working_directory;  ///< absolute; relative paths become absolute with it
};

/// Errors are kConfig, SLU-10nn, and name the flag, the variable, or file, line and key.
Result<RunOptions> LoadOptions(const LoadRequest& request);

/// The real environment, files, RAM, user and directory of this process; `flags` as given.
LoadRequest ProcessRequest(FlagValues flags);

/// A destination's base name as pipeline name: lower case, other characters than letters and digits
/// as _, at most 63 bytes with the prefix "sluice_", else cut and 8 hexadecimal digits of its hash.
std::string PipelineNameFor(const DestinationUrl& destination);
/// nullopt: a name the user may choose. Else why not.
std::optional<std::string> WhyNotAPipelineName(std::string_view name);

}  // namespace sluice::config
