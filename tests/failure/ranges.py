#!/usr/bin/env python3
"""SIGKILL of a copy in ranges of several row groups each, and a comparison of what DuckDB read back from its log.

Two workers copy a table in ranges of more than 250,000 rows while writers update and delete rows all over it, so that every landing
has changes of its own: rows that were inserted in bulk and are changed in the same transaction, tables that are renamed and dropped in
it. sluice is killed between the commit of a landing and the checkpoint behind it, at other places of a landing, and at random; then it
goes on. In the end both sides are read by psql and by `sluice sql`.

  ranges.py --sluice build/dev/sluice --rows 1500000
"""
import random
import re
import time

from rig import Failure, Results, Rig, Writers, parser, wait_for

SETTINGS = """
shared_buffers='128MB'
wal_sender_timeout='10s'
fsync=off
autovacuum=off
"""

POINTS = ["duckdb.committed", "landing.committed", "duckdb.commit", "landing.staged", "landing.held_staged", "copy.shadow_finished"]


class Load(Writers):
    """Short transactions, each with rows of every part of the table, those that were changed before among them."""

    def __init__(self, server, rows):
        super().__init__(server)
        self.rows, self.count = rows, 0
        self.begin(self.change, 1)
        self.begin(self.change, 7)

    def change(self, step):
        self.count += 1
        first = self.count * 131 * step % 997
        self.run(f"""
            update big set n = n + 1, v = 'u{self.count}' where id in (select g from generate_series({first}, {self.rows}, 997) g);
            delete from big where id in (select g from generate_series({first + step}, {self.rows}, 4999) g);
            insert into big select g, -{self.count}, 'again' from generate_series({first + step}, {self.rows}, 9998) g on conflict do nothing;
            update big set id = id + 1 where id in (select g from generate_series({first + 1}, {self.rows}, 19997) g)
              and not exists (select from big b where b.id = big.id + 1);""")
        self.stopping.wait(0.2)


def run_until_killed(rig, dice, point):
    """True: it was killed; False: the table is live."""
    environment = {"SLUICE_FAILPOINTS": f"{point}:kill:{dice.choice([2, 3, 4])}"} if point else None
    at = rig.log_file.stat().st_size
    process = rig.start("--copy-range", rig.range_bytes, "--copy-workers", "2", environment=environment)
    is_live = lambda: "table public.big is live" in rig.log(at) or "live already: 1 table" in rig.log(at)
    has_landed = lambda: " has landed" in rig.log(at)
    wait_for("a kill, or the table is live", lambda: process.poll() is not None or is_live() or (not point and has_landed()), 120)
    if not point and process.poll() is None:
        time.sleep(dice.uniform(0, 0.6))
    if process.poll() not in (None, -9):
        raise Failure(f"sluice ended by itself with {process.poll()}: {rig.log()[-1500:]}")
    rig.kill()
    return not is_live()


def copies(rig, dice, counts):
    points = [dice.choice([None, *POINTS]) if i % 2 else POINTS[i // 2 % 2] for i in range(rig.options.kills)]
    for point in points:
        if not run_until_killed(rig, dice, point):
            return
        counts[0] += 1


def one_run(options, seed):
    with Rig("ranges", options, SETTINGS) as rig:
        dice, counts, began = random.Random(seed), [0], time.monotonic()
        rig.log_file.touch()
        rig.server.sql(f"""create table big (id bigint primary key, n int, v text);
            insert into big select g, g % 1000, 'row' || g % 77 from generate_series(1, {options.rows}) g; analyze big;""")
        size = int(rig.server.sql("select pg_table_size('big')"))
        rig.range_bytes = f"{int(size * options.range_rows / options.rows) >> 10}KiB"
        writers = Load(rig.server, options.rows)
        rig.threads.append(writers)
        copies(rig, dice, counts)
        writers.pause()
        rig.catch_up("--copy-range", rig.range_bytes, "--copy-workers", "2")
        ranges = [int(count) for count in re.findall(r"is copied in (\d+) ranges", rig.log())]
        rows = rig.expect_equal()
        left = rig.query("SELECT count(*) AS n FROM duckdb_tables() WHERE table_name LIKE '\\_sluice\\_%' ESCAPE '\\'")[0]["n"]
        if left or max(ranges, default=0) < 4:
            raise Failure(f"copied in {ranges} ranges, {left} tables are left over")
        writers.stopping.set()
        return f"{counts[0]} kills, {ranges[0]} ranges of {rig.range_bytes}, {rows} rows equal, {time.monotonic() - began:.0f} s"


def main():
    options = parser(__doc__, memory="512MiB")
    options.add_argument("--rows", type=int, default=1500000)
    options.add_argument("--range-rows", type=int, default=260000)
    options.add_argument("--kills", type=int, default=6, help="at most; fewer where the table is live before")
    with Results("ranges") as results:
        results.seeds(one_run, options.parse_args())


if __name__ == "__main__":
    main()
