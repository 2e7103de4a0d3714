# Sourced by the demo: a PostgreSQL of their own from the cache folder. Needs common.sh.
#   start_server FOLDER [SETTING=VALUE ...]   sets PGHOST, PGPORT, PGUSER
#   stop_server                               only the server started here, by its own process id
server_pid=""

# PostgreSQL refuses to run as root. The server ends with the script, also when that is killed.
as_server_user=(setpriv --pdeathsig=QUIT --)
if [[ "$(id -u)" == 0 ]]; then as_server_user=(setpriv --reuid=nobody --regid=nogroup --clear-groups --pdeathsig=QUIT --); fi

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_server() {
  local folder="$1" bin="$SLUICE_CACHE/postgres-17.10/native/bin" setting settings=() tries
  shift
  mkdir -p "$folder"
  if [[ "$(id -u)" == 0 ]]; then chown nobody:nogroup "$folder"; fi
  (cd / && "${as_server_user[@]}" "$bin/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C --no-sync) >"$folder.initdb.log" 2>&1 ||
    { cat "$folder.initdb.log" >&2; fail "initdb failed"; }
  export PGHOST=127.0.0.1 PGUSER=postgres PGSSLMODE=disable
  PGPORT="$(free_port)"
  export PGPORT
  for setting in "$@"; do settings+=(-c "$setting"); done
  (cd / && exec "${as_server_user[@]}" "$bin/postgres" -D "$folder/data" -p "$PGPORT" -k "$folder" -c listen_addresses=127.0.0.1 \
    -c wal_level=logical -c max_prepared_transactions=10 "${settings[@]}" >"$folder.log" 2>&1) &
  server_pid=$!
  for ((tries = 0; tries < 300; ++tries)); do
    if psql -qAtX -d postgres -c 'SELECT 1' >/dev/null 2>&1; then return 0; fi
    kill -0 "$server_pid" 2>/dev/null || { tail -n 20 "$folder.log" >&2; fail "PostgreSQL did not start"; }
    sleep 0.1
  done
  fail "PostgreSQL did not start in time"
}

stop_server() {
  [[ -n "$server_pid" ]] || return 0
  kill -INT "$server_pid" 2>/dev/null || true
  wait "$server_pid" 2>/dev/null || true
  server_pid=""
}
