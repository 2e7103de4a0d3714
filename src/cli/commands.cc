// The table of commands, in the order of the overview.
#include "cli/commands.h"

#include <array>

namespace sluice::cli {
namespace {

constexpr auto kJsonFlag = std::to_array<CommandFlag>({
    {.name = "json", .help = "Print JSON."},
});

constexpr auto kCommands = std::to_array<Command>({
    {.name = "run",
     .synopsis = "[SOURCE DESTINATION] [OPTION...]",
     .summary = "copy, then stream until told to stop",
     .text =
         "Copies every table, then applies every change, exactly once, until told to stop. Ends "
         "gracefully on SIGINT and SIGTERM; a second one ends it at once (130). Started again, it "
         "goes on where it was.\n\n"
         "SOURCE is postgres://user@host:port/db or a libpq keyword string; DESTINATION a path "
         "such "
         "as shop.duckdb, duckdb:PATH or null:.\n\n"
         "Exit codes: 0 done as asked; 2 nothing was touched (usage, configuration, anything that "
         "`sluice check` finds); 3 a table is halted or skipped; 4 a person is needed; 5 the "
         "source "
         "could not be reached in the time given.",
     .places = Places::kEnds,
     .takes_run_options = true,
     .run = RunRun},
    {.name = "help",
     .synopsis = "[COMMAND | ERROR-CODE]",
     .summary = "this, a command, or an error code such as SLU-2002",
     .places = Places::kWord,
     .run = RunHelp},
    {.name = "version",
     .synopsis = "[--json]",
     .summary = "versions of Sluice and of what it is built on",
     .flags = kJsonFlag,
     .run = RunVersion},
});

}  // namespace

std::span<const Command> Commands() {
  return kCommands;
}

}  // namespace sluice::cli
