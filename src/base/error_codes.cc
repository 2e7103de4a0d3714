#include "base/error_codes.h"

#include <array>

namespace sluice::base {
namespace {

// One entry a code, ascending, sections by the first digit.
constexpr auto kErrorCodes = std::to_array<ErrorCode>({
    // 1nnn command line, configuration
    {"SLU-1001", "an option's value is not allowed",
     "A flag, an environment variable or a key of the config file has a value out of its range.",
     "The message names it and what is allowed; docs/options.md lists every option."},
    {"SLU-1002", "the config file cannot be read",
     "There is no such file, it may not be read, or it is not YAML.",
     "The message names file and line."},
    {"SLU-1003", "unknown key in the config file",
     "Every key must be one that Sluice knows; a misspelt one would otherwise be ignored.",
     "The message names file, line and what is allowed there."},
    {"SLU-1004", "the destination is not understood",
     "The destination's scheme is unknown, or it is not supported yet.",
     "Give a path such as shop.duckdb, duckdb:PATH, null: or memory:."},
    {"SLU-1005", "source or destination is missing",
     "The command needs both; they come as arguments, from the environment or from the config "
     "file.",
     "Give them as arguments, or set SLUICE_SOURCE and SLUICE_DESTINATION."},
    {"SLU-1006", "this option is planned and not there yet",
     "The option is part of the interface, and this version does not have it.", "Leave it out."},
    {"SLU-1007", "a secret's variable or file is missing",
     "${NAME} in the config file stands for an environment variable that is not set, or a "
     "password_file cannot be read.",
     "Set the variable, or correct the path."},
    {"SLU-1008", "two options exclude each other", "They ask for different things.",
     "Leave one of them out."},
    {"SLU-1011", "the HTTP port cannot be used",
     "Another program listens there, the address is not one of this machine, or the port needs "
     "more "
     "rights.",
     "Choose another one with --http HOST:PORT, or --http off."},
    {"SLU-1012", "this pipeline is running already",
     "Another process answers on the pipeline's control socket.",
     "Use `sluice status` to see it, or give this one another name with --pipeline."},
    {"SLU-1013", "the control socket cannot be used",
     "The state directory cannot be made or entered, or belongs to another user.",
     "Choose another one with --state DIR, or run as the user who owns it."},
    // 2nnn source
    // 3nnn stream, slot, positions
    {"SLU-3001", "the source is another server",
     "The server's system identifier is not the one the mirror was copied from: another address, "
     "or a database cluster made anew.",
     "Check the source's address. For a new source use a new destination."},
    {"SLU-3002", "the source is on an older timeline",
     "The server is an old primary, or was restored to a time before the promotion that the mirror "
     "has followed.",
     "Connect to the promoted server."},
    {"SLU-3003", "the source's timeline left before the mirror's position",
     "A standby was promoted, or a backup restored, that lacks transactions which the mirror "
     "already has.",
     "Copy again: `sluice drop`, then `sluice run` with --existing replace."},
    {"SLU-3004", "the publication is not this pipeline's",
     "The generation kept as the publication's comment is missing or another one: publication and "
     "slot were made again, or belong to another pipeline.",
     "Give this pipeline another name, or copy again: `sluice drop`, then `sluice run`."},
    {"SLU-3005", "the slot is not a logical slot of pgoutput",
     "A slot of this name exists and was made for something else.",
     "Choose another name with --slot."},
    {"SLU-3006", "the source's log ends before the mirror's position",
     "The source was restored from a backup, or lost transactions in a crash without synchronous "
     "writes.",
     "Copy again: `sluice drop`, then `sluice run` with --existing replace."},
    {"SLU-3007", "the slot belongs to another database",
     "A logical slot reads one database, and it is not the one that the source names.",
     "Check the database name in the source."},
    {"SLU-3008", "the slot is temporary",
     "A temporary slot vanishes with its session and keeps nothing over a restart.",
     "Choose another name with --slot."},
    {"SLU-3009", "the slot decodes two-phase transactions",
     "The slot was made with two_phase, which is not handled.",
     "Choose another name with --slot, or make the slot again without two_phase."},
    {"SLU-3010", "the slot does not exist",
     "It was dropped, or the source was restored or failed over to a server without it: the "
     "changes since the mirror's position are gone.",
     "Copy again: `sluice drop`, then `sluice run` with --existing replace."},
    {"SLU-3011", "the slot was invalidated",
     "The server removed what the slot still needed, as a rule by max_slot_wal_keep_size while "
     "Sluice was away for too long.",
     "Raise max_slot_wal_keep_size, then copy again: `sluice drop`, then `sluice run` with "
     "--existing replace."},
    {"SLU-3012", "the slot is in use",
     "Another process reads it, or the server has not noticed yet that an earlier connection is "
     "gone.",
     "End the other process, or wait for wal_sender_timeout."},
    {"SLU-3013", "the publication does not exist",
     "It was dropped: changes made meanwhile are in no stream.",
     "Create it again and `sluice resync` every table, or copy again."},
    {"SLU-3014", "the slot was never completed",
     "Making the slot was interrupted before it had a position.",
     "`sluice drop`, then `sluice run`."},
    {"SLU-3015", "the slot is ahead of the mirror",
     "Something else read or advanced the slot, or the destination was restored from a backup: "
     "what lies between will not be sent.",
     "Copy again: `sluice drop`, then `sluice run` with --existing replace."},
    {"SLU-3016", "a slot exists and nothing proves that it is ours",
     "A run ended while the slot was being made, and with a publication of yours there is no mark "
     "that tells whose it is.",
     "If nobody else uses it, drop it with pg_drop_replication_slot and start again."},
    {"SLU-3020", "a snapshot's text is malformed",
     "The server, or something between, gave a text for pg_current_snapshot() that is none.",
     "Connect to PostgreSQL directly; report it if that is the case already."},
    {"SLU-3021", "commits came out of order",
     "The stream gave a transaction that ends at or before the position already reached.",
     "Nothing of it was applied. Start again; report it if it comes back."},
    // 4nnn tables and values
    {"SLU-4101", "bytes are not a value of the column's type",
     "The server sent a value whose bytes cannot be read as the type the catalog gives the column. "
     "Either the type changed unseen or the connection does not carry what the server wrote.",
     "Start again; if it comes back, report it with the type's name and the server's version."},
    {"SLU-4102", "the binary form of a type is not understood",
     "A column of a type unknown to Sluice appeared while the stream was in binary.",
     "Start again: the stream is then asked for text."},
    {"SLU-4103", "text is not valid UTF-8",
     "The database has the encoding SQL_ASCII, which takes any bytes as text, and the value is not "
     "UTF-8.",
     "Correct the value at the source, or leave the column out with a column list in the "
     "publication, then `sluice resync TABLE`."},
    {"SLU-4104", "NaN or infinity in a DECIMAL column",
     "numeric(p,s) holds NaN, Infinity and -Infinity, DECIMAL does not.",
     "Change the value at the source, or leave the column out, then `sluice resync TABLE`."},
    {"SLU-4105", "a number does not fit the column's DECIMAL",
     "The value has more digits than the precision and scale known of the column.",
     "`sluice resync TABLE` reads the column's type again."},
    {"SLU-4106", "an array that is not a list",
     "A LIST has one dimension and begins at 1; the array has several dimensions or another lower "
     "bound.",
     "Change the value at the source, or leave the column out, then `sluice resync TABLE`."},
    {"SLU-4107", "an infinite interval",
     "PostgreSQL 17 and later have infinite intervals, INTERVAL has not.",
     "Change the value at the source, or leave the column out, then `sluice resync TABLE`."},
    {"SLU-4108", "a date or timestamp out of range",
     "The value lies beyond what 64-bit microseconds (or 32-bit days) since 1970 can count.",
     "Change the value at the source, or leave the column out, then `sluice resync TABLE`."},
    {"SLU-4109", "a composite or array type has changed",
     "The value's attributes, or its element type, are not those known of the column's type: ALTER "
     "TYPE is not announced in the stream.",
     "`sluice resync TABLE` copies the table in its new shape."},
    {"SLU-4110", "values too large for one batch",
     "The values of one column in one batch exceed 2 GiB.",
     "Lower --batch-bytes, or leave the column out with a column list in the publication."},
    {"SLU-4111", "a row has not the table's columns",
     "The server sent a row with another number of columns than its Relation message announced.",
     "Start again; if it comes back, report it with the server's version."},
    {"SLU-4112", "copy data is malformed",
     "What COPY sent is not of its documented format, or ended early.",
     "Start again: the copy of the table begins anew. If it comes back, report it."},
    {"SLU-4113", "a new row came without one of its values",
     "An update made the row pass the publication's row filter, so that it comes as an insert, and "
     "a large value that the update did not touch was not sent.",
     "Set REPLICA IDENTITY FULL on the table, then `sluice resync TABLE`."},
    {"SLU-4120", "types are nested too deeply",
     "Domains, arrays and composites are nested more than 16 levels deep.",
     "Leave the column out with a column list in the publication."},
    {"SLU-4201", "the table's schema changed",
     "The source table was altered in a way that cannot be followed yet: a column was dropped, "
     "renamed, moved or changed its type, or the replica identity changed.",
     "`sluice resync TABLE` copies it again in its new shape; other tables go on."},
    {"SLU-4202", "rows of an older version cannot be brought to the new one",
     "Between the two versions more happened than columns being added.",
     "`sluice resync TABLE` copies it again in its new shape."},
    {"SLU-4203", "a column of one batch is over 2 GB",
     "The values of one column in one destination transaction exceed what one Arrow column holds.",
     "Lower --batch-bytes."},
    {"SLU-4501", "verify cannot read what the source sent",
     "The rows that `sluice verify` reads from the source by COPY are cut off, or are not of the "
     "types in the catalog.",
     "Run it again. If it comes back, a proxy or pooler between Sluice and PostgreSQL changes what "
     "passes through it, or the table is being altered."},
    // 5nnn destination and state
    {"SLU-5004", "a newer writer has taken over",
     "Another sluice opened this destination after this one and took the next epoch; an older "
     "writer may not commit.",
     "Let one of the two go on. If the other is gone for good, start this one again."},
    {"SLU-5101", "the state file is not a state file of Sluice, or is damaged",
     "It is not an SQLite database, belongs to another program, or what it holds cannot be read.",
     "Use another --state directory, or put the file aside and copy again."},
    {"SLU-5102", "the state file cannot be opened or written",
     "Its directory is missing, read-only, or belongs to another user.",
     "Make it writable for this user, or use --state DIR."},
    {"SLU-5103", "the state file was written by a newer version",
     "It has a format number that this version does not know.", "Use the newer version."},
    {"SLU-5104", "the state file is locked", "Another process is writing to it.",
     "Find it with fuser or lsof, and let it end."},
    {"SLU-5105", "the position would go back",
     "A commit carried a position below the stored one. Nothing of it was stored.",
     "Start again; report it if it comes back."},
    {"SLU-5106", "the disk of the state file is full", "The file could not grow.",
     "Free space and start again; nothing is lost."},
    {"SLU-5107", "the state belongs to another pipeline or another source",
     "State or destination were begun under another pipeline's name or from another server.",
     "Use that name and source, or another destination and --state directory."},
    {"SLU-5108", "SQLite refused an operation on the state file",
     "Reading or writing the file failed.",
     "The message has SQLite's code; check the disk and its log."},
    {"SLU-5110", "the destination has no such table",
     "A change came for a table that is not there: it was dropped by hand, or never copied.",
     "Copy it again: sluice resync TABLE."},
    {"SLU-5111", "a text is not of its column's type",
     "A value in the memory destination cannot be read back.", "Report it."},
    {"SLU-5112", "the destination's rows are not what the source's changes expect",
     "A changed or deleted row is missing, or an inserted one is there already.",
     "Copy the table again: sluice resync TABLE. Report it if nobody wrote there."},
    {"SLU-5113", "the default of an added column is not understood",
     "Rows that are older than the column read as a constant whose text this destination cannot "
     "take.",
     "Copy the table again: sluice resync TABLE."},
    {"SLU-5114", "there is nothing to land",
     "The copied rows of a table are gone, or have another shape.",
     "Start again: the table is copied again. Report it if it comes back."},
    {"SLU-5115", "two source tables want one destination table",
     "Another source table is already mirrored under this name.", "Leave one of them out with -T."},
    {"SLU-5116", "a destination table was not made by Sluice",
     "A table of this name exists already, and would be overwritten.",
     "--existing replace drops it, --existing adopt goes on with it."},
    // 6nnn this machine
    // 9nnn bugs
    {"SLU-9001", "an internal check failed", "This is a bug in Sluice.",
     "Report it with the message and the log around it. Nothing was acknowledged that is not "
     "durable."},
    {"SLU-9101", "a batch of changes is not well formed", "This is a bug in Sluice.",
     "Report it with the message. Nothing was acknowledged that is not durable."},
    {"SLU-9102", "a column has a type without a carrier", "This is a bug in Sluice.",
     "Report it with the message. Nothing was acknowledged that is not durable."},
});

}  // namespace

std::span<const ErrorCode> ErrorCodes() {
  return kErrorCodes;
}

const ErrorCode* FindErrorCode(std::string_view code) {
  for (const ErrorCode& entry : kErrorCodes) {
    if (entry.code == code) return &entry;
  }
  return nullptr;
}

}  // namespace sluice::base
