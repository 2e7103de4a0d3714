// The table of commands, in the order of the overview.
#include "cli/commands.h"

#include <array>

namespace sluice::cli {
namespace {

constexpr auto kJsonFlag = std::to_array<CommandFlag>({
    {.name = "json", .help = "Print JSON."},
});

constexpr auto kFindOptions = std::to_array<std::string_view>({"pipeline", "config", "state"});
constexpr auto kCheckOptions = std::to_array<std::string_view>(
    {"pipeline", "config", "state", "table", "exclude-table", "schema", "exclude-schema",
     "publication", "primary", "slot", "existing", "memory"});
constexpr auto kVerifyOptions =
    std::to_array<std::string_view>({"pipeline", "config", "state", "table", "publication",
                                     "primary", "slot", "memory", "retry-for", "on-misfit"});
constexpr auto kSourceOptions = std::to_array<std::string_view>({"config"});
constexpr auto kDropOptions = std::to_array<std::string_view>(
    {"pipeline", "config", "state", "publication", "primary", "slot"});
constexpr auto kCopyOptions = std::to_array<std::string_view>(
    {"config", "pipeline", "state", "table", "exclude-table", "schema", "exclude-schema",
     "publication", "existing", "copy-workers", "memory", "retry-for", "log-format", "log-level",
     "progress", "quiet", "report", "on-misfit"});

constexpr auto kRepairFlags = std::to_array<CommandFlag>({
    {.name = "dry-run", .help = "Only say what would be done."},
    {.name = "json", .help = "Print JSON."},
});
constexpr auto kCheckFlags = std::to_array<CommandFlag>({
    {.name = "json", .help = "Print JSON."},
    {.name = "sql", .help = "Print one script for an administrator instead."},
    {.name = "install-ddl-trigger",
     .help = "Make event triggers at SOURCE that tell of schema changes, and do nothing else; with "
             "--sql print them."},
    {.name = "uninstall-ddl-trigger", .help = "Remove them."},
});
constexpr auto kSqlFlags = std::to_array<CommandFlag>({
    {.name = "command", .short_name = 'c', .value = "SQL", .help = "The query."},
    {.name = "file",
     .short_name = 'f',
     .value = "FILE",
     .help = "Read the query from a file; -: standard input."},
    {.name = "json", .help = "An array with an object a row."},
    {.name = "csv", .help = "CSV, also on a terminal."},
    {.name = "arrow", .help = "An Arrow IPC stream."},
});
constexpr auto kDropFlags = std::to_array<CommandFlag>({
    {.name = "yes", .short_name = 'y', .help = "Do not ask."},
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
    {.name = "copy",
     .synopsis = "SOURCE DESTINATION [OPTION...]",
     .summary = "one consistent copy; nothing stays at the source",
     .text =
         "Copies the selected tables as of one moment, then ends. No slot and no publication is "
         "made, and no table needs a key. All tables become visible in one transaction at the end. "
         "`sluice run` onto the file, and another copy, need --existing replace.\n\n"
         "Exit codes: 0 done; 2 nothing was touched; 3 a table was left out; 4 a person is needed; "
         "5 the source could not be reached in the time given; 130 stopped, nothing was changed.",
     .places = Places::kEnds,
     .options = kCopyOptions,
     .run = RunCopy},
    {.name = "check",
     .synopsis = "[SOURCE DESTINATION] [--json | --sql] [--[un]install-ddl-trigger]",
     .summary = "every problem before the first byte, with what fixes it",
     .text =
         "Looks at both ends and changes neither. What cannot be looked at is listed; the other "
         "end "
         "is looked at all the same. --sql prints one script for an administrator.\n\n"
         "--install-ddl-trigger makes two event triggers in SOURCE's database, which takes a "
         "superuser or what a managed service has for it. With them schema changes are followed "
         "at once, and more of them without a copy; nothing depends on them.\n\n"
         "Exit codes: 0 no problem; 1 problems, an end that cannot be reached among them; 2 the "
         "command itself is wrong.",
     .places = Places::kEnds,
     .options = kCheckOptions,
     .flags = kCheckFlags,
     .run = RunCheck},
    {.name = "status",
     .synopsis = "[SOURCE DESTINATION] [--json]",
     .summary = "state of a pipeline",
     .text =
         "Asks the running pipeline; where none runs, reads what the destination remembers. "
         "--pipeline chooses one, else the destination's name does, else the only one running is "
         "meant.",
     .places = Places::kEnds,
     .options = kFindOptions,
     .flags = kJsonFlag,
     .run = RunStatus},
    {.name = "tables",
     .synopsis = "[SOURCE DESTINATION] [--json]",
     .summary = "its tables with state, rows, position and reason",
     .text = "As `sluice status`, a line a table.",
     .places = Places::kEnds,
     .options = kFindOptions,
     .flags = kJsonFlag,
     .run = RunTables},
    {.name = "verify",
     .synopsis = "[SOURCE DESTINATION] [-t PATTERN]... [--json]",
     .summary = "compare both sides, down to the differing keys",
     .text =
         "Compares each live table at one position, every row and value. A running pipeline does "
         "it "
         "beside its work; without one, the command catches up with the source itself and tells "
         "the slot nothing.\n\n"
         "Exit codes: 0 equal; 1 something differs; 3 a table that is halted or being copied could "
         "not be compared; 2, 4, 5 as `sluice run`.",
     .places = Places::kEnds,
     .options = kVerifyOptions,
     .flags = kJsonFlag,
     .run = RunVerify},
    {.name = "repair",
     .synopsis = "[SOURCE DESTINATION] [--dry-run] [-t PATTERN]... [--json]",
     .summary = "compare both sides, and read again what differs",
     .text = "Compares as `sluice verify` does, reads the rows of every key that differs again and "
             "puts "
             "them in place, then compares once more. The other tables and the changes go on "
             "meanwhile. "
             "A table without a key, with more than 100,000 differing rows, or whose columns were "
             "changed by hand is copied again as a whole, and is readable as it was until then.\n\n"
             "Exit codes: 0 equal, after the repair or from the beginning; 1 something differs "
             "(--dry-run), or still differs; 3 a table that is halted or being copied could not be "
             "compared; 2, 4, 5 as `sluice run`.",
     .places = Places::kEnds,
     .options = kVerifyOptions,
     .flags = kRepairFlags,
     .run = RunRepair},
    {.name = "resync",
     .synopsis = "TABLE...",
     .summary = "copy tables again while the others go on",
     .text =
         "TABLE is a pattern as for -t. Without a running pipeline the tables are marked in the "
         "destination, and the next run copies them; name it by SLUICE_DESTINATION or --config.",
     .places = Places::kWords,
     .options = kFindOptions,
     .run = RunResync},
    {.name = "resume",
     .synopsis = "TABLE...",
     .summary = "go on after a halt, from the changes kept",
     .text =
         "A table that was live when it halted keeps its changes at the destination, up to "
         "--keep-halted and for --keep-halted-for. When its cause is mended (by a changed "
         "configuration and a new start, or at the destination) this applies them in order, beside "
         "everything else, and the table is live again. Where the cause is still there it halts "
         "again, with the rest kept. TABLE is a pattern as for -t. Without a running pipeline the "
         "next run does it. Where nothing is kept (any more), `sluice resync` copies the table.",
     .places = Places::kWords,
     .options = kFindOptions,
     .run = RunResume},
    {.name = "sql",
     .synopsis = "[DESTINATION] [-c SQL | -f FILE] [--json | --csv | --arrow]",
     .summary = "query the mirror, also while it is being written",
     .text =
         "One SELECT, read-only, without access to files. The running pipeline answers it; where "
         "none runs the file is opened for reading. A table on a terminal, CSV in a pipe.",
     .places = Places::kEnds,
     .options = kFindOptions,
     .flags = kSqlFlags,
     .run = RunSql},
    {.name = "slots",
     .synopsis = "SOURCE [--json]",
     .summary = "slots and publications made by Sluice, and the WAL they keep",
     .text = "Publications are those of the database connected to, slots those of every one.",
     .places = Places::kSource,
     .options = kSourceOptions,
     .flags = kJsonFlag,
     .run = RunSlots},
    {.name = "drop",
     .synopsis = "[SOURCE DESTINATION] [--yes]",
     .summary = "remove what Sluice made; the mirrored tables stay",
     .text = "Removes the pipeline's slot and publication at the source and schema sluice at the "
             "destination. The pipeline must be stopped. Asks first; without a terminal --yes is "
             "needed. Can be repeated. Where the destination is gone, --slot NAME says whose slot "
             "and publication are meant.",
     .places = Places::kEnds,
     .options = kDropOptions,
     .flags = kDropFlags,
     .run = RunDrop},
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
