#!/usr/bin/env python3
"""What the source notices of a slow copy under load: hardly anything.

    scripts/with-postgres 17 -- tests/failure/harm.py --sluice PROGRAM [--megabytes N]     (URL in SLUICE_TEST_PG)

A proxy lets each COPY through at 1 MB/s only, so that a table is copied for long; meanwhile pgbench and other WAL go
on. Looked at five times a second: the WAL that the slot keeps, how old the oldest snapshot of sluice is, how many
connections it has. Afterwards: no statement of the application failed, both sides are equal. Prints the figures and
closes with "N passed, N failed".
"""

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from urllib.parse import urlparse

BYTES_PER_SECOND = 1 << 20
RETAINED_MAX_MIB = 64
WORKERS = 2


def psql(url, sql):
    done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", url, "-c", sql], check=True, capture_output=True,
                          text=True)
    return done.stdout.strip()


class SlowCopies:
    """A proxy; what a connection receives after it has sent a COPY comes slowly."""

    def __init__(self, server):
        self.server = server
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            upstream = socket.create_connection(self.server)
            is_copy = threading.Event()
            threading.Thread(target=self.pump, args=(client, upstream, lambda data: b"COPY " in data and is_copy.set()),
                             daemon=True).start()
            threading.Thread(target=self.pump, args=(upstream, client, lambda data: is_copy.is_set() and
                             time.sleep(len(data) / BYTES_PER_SECOND)), daemon=True).start()

    @staticmethod
    def pump(source, target, before):
        try:
            while data := source.recv(1 << 16):
                before(data)
                target.sendall(data)
        except OSError:
            pass
        for conn in (source, target):
            try:
                conn.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


LOOK = """
SELECT coalesce((SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) FROM pg_replication_slots), 0),
       coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)) FILTER (WHERE backend_xmin IS NOT NULL), 0),
       count(*) FROM pg_stat_activity
WHERE application_name LIKE 'sluice/%'"""


class Watch(threading.Thread):
    def __init__(self, url):
        super().__init__(daemon=True)
        self.url = url
        self.retained, self.snapshot, self.connections = 0.0, 0.0, 0
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.wait(0.2):
            retained, snapshot, connections = psql(self.url, LOOK).split("|")
            self.retained = max(self.retained, float(retained) / (1 << 20))
            self.snapshot = max(self.snapshot, float(snapshot))
            self.connections = max(self.connections, int(connections))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--megabytes", type=int, default=30)
    arguments = parser.parse_args()
    url = os.environ["SLUICE_TEST_PG"]
    parts = urlparse(url)
    folder = tempfile.mkdtemp(prefix="sluice-harm-")
    # Made and analyzed before: a large table of an application.
    psql(url, f"""CREATE TABLE big (id bigint PRIMARY KEY, a text NOT NULL);
                  INSERT INTO big SELECT i, repeat('x', 900) FROM generate_series(1, {arguments.megabytes} * 1024) i""")
    psql(url, "VACUUM ANALYZE big")
    subprocess.run(["pgbench", "-i", "-q", "-s", "1", url], check=True, capture_output=True)
    psql(url, "ALTER TABLE pgbench_history ADD COLUMN id bigserial PRIMARY KEY")
    bench = subprocess.Popen(["pgbench", "-n", "-c", "2", "-T", "600", "-R", "100", url], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    noise = subprocess.Popen(
        ["psql", "-Xq", url, "-c", "DO $$ BEGIN FOR i IN 1..6000 LOOP PERFORM pg_logical_emit_message(false, 'noise', "
         "repeat(md5(i::text), 6000)); PERFORM pg_sleep(0.1); COMMIT; END LOOP; END $$"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    proxy, watch = SlowCopies((parts.hostname, parts.port)), Watch(url)
    common = ["--pipeline", "harm", "--state", folder]
    wal_before = psql(url, "SELECT pg_current_wal_lsn()")
    began = time.monotonic()
    watch.start()
    with open(f"{folder}/log", "w") as log:
        done = subprocess.run(
            [arguments.sluice, "run", f"postgres://{parts.username}@127.0.0.1:{proxy.port}{parts.path}?sslmode=disable",
             f"{folder}/m.duckdb", *common, "--http", "off", "--progress", "off", "--until", "copied", "--copy-workers",
             str(WORKERS), "--copy-range", "2MiB"], stdout=log, stderr=log, timeout=900)
    seconds = time.monotonic() - began
    watch.stopped.set()
    watch.join()
    written = float(psql(url, f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{wal_before}')")) / (1 << 20)
    noise.send_signal(signal.SIGINT)
    noise.wait()
    bench.send_signal(signal.SIGINT)
    said = bench.communicate()[0]
    verified = subprocess.run([arguments.sluice, "verify", url, f"{folder}/m.duckdb", *common], capture_output=True,
                              text=True)
    print(f"copied for {seconds:.0f} s while {written:.0f} MiB of WAL were written; the slot kept at most "
          f"{watch.retained:.0f} MiB, the oldest snapshot was {watch.snapshot:.1f} s old, at most {watch.connections} "
          "connections")
    results = {
        "it was copied": done.returncode == 0,
        "slowly": seconds > arguments.megabytes / WORKERS / 2,
        "more WAL was written than may be kept": written > RETAINED_MAX_MIB or arguments.megabytes < 60,
        f"the slot kept less than {RETAINED_MAX_MIB} MiB": watch.retained < RETAINED_MAX_MIB,
        "no snapshot was held for a third of the copy": watch.snapshot < seconds / 3,
        "no more connections than docs/operations.md says": watch.connections <= 6 + 2 * WORKERS,
        "no statement of the application failed": not re.search(r"ERROR|aborted", said),
        "both sides are equal": verified.returncode == 0,
    }
    for what, good in results.items():
        print(f"{'ok    ' if good else 'FAILED'} {what}")
    failed = list(results.values()).count(False)
    if failed:
        print(said[-1500:], verified.stdout[-1000:], verified.stderr[-1000:])
        with open(f"{folder}/log") as log:
            print(log.read()[-3000:])
    shutil.rmtree(folder)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
