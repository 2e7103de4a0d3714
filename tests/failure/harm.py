#!/usr/bin/env python3
"""What the source notices of a slow copy under load: hardly anything.

A proxy lets each COPY through at 1 MB/s only, so that a table is copied for long; meanwhile pgbench and other WAL go
on. Looked at five times a second: the WAL that the slot keeps, how old the oldest snapshot of sluice is, how many
connections it has. Afterwards: no statement of the application failed, both sides are equal.

  harm.py --sluice build/dev/sluice --megabytes 30
"""
import re
import signal
import subprocess
import threading
import time
import traceback

from fault_proxy import FaultProxy
from rig import Failure, Results, Rig, parser

BYTES_PER_SECOND = 1 << 20
RETAINED_MAX_MIB = 32
WORKERS = 2

LOOK = """
SELECT coalesce((SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) FROM pg_replication_slots), 0),
       coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)) FILTER (WHERE backend_xmin IS NOT NULL), 0),
       count(*) FROM pg_stat_activity
WHERE application_name LIKE 'sluice/%'"""


class Watch(threading.Thread):
    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.retained, self.snapshot, self.connections, self.error = 0.0, 0.0, 0, ""
        self.stopped = threading.Event()

    def run(self):
        try:
            while not self.stopped.wait(0.2):
                retained, snapshot, connections = self.server.sql(LOOK).split("|")
                self.retained = max(self.retained, float(retained) / (1 << 20))
                self.snapshot = max(self.snapshot, float(snapshot))
                self.connections = max(self.connections, int(connections))
        except Exception:
            self.error = traceback.format_exc()


class Application:
    """pgbench, and WAL of something else; leaving it ends both, and `said` is what pgbench had to say."""

    def __init__(self, server):
        self.server, self.said = server, ""

    def __enter__(self):
        # What lets a slot that is read let go of WAL is else written every 15 s only.
        snapshot = "IF i % 20 = 0 THEN PERFORM pg_log_standby_snapshot(); END IF; " if self.server.major >= 16 else ""
        url = self.server.url()
        self.bench = subprocess.Popen(["pgbench", "-n", "-c", "2", "-T", "3600", "-R", "100", url], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True)
        self.noise = subprocess.Popen(
            ["psql", "-Xq", url, "-c", f"DO $$ BEGIN FOR i IN 1..36000 LOOP {snapshot}PERFORM pg_logical_emit_message(false, 'noise', "
             "repeat(md5(i::text), 6000)); PERFORM pg_sleep(0.1); COMMIT; END LOOP; END $$"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, kind, error, trace):
        for process in (self.noise, self.bench):
            process.send_signal(signal.SIGINT)
        self.noise.wait()
        self.said = self.bench.communicate()[0]


def one_run(options, _, results):
    with Rig("harm", options) as rig:
        server = rig.server
        # Made and analyzed before: a large table of an application.
        server.sql(f"""CREATE TABLE big (id bigint PRIMARY KEY, a text NOT NULL);
                       INSERT INTO big SELECT i, repeat('x', 900) FROM generate_series(1, {options.megabytes} * 1024) i""")
        server.sql("VACUUM ANALYZE big")
        subprocess.run(["pgbench", "-i", "-q", "-s", "1", server.url()], check=True, capture_output=True, text=True)
        server.sql("ALTER TABLE pgbench_history ADD COLUMN id bigserial PRIMARY KEY")
        proxy = FaultProxy(server.port)
        proxy.copy_rate = BYTES_PER_SECOND
        rig.source = server.url(proxy.port, "?sslmode=disable")
        with Application(server) as application:
            before = server.sql("SELECT pg_current_wal_lsn()").strip()
            watch = Watch(server)
            watch.start()
            began = time.monotonic()
            code = rig.start("--until", "copied", "--copy-workers", str(WORKERS), "--copy-range", "2MiB").wait(timeout=900)
            seconds = time.monotonic() - began
            watch.stopped.set()
            watch.join()
            written = float(server.sql(f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{before}')")) / (1 << 20)
        if watch.error:
            raise Failure(watch.error)
        rig.source = server.url()
        verified, _ = rig.verify()
        proxy.close()
        print(f"copied for {seconds:.0f} s while {written:.0f} MiB of WAL were written; the slot kept at most {watch.retained:.0f} MiB, the "
              f"oldest snapshot was {watch.snapshot:.1f} s old, at most {watch.connections} connections", flush=True)
        results.check("it was copied", code == 0, rig.log()[-3000:])
        results.check("slowly", seconds > options.megabytes / WORKERS / 2)
        results.check("more WAL was written than may be kept", written > RETAINED_MAX_MIB)
        results.check(f"the slot kept less than {RETAINED_MAX_MIB} MiB", watch.retained < RETAINED_MAX_MIB)
        results.check("no snapshot was held for a third of the copy", watch.snapshot < seconds / 3)
        results.check("no more connections than docs/operations.md says", watch.connections <= 6 + 2 * WORKERS)
        results.check("no statement of the application failed", not re.search(r"ERROR|aborted", application.said), application.said[-1500:])
        results.check("both sides are equal", verified.returncode == 0, verified.stdout[-1000:] + verified.stderr[-1000:])


def main():
    options = parser(__doc__, memory="512MiB")
    options.add_argument("--megabytes", type=int, default=30)
    with Results("harm") as results:
        results.seeds(one_run, options.parse_args(), results)


if __name__ == "__main__":
    main()
