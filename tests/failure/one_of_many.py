#!/usr/bin/env python3
"""One of a hundred tables halts, is resumed, copied again, repaired, added, under load: the others do not wait for it.

Sessions write rows into every table all the time and note when. The destination is asked for the newest row of each table again
and again, over the control socket, so that the time from a row's commit to its being readable is measured from outside, and
is told too long rather than too short. Meanwhile the server is asked for the slot: its position must move on all the time.
Told are the percentiles of the tables to which nothing happens, for each thing that happens to one; in the end both sides are
compared. It fails where the p99 of any is more than --limit seconds, or the slot stood for so much longer than from one
acknowledgement to the next.

  one_of_many.py --sluice build/release/sluice --seconds 10 --limit 2
"""
import pathlib
import random
import subprocess
import sys
import threading
import time
import traceback

from rig import CACHE, Failure, Psql, Results, Rig, parser, wait_for

# What happens to which.
RESUMED, HALTED, REPAIRED, COPIED = 1, 2, 3, 4
APART = 5  # and from here on nothing does
FIRST = 10**9  # of the ids that the load writes
FEEDBACK = 4  # seconds from one position that is acknowledged to the next, docs/positions.md

TABLES = """
do $$ begin
  for i in 1..{tables} loop
    execute format('create table t_%s (id bigint primary key, v text, amount numeric(10,2))', i);
    execute format('insert into t_%s select x, md5(x::text), x from generate_series(1, 100) x', i);
  end loop;
end $$;
insert into t_{copied} select x, repeat(md5(x::text), 4), 1 from generate_series(101, {rows}) x;
insert into t_{repaired} select x, repeat(md5(x::text), 4), 1 from generate_series(101, {rows}) x;
"""

NEW = "create table added (id bigint primary key, v text); insert into added select x, md5(x::text) from generate_series(1, {rows}) x"

SESSIONS, TABLES_AT_ONCE, BETWEEN = 3, 4, 0.05  # of the load: a transaction over so many tables, and seconds between two of a session

SLOT = "SELECT confirmed_flush_lsn, pg_current_wal_flush_lsn(), pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) FROM pg_replication_slots"


class Part(threading.Thread):
    """step() again and again until stopped; what it raised is kept."""

    def __init__(self, step):
        super().__init__(daemon=True)
        self.step, self.stopping, self.error = step, threading.Event(), ""
        self.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.step()
        except Exception:
            self.error = traceback.format_exc()


class Watched:
    """The load, what the destination shows of it, and the slot."""

    def __init__(self, rig, options):
        self.rig, self.options, self.lock = rig, options, threading.Lock()
        self.waiting = {table: [] for table in range(1, options.tables + 1)}  # rows not seen yet: id, when, what happened then
        self.now, self.lags, self.next, self.transactions = "", {}, FIRST, 0
        self.moved, self.position, self.stood, self.retained = time.monotonic(), "", (0.0, ""), 0
        self.asks = [f"SELECT {table}, max(id) FROM public.t_{table}" for table in range(APART, options.tables + 1)]
        self.psql = Psql(rig.source)
        self.sessions = [Psql(rig.source) for _ in range(SESSIONS)]
        self.load = [Part(self.writer(number)) for number in range(SESSIONS)]
        self.others = [Part(self.look), Part(self.look_at_the_slot)]

    def writer(self, number):
        """Each session has tables of its own, so that their rows are committed in the order of their ids."""
        session, dice = self.sessions[number], random.Random(number)
        tables = [table for table in self.waiting if table % SESSIONS == number]

        def step():
            chosen = dice.sample(tables, TABLES_AT_ONCE)
            with self.lock:
                self.next += 1
                row = self.next
            text = "".join(f"update t_{t} set v = md5(v) where id = (select max(id) from t_{t} where id > {FIRST}); insert into t_{t} values ({row}, 'new', 1); "
                           for t in chosen)
            began = time.monotonic()
            if session.ask(f"begin; {text} commit; select 1") != "1":
                raise Failure("a statement of the application failed")
            with self.lock:
                self.transactions += 1
                for table in chosen:
                    self.waiting[table].append((row, began, self.now))
            self.load[number].stopping.wait(BETWEEN)
        return step

    def look(self):
        rows = self.rig.ask(" UNION ALL ".join(self.asks))
        if not rows:
            raise Failure(f"the destination does not answer: {self.rig.log()[-1500:]}")
        at = time.monotonic()
        with self.lock:
            for table, newest in ((int(table), int(newest)) for table, newest in rows):
                seen = [row for row in self.waiting[table] if row[0] <= newest]
                self.waiting[table] = self.waiting[table][len(seen):]
                for _, began, what in seen:
                    self.lags.setdefault(what, []).append(at - began)
        time.sleep(0.05)

    def look_at_the_slot(self):
        confirmed, flushed, retained = self.psql.ask(SLOT).split("|")
        now = time.monotonic()
        if confirmed not in (self.position, flushed) or not self.position:
            self.position, self.moved = confirmed, now
        elif confirmed == flushed:
            self.moved = now  # there is nothing more to confirm
        self.stood, self.retained = max(self.stood, (now - self.moved, self.now)), max(self.retained, int(retained))
        time.sleep(0.05)

    def check(self):
        for part in self.load + self.others:
            if part.error:
                raise Failure(part.error)
        if self.rig.process.poll() is not None:
            raise Failure(f"sluice ended with {self.rig.process.returncode}: {self.rig.log()[-1500:]}")

    def end(self):
        """The load ends, what it wrote is seen, then nobody looks any more."""
        for part in self.load:
            part.stopping.set()
            part.join()
        wait_for("all rows are seen", lambda: self.check() or not any(self.waiting[table] for table in range(APART, self.options.tables + 1)))
        for part in self.others:
            part.stopping.set()
            part.join()
        self.check()
        for psql in [*self.sessions, self.psql]:
            psql.close()

    def figures(self):
        lines, worst = [], 0.0
        for what, lags in self.lags.items():
            ranked = sorted(lags)
            p99 = ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))]
            worst = max(worst, p99)
            lines.append(f"  {what:22} p50 {ranked[len(ranked) // 2]:.3f} s, p99 {p99:.3f} s, most {ranked[-1]:.3f} s, {len(ranked)} rows")
        return "\n".join(lines), worst


