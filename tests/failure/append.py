#!/usr/bin/env python3
"""SIGKILL at each step by which a running pipeline learns `mode: append`, and crashes of PostgreSQL in between; a comparison.

The pipeline is made without the mode and streams under load, with transactions of some length among it. Then `mode: append` is added
for a table without a key and for one that is a mirror so far. sluice is killed at every step until both are live; now and then the
server crashes, which puts its slot back. What is written to the two is only inserted, so that in the end both sides are equal.

  append.py --sluice build/dev/sluice --version 17
"""
import random
import time

from rig import Failure, Results, Rig, Writers, parser, wait_for

SETTINGS = """
wal_sender_timeout='10s'
checkpoint_timeout='1h'
fsync=off
"""

# A start whose position lies behind the place from which the second publication is read publishes at once, and joins nothing.
POINTS = [["companion.made"], ["companion.dated"], ["stream.checked"], ["companion.read", "join.published", "join.admitted"], ["copy.snapshot"],
          ["landing.staged"], ["landing.committed"]]

CONFIG = """tables:
  public.events: {mode: append}
  public.was_mirror: {mode: append}
"""


class Load(Writers):
    def __init__(self, server):
        super().__init__(server)
        self.count = 0
        self.begin(self.short)
        self.begin(self.long)

    def short(self):
        self.count += 1
        self.run(f"""
            begin; insert into events values ({self.count}, 'short'); update orders set n = n + 1 where id % 5 = {self.count % 5}; commit;
            insert into was_mirror values ({self.count}, 'short');""")
        self.stopping.wait(0.02)

    def long(self):
        at = 1000000 + self.count
        self.run(f"""
            begin; insert into events values ({at}, 'long'); insert into was_mirror values ({at}, 'long') on conflict do nothing;
            update orders set n = n - 1 where id = 100; select pg_sleep(0.7); insert into events values ({at}, 'end'); commit;""")


def is_live(rig):
    return len(rig.ask("SELECT source_table FROM sluice.tables WHERE mode = 'append' AND state = 'live'") or []) == 2


def one_run(options, seed):
    with Rig("append", options, SETTINGS) as rig:
        dice, began, kills, crashes = random.Random(seed), time.monotonic(), [], 0
        rig.server.sql("""create table orders (id int primary key, n int); create table events (x int, what text);
            create table was_mirror (id int primary key, what text); insert into orders select g, 0 from generate_series(1, 100) g;
            insert into events select g, 'first' from generate_series(1, 1000) g; checkpoint;""")
        rig.catch_up()
        config = rig.folder / "append.yaml"
        config.write_text(CONFIG)
        load = Load(rig.server)
        rig.threads.append(load)
        for point in map(dice.choice, POINTS):
            process = rig.start("--config", str(config), environment={"SLUICE_FAILPOINTS": f"{point}:kill:1"})
            wait_for(f"{point} is passed, or both are live", lambda: process.poll() is not None or is_live(rig), 120, every=0.5)
            if process.poll() is None:
                rig.kill()
                break
            if process.returncode != -9:
                raise Failure(f"sluice ended by itself with {process.returncode}: {rig.log()[-1500:]}")
            kills.append(point)
            if dice.random() < 0.4:
                rig.server.crash()
                rig.server.start()
                crashes += 1
        rig.start("--config", str(config))
        wait_for("both are live", lambda: rig.process.poll() is not None or is_live(rig), 120, every=0.5)
        rig.server.crash()
        rig.server.start()
        time.sleep(dice.uniform(0, 2))
        load.pause()
        rig.kill()
        rig.server.crash()
        rig.server.start()
        rig.catch_up("--config", str(config))
        rows = rig.expect_equal(3)
        if load.failed or "SLU-3" in rig.log().replace("SLU-3091", ""):
            raise Failure(f"{load.failed[:3]} {rig.log()[-1500:]}")
        if len(kills) < 3:
            raise Failure(f"killed only at {kills}")
        load.stopping.set()
        return f"killed at {' '.join(kills)}; {crashes + 2} crashes of the server, {rows} rows equal, {time.monotonic() - began:.0f} s"


def main():
    with Results("append") as results:
        results.seeds(one_run, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
