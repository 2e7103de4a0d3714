#include "base/error_codes.h"

#include <array>

namespace sluice::base {
namespace {

// One entry a code, ascending, sections by the first digit.
constexpr auto kErrorCodes = std::to_array<ErrorCode>({
    // 1nnn command line, configuration
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
    // 5nnn destination and state
    {"SLU-5004", "a newer writer has taken over",
     "Another sluice opened this destination after this one and took the next epoch; an older "
     "writer may not commit.",
     "Let one of the two go on. If the other is gone for good, start this one again."},
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
