#!/bin/sh
# Captures pgoutput messages from a server with wal_level logical: binary.txt, text.txt (not streamed) and
# streamed.txt (every transaction streamed at once). One message a line: LSN, xid, the bytes in hex.
#     PGHOST=... PGPORT=... PGUSER=... ./capture.sh
# It makes a database and an origin of its own, and removes both.
set -eu
cd "$(dirname "$0")"
db=sluice_golden
peek() {  # name, options...
  name=$1; shift
  psql -XqAt -F ' ' -v ON_ERROR_STOP=1 -d $db -o "$name.txt" <<SQL
SET debug_logical_replication_streaming = $1;
SELECT lsn, xid, encode(data, 'hex')
FROM pg_logical_slot_peek_binary_changes('golden', NULL, NULL, 'proto_version', '2', 'publication_names', 'golden',
  'messages', 'true', 'binary', '$2', 'streaming', '$3');
SQL
}
psql -Xqd postgres -v ON_ERROR_STOP=1 -c "DROP DATABASE IF EXISTS $db" -c "CREATE DATABASE $db"
psql -Xqd $db -v ON_ERROR_STOP=1 -f workload.sql >/dev/null
peek binary buffered true off
peek text buffered false off
peek streamed immediate true on
psql -Xqd $db -c "SELECT pg_drop_replication_slot('golden')" -c "SELECT pg_replication_origin_drop('golden_origin')" >/dev/null
psql -Xqd postgres -c "DROP DATABASE $db"
