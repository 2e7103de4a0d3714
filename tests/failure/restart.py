#!/usr/bin/env python3
"""SIGKILL and start again with many tables: how long until it streams, and whether both sides are equal then.

Small tables with rows are copied; a light load goes on. Then sluice is killed and started a number of times. Each start is
measured from exec to when the server's walsender streams, and to when a row that was written while it was down is seen at
the destination; then a row is written and its way there is measured. In the end both sides are read by psql and by
`sluice sql`. Times are printed and judged by nobody; only rows decide.

  restart.py --sluice build/release/sluice --tables 1000 --kills 20
"""
import statistics
import time

from rig import Failure, Psql, Results, Rig, Writers, parser

SETTINGS = """
fsync=off
max_locks_per_transaction=256
wal_sender_timeout='10s'
"""

TABLES = """
do $$ begin
  for i in 1..{tables} loop
    execute format('create table t_%s (id int primary key, v text, n numeric(12,2), at timestamptz default now())', i);
    execute format('insert into t_%s select x, md5(x::text), x from generate_series(1, {rows}) x', i);
    if i % 200 = 0 then commit; end if;
  end loop;
end $$;
create table marks (id int primary key);
"""


class Load(Writers):
    """About ten transactions a second over all tables."""

    def __init__(self, server, tables):
        super().__init__(server)
        self.tables, self.round = tables, 0
        self.begin(self.one)

    def one(self):
        self.round += 1
        at = [(self.round * 7919 + i * 104729) % self.tables + 1 for i in range(5)]
        self.run("".join(f"update t_{n} set v = md5(v), at = now() where id % 7 = {self.round % 7};"
                         f"insert into t_{n} values ({1000 + self.round}, 'new') on conflict do nothing;" for n in at))
        self.stopping.wait(0.4)


def newest_mark(rig):
    """What the destination shows; 0 while nobody answers."""
    rows = rig.ask("SELECT coalesce(max(id), 0) FROM public.marks")
    return int(rows[0][0]) if rows else 0


class Restarts:
    STREAMS, WAITED, NEW = "the walsender streams", "what waited is seen", "a new row is seen"

    def __init__(self, rig, options):
        self.rig, self.options, self.marks = rig, options, 0
        self.psql = Psql(rig.source)
        self.times = {self.STREAMS: [], self.WAITED: [], self.NEW: []}

    def mark(self):
        self.marks += 1
        self.psql.ask(f"insert into marks values ({self.marks}) returning id")
        return time.monotonic()

    def until(self, name, began, condition):
        while not condition():
            if self.rig.process.poll() is not None:
                raise Failure(f"sluice ended with {self.rig.process.returncode}: {self.rig.log()[-1500:]}")
            if time.monotonic() > began + self.options.timeout:
                raise Failure(f"not within {self.options.timeout:.0f} s: {name}: {self.rig.log()[-1500:]}")
            time.sleep(0.005)
        self.times[name].append(time.monotonic() - began)

    def one(self):
        self.mark()
        began = time.monotonic()
        self.rig.start()
        # The one of the process before may linger.
        streams = "select count(*) from pg_stat_replication where state = 'streaming' and backend_start > now() - interval '%f s'"
        self.until(self.STREAMS, began, lambda: self.psql.ask(streams % (time.monotonic() - began)) != "0")
        self.until(self.WAITED, began, lambda: newest_mark(self.rig) == self.marks)
        time.sleep(self.options.between)
        self.until(self.NEW, self.mark(), lambda: newest_mark(self.rig) == self.marks)
        self.rig.kill()

    def figures(self):
        lines = []
        for name, times in self.times.items():
            ranked = sorted(times)
            lines.append(f"  {name:22} p50 {statistics.median(ranked):.3f} s, p99 {ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))]:.3f} s, "
                         f"least {ranked[0]:.3f} s")
        return "\n".join(lines)


def one_run(options, _seed):
    with Rig("restart", options, SETTINGS) as rig:
        rig.server.sql(TABLES.format(tables=options.tables, rows=options.rows))
        began = time.monotonic()
        rig.catch_up()
        copied = time.monotonic() - began
        restarts = Restarts(rig, options)
        load = Load(rig.server, options.tables)
        rig.threads.append(load)
        restarts.one()
        done = 1
        while done < options.kills and time.monotonic() - began < options.seconds:
            restarts.one()
            done += 1
        load.pause()
        restarts.psql.close()
        rig.catch_up()
        rows = rig.expect_equal(options.tables + 1)
        return (f"{options.tables} tables copied in {copied:.1f} s; {done} kills, {load.written} rounds of writers, {rows} rows equal\n"
                f"{restarts.figures()}")


def main():
    options = parser(__doc__, memory="512MiB")
    options.add_argument("--tables", type=int, default=1000)
    options.add_argument("--rows", type=int, default=20, help="of each table")
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--seconds", type=float, default=100000, help="from the start of the copy; no kill is begun later, but the first")
    options.add_argument("--between", type=float, default=0.3, help="seconds that it streams before the next kill")
    with Results("restart") as results:
        results.seeds(one_run, options.parse_args())


if __name__ == "__main__":
    main()