class OneOfMany:
    def __init__(self, rig, options):
        self.rig, self.options, self.watched = rig, options, None

    def prepare(self):
        """One is halted at a value, one lacks a row that will be updated, one differs; nothing of it is noticed yet but the first."""
        rig = self.rig
        rig.server.sql(TABLES.format(tables=self.options.tables, copied=COPIED, repaired=REPAIRED, rows=self.options.rows))
        rig.catch_up()
        rig.server.sql(f"insert into t_{RESUMED} values (1000, null, 'NaN')")
        rig.catch_up(codes=(3,))
        library = sorted(pathlib.Path(CACHE).glob("duckdb-*/libduckdb.so"))[-1]
        script = pathlib.Path(__file__).parents[2] / "scripts" / "duckdb_exec.py"
        subprocess.run([sys.executable, script, library, rig.destination, f"DELETE FROM public.t_{HALTED} WHERE id = 17; UPDATE public.t_{REPAIRED} SET v = 'damaged' "
                        f"WHERE id % 1000 = 7; DELETE FROM public.t_{REPAIRED} WHERE id % 1000 = 8"], check=True, cwd=rig.folder)

    def state(self, table):
        status = self.rig.status() or {"tables": []}
        return next((found["state"] for found in status["tables"] if found["table"] == table), "")

    def comes_to(self, table, state):
        wait_for(f"{table} is {state}", lambda: self.watched.check() or self.state(table) == state, every=0.2)

    def told(self, *arguments):
        done = self.rig.command(*arguments, environment={"SLUICE_DESTINATION": self.rig.destination}, timeout=self.options.timeout)
        if done.returncode != 0:
            raise Failure(f"sluice {' '.join(arguments)}: {done.returncode} {done.stdout[-1000:]}{done.stderr[-1000:]}")

    def halts(self):
        self.rig.server.sql(f"update t_{HALTED} set v = 'x' where id = 17")
        self.comes_to(f"t_{HALTED}", "halted")

    def is_resumed(self):
        self.told("resume", f"public.t_{RESUMED}")
        self.comes_to(f"t_{RESUMED}", "live")

    def is_copied_again(self):
        for table in (HALTED, COPIED):
            self.told("resync", f"public.t_{table}")
        for table in (HALTED, COPIED):
            wait_for(f"t_{table} is copied", lambda: self.watched.check() or self.rig.log().count(f"table public.t_{table} is live") > 1, every=0.2)

    def is_repaired(self):
        self.told("repair", "-t", f"public.t_{REPAIRED}", self.rig.source, self.rig.destination)

    def is_added(self):
        self.rig.server.sql(NEW.format(rows=self.options.rows))
        self.comes_to("added", "live")

    def run(self):
        rig = self.rig
        self.prepare()
        options = ("--on-misfit", "null")
        rig.start(*options)
        wait_for("it answers", lambda: rig.ask("SELECT 1"))
        self.watched = Watched(rig, self.options)
        for name, work in (("nothing happens", None), ("one halts", self.halts), ("is resumed", self.is_resumed), ("is copied again", self.is_copied_again),
                           ("is repaired", self.is_repaired), ("is added", self.is_added)):
            self.watched.now, began = name, time.monotonic()
            if work:
                work()
            while time.monotonic() < began + self.options.seconds:
                self.watched.check()
                time.sleep(0.1)
        self.watched.end()
        rig.server.sql(f"delete from t_{RESUMED} where amount = 'NaN'")
        if rig.stop() != 0:
            raise Failure(f"SIGTERM ended with {rig.process.returncode}: {rig.log()[-1500:]}")
        rig.catch_up(*options)
        rows = rig.expect_equal(self.options.tables + 1)
        lines, worst = self.watched.figures()
        stood, then = self.watched.stood
        said = (f"p99 of the others at most {worst:.3f} s; the slot stood {stood:.1f} s at most ({then}) and kept {self.watched.retained / (1 << 20):.0f} MiB; "
                f"{self.watched.transactions} transactions, {rows} rows equal\n{lines}")
        if worst > self.options.limit or stood > self.options.limit + FEEDBACK:
            raise Failure(f"more than {self.options.limit:g} s: {said}")
        return said


def one_run(options, _seed):
    with Rig("one-of-many", options) as rig:
        return OneOfMany(rig, options).run()


def main():
    options = parser(__doc__, memory="512MiB")
    options.add_argument("--tables", type=int, default=100)
    options.add_argument("--rows", type=int, default=50000, help="of the tables that are copied and repaired")
    options.add_argument("--seconds", type=float, default=8, help="of load for each thing that happens, at least")
    options.add_argument("--limit", type=float, default=2, help="seconds; more fail")
    with Results("one_of_many") as results:
        results.seeds(one_run, options.parse_args())


if __name__ == "__main__":
    main()
