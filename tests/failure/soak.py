#!/usr/bin/env python3
"""Long, mixed load: what sluice takes must stay flat, and both sides must be equal in the end.

torture.py's writers and schema changes, a table of orders whose rows come, change and go, and one that nobody touches,
none of which grows for ever; every link to the server through fault_proxy.py, which breaks one way after another;
PostgreSQL crashes now and then. sluice is killed in the first
quarter only: the other three are one process, whose memory, descriptors and threads are compared between the second
quarter and the last. In the end `sluice copy` makes a fresh copy, of which the destination's file may be twice as large.
Samples and events go into a CSV file, and a picture is made of it.

  soak.py --sluice build/dev/sluice --minutes 60
"""
import csv
import os
import pathlib
import random
import statistics
import subprocess
import threading
import time

import soak_picture
from network import FAULTS, Network
from rig import Failure, Results, Rig, parser, wait_for
from torture import LARGE, SETUP, SHAPES, Load

SETTINGS = """
shared_buffers='64MB'
logical_decoding_work_mem='1MB'
wal_sender_timeout='10s'
fsync=off
"""
ORDERS = """
create table marks (id int primary key);
create table orders (id bigint primary key, customer int not null, state text not null, amount numeric(12,2), at timestamptz, note text);
insert into orders select i, i % 5000, 'new', i % 1000, now(), repeat(md5(i::text), 4) from generate_series(1, 150000) i;
create table archive (like orders including all);
insert into archive select i, i % 5000, 'paid', i % 1000, now(), repeat(md5((-i)::text), 4) from generate_series(1, 200000) i;
"""
# What torture's writers let grow, small again; a table that is dropped and made again.
RESET = """
delete from single where id > 1000000;
begin; drop table shaped; create table shaped (id int primary key, v text); insert into shaped select i, 'w'||i from generate_series(1, 1000) i; commit;
"""
STEP = """
begin;
insert into orders select m + i, (random()*5000)::int, 'new', random()*1000, now(), repeat(md5(random()::text), 4) from generate_series(1, 500) i, (select max(id) as m from orders) x;
update orders set state = 'paid', amount = amount + 1 where customer between {0} and {0} + 20;
delete from orders where id in (select id from orders order by id limit 500);
commit;
"""
MIB = 1 << 20
NAMES = 6
WAL = """SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0),
                coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)), 0) FROM pg_replication_slots"""
FIELDS = ["seconds", "rss_mib", "descriptors", "threads", "file_mib", "log_mib", "retained_mib", "lag_mib", "lag_seconds", "event"]

# Flat: the last quarter's median is at most this much of the second's, plus so much.
FLAT = {"rss_mib": (1.1, 16), "descriptors": (1.0, 4), "threads": (1.0, 2), "file_mib": (1.25, 8)}
RETAINED_MAX_MIB = 32  # when all is applied


class Mixed(Load):
    """torture's load, and orders."""

    def __init__(self, server, seed):
        super().__init__(server, seed)
        self.begin(self.orders)

    def seldom(self):
        """A table that is gone at the source stays at the destination: the new ones take turns at a few names."""
        self.count += 1
        text = self.dice.choice([RESET, *LARGE, *LARGE, *SHAPES])
        if text.startswith("create table"):
            text = "drop table if exists added_{n}; " + text
            text = text.replace("{n}", str(self.dice.randrange(NAMES)))
        self.run(text.replace("{n}", str(self.count)))
        self.stopping.wait(self.dice.uniform(0.1, 0.6))

    def orders(self):
        self.run(STEP.format(self.dice.randrange(5000)))
        self.stopping.wait(0.3)


def size_mib(path):
    return os.path.getsize(path) / MIB if os.path.exists(path) else 0.0


class Sampler(threading.Thread):
    """A line of the CSV every few seconds, and one for each event."""

    def __init__(self, rig, path, every):
        super().__init__(daemon=True)
        self.rig, self.every, self.rows, self.began, self.lock = rig, every, [], time.monotonic(), threading.Lock()
        self.stopped, self.error = threading.Event(), None
        self.file = open(path, "w", newline="", encoding="utf-8")
        self.table = csv.DictWriter(self.file, FIELDS)
        self.table.writeheader()

    def seconds(self):
        return time.monotonic() - self.began

    def add(self, row):
        with self.lock:
            row = {"seconds": round(self.seconds(), 1), **row}
            self.rows.append(row)
            self.table.writerow(row)
            self.file.flush()

    def event(self, name):
        self.add({"event": name})

    def run(self):
        try:
            while not self.stopped.wait(self.every):
                row = self.sample()
                if row:
                    self.add(row)
        except Exception as error:
            self.error = error

    def retained(self):
        return float(self.rig.server.sql(WAL).split("|")[0]) / MIB

    def sample(self):
        """None: sluice was killed just now, or the server does not answer."""
        proc = pathlib.Path(f"/proc/{self.rig.process.pid}")
        wal = self.rig.server.sql(WAL, check=False).strip()
        try:
            status = (proc / "status").read_text()
            row = {"rss_mib": int(status.split("VmRSS:")[1].split()[0]) / 1024, "threads": int(status.split("Threads:")[1].split()[0]),
                   "descriptors": len(list((proc / "fd").iterdir()))}
        except (OSError, IndexError):
            return None
        lag = (self.rig.status() or {}).get("lag", {}).get("seconds")
        if not wal:
            return None
        retained, behind = (int(n) / MIB for n in wal.split("|"))
        row.update(retained_mib=retained, lag_mib=behind, lag_seconds="" if lag is None else lag, file_mib=size_mib(self.rig.destination),
                   log_mib=size_mib(self.rig.destination + ".wal"))
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}

    def end(self):
        self.stopped.set()
        self.join()
        self.file.close()
        if self.error:
            raise Failure(f"sampling: {self.error}")

    def median(self, field, quarter, seconds):
        values = [row[field] for row in self.rows
                  if row.get(field, "") != "" and seconds * (quarter - 1) / 4 <= row["seconds"] < seconds * quarter / 4]
        return statistics.median(values)


