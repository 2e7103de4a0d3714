#!/usr/bin/env python3
"""Measures sluice beside psql, pg_recvlogical and a native subscription, on servers that it starts, and says which goals are reached.

Results go to a JSON file case by case; cases that do not run keep what the file has. docs/performance.md tells how each is made.
"""
import argparse
import json
import os
import pathlib
import platform
import shutil
import signal
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "tests" / "failure")]

import cases  # noqa: E402
import plots  # noqa: E402
import report  # noqa: E402
from contenders import sql  # noqa: E402
from rig import Server  # noqa: E402
from timing import run  # noqa: E402

# Nothing is lost when the machine stays up, and nothing works beside what is measured.
SETTINGS = """
fsync=off
autovacuum=off
shared_buffers=3GB
max_wal_size=16GB
checkpoint_timeout=1h
logical_decoding_work_mem=64MB
max_replication_slots=50
max_wal_senders=50
ssl=off
"""


class Bench:
    """What every case is given: the program, the servers, a folder, and how much to do."""

    def __init__(self, options, folder):
        self.sluice = str(pathlib.Path(options.sluice).resolve())
        self.work, self.version = folder, options.version
        self.is_quick, self.is_long = options.quick, options.long
        self.repeats = options.repeats
        self.servers = []
        self.server = self._server("source", SETTINGS)

    def _server(self, name, settings):
        self.servers.append(Server(str(self.work / name), self.version, settings))
        return self.servers[-1]

    def subscriber(self):
        """The server of the native subscription. It keeps what it has on disk, as DuckDB does."""
        if len(self.servers) == 1:
            self._server("subscriber", SETTINGS.replace("fsync=off", "fsync=on"))
        return self.servers[1]

    def size(self, usual, quick):
        return quick if self.is_quick else usual

    def stop(self):
        for server in self.servers:
            server.stop("immediate")


def machine():
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"processors": os.cpu_count(), "model": model, "memory_gib": round(memory, 1), "kernel": platform.release()}


def _end(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not keep the servers from being stopped
    sys.exit(143)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", required=True, help="a release build")
    parser.add_argument("--version", default="17", help="of PostgreSQL")
    parser.add_argument("--json", required=True, help="where results are, and are added")
    parser.add_argument("--only", action="append", metavar="CASE", choices=sorted(cases.CASES), help=", ".join(cases.CASES))
    parser.add_argument("--quick", action="store_true", help=f"fewer rows, and unless --only says more: {', '.join(cases.QUICK)}")
    parser.add_argument("--long", action="store_true", help="latency for 10 minutes")
    parser.add_argument("--repeats", type=int, default=3, help="undisturbed runs of each contender")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    path = pathlib.Path(options.json)
    signal.signal(signal.SIGTERM, _end)
    os.environ["SLUICE_LOG_FORMAT"] = "text"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bench-"))
    folder.chmod(0o755)
    bench = Bench(options, folder)
    try:
        about = {"machine": machine(), "server": sql(bench.server, "SHOW server_version").split()[0],
                 "sluice": run([bench.sluice, "--version"]).splitlines()[0], "quick": options.quick}
        for name in options.only or (cases.QUICK if options.quick else cases.CASES):
            began = time.monotonic()
            found = report.as_json(cases.CASES[name](bench), about)
            report.show(name, found, time.monotonic() - began)
            report.keep(path, name, found, cases.CASES)
    finally:
        bench.stop()
        shutil.rmtree(folder, ignore_errors=True)
    kept = json.loads(path.read_text(encoding="utf-8"))
    plots.write(kept, path.with_name("picture.svg"))
    report.conclude(kept, path)


if __name__ == "__main__":
    main()
