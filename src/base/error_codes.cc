#include "base/error_codes.h"

#include <array>

namespace sluice::base {
namespace {

// One entry a code, ascending, sections by the first digit.
constexpr auto kErrorCodes = std::to_array<ErrorCode>({
    // 1nnn command line, configuration
    {"SLU-1001", "an option's value is not allowed",
     "A flag, an environment variable or a key of the config file has a value out of its range.",
     "Give one that is allowed; `sluice help run` lists every option."},
    {"SLU-1002", "the config file cannot be read",
     "There is no such file, it may not be read, or it is not YAML.",
     "Correct the file, or name another one with --config."},
    {"SLU-1003", "unknown key in the config file",
     "Every key must be one that Sluice knows; a misspelt one would otherwise be ignored.",
     "Correct or remove the key; docs/options.md lists all of them."},
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
    {"SLU-1020", "the command line is not understood",
     "An unknown command or flag, a flag without its value, or a word too many.",
     "`sluice help COMMAND` shows what it takes."},
    {"SLU-1021", "the report cannot be written", "The path of --report cannot be made or written.",
     "Choose another path, or - for standard output."},
    {"SLU-1022", "a request to the control socket is not understood",
     "The program that asks is of another version than the one that runs, or is no Sluice.",
     "Use the same version for both: restart the pipeline after an upgrade."},
    {"SLU-1023", "the destination is not open yet",
     "The pipeline is still connecting, or is trying again after an error.",
     "`sluice status` shows what it waits for; try again when it says running."},
    {"SLU-1024", "this destination answers no SQL",
     "Only DuckDB files are queried with `sluice sql`.", "Use the destination's own tools."},
    {"SLU-1030", "no table matches", "A table pattern names nothing of this pipeline.",
     "`sluice tables` lists what there is; patterns follow psql's rules."},
    {"SLU-1031", "no pipeline in the destination yet",
     "The command reads what a pipeline has written, and nothing was written there.",
     "Start the pipeline with `sluice run` first, or name the destination it writes to."},
    {"SLU-1033", "a column is read as text",
     "Its type is unknown to Sluice, so its table's copy and the stream are asked for text instead "
     "of the binary form, which takes longer.",
     "Nothing must be done."},
    {"SLU-1034", "the destination's disk may be too small",
     "The tables take more at the source than is free at the destination.",
     "Make room, or choose another disk. A copy usually takes less than the source."},
    {"SLU-1035", "no folder for a scratch file",
     "`sluice check` tries names of tables on a file of its own in the temporary folder.",
     "Set TMPDIR to a folder that can be written."},
    {"SLU-1037", "the destination is a pipeline's mirror",
     "`sluice copy` would replace tables that `sluice run` keeps up to date.",
     "Copy to another file, or end the pipeline with: sluice drop"},
    {"SLU-1038", "the destination holds an earlier copy",
     "Tables are only replaced when that is asked for.", "Use --existing replace."},
    {"SLU-1039", "a table is to have another name",
     "`names` in the config file gives a table that was copied another name at the destination "
     "than "
     "it has there. Tables do not move by themselves: whoever reads them would lose them.",
     "Give it its old name in `names`, or run with the config file that has it; or `sluice resync "
     "TABLE` while it is stopped: the next run copies it under the new name, and the old one "
     "goes."},
    {"SLU-1040", "no pipeline is meant",
     "No pipeline runs under this state directory, and no destination is named.",
     "Name the destination, set SLUICE_DESTINATION, or give the --state DIR of the pipeline."},
    {"SLU-1041", "several pipelines are running", "The command cannot tell which one is meant.",
     "Choose one with --pipeline NAME; the message lists them."},
    {"SLU-1042", "the running pipeline ended before it had answered",
     "It was stopped or killed, or it could not go on.", "Look at its log, and ask again."},
    {"SLU-1043", "the pipeline is running", "The command needs the destination for itself.",
     "Stop the pipeline first."},
    {"SLU-1044", "the query cannot be read",
     "The file of -f is missing or may not be read, or it is larger than 512 KiB.",
     "Correct the path; give one SELECT."},
    {"SLU-1045", "the output cannot be written",
     "The disk is full, or the program that reads the output has ended.",
     "Make room, or try again."},

    // 2nnn source
    {"SLU-1047", "the table is not halted", "Only a halted table has kept changes to go on from.",
     "Nothing; `sluice tables` shows its state. `sluice resync TABLE` copies it again."},
    {"SLU-1048", "nothing is kept of the table",
     "It was not live when it halted, or what was kept was dropped by its limits.",
     "Copy it again: sluice resync TABLE."},
    {"SLU-1049", "a repair under another configuration",
     "The table has to be copied again as a whole, and what is configured here (mode, names, "
     "excluded "
     "columns, types, misfits) is not what its contents were made by: the copy would change them.",
     "Give the pipeline's own configuration with --config, or repair while the pipeline runs."},
    {"SLU-1050", "the pipeline has another slot or publication",
     "--slot or --publication names another one than the pipeline was begun with.",
     "Leave the option out; `sluice drop` first for a pipeline that reads another slot."},
    {"SLU-1051", "the table is skipped",
     "What is written to it is not in the stream, so that a copy of it would be old at once.",
     "Do what the reason says; the table is copied then without being asked for."},
    {"SLU-2001", "the source's URL cannot be read",
     "It is neither a postgres:// URL nor a libpq keyword string, or holds characters that must be "
     "written as %XX.",
     "Write postgres://user@host:5432/database. The text is never shown, as it may hold a "
     "password."},
    {"SLU-2002", "the source cannot be reached",
     "Nothing answers at that host and port, or a firewall drops the packets.",
     "Check host and port, the server's listen_addresses, and the firewall. Sluice tries again for "
     "--retry-for."},
    {"SLU-2003", "the source's host name is not known", "The name does not resolve.",
     "Check the spelling and the machine's name servers."},
    {"SLU-2004", "the server refused user or password",
     "Wrong password, unknown role, or no line of pg_hba.conf that lets this user in; a "
     "replication connection may need its own line.",
     "Check user, password and pg_hba.conf. The password may stand in ~/.pgpass (mode 0600) or "
     "PGPASSWORD."},
    {"SLU-2005", "TLS cannot be set up as asked",
     "The server offers no TLS, its certificate is not signed by an authority that is known here, "
     "or it is for another name.",
     "Name the authority with sslrootcert=FILE; or lower what is asked for with sslmode=require or "
     "sslmode=disable in the source's URL."},
    {"SLU-2006", "the database does not exist",
     "The server has no database of that name, or it was dropped.",
     "Check the name in the source's URL."},
    {"SLU-2007", "the connection to the source broke",
     "The server, the network or a pooler ended the session.",
     "Sluice connects again by itself and goes on where it was."},
    {"SLU-2008", "the server took too long",
     "A statement did not end within its deadline; it was cancelled.",
     "See pg_stat_activity for what the server waits for. Sluice tries again."},
    {"SLU-2009", "the server has no connection free",
     "max_connections, max_wal_senders or the role's CONNECTION LIMIT is reached.",
     "Raise the limit, or close sessions that nobody needs. Sluice tries again."},
    {"SLU-2010", "a privilege is missing", "The role may not do what the message names.",
     "Run `sluice check --sql` and give its output to an administrator."},
    {"SLU-2011", "session settings do not stay as set",
     "A pooler between hands statements to different server sessions.",
     "Connect to the server itself, or to a pooler in session mode."},
    {"SLU-2012", "the database's encoding is SQL_ASCII",
     "Its bytes have no declared meaning, so text cannot be read without guessing.",
     "Dump the database and restore it into one made with ENCODING 'UTF8'."},
    {"SLU-2013", "the server refused a statement",
     "The message holds the SQLSTATE; the server's log has the statement.",
     "See the SQLSTATE in PostgreSQL's documentation, appendix A."},
    {"SLU-2014", "the server is too old", "Sluice needs PostgreSQL 14 or newer.",
     "Upgrade the source."},
    {"SLU-2015", "the server is starting up or shutting down",
     "It does not take connections just now.", "Sluice tries again."},
    {"SLU-2017", "a lock could not be had in time",
     "Another session holds a lock on the table, most likely for DDL.",
     "Nothing: it is tried again. If it stays so, see pg_locks."},
    {"SLU-2018", "a table pattern cannot be read",
     "A quote is not closed, a name is empty, there are more parts than schema.table, or its "
     "characters, such as ( [ |, are not those of a regular expression.",
     "Write schema.table with * and ? as wildcards, and the rest as in psql, or \"...\" around a "
     "name that is to be taken as it is."},
    {"SLU-2019", "the server's answer cannot be understood",
     "What answered does not speak PostgreSQL's protocol as expected; a proxy between may be the "
     "reason.",
     "Connect to the server itself. If it goes on, report it."},
    {"SLU-2030", "wal_level is not logical",
     "The server does not write what logical replication needs.",
     "ALTER SYSTEM SET wal_level = logical, then restart the server."},
    {"SLU-2031", "no replication slot is free", "max_replication_slots is reached.",
     "Drop a slot that nobody uses, or raise max_replication_slots and restart the server."},
    {"SLU-2032", "no walsender is free", "max_wal_senders is reached.",
     "Raise max_wal_senders and restart the server."},
    {"SLU-2033", "the role may not replicate", "It lacks the REPLICATION attribute.",
     "ALTER ROLE ... REPLICATION; managed services have a role to grant for it."},
    {"SLU-2034", "the role may not read a table",
     "It lacks SELECT on the table or USAGE on its schema.",
     "Run the GRANT that `sluice check --sql` prints."},
    {"SLU-2035", "the role may not create a publication", "It lacks CREATE on the database.",
     "GRANT CREATE ON DATABASE, or let an administrator create the publication and use "
     "--publication."},
    {"SLU-2036", "the role does not own a table",
     "Only a table's owner may add it to a publication.",
     "Let the owner create the publication and use --publication, or make the role a member of the "
     "owner."},
    {"SLU-2037", "the publication does not exist",
     "It was never made, was dropped, or did not exist yet at the point of the WAL that is read.",
     "Create it before the slot; after it was dropped, `sluice run` with --on-lost-slot resync or "
     "repair."},
    {"SLU-2038", "the publication leaves out operations",
     "It does not publish all of insert, update, delete and truncate: the mirror would not stay "
     "equal. No run starts. One that runs leaves the publication's tables out, and copies them "
     "again when it publishes all.",
     "ALTER PUBLICATION ... SET (publish = 'insert, update, delete, truncate')."},
    {"SLU-2039", "a table has no usable identity",
     "Without a primary key or a replica identity an UPDATE cannot say which row it means; "
     "published, the table's own updates would fail. The same holds where a generated column is "
     "part of the identity and is not published.",
     "ALTER TABLE ... ADD PRIMARY KEY, or REPLICA IDENTITY FULL."},
    {"SLU-2040", "row security would hide rows",
     "A policy applies to this role: the copy would miss rows that the stream brings.",
     "ALTER ROLE ... BYPASSRLS, or leave the table out."},
    {"SLU-2041", "this kind of table is not replicated",
     "Views, foreign, unlogged and temporary tables do not come through logical replication.",
     "Leave it out, or make it an ordinary logged table."},
    {"SLU-2042", "this minor version has a known defect",
     "Logical decoding of this PostgreSQL release has a defect that was fixed later.",
     "Install the newest minor release."},
    {"SLU-2044", "a column's name is reserved",
     "Names that begin with _sluice_ are Sluice's own at the destination.",
     "Rename the column, or leave the table out."},
    {"SLU-2045", "a table has no columns", "There is nothing to replicate.",
     "Add a column, or leave the table out."},
    {"SLU-2047", "the source is a standby",
     "A standby can be the source from PostgreSQL 16 on, and what has to be written is written on "
     "its primary, which has to be known.",
     "Name its primary with --primary, or use the primary as source."},
    {"SLU-2048", "nothing to replicate", "No table fits the selection and can be replicated.",
     "Check the patterns with `sluice check`."},
    {"SLU-2049", "a table that was named does not exist",
     "The pattern names one table, and it is not there. A pipeline that has begun warns and goes "
     "on, as long as another table is left.",
     "Check schema and name; without quotes, names fold to lower case."},
    {"SLU-2050", "the server does not allow pgoutput",
     "output_plugin_libraries lists the plugins that may be loaded, and pgoutput is not there.",
     "Add pgoutput to that setting."},
    {"SLU-2051", "a table cannot be appended to",
     "`mode: append` publishes a table for INSERT only, by a second publication of Sluice's own, "
     "sluice_NAME_append. What --publication names is yours alone, and has none; nor has a "
     "pipeline "
     "whose name leaves no room for its own.",
     "Leave the mode out, leave --publication out, or choose a shorter name with --pipeline."},
    {"SLU-2052", "the publication publishes a table under other names",
     "A partitioned table is published either through its root, as one table, or as its "
     "partitions, "
     "each a table of its own: publish_via_partition_root of the publication says which.",
     "Select what it publishes, or change the publication; pg_publication_tables lists it."},
    {"SLU-2053", "the role may not log the running transactions",
     "A slot on a standby, and the snapshot of a copy from one, waits for a record of the "
     "transactions that run on the primary. pg_log_standby_snapshot() has it written.",
     "GRANT EXECUTE ON FUNCTION pg_log_standby_snapshot() TO the role, on the primary."},
    {"SLU-2054", "the standby does not replay",
     "What was written on the primary did not come to the standby within a minute.",
     "See pg_stat_replication on the primary, and pg_is_wal_replay_paused() on the standby."},
    {"SLU-2055", "the standby does not send feedback",
     "Without hot_standby_feedback the primary's vacuum removes rows that the standby's slot and "
     "copies still need: the slot is invalidated, and copies are cancelled and begin again.",
     "Set hot_standby_feedback = on at the standby, and give it a physical slot "
     "(primary_slot_name)."},
    {"SLU-2056", "--primary does not lead to the standby's primary",
     "It is a standby itself, another database, or another system.",
     "Name the server that the standby follows, and the same database."},
    {"SLU-2057", "the publication for tables that are appended to is made now",
     "The pipeline was made without one, and `mode: append` was added since. It is made while the "
     "pipeline runs; the tables join once every transaction that was open then has ended.",
     "Nothing to do."},
    {"SLU-2058", "too many open transactions for a slot's snapshot",
     "The server (\"initial slot snapshot too large\") lists every transaction and subtransaction "
     "that is open when a slot is made, up to a limit that follows max_connections. Copies from a "
     "standby take such a snapshot each. Savepoints and PL/pgSQL blocks with EXCEPTION are "
     "subtransactions.",
     "Nothing where such transactions end: it is tried again. Else end them, on a standby those of "
     "its primary, or raise max_connections of the server that is the source."},
    {"SLU-2101", "the slot exists already",
     "Another pipeline, or an earlier one of this name, made it.",
     "Choose another name with --slot or --pipeline, or remove it with `sluice drop`."},
    {"SLU-2102", "the slot does not exist",
     "It was dropped; a slot is not carried over by a restore or by most fail-overs.",
     "See `sluice slots`. Without its slot the pipeline must copy again."},
    {"SLU-2103", "a table is no longer there", "It was dropped or renamed meanwhile.",
     "Nothing, if that was meant."},
    {"SLU-2104", "making the slot took too long",
     "The server waits for every transaction that is open in the cluster, prepared ones too.",
     "End the transaction that the message names, then start again. Nothing was left behind."},
    {"SLU-2105", "the slot is in use",
     "Another session reads from it: another sluice, or one whose end the server has not noticed "
     "yet.",
     "Stop the other one; a session whose client died ends after wal_sender_timeout, one that "
     "reads by SQL within 45 seconds."},
    {"SLU-2106", "the server is in recovery",
     "A standby answers in the place of the source, and no --primary is given.",
     "Use the primary as source, or name it with --primary."},
    {"SLU-2107", "the copy's snapshot is gone",
     "The session that holds it ended, or a worker reached another server.",
     "Nothing: the table is copied again. All connections must reach the same server."},
    {"SLU-2108", "the slot can no longer be read from",
     "WAL it needs was removed (max_slot_wal_keep_size), it was invalidated, or it belongs to "
     "another database.",
     "See `sluice slots`. The pipeline must copy again; raise max_slot_wal_keep_size before."},
    {"SLU-2109", "the server ended the stream", "It shuts down or restarts.",
     "Sluice connects again by itself."},
    {"SLU-2110", "the server left out a publication",
     "The publication did not exist at a point of the WAL that was still to be read; PostgreSQL 18 "
     "goes on without its changes.",
     "`sluice run` with --on-lost-slot resync or repair."},
    {"SLU-2111", "the server cannot decode its WAL",
     "A row filter of the publication raises an error, a value is larger than the server can "
     "send, or the server fails with an internal error at the same place again and again. Nothing "
     "behind that place can be had. While no table is live Sluice makes its slot anew by itself, "
     "at most three times.",
     "Change the filter or the row that it raises for: the copy asks it, too. Then `sluice run` "
     "with --skip-transaction and the LSN named passes over it, and compares every table."},
    {"SLU-2112", "not a slot name",
     "Slots are named with a to z, 0 to 9 and _, at most 63 characters.", "Choose such a name."},
    {"SLU-2113", "the source does not answer on the replication connection",
     "The connection stands, but nothing came for wal_sender_timeout (60 s where that is 0, never "
     "less than 10 s), although the server was asked for a sign of life: a proxy or a firewall in "
     "between has forgotten it, or the walsender is stopped. It is closed and opened again.",
     "If it comes again, look at what is between the two machines."},
    {"SLU-2114", "open transactions hold up --skip-transaction, or a slot named with --slot",
     "What they have written may be what the server cannot decode, so their end is waited for, 10 "
     "minutes long.",
     "End the transaction that is named, then start again."},
    {"SLU-2116", "the role may not make event triggers",
     "PostgreSQL lets only superusers make event triggers; managed services have a role of their "
     "own for it. Those that are there belong to whoever made them.",
     "Nothing has to be done: without them schema changes are found by looking at the catalog. Or "
     "let that role run what `sluice check --sql --install-ddl-trigger` prints."},
    // 3nnn stream, slot, positions
    {"SLU-3001", "the source is another server",
     "The server's system identifier is not the one the mirror was copied from: another address, "
     "or a database cluster made anew, as pg_upgrade does it.",
     "Check the source's address. For a new source, and after pg_upgrade, use a new destination."},
    {"SLU-3002", "the source is on an older timeline",
     "The server is an old primary, or was restored to a time before the promotion that the mirror "
     "has followed.",
     "Connect to the promoted server."},
    {"SLU-3003", "the source's timeline left before the mirror's position",
     "A standby was promoted, or a backup restored, that lacks transactions which the mirror "
     "already has.",
     "`sluice run` with --on-lost-slot resync or repair."},
    {"SLU-3004", "the publication is not this pipeline's",
     "The generation kept as the publication's comment is another one: publication and slot belong "
     "to another pipeline, or the destination is a backup of before they were made anew.",
     "Give this pipeline another name, or drop the other one with `sluice drop`. Of a backup: drop "
     "slot "
     "and publication by hand, then `sluice run` with --on-lost-slot repair."},
    {"SLU-3005", "the slot is not a logical slot of pgoutput",
     "A slot of this name exists and was made for something else.",
     "Choose another name with --slot."},
    {"SLU-3006", "the source's log ends before the mirror's position",
     "The source was restored from a backup, or lost transactions in a crash without synchronous "
     "writes.",
     "`sluice run` with --on-lost-slot resync or repair."},
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
     "`sluice run` with --on-lost-slot resync or repair."},
    {"SLU-3011", "the slot was invalidated",
     "The server removed what the slot still needed, as a rule by max_slot_wal_keep_size while "
     "Sluice was away for too long.",
     "Raise max_slot_wal_keep_size, then `sluice run` with --on-lost-slot resync or repair."},
    {"SLU-3012", "the slot is in use",
     "Another process reads it, or the server has not noticed yet that an earlier connection is "
     "gone.",
     "End the other process, or wait for wal_sender_timeout."},
    {"SLU-3013", "the publication does not exist",
     "It was dropped: changes made meanwhile are in no stream.",
     "`sluice run` with --on-lost-slot resync or repair. One of your own (--publication) has to be "
     "there first."},
    {"SLU-3014", "the slot was never completed",
     "Making the slot was interrupted before it had a position.",
     "`sluice run` with --on-lost-slot resync or repair."},
    {"SLU-3015", "the slot is ahead of the mirror",
     "Something else read or advanced the slot, or made it again, or the destination was restored "
     "from a backup: what lies between will not be sent.",
     "`sluice run` with --on-lost-slot resync or repair."},
    {"SLU-3016", "a slot exists and nothing proves that it is ours",
     "A slot of this pipeline's name is there, and no publication beside it carries the mark of "
     "this destination: another pipeline made it, or a run ended while it was being made.",
     "If nobody else uses it, drop it with pg_drop_replication_slot and start again."},
    {"SLU-3017", "the publication belongs to another destination",
     "A publication of this name carries the generation of another destination, or none. So it is "
     "too where the destination's file was removed or renamed.",
     "Choose another name with --pipeline, or remove it with `sluice drop` and the destination it "
     "belongs to; where that is gone, with `sluice drop --slot sluice_NAME`."},
    {"SLU-3018", "the publication for tables that are appended to is gone",
     "sluice_NAME_append was dropped, or its comment was changed. What was inserted since then "
     "into its tables is in no stream.",
     "`sluice run` with --on-lost-slot resync or repair."},
    {"SLU-3019", "what is yours is not made anew",
     "--on-lost-slot makes slot and publication anew. A slot that --slot names is not dropped, and "
     "a publication that --publication names is not made.",
     "Drop the slot with pg_drop_replication_slot, or create the publication, and start again."},
    {"SLU-3020", "a snapshot's text is malformed",
     "The server, or something between, gave a text for pg_current_snapshot() that is none.",
     "Connect to PostgreSQL directly; report it if that is the case already."},
    {"SLU-3021", "commits came out of order",
     "The stream gave a transaction that ends at or before the position already reached.",
     "Nothing of it was applied. Start again; report it if it comes back."},
    {"SLU-3022", "the publication was made again",
     "A publication of this pipeline's name is there without the generation that Sluice gave it: "
     "changes made while there was none are in no stream.",
     "`sluice run` with --on-lost-slot resync or repair."},
    {"SLU-3023", "a log would go back",
     "The source was restored to a point before changes that a table's log (mode history or both) "
     "holds; what it is copied with now would stand before them.",
     "Keep the log as a table of your own, then `sluice drop`, and `sluice run` with --existing "
     "replace."},
    {"SLU-3024", "the source was promoted",
     "A standby has taken over that has everything the mirror has.",
     "Nothing: it goes on by itself."},
    {"SLU-3025", "the pipeline is being made anew",
     "A run with --on-lost-slot ended before slot and publication were there again: no table is "
     "known to be right.",
     "`sluice run` goes on with it."},
    {"SLU-3026", "the slot moved while it was looked at",
     "Between the look at the slot and the start of the stream somebody read from it, or the "
     "connections reached two servers.",
     "Nothing: it is looked at again. If it stays, a URL that leads to one server only, and nobody "
     "else who reads the slot."},
    {"SLU-3027", "the standby has not replayed up to the mirror",
     "It was started again and is behind the mirror for a moment, or another standby answers.",
     "Nothing: Sluice tries again until it is there."},
    {"SLU-3028", "the slot is older than its publication",
     "--slot names a slot that exists, --copy none wants all that it has from there on, and the "
     "publication is made by the first run. The server cannot decode a change against a "
     "publication that was not there when it was written.",
     "Name a publication with --publication that was there before the slot; or leave out --copy "
     "none: then the slot is moved behind the publication, and the tables are copied; or drop the "
     "slot, and it is made."},
    {"SLU-3030", "the slot kept more WAL than it may",
     "--max-retained-wal was exceeded, what the slot kept got no less for 10 seconds, and "
     "--on-retained-wal is drop-slot: the source's disk came first. The message says whether it "
     "could be dropped.",
     "Find out what held it back (an old open transaction at the source, a slow destination). The "
     "mirror stayed as it was: `sluice run --on-lost-slot resync` makes a new slot and copies "
     "again. A slot that could not be dropped goes on keeping WAL until `sluice drop` removes it."},
    {"SLU-3080", "a comparison's point was missed",
     "A transaction before the fence was not visible to its snapshot yet.",
     "Nothing: verify takes another one by itself."},
    {"SLU-3081", "no point to compare at was found",
     "The table could not be locked, or the stream did not reach the fence in time.",
     "Try again when the pipeline has caught up; `sluice status` shows the lag."},
    {"SLU-3090", "the stream is read again from the position",
     "A table halted: its changes come undecoded now, to be kept, or an earlier part of a large "
     "transaction was rolled back with it.",
     "Nothing: it continues by itself, without that table."},
    {"SLU-3091", "the stream starts again as text",
     "A column of a type came up whose binary form is not understood.",
     "Nothing: it continues by itself. `sluice status` names the column."},
    {"SLU-3092", "gave up reconnecting",
     "The source could not be reached for as long as --retry-for allows.",
     "See the reason in the message; nothing is lost, start again when the source is there."},
    {"SLU-3093", "the log is read in the other way",
     "Far behind the log is read by SQL, else as a stream; the message says why it changes.",
     "Nothing: it continues by itself. --catch-up-from says from when on."},
    {"SLU-3101", "a replication message is malformed",
     "The server, or something between, sent a message that is cut off, too long, or has a field "
     "out of its range.",
     "Start again: the stream resumes at the last durable position. If it comes again, report it "
     "with the server's version."},
    {"SLU-3102", "a replication message that was not asked for",
     "The server sent a kind of message that belongs to an option Sluice does not use, such as "
     "two-phase commit, or to a newer protocol.",
     "Make the slot again without two_phase; else report it with the server's version."},
    {"SLU-3103", "a replication message in the wrong place",
     "The order of the server's messages makes no sense: for instance a row outside of a "
     "transaction, or the commit of a transaction that never began.",
     "Start again: the stream resumes at the last durable position. If it comes again, report it."},
    {"SLU-3104", "a change of a table that was not described",
     "The server sends a table's shape before its first change; this one had none.",
     "Start again: the stream resumes at the last durable position. If it comes again, report it."},
    {"SLU-3105", "the source is not the one that was copied",
     "The last transaction that the mirror has was asked for once more, and the source has another "
     "one in its place, or none: it was restored from a backup, or is another server.",
     "Check the source's address. If it is right, `sluice run` with --on-lost-slot resync or "
     "repair."},
    {"SLU-3107", "a transaction has too many changes",
     "Changes within a transaction are numbered with 32 bits; this one has more than four billion.",
     "Copy the tables again once it is over: `sluice drop`, then `sluice run` with --existing "
     "replace."},
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
     "Correct the value at the source, or let such values go (`on_misfit`: null or quarantine), "
     "then `sluice resync TABLE`. After the latter `sluice resume TABLE` is enough, where it was "
     "live."},
    {"SLU-4104", "NaN or infinity in a DECIMAL column",
     "numeric(p,s) holds NaN, Infinity and -Infinity, DECIMAL does not.",
     "Change the value at the source, declare the column as text, or let such values go "
     "(`on_misfit`: null or quarantine), then `sluice resync TABLE`. After the last `sluice resume "
     "TABLE` is enough, where it was live."},
    {"SLU-4105", "a number does not fit the column",
     "The value has more digits than the precision and scale known of the column's DECIMAL, or is "
     "beyond the range of the DOUBLE that was declared for it.",
     "Change the value at the source, declare the column as text, or let such values go "
     "(`on_misfit`: null or quarantine), then `sluice resync TABLE`. After the last `sluice resume "
     "TABLE` is enough, where it was live."},
    {"SLU-4106", "an array that is not a list",
     "A LIST has one dimension and begins at 1; the array has several dimensions or another lower "
     "bound.",
     "Change the value at the source, declare the column as text, or let such values go "
     "(`on_misfit`: null or quarantine), then `sluice resync TABLE`. After the last `sluice resume "
     "TABLE` is enough, where it was live."},
    {"SLU-4107", "an infinite interval",
     "PostgreSQL 17 and later have infinite intervals, INTERVAL has not.",
     "Change the value at the source, declare the column as text, or let such values go "
     "(`on_misfit`: null or quarantine), then `sluice resync TABLE`. After the last `sluice resume "
     "TABLE` is enough, where it was live."},
    {"SLU-4108", "a date or timestamp out of range",
     "The value lies beyond what 64-bit microseconds (or 32-bit days) since 1970 can count.",
     "Change the value at the source, declare the column as text, or let such values go "
     "(`on_misfit`: null or quarantine), then `sluice resync TABLE`. After the last `sluice resume "
     "TABLE` is enough, where it was live."},
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
    {"SLU-4114", "a value came as text, and its bytes are to be kept",
     "The column is declared as bytes, the binary form of its type, and a column of this or "
     "another "
     "table is only understood as text, so that the stream, or the copy of this table, is text.",
     "`sluice check` names such columns (SLU-1033). Declare them as bytes too, or leave them out "
     "of "
     "the publication or with `exclude`, or declare this column as text; start again, then `sluice "
     "resync TABLE`."},
    {"SLU-4120", "types are nested too deeply",
     "Domains, arrays and composites are nested more than 16 levels deep.",
     "Leave the column out with a column list in the publication."},
    {"SLU-4121", "a column's type cannot be kept as declared",
     "`types` in the config file asks for a decimal or double where the column is no numeric, for "
     "trimmed where it is no character(n), for wkb where it is no geometry or geography of "
     "PostGIS, for bytes where the type is not kept as text by default or the server has no other "
     "binary form of it, or for double or bytes where rows are found by the column.",
     "Take the line out, or declare text, which every type has."},
    {"SLU-4122", "a numeric column could be a number",
     "The column declares no digits, so that its values are kept as text. Those that were looked "
     "at "
     "would fit a DECIMAL.",
     "Put the proposed line into the config file before the first run, or leave it as text."},
    {"SLU-4123", "a type is declared for a column that is not there",
     "`types` in the config file names a column that no replicated table has.",
     "Correct the name; parts with capital letters or dots stand in double quotes."},
    {"SLU-4124", "a key column is excluded",
     "`columns: {exclude: ...}` names a column by which the table's rows are found: of its primary "
     "key or its replica identity. Without it no update and no delete finds its row.",
     "Take it out of the list, or leave the table out of the selection."},
    {"SLU-4125", "a column is excluded that is not there",
     "`columns: {exclude: ...}` of a table names a column that it does not have. A column that was "
     "renamed before it was ever excluded would be copied under its new name.",
     "Correct the name in the config file."},
    {"SLU-4202", "rows of an older version cannot be brought to the new one",
     "A column of the key was dropped between rows of one destination transaction.",
     "Nothing: the table copies itself again."},
    {"SLU-4203", "a column of one batch is over 2 GB",
     "The values of one column in one destination transaction exceed what one Arrow column holds.",
     "Lower --batch-bytes."},
    {"SLU-4207", "the table is copied again",
     "It was altered in a way that the stream does not tell exactly: its rows were rewritten, a "
     "type "
     "changed, a label of an enum was renamed, or several alterations came before their rows.",
     "Nothing: its old contents stay readable until the copy is in. docs/operations.md says which "
     "changes are followed in place."},
    {"SLU-4208", "the table waits for its next copy",
     "It was altered again and again in ways that only a copy follows: 3 copies in 10 minutes are "
     "made, the next one waits, and the source is spared.",
     "Nothing: it is copied when the time has come, and readable as it was until then. `sluice "
     "resync TABLE` begins at once."},
    {"SLU-4210", "a table lost its replica identity",
     "Its primary key or identity index was dropped. Published without one, its own UPDATE and "
     "DELETE would fail, so it was taken out of the publication.",
     "Give it a primary key or REPLICA IDENTITY FULL; it is then published and copied again."},
    {"SLU-4211", "a table was dropped at the source",
     "Its rows stay at the destination as they were when it was dropped.",
     "Nothing. A new table of the same name is copied and replaces them. DROP TABLE them in the "
     "mirror, with sluice stopped, where nobody needs them."},
    {"SLU-4212", "a table left the pipeline",
     "It was renamed or moved out of the selection, became a partition, or was taken out of the "
     "publication. Its rows stay at the destination as they were then.",
     "Select or publish it again; it is then copied again."},
    {"SLU-4213", "the changes of a halted table are not kept",
     "Some of them came in a form that cannot be kept. Or, at a start, `on_misfit` is another for "
     "columns that let values go, or a column is excluded that was not when the table halted.",
     "Copy it again when its cause is mended: sluice resync TABLE."},
    {"SLU-4214", "a halted table has more changes than may be kept",
     "They are kept up to --keep-halted, all tables together, and a tenth of the free disk.",
     "Copy it again when its cause is mended: sluice resync TABLE."},
    {"SLU-4215", "a table halted too long ago", "Its changes are kept for --keep-halted-for.",
     "Copy it again when its cause is mended: sluice resync TABLE."},
    {"SLU-4216", "a copy in ranges of the key begins again",
     "The table was truncated or altered meanwhile, a range has far more rows than the statistics "
     "say, or a row moved between ranges without a large value that the server did not send; its "
     "contents stay readable.",
     "Nothing: the copy goes on."},
    {"SLU-4217", "what was inserted into a table meanwhile is lost",
     "Slot and publication were made anew (--on-lost-slot). A table with mode append misses what "
     "was inserted in between, and a copy would take away the rows that the source has deleted.",
     "Keep those rows as a table of your own if they matter, then sluice resync TABLE."},
    {"SLU-4501", "verify cannot read what the source sent",
     "The rows that `sluice verify` reads from the source by COPY are cut off, or are not of the "
     "types in the catalog.",
     "Run it again. If it comes back, a proxy or pooler between Sluice and PostgreSQL changes what "
     "passes through it, or the table is being altered."},
    // 5nnn destination and state
    {"SLU-5001", "the destination file is held by somebody else",
     "DuckDB lets one process hold a file that is written.",
     "End the process that the message names. While sluice runs, ask it: sluice sql, sluice "
     "status."},
    {"SLU-5002", "not a DuckDB file", "The path names something else, or an empty file.",
     "Name another path, or remove the file."},
    {"SLU-5003", "the folder of the destination cannot be used",
     "It does not exist, or this user may not write there. A log is kept beside the file.",
     "Make the folder, or give this user the right to write there."},
    {"SLU-5004", "a newer writer has taken over",
     "Another sluice opened this destination after this one and took the next epoch; an older "
     "writer may not commit.",
     "Let one of the two go on. If the other is gone for good, start this one again."},
    {"SLU-5005", "a commit's outcome is unknown", "The destination broke off while it committed.",
     "Nothing: it is opened again, and its position says what is in."},
    {"SLU-5006", "the destination does not make commits durable",
     "Earlier commits were accepted and not made durable for ten minutes.",
     "Look at the destination; nothing was acknowledged, nothing is lost."},
    {"SLU-5007", "the file belongs to another pipeline", "One file belongs to one pipeline.",
     "Use --pipeline with the name in the message, or another file."},
    {"SLU-5008", "the file holds a copy of another source",
     "Its system identifier is not that of the server that was connected to.",
     "Use the source it was copied from, or another file."},
    {"SLU-5009", "the file was written by a newer version of Sluice",
     "Its tables in schema sluice have a format number that this version does not know.",
     "Install the version that the message names, or a later one."},
    {"SLU-5010", "the file is in a newer format of DuckDB",
     "Another program wrote it with a storage version that this DuckDB cannot read.",
     "Write it again with STORAGE_VERSION 'v1.2.0'."},
    {"SLU-5011", "there is no such destination file", "Nothing was copied there yet.",
     "`sluice run` or `sluice copy` makes it."},
    {"SLU-5012", "the destination's disk is full",
     "DuckDB could not write its file, its log or its temporary files.",
     "Free space and start again. Nothing was acknowledged that is not in the file."},
    {"SLU-5013", "schema sluice in the file is somebody else's",
     "The file has a schema of this name without our tables in it.",
     "Rename that schema, or use another file."},
    {"SLU-5014", "DuckDB refused a statement", "The message says which, and has DuckDB's words.",
     "Start again; report it if it comes back. Where DuckDB says that the file is corrupt or ends "
     "too early, restore it from a backup, or copy again into another one."},
    {"SLU-5015", "DuckDB gave up after an earlier error",
     "After some errors DuckDB takes no more statements until the file is opened again.",
     "Nothing: Sluice opens it again and goes on. The error before this one is the cause."},
    {"SLU-5016", "the state in the file cannot be read",
     "Something else changed the tables in schema sluice, or the file is damaged.",
     "Restore the file, or copy again into another one."},
    {"SLU-5017", "the destination file cannot be written",
     "The file or its file system is read-only for this user.",
     "Give this user the right to read and write it."},
    {"SLU-5018", "DuckDB's share of memory is used up",
     "A statement needs more memory than DuckDB was given, and cannot use the disk instead. A run "
     "opens the file again and goes on in less, five times within an hour as long as it gets no "
     "further.",
     "Raise --memory. A statement holds 2,048 rows at a time: that many of the largest rows have "
     "to "
     "fit into half of it."},
    {"SLU-5019", "the destination file is damaged",
     "DuckDB finds bytes in it that it did not write, or a log that does not belong to it.",
     "Restore it, or remove it and copy again. Where it is a backup that was put back, remove the "
     "newer FILE.wal beside it."},
    {"SLU-5020", "the log beside the destination file is that of a newer one",
     "The file is a backup that was put back, and FILE.wal continues the file that it replaced: "
     "together they would be neither. Both are left as they are.",
     "Remove FILE.wal and start again. If it is no backup but was written anew (COPY FROM "
     "DATABASE), "
     "open it with DuckDB once, and CHECKPOINT."},
    {"SLU-5021", "a name is reserved at the destination",
     "Schemas sluice, main, temp, information_schema, pg_catalog and system, and tables whose name "
     "begins with _sluice_, cannot be mirrored under their own names.",
     "Map the schema to another name, rename the table, or leave it out with -T."},
    {"SLU-5023", "a column's name or type cannot be kept",
     "Names that begin with _sluice_ are reserved; names that differ only in case are one name in "
     "DuckDB; a composite type needs attributes with different names.",
     "Rename the column at the source, or leave the table out with -T."},
    {"SLU-5024", "a table without columns", "DuckDB has no table without a column.",
     "Add a column at the source, or leave the table out with -T."},
    {"SLU-5025", "a mirrored table was altered by hand",
     "Its columns at the destination are not those it was given.",
     "Undo the change and `sluice resume TABLE`, where changes were kept; else copy it again: "
     "sluice resync TABLE."},
    {"SLU-5026", "a table is too wide for DuckDB's share of memory",
     "While rows are added DuckDB holds 512 KiB for each of its columns, more for nested types, "
     "and "
     "none of it can go to disk.",
     "Raise --memory and start again, then: sluice resume TABLE, or sluice resync TABLE. Or leave "
     "the table out with -T."},
    {"SLU-5027", "a change of a table's shape cannot be followed",
     "Columns are dropped, renamed, widened and added in place. Another order, another type, no "
     "column "
     "left, or an index of yours on the table takes a copy.",
     "Nothing: the table copies itself again."},
    {"SLU-5028", "a table's shape changed inside a large transaction",
     "Rows of the table came before the change in one transaction of the source, too large to be "
     "taken at once; DuckDB does not take changes of shape after rows.",
     "Nothing: the table copies itself again."},
    {"SLU-5029", "somebody is still reading the file",
     "A reader or a copy did not end in time, so the file was not closed in good order.",
     "Nothing: the next start finishes it."},
    {"SLU-5030", "not a single statement that reads",
     "`sluice sql` lets one SELECT (WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN) "
     "through.",
     "Send one statement at a time. To change the file, stop sluice and use DuckDB."},
    {"SLU-5031", "a query ran longer than its time limit", "Readers hold back the writer's upkeep.",
     "Make the query smaller."},
    {"SLU-5032", "a query has more rows than its limit", "The limit bounds what one query sends.",
     "Add a LIMIT."},
    {"SLU-5033", "a query failed", "DuckDB's own words say why.", "Correct the query."},
    {"SLU-5040", "a value does not fit into DuckDB's type",
     "It is outside the range of the type, has more digits than declared, or is not UTF-8.",
     "Correct the value at the source, then: sluice resync TABLE."},
    {"SLU-5041", "values too large to read back at once",
     "2,048 rows hold more than 2 GiB in one column.", "Leave the column out of the comparison."},
    {"SLU-5050", "the destination keeps no rows",
     "null: does all the work and keeps nothing but the position.",
     "Use a destination with rows to read or compare them."},
    {"SLU-5101", "the state file is not a state file of Sluice, or is damaged",
     "It is not an SQLite database, belongs to another program, or what it holds cannot be read.",
     "Use another --state directory, or put the file aside and copy again."},
    {"SLU-5102", "the state file cannot be opened or written",
     "Its directory is missing, read-only, or belongs to another user.",
     "Make it writable for this user, or use --state DIR."},
    {"SLU-5103", "the state file was written by a newer version",
     "It has a format number that this version does not know.",
     "Install the version that the message names, or a later one."},
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
     "Another source table is already mirrored under this name, or under one that differs in case "
     "only; or the log of one (t__history) has the name of another.",
     "Leave one of them out with -T, or give one another name by `names` in the config file."},
    {"SLU-5116", "a destination table was not made by Sluice",
     "A table of this name exists already, and would be overwritten.",
     "--existing replace drops it, --existing adopt goes on with it."},
    {"SLU-6020", "memory ran out", "A change set could not be held.",
     "Give more with --memory, or smaller sets with --batch-bytes."},
    // 6nnn this machine
    {"SLU-6101", "the spill file cannot be made",
     "Large transactions and held changes go to a file in the state directory; it does not exist, "
     "may not be written, or the limit of open files is reached.",
     "Correct the directory's rights, or choose another one with --state DIR."},
    {"SLU-6102", "the disk is full",
     "The disk of the state directory has no room for the changes that do not fit in memory.",
     "Free space there, or choose another disk with --state DIR; then start again. Nothing is "
     "lost: the source keeps what is not durable."},
    {"SLU-6103", "the spill file cannot be written",
     "The operating system refused to write; the message has its reason.",
     "Look at the system's log for disk errors; then start again. Nothing is lost: the source "
     "keeps what is not durable."},
    {"SLU-6104", "the spill file cannot be read back",
     "What was written there came back differently, or not at all: the disk or the memory of this "
     "machine is at fault.",
     "Look at the system's log for disk errors; then start again. Nothing is lost: the source "
     "keeps what is not durable."},
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