class Soak:
    def __init__(self, rig, options, seed, results, sampler):
        self.rig, self.options, self.results, self.sampler, self.dice = rig, options, results, sampler, random.Random(seed)
        self.network = Network(rig, seed, False, results)
        self.turn, self.counts = [], {"faults": 0, "kills": 0, "crashes of PostgreSQL": 0}

    def next_fault(self):
        if not self.turn:
            self.turn = self.dice.sample(FAULTS, len(FAULTS))
        return self.turn.pop()

    def work(self, seconds):
        """Kills in the first quarter, faults and crashes of the server until shortly before the end."""
        crash_at = [seconds * at for at in (0.2, 0.45, 0.6, 0.85)]
        while self.sampler.seconds() < seconds:
            time.sleep(self.dice.uniform(0.5, 1.5) * self.options.between)
            if self.rig.process.poll() is not None:
                raise Failure(f"sluice ended by itself with {self.rig.process.returncode}: {self.rig.log()[-1500:]}")
            if self.sampler.error:
                return
            if crash_at and self.sampler.seconds() > crash_at[0]:
                crash_at.pop(0)
                self.sampler.event("crash")
                self.counts["crashes of PostgreSQL"] += 1
                self.rig.server.crash()
                self.rig.server.start()
            elif self.sampler.seconds() < seconds / 4 - 10 and self.dice.random() < 0.5:
                self.sampler.event("kill")
                self.counts["kills"] += 1
                self.rig.kill()
                self.rig.start()
            elif self.sampler.seconds() < seconds * 0.97:
                fault = self.next_fault()
                self.sampler.event(fault)
                self.counts["faults"] += 1
                getattr(self.network, fault)()
                self.network.proxy.heal()

    def compare(self, seconds):
        for field, (factor, more) in FLAT.items():
            before, after = self.sampler.median(field, 2, seconds), self.sampler.median(field, 4, seconds)
            self.results.check(f"{field}: median {before:.0f} in the second quarter, {after:.0f} in the last", after <= before * factor + more,
                               f"more than {factor} times plus {more}")
        code = self.rig.stop()
        self.results.check("SIGTERM ends it with 0", code == 0, f"{code}: {self.rig.log()[-1500:]}")
        rows = self.rig.expect_equal(8)
        self.results.passed(f"equal by content, {rows} rows; {', '.join(f'{count} {what}' for what, count in self.counts.items())}")
        fresh = str(self.rig.folder / "fresh.duckdb")
        done = self.rig.command("copy", self.rig.server.url(), fresh, timeout=self.options.timeout)
        if done.returncode != 0:
            raise Failure(f"sluice copy: {done.stderr[-1500:]}")
        here, there = size_mib(self.rig.destination), size_mib(fresh)
        self.results.check(f"the file has {here:.1f} MiB, a fresh copy of the same {there:.1f} MiB", here <= 2 * there, "more than twice")


def one_run(options, seed, results):
    with Rig("soak", options, SETTINGS) as rig:
        rig.server.sql(SETUP + ORDERS)
        sampler = Sampler(rig, options.samples, options.every)
        soak, seconds = Soak(rig, options, seed, results, sampler), options.minutes * 60
        try:
            rig.start()
            writers = Mixed(rig.server, seed)
            rig.threads.append(writers)
            sampler.start()
            soak.work(seconds)
            writers.pause()
            soak.network.await_equal("all of it")
            wait_for(f"the slot keeps less than {RETAINED_MAX_MIB} MiB", lambda: sampler.retained() < RETAINED_MAX_MIB, every=0.5)
        finally:
            sampler.end()
            soak_picture.write(options.samples, options.picture)
        try:
            soak.compare(seconds)
        finally:
            soak.network.proxy.close()


def main():
    options = parser(__doc__, memory="256MiB")
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--between", type=float, default=15, help="seconds between two faults, about")
    options.add_argument("--every", type=float, default=5, help="seconds between two samples")
    options.add_argument("--samples", default="soak.csv", help="where they go")
    options.add_argument("--picture", default="soak.svg", help="where it goes")
    with Results("soak") as results:
        results.seeds(one_run, options.parse_args(), results)


if __name__ == "__main__":
    main()
