#!/usr/bin/env python3
"""What sluice adds to the commits of an application: pgbench at a fixed rate, in rounds with sluice and without it by turns.

Its own transaction on its own tables, on a server that waits for the disk as it does by default. Each round begins behind a
checkpoint with nothing left to read for sluice; in the rounds without it its slot stays. Read is pgbench's log: each
transaction from its BEGIN to the answer of its COMMIT, without what it waited for its turn. Told are the percentiles of all
rounds and the median over pairs of rounds of the added p99, as one round may have met something else on the machine. No
statement may fail; the time fails only where the p99 is more than --times as long and longer by --grace milliseconds, in --pairs
pairs and in as many again: here sluice and the server share the processors, so that a few milliseconds are theirs.

  latency.py --sluice build/release/sluice --pairs 8 --round 10
"""
import pathlib
import re
import statistics
import subprocess

from rig import Failure, Results, Rig, parser, wait_for

WARM_UP = 0.2  # the first part of a round, not counted


def percentile(times, part):
    ranked = sorted(times)
    return ranked[min(len(ranked) - 1, int(len(ranked) * part))]


class Rounds:
    def __init__(self, rig, options):
        self.rig, self.options = rig, options
        self.alone, self.beside, self.added, self.transactions = [], [], [], 0

    def one(self, name):
        """Milliseconds that each transaction of a round took."""
        self.rig.server.sql("CHECKPOINT")
        logs = self.rig.folder / "pgbench" / name
        logs.mkdir(parents=True)
        done = subprocess.run(["pgbench", "-n", "-c", str(self.options.clients), "-T", str(self.options.round), "-R", str(self.options.rate), "-l",
                               f"--log-prefix={logs}/log", self.rig.server.url()], text=True, capture_output=True, check=False)
        said = done.stdout + done.stderr
        if done.returncode != 0 or re.search(r"ERROR|aborted|failed transactions: [1-9]", said):
            raise Failure(f"statements of the application failed: {said[-1500:]}")
        lines = [list(map(int, line.split())) for log in sorted(logs.iterdir()) for line in log.read_text().splitlines()]
        # The client, its count, microseconds, the script, seconds and microseconds of the day, microseconds waited for its turn.
        begin = min(line[4] + line[5] / 1e6 for line in lines) + WARM_UP * self.options.round
        times = [(line[2] - line[6]) / 1000 for line in lines if line[4] + line[5] / 1e6 > begin]
        self.transactions += len(lines)
        return times

    def with_sluice(self, name):
        self.rig.start()
        end = self.rig.server.sql("SELECT pg_current_wal_flush_lsn()").strip()
        wait_for("sluice has read all", lambda: self.rig.server.sql(f"SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots").strip() == "t",
                 every=0.2)
        times = self.one(name)
        if self.rig.stop() != 0:
            raise Failure(f"SIGTERM ended with {self.rig.process.returncode}: {self.rig.log()[-1500:]}")
        return times

    def pair(self):
        number = len(self.added)
        runs = [(self.one, "alone"), (self.with_sluice, "beside")]
        times = {name: run(f"{name}-{number}") for run, name in (runs if number % 2 == 0 else reversed(runs))}
        self.alone += times["alone"]
        self.beside += times["beside"]
        self.added.append(percentile(times["beside"], 0.99) / percentile(times["alone"], 0.99) - 1)

    def is_gross(self):
        alone, beside = percentile(self.alone, 0.99), percentile(self.beside, 0.99)
        return statistics.median(self.added) > self.options.times - 1 and beside > alone + self.options.grace

    def figures(self):
        def both(part):
            return f"p{part * 100:g} {percentile(self.alone, part):.2f} ms alone, {percentile(self.beside, part):.2f} ms beside sluice"
        return (f"added p99 {statistics.median(self.added):+.1%}, the median of {len(self.added)} pairs of rounds "
                f"({min(self.added):+.1%} to {max(self.added):+.1%}); all rounds: {both(0.5)}; {both(0.99)}; "
                f"{self.transactions} transactions, none failed")


def one_run(options, _seed):
    with Rig("latency", options) as rig:
        subprocess.run(["pgbench", "-i", "-q", "-s", str(options.scale), rig.source], check=True, capture_output=True, text=True)
        rig.server.sql("ALTER TABLE pgbench_history ADD COLUMN id bigserial PRIMARY KEY")
        rig.catch_up()
        rounds = Rounds(rig, options)
        while len(rounds.added) < options.pairs or (rounds.is_gross() and len(rounds.added) < 2 * options.pairs):
            rounds.pair()
        rig.catch_up()
        rows = rig.expect_equal(4)
        if rounds.is_gross():
            raise Failure(f"more than {options.times:g} times, and {options.grace:g} ms: {rounds.figures()}")
        return f"{rounds.figures()}; {rows} rows equal"


def main():
    options = parser(__doc__, memory="512MiB")
    options.add_argument("--pairs", type=int, default=6)
    options.add_argument("--round", type=int, default=8, help="seconds that pgbench runs in one")
    options.add_argument("--rate", type=int, default=150, help="transactions a second")
    options.add_argument("--clients", type=int, default=4)
    options.add_argument("--scale", type=int, default=4)
    options.add_argument("--times", type=float, default=2, help="it fails where the p99 is longer by this factor")
    options.add_argument("--grace", type=float, default=50, help="and by more than so many milliseconds")
    with Results("latency") as results:
        results.seeds(one_run, options.parse_args())


if __name__ == "__main__":
    main()
