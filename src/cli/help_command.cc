// sluice help, sluice version.
#include <arrow/util/config.h>
#include <duckdb.h>
#include <fmt/format.h>
#include <libpq-fe.h>

#include <nlohmann/json.hpp>

#include "base/version.h"
#include "cli/commands.h"
#include "cli/help_text.h"
#include "cli/status_json.h"

namespace sluice::cli {
namespace {

bool LooksLikeErrorCode(const std::string& topic) {
  const std::size_t digits = topic.size() >= 4 ? topic.size() - 4 : 0;
  return topic.find_first_not_of("0123456789", digits) == std::string::npos && topic.size() >= 4;
}

}  // namespace

int RunHelp(const Arguments& arguments) {
  if (arguments.words.empty()) {
    PrintOut(OverviewText());
    return kExitDone;
  }
  const std::string& topic = arguments.words[0];
  if (topic == "errors") {
    PrintOut(ErrorCodesMarkdown());
    return kExitDone;
  }
  if (const Command* command = FindCommand(topic)) {
    PrintOut(CommandText(*command));
    return kExitDone;
  }
  if (const std::string text = ErrorCodeText(topic); !text.empty()) {
    PrintOut(text);
    return kExitDone;
  }
  return ReportUsage("", fmt::format("no such {}: {}",
                                     LooksLikeErrorCode(topic) ? "error code" : "command", topic));
}

int RunVersion(const Arguments& arguments) {
  const int libpq = PQlibVersion();
  const std::string postgres = fmt::format("{}.{}", libpq / 10000, libpq % 10000);
  const nlohmann::ordered_json versions = {
      {"sluice", base::kVersion},      {"duckdb", duckdb_library_version()},
      {"arrow", ARROW_VERSION_STRING}, {"libpq", postgres},
      {"compiler", __VERSION__},
  };
  if (arguments.has("json")) {
    PrintOut(PrintJson(versions, 2) + '\n');
    return kExitDone;
  }
  std::string out;
  for (const auto& [name, version] : versions.items()) {
    out += fmt::format("{:<9} {}\n", name, version.get<std::string>());
  }
  PrintOut(out);
  return kExitDone;
}

}  // namespace sluice::cli
