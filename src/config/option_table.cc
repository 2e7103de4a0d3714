#include <fmt/format.h>

#include <array>

#include "config/options.h"

namespace sluice::config {
namespace {

using Kind = OptionKind;

// The order is that of the help and of docs/options.md.
constexpr auto kOptions = std::to_array<OptionSpec>({
    {.name = "source",
     .key = "source.url",
     .env = "SLUICE_SOURCE",
     .range = "postgres:// URL or libpq keywords",
     .help = "The database to replicate. PG* variables, .pgpass and service files work.",
     .is_argument = true,
     .is_secret = true},
    {.key = "source.password_file",
     .range = "path",
     .help = "A file whose first line is the password of the source, and of its primary."},
    {.name = "primary",
     .key = "source.primary_url",
     .env = "SLUICE_PRIMARY_URL",
     .default_text = "none",
     .range = "postgres:// URL or libpq keywords",
     .help = "The primary of a source that is a standby (PostgreSQL 16 or newer): what has to be "
             "written is written there.",
     .is_secret = true},
    {.name = "destination",
     .key = "destination.url",
     .env = "SLUICE_DESTINATION",
     .range = "PATH, duckdb:PATH, null:, memory:",
     .help = "Where to. A relative path is below the working directory.",
     .is_argument = true},
    {.name = "config",
     .env = "SLUICE_CONFIG",
     .default_text = "none",
     .range = "path",
     .help = "Read options from this YAML file."},
    {.name = "pipeline",
     .key = "pipeline",
     .env = "SLUICE_PIPELINE",
     .default_text = "the destination's base name",
     .range = "a-z, 0-9, _; at most 56",
     .help = "Names the slot and the publication (sluice_NAME), the socket and the metrics label."},
    {.name = "table",
     .short_name = 't',
     .key = "source.tables",
     .env = "SLUICE_TABLE",
     .kind = Kind::kList,
     .default_text = "every table that can be replicated",
     .range = "psql patterns",
     .help = "Replicate these tables. In file and variable a leading ! excludes."},
    {.name = "exclude-table",
     .short_name = 'T',
     .key = "source.exclude_tables",
     .env = "SLUICE_EXCLUDE_TABLE",
     .kind = Kind::kList,
     .default_text = "none",
     .range = "psql patterns",
     .help = "Leave these tables out."},
    {.name = "schema",
     .short_name = 'n',
     .key = "source.schemas",
     .env = "SLUICE_SCHEMA",
     .kind = Kind::kList,
     .default_text = "all but system schemas",
     .range = "psql patterns",
     .help = "Replicate the tables of these schemas."},
    {.name = "exclude-schema",
     .short_name = 'N',
     .key = "source.exclude_schemas",
     .env = "SLUICE_EXCLUDE_SCHEMA",
     .kind = Kind::kList,
     .default_text = "none",
     .range = "psql patterns",
     .help = "Leave the tables of these schemas out."},
    {.name = "publication",
     .key = "publication",
     .env = "SLUICE_PUBLICATION",
     .default_text = "sluice_NAME, made by Sluice",
     .range = "name",
     .help = "Use this publication as it is, with its row filters and column lists."},
    {.name = "slot",
     .key = "slot",
     .env = "SLUICE_SLOT",
     .default_text = "sluice_NAME",
     .range = "a-z, 0-9, _; at most 63",
     .help = "Use this slot if it exists, else create it under this name."},
    {.name = "copy",
     .key = "copy",
     .env = "SLUICE_COPY",
     .kind = Kind::kChoice,
     .default_text = "all",
     .range = "all|none",
     .help = "none: the tables are there already; stream only, from the slot's position."},
    {.name = "mode",
     .key = "mode",
     .env = "SLUICE_MODE",
     .kind = Kind::kChoice,
     .default_text = "mirror",
     .range = "mirror|history|both",
     .help = "Keep the current state, the history of changes, or both."},
    {.name = "on-drop",
     .key = "on_drop",
     .env = "SLUICE_ON_DROP",
     .kind = Kind::kChoice,
     .default_text = "keep",
     .range = "keep|drop",
     .help = "What becomes of a destination table when the source's is dropped."},
    {.name = "until",
     .key = "until",
     .env = "SLUICE_UNTIL",
     .default_text = "never",
     .range = "never, copied, caught-up, or an LSN",
     .help = "Stop gracefully when this is reached."},
    {.name = "state",
     .key = "state",
     .env = "SLUICE_STATE",
     .default_text = "/var/lib/sluice as root, else ~/.local/state/sluice",
     .range = "path",
     .help = "Directory of the control socket, spill files, and the state of destinations that "
             "hold none."},
    {.name = "http",
     .key = "http",
     .env = "SLUICE_HTTP",
     .default_text = "127.0.0.1:9464",
     .range = "HOST:PORT or off",
     .help = "Metrics, health and status. If the default port is taken, the next free one."},
    {.name = "copy-workers",
     .key = "copy_workers",
     .env = "SLUICE_COPY_WORKERS",
     .kind = Kind::kNumber,
     .default_text = "2",
     .range = "1 to 16",
     .help = "Connections that copy tables in parallel."},
    {.name = "copy-range",
     .key = "copy_range",
     .env = "SLUICE_COPY_RANGE",
     .kind = Kind::kSize,
     .default_text = "256MiB",
     .range = "at least 1MiB",
     .help = "Tables of twice this size are copied in ranges of their key of about this size; by "
             "default of up to 1GiB where rows are large."},
    {.name = "memory",
     .key = "memory",
     .env = "SLUICE_MEMORY",
     .kind = Kind::kSize,
     .default_text = "a quarter of the machine's, at most 2GiB",
     .range = "at least 128MiB",
     .help = "One budget for the process, the destination's share included."},
    {.name = "batch-rows",
     .key = "batch_rows",
     .env = "SLUICE_BATCH_ROWS",
     .kind = Kind::kNumber,
     .default_text = "100000",
     .range = "1 to 10000000",
     .help = "A batch is handed over when it has this many rows."},
    {.name = "batch-bytes",
     .key = "batch_bytes",
     .env = "SLUICE_BATCH_BYTES",
     .kind = Kind::kSize,
     .default_text = "32MiB",
     .range = "64KiB to 1GiB",
     .help = "... or holds this much."},
    {.name = "batch-age",
     .key = "batch_age",
     .env = "SLUICE_BATCH_AGE",
     .kind = Kind::kDuration,
     .default_text = "10ms",
     .range = "0ms to 1h",
     .help = "... or, the writer being free, is this old."},
    {.name = "catch-up-from",
     .key = "catch_up_from",
     .env = "SLUICE_CATCH_UP_FROM",
     .default_text = "512MiB",
     .range = "a size, or off",
     .help = "With so much unread log, or at a start an eighth of it, the source is read by SQL, "
             "which is faster than a stream. 0: always, for tests."},
    {.name = "keep-halted",
     .key = "keep_halted",
     .env = "SLUICE_KEEP_HALTED",
     .kind = Kind::kSize,
     .default_text = "4GiB",
     .range = "0 to 1TiB",
     .help = "Keep the changes of halted tables at the destination, up to so much and a tenth of "
             "the free disk."},
    {.name = "keep-halted-for",
     .key = "keep_halted_for",
     .env = "SLUICE_KEEP_HALTED_FOR",
     .kind = Kind::kDuration,
     .default_text = "24h",
     .range = "a duration",
     .help = "... and for so long."},
    {.name = "retry-for",
     .key = "retry_for",
     .env = "SLUICE_RETRY_FOR",
     .kind = Kind::kDuration,
     .default_text = "1m before the first success, then forever",
     .range = "a duration",
     .help = "How long to go on trying to reach source and destination."},
    {.name = "existing",
     .key = "existing",
     .env = "SLUICE_EXISTING",
     .kind = Kind::kChoice,
     .default_text = "refuse",
     .range = "refuse|adopt|replace",
     .help = "What to do with destination tables that Sluice did not make."},
    {.name = "on-lost-slot",
     .key = "on_lost_slot",
     .env = "SLUICE_ON_LOST_SLOT",
     .kind = Kind::kChoice,
     .default_text = "stop",
     .range = "stop|resync|repair",
     .help = "When the slot, or the source's past, is lost: end with 4, copy everything again, or "
             "compare and repair."},
    {.name = "skip-transaction",
     .key = "skip_transaction",
     .env = "SLUICE_SKIP_TRANSACTION",
     .default_text = "none",
     .range = "an LSN",
     .help = "Where the server cannot decode its log at this place (SLU-2111 names it): go on "
             "behind it, and compare every table."},
    {.name = "max-retained-wal",
     .key = "max_retained_wal",
     .env = "SLUICE_MAX_RETAINED_WAL",
     .kind = Kind::kSize,
     .default_text = "no limit",
     .range = "1MiB to 1024TiB",
     .help = "How much WAL the slot may keep at the source."},
    {.name = "on-retained-wal",
     .key = "on_retained_wal",
     .env = "SLUICE_ON_RETAINED_WAL",
     .kind = Kind::kChoice,
     .default_text = "warn",
     .range = "warn|pause-copy|drop-slot",
     .help = "When it keeps more: say so; let copies wait too; or drop the slot and end, where it "
             "gets no less for 10 seconds."},
    {.name = "log-format",
     .key = "log_format",
     .env = "SLUICE_LOG_FORMAT",
     .kind = Kind::kChoice,
     .default_text = "text on a terminal, else json",
     .range = "text|json",
     .help = "How the log is written to stderr."},
    {.name = "log-level",
     .key = "log_level",
     .env = "SLUICE_LOG_LEVEL",
     .kind = Kind::kChoice,
     .default_text = "info",
     .range = "trace|debug|info|warn|error",
     .help = "What is logged."},
    {.name = "progress",
     .key = "progress",
     .env = "SLUICE_PROGRESS",
     .kind = Kind::kChoice,
     .default_text = "auto",
     .range = "auto|plain|off",
     .help = "How progress is shown."},
    {.name = "quiet",
     .short_name = 'q',
     .key = "quiet",
     .env = "SLUICE_QUIET",
     .kind = Kind::kFlag,
     .default_text = "false",
     .range = "true|false",
     .help = "Only errors."},
    {.name = "report",
     .key = "report",
     .env = "SLUICE_REPORT",
     .default_text = "none",
     .range = "path, or - for standard output",
     .help = "Write a JSON report at the end, also after an error."},
    {.key = "tables",
     .kind = Kind::kTables,
     .default_text = "none",
     .range = "PATTERN: {mode, columns: {exclude}, on_drop}",
     .help = "Settings of single tables; below."},
    {.key = "types",
     .kind = Kind::kMap,
     .default_text = "none",
     .range =
         "SCHEMA.TABLE.COLUMN: text, decimal(p,s), double, trimmed, wkb or bytes; arrays: list or "
         "text",
     .help = "How columns are kept instead of by default; docs/types.md."},
    {.name = "on-misfit",
     .key = "on_misfit",
     .env = "SLUICE_ON_MISFIT",
     .kind = Kind::kChoiceOrMap,
     .default_text = "halt",
     .range = "halt|null|quarantine; in the file also by type and by column",
     .help = "What becomes of values that have no exact form; docs/types.md."},
    {.key = "names.schemas",
     .kind = Kind::kMap,
     .default_text = "none",
     .range = "SCHEMA: SCHEMA",
     .help = "What schemas are called at the destination."},
    {.key = "names.tables",
     .kind = Kind::kMap,
     .default_text = "none",
     .range = "SCHEMA.TABLE: SCHEMA.TABLE",
     .help = "What tables are called at the destination; counts before names.schemas."},
    {.key = "sql", .range = "", .help = "SQL over TCP.", .is_planned = true},
});

std::string Code(std::string_view text) {
  return text.empty() ? std::string() : fmt::format("`{}`", text);
}

std::string FlagText(const OptionSpec& option) {
  if (option.name.empty()) return {};
  if (option.is_argument) return option.name == "source" ? "SOURCE" : "DESTINATION";
  std::string out = fmt::format("`--{}`", option.name);
  if (option.short_name != '\0') out += fmt::format(", `-{}`", option.short_name);
  return out;
}

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::span<const OptionSpec> OptionTable() {
  return kOptions;
}

const OptionSpec* FindOption(std::string_view name) {
  for (const OptionSpec& option : kOptions) {
    if (!option.name.empty() && option.name == name) return &option;
  }
  return nullptr;
}

std::string OptionsMarkdown() {
  std::string out =
      "| Flag | Key in the file | Variable | Default | Allowed | What it does |\n"
      "|---|---|---|---|---|---|\n";
  for (const OptionSpec& option : kOptions) {
    if (option.is_planned) continue;
    out += fmt::format("| {} | {} | {} | {} | {} | {} |\n", FlagText(option), Code(option.key),
                       Code(option.env), option.default_text, Escaped(option.range), option.help);
  }
  return out;
}

}  // namespace sluice::config
