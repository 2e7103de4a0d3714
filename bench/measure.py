#!/usr/bin/env python3
"""Measures sluice against psql (copy) and pg_recvlogical (stream) at the server that PGHOST and PGPORT name.

Every comparison alternates its contenders in each round and compares medians, so that a busy machine hits both. TCP
without TLS, binary on both sides. A program's time is its whole life, start and connection included.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

PG_BIN = "/usr/lib/postgresql/15/bin"


def run(arguments, **options):
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))}\nended with {done.returncode}\n{done.stderr[-4000:]}")
    return done.stdout.strip()


def timed(arguments):
    started = time.monotonic()
    run(arguments)
    return time.monotonic() - started


class Bench:
    def __init__(self, options):
        self.sluice = os.path.abspath(options.sluice)
        self.work = pathlib.Path(options.work)
        self.quick = options.quick
        self.rounds = 3 if options.quick else 5
        self.results = []
        self.source = f"postgres://postgres@{os.environ['PGHOST']}:{os.environ['PGPORT']}/bench?sslmode=disable"
        os.environ.update(SLUICE_HTTP="off", SLUICE_PROGRESS="off", PGDATABASE="bench")

    def sql(self, text):
        return run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", text])

    def report(self, name, rows, baseline, times, target):
        medians = {who: statistics.median(values) for who, values in times.items()}
        for who, median in medians.items():
            ratio = medians[baseline] / median
            goal = "" if who not in target else f"  (asked: {target[who]:.0%})"
            mark = "" if who == baseline else f"  {ratio:6.0%} of {baseline}{goal}"
            print(f"  {who:28} {rows / median / 1e6:7.2f} M rows/s  {median:7.2f} s{mark}", flush=True)
            self.results.append({"case": name, "who": who, "rows": rows, "seconds": times[who], "median": median,
                                 "ratio": ratio, "target": target.get(who)})

    def sluice_run(self, name, destination, until, extra=()):
        return [self.sluice, "run", self.source, destination, "--pipeline", name, "--state",
                str(self.work / ("state_" + name)), "--until", until, "--quiet", *extra]

    def drop(self, name, destination):
        run([self.sluice, "drop", self.source, destination, "--pipeline", name, "--state",
             str(self.work / ("state_" + name)), "--yes"])

    def copy(self):
        rows = 1_000_000 if self.quick else 5_000_000
        print(f"copy of {rows:,} narrow rows", flush=True)
        self.sql(f"CREATE TABLE narrow (id bigint PRIMARY KEY, a int, b float8, c text, d timestamptz); "
                 f"INSERT INTO narrow SELECT i, i % 1000, i / 3.0, 'text ' || i, now() FROM generate_series(1, {rows}) i")
        self.sql("VACUUM (FREEZE, ANALYZE) narrow")
        times = {"psql \\copy binary": [], "sluice into null": [], "sluice into DuckDB": []}
        file = self.work / "copy.duckdb"
        for _ in range(self.rounds):
            times["psql \\copy binary"].append(
                timed(["psql", "-qX", "-c", "\\copy narrow to '/dev/null' (format binary)"]))
            for who, destination, name in (("sluice into null", "null:", "copy_null"),
                                           ("sluice into DuckDB", str(file), "copy_duckdb")):
                times[who].append(timed(self.sluice_run(name, destination, "copied", ["-t", "public.narrow"])))
                self.drop(name, destination)
                shutil.rmtree(self.work / ("state_" + name), ignore_errors=True)
            file.unlink(missing_ok=True)
        self.report("copy", rows, "psql \\copy binary", times,
                    {"sluice into null": 0.8, "sluice into DuckDB": 0.5})
        self.sql("DROP TABLE narrow")

    def stream(self, title, rows, setup, write):
        """write() makes `rows` changes; each round writes once and both programs drain it, in turns of order."""
        print(f"stream: {title}, {rows:,} rows", flush=True)
        self.sql(setup)
        state = self.work / "state_stream"
        run(self.sluice_run("stream", "null:", "caught-up"))
        publication = self.sql("SELECT pubname FROM pg_publication WHERE pubname LIKE 'sluice%'")
        self.sql("SELECT pg_create_logical_replication_slot('baseline', 'pgoutput')")
        times = {"pg_recvlogical": [], "sluice into null": []}
        for number in range(self.rounds):
            write()
            self.sql("CHECKPOINT")
            end = self.sql("SELECT pg_current_wal_flush_lsn()")
            contenders = [
                ("pg_recvlogical", [f"{PG_BIN}/pg_recvlogical", "-d", "bench", "-S", "baseline", "--start", "-f",
                                    "/dev/null", "--endpos", end, "-o", "proto_version=2", "-o", "binary=true", "-o",
                                    "streaming=true", "-o", f"publication_names={publication}"]),
                ("sluice into null", self.sluice_run("stream", "null:", end)),
            ]
            for who, command in contenders[::1 if number % 2 == 0 else -1]:
                # Something must follow the end, or both would wait for the next keepalive.
                self.sql("SELECT pg_logical_emit_message(false, 'bench', '')")
                times[who].append(timed(command))
        self.report(f"stream: {title}", rows, "pg_recvlogical", times, {"sluice into null": 1.0})
        self.sql("SELECT pg_drop_replication_slot('baseline')")
        self.drop("stream", "null:")
        shutil.rmtree(state, ignore_errors=True)

    def streams(self):
        large = 200_000 if self.quick else 1_000_000
        small = 50_000 if self.quick else 200_000
        table = "CREATE TABLE {} (id bigserial PRIMARY KEY, a int, b float8, c text, d timestamptz DEFAULT now())"
        insert = "INSERT INTO {} (a, b, c) SELECT i, i / 3.0, 'text ' || i FROM generate_series(1, {}) i"

        def in_transactions(name, rows, size):
            self.sql(f"DO $$ BEGIN FOR k IN 1..{rows // size} LOOP {insert.format(name, size)}; COMMIT; "
                     f"END LOOP; END $$")

        self.stream("transactions of 1,000 rows", large, table.format("thousands"),
                    lambda: in_transactions("thousands", large, 1000))
        self.stream("transactions of 1 row", small, "DROP TABLE thousands; " + table.format("ones"),
                    lambda: in_transactions("ones", small, 1))
        self.sql("DROP TABLE ones")
        run([f"{PG_BIN}/pgbench", "-i", "-q", "-s", "10"])
        transactions = 2_000 if self.quick else 10_000
        self.stream("pgbench, 4 rows a transaction", transactions * 8 * 4,
                    "ALTER TABLE pgbench_history REPLICA IDENTITY FULL",
                    lambda: run([f"{PG_BIN}/pgbench", "-n", "-c", "8", "-j", "2", "-t", str(transactions)]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--json", required=True)
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds")
    bench = Bench(parser.parse_args())
    run(["psql", "-qX", "-d", "postgres", "-c", "CREATE DATABASE bench"])
    bench.copy()
    bench.streams()
    options = parser.parse_args()
    pathlib.Path(options.json).write_text(json.dumps({"results": bench.results}, indent=1), encoding="utf-8")
    missed = [r for r in bench.results if r["target"] and r["ratio"] < r["target"]]
    print(f"results in {options.json}; {len(missed)} below what is asked")


if __name__ == "__main__":
    main()
