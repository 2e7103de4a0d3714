#!/usr/bin/env python3
"""SIGKILL of sluice and of PostgreSQL, hundreds of times, at failpoints and at random, and a comparison after every few.

Continuous writers (inserts, key changes and swaps, TRUNCATE, savepoints, transactions streamed in progress, commits that do
not wait for the disk), schema changes, tables that come, `sluice resync`. sluice is killed at the named places of
docs/reliability.md where the program has them (builds for development do), else after a random while; PostgreSQL loses its
postmaster and every process at once, is stopped with immediate, or loses a walsender. After some kills the writers pause, sluice
catches up, and both sides are read by psql and by `sluice sql`: counts and hashes of every table; then the event triggers for
schema changes are installed, or taken away again. A stage before that
kills the start of a pipeline and `sluice drop` at each of their places.

  torture.py --sluice build/dev/sluice --kills 300
"""
import collections
import random
import re
import subprocess
import time

from rig import Failure, Results, Rig, Writers, kill, parser, wait_for

SETTINGS = """
shared_buffers='64MB'
logical_decoding_work_mem='64kB'
wal_sender_timeout='10s'
fsync=off
"""

SETUP = """
create table keyed (a int, b text, v text, big text, primary key (a, b));
create table swapped (id int primary key deferrable initially immediate, v int);
alter table swapped replica identity full;
create table single (id int primary key, v int);
create table small (id int primary key, v text);
create table busy (id bigint primary key, v numeric(20,4), t timestamptz, u uuid, arr int[]);
create table loose (a int, b text);
alter table loose replica identity full;
create table shaped (id int primary key, v text);
insert into keyed select i, 'k'||i%10, 'v'||i, repeat(md5(i::text), 100) from generate_series(1, 1000) i;
insert into swapped select i, i from generate_series(1, 200) i;
insert into single select i, i from generate_series(1, 3000) i;
insert into small select i, 's'||i from generate_series(1, 100) i;
insert into loose select i % 50, 'x' from generate_series(1, 300) i;
insert into shaped select i, 'w'||i from generate_series(1, 1000) i;
"""

# Altered for the places of `schema.` only, so that it is live then: the others are copied again and again.
ALTERED = "create table altered (id int primary key, v text); insert into altered select i, 'w'||i from generate_series(1, 20) i;"

ODD = [
    "insert into busy select (random()*1e12)::bigint, random()*1000, now(), gen_random_uuid(), array[1,null,3] from generate_series(1, 20) on conflict do nothing;",
    "update busy set v = v + 1 where id in (select id from busy order by random() limit 10);",
    "delete from busy where id in (select id from busy order by random() limit 8);",
    "update single set id = id + 1000000 where id = (select min(id) from single);",
    "update single set v = v + 1 where id % 97 = floor(random()*97)::int;",
    "begin; set constraints all deferred; update swapped set id = case id when 1 then 2 when 2 then 1 end where id in (1, 2); commit;",
    "update swapped set v = v + 1 where id = (random()*100)::int;",
    "update keyed set v = left(v || '.', 40) where a % 50 = (random()*50)::int;",
    "update keyed set b = left(b || '+', 40) where a = (random()*1000)::int;",
    "update keyed set big = repeat(md5(random()::text), 200) where a = (random()*1000)::int;",
    "begin; truncate small; insert into small select i, 'n'||random() from generate_series(1, 50) i; commit;",
    "truncate small;",
    "insert into small select i, 'z' from generate_series(1000, 1010) i on conflict do nothing;",
    "begin; insert into loose select 7, 'tx' from generate_series(1, 5); savepoint a; delete from loose where a = 7; rollback to a; update loose set b = 'upd' where ctid = (select min(ctid) from loose); commit;",
    "delete from loose where ctid in (select ctid from loose order by random() limit 6);",
    "begin; delete from single; rollback;",
    "begin; savepoint a; insert into single select 2000000 + (random()*1e6)::int, 1 on conflict do nothing; savepoint b; update single set v = -1 where id % 11 = 0; rollback to b; release a; commit;",
    "begin; insert into single values (5000000 + (random()*1e6)::int, 1) on conflict do nothing; prepare transaction 'h{n}'; commit prepared 'h{n}';",
    "begin; update shaped set v = md5(id::text) where id % 7 = (random()*7)::int; insert into shaped (id) select (random()*1e6)::int from generate_series(1, 9) on conflict do nothing; commit;",
]

LARGE = [  # sent in progress, with logical_decoding_work_mem at its least
    "begin; insert into busy select (random()*1e15)::bigint, i, now(), null, null from generate_series(1, 4000) i on conflict do nothing; commit;",
    "begin; update single set v = v + 1; savepoint a; delete from single where id % 3 = 0; rollback to a; commit;",
    "begin; insert into busy select (random()*1e15)::bigint, i, now(), null, null from generate_series(1, 3000) i on conflict do nothing; rollback;",
    "delete from busy where id > 1000000000 and random() < 0.7;",
]

SHAPES = [
    "alter table shaped add column c{n} int default {n};",
    "alter table shaped add column d{n} text; update shaped set d{n} = 'x' where id % 5 = 0;",
    "do $$ declare c text; begin for c in select attname from pg_attribute where attrelid = 'shaped'::regclass and attnum > 2 and not attisdropped order by random() limit (select greatest(1, count(*) - 40) from pg_attribute where attrelid = 'shaped'::regclass and attnum > 2 and not attisdropped) loop execute 'alter table shaped drop column ' || c; end loop; end $$;",
    "alter table shaped alter column v type text using v || '';",
    "begin; alter table shaped add column e{n} int; update shaped set e{n} = id where id % 9 = 0; alter table shaped drop column e{n}; commit;",
    "create table added_{n} (id int primary key, v text); insert into added_{n} select i, 'a'||i from generate_series(1, 500) i;",
    "do $$ declare t text; begin for t in select relname from pg_class where relname like 'added%' and relkind = 'r' order by random() limit 2 loop execute 'insert into ' || t || ' select i, ''m'' from generate_series(1000, 1050) i on conflict do nothing'; end loop; end $$;",
    "do $$ declare t text; begin select relname into t from pg_class where relname like 'added%' and relkind = 'r' order by 1 limit 1; if (select count(*) from pg_class where relname like 'added%' and relkind = 'r') > 4 then execute 'drop table ' || t; end if; end $$;",
]


# Streamed in progress, and more than --memory lets wait in memory: wide rows, as each costs the server and both sides time.
HUGE = ("insert into busy select 2000000000000000 + (random()*1e15)::bigint, i, now(), gen_random_uuid(), array_fill(i, array[150]) "
        "from generate_series(1, 24000) i on conflict do nothing")

# Seconds for which a place that takes longer to come by is waited for.
SLOW = {"join": 13, "spill": 6, "stop": 60, "landing": 4, "resync": 4, "copy": 4, "schema": 6}

# Places that a process passes once, or once for each thing done to it: these are waited for at their first pass.
ONCE = ("open.", "join.", "schema.", "copy.", "landing.", "resync.", "stop.", "stream.checked", "stream.started", "stream.reconnect",
        "duckdb.checkpoint", "writer.piece_staged")

LIMIT = 4  # times --seconds


class Load(Writers):
    def __init__(self, server, seed):
        super().__init__(server)
        self.dice, self.count = random.Random(seed), 0
        self.begin(self.odd)
        self.begin(self.seldom)

    def odd(self):
        self.count += 1
        lines = ["set synchronous_commit = off;"] if self.dice.random() < 0.3 else []
        lines += [self.dice.choice(ODD).replace("{n}", f"{self.count}_{i}") for i in range(15)]
        self.run("\n".join(lines))
        self.stopping.wait(0.1)

    def seldom(self):
        self.count += 1
        dice = self.dice.random()
        # The log is decoded again from a record that the server else writes every 15 s only; then each start costs seconds.
        lines = ["checkpoint;"] if dice < 0.15 else LARGE if dice < 0.55 else SHAPES
        self.run(self.dice.choice(lines).replace("{n}", str(self.count)))
        self.stopping.wait(self.dice.uniform(0.1, 0.6))


class Torture:
    def __init__(self, rig, seed, options):
        self.rig, self.dice, self.options = rig, random.Random(seed), options
        self.kills, self.hits, self.comparisons, self.rows = collections.Counter(), collections.Counter(), 0, 0
        self.points = failpoints(options.sluice)
        self.turn, self.count, self.began = [], 0, time.monotonic()
        self.has_triggers, self.is_noted = False, False

    def next_point(self):
        """Each once, then again, those not hit so far first. Without event triggers a table joins after 10 s: once is enough."""
        if not self.turn:
            self.turn = [point for point in self.points if not point.startswith(("birth.", "drop.", "kept.", "resume.", "pass_over.", "schema.move", "companion."))
                         and (self.has_triggers or not point.startswith("join.") or not self.hits[point])]
            self.dice.shuffle(self.turn)
            self.turn.sort(key=lambda point: -self.hits[point])
        return self.turn.pop() if self.turn else None

    def count_hit(self, point):
        self.hits[point] += 1
        self.kills["sluice at a failpoint"] += 1

    def ended_by_itself(self):
        code = self.rig.process.poll()
        if code not in (None, -9):
            raise Failure(f"sluice ended by itself with {code}: {self.rig.log()[-1500:]}")
        return code is not None

    def at_failpoint(self, point, seconds, *more):
        """Runs up to the kill at `point`; False: it was not passed, sluice still runs."""
        self.prepare(point)
        passes = 1 if point.startswith(ONCE) else self.dice.choice([1, 1, 1, 1, 2, 3])
        self.rig.start(*more, environment={"SLUICE_FAILPOINTS": f"{point}:kill:{passes}"})
        self.induce(point)
        try:
            self.rig.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        if self.rig.process.returncode == -9:
            self.count_hit(point)
            return True
        if not point.startswith("stop."):
            self.ended_by_itself()
        return self.rig.process.poll() is not None

    def prepare(self, point):
        """What has to be there when sluice starts, for the place to be passed."""
        self.count += 1
        self.is_noted = point.startswith(("copy.", "landing.")) and self.dice.random() < 0.6
        if self.is_noted:
            self.resync()
        if point == "open.tables_synced":
            self.rig.server.sql(f"create table added_s{self.count} (id int primary key, v text); insert into added_s{self.count} select generate_series(1, 300)")

    def induce(self, point):
        """And what has to happen while it runs."""
        if self.is_noted or not point.startswith(("landing.", "copy.", "resync.", "writer.", "schema.", "join.", "spill.", "stream.reconnect", "stop.")):
            return
        streams = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'sluice/%/stream' OR application_name LIKE 'sluice/%/catch-up'"
        wait_for("sluice streams", lambda: self.rig.process.poll() is not None or self.rig.server.sql(streams).strip() != "0", every=0.05)
        server = self.rig.server
        if point.startswith(("landing.", "copy.", "resync.", "writer.held")):
            self.resync()
        elif point.startswith("schema."):
            server.sql(f"alter table altered add column i{self.count} int default 7; update altered set i{self.count} = 8 where id < 9")
        elif point.startswith("join."):
            server.sql(f"create table added_j{self.count} (id int primary key, v text); insert into added_j{self.count} select generate_series(1, 300)")
        elif point.startswith("spill.") or point == "writer.piece_staged":
            server.sql(HUGE)
        elif point == "stream.reconnect":
            server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
        elif point.startswith("stop."):
            self.rig.process.terminate()

    # The start of a pipeline and its end

    def births(self):
        for point in [p for p in self.points if p.startswith("birth.")]:
            self.until_failpoint(point)
            self.rig.catch_up()
            self.compare_now()
            self.drop()

    def drop(self):
        """`sluice drop`, killed at each of its places; in the end nothing of ours is at the server."""
        arguments = ["drop", "--yes", self.rig.source, self.rig.destination]
        points = [p for p in self.points if p.startswith("drop.")]
        point = min(points, key=lambda p: self.hits[p]) if points else None
        if point:
            done = self.rig.command(*arguments, environment={"SLUICE_FAILPOINTS": f"{point}:kill:1"})
            if done.returncode != -9:
                raise Failure(f"failpoint {point} is not passed: {done.stderr}")
            self.count_hit(point)
        done = self.rig.command(*arguments)
        left = self.rig.server.sql("SELECT slot_name FROM pg_replication_slots UNION ALL SELECT pubname FROM pg_publication")
        if done.returncode != 0 or left:
            raise Failure(f"drop after a drop that was killed at {point}: {done.returncode} {done.stderr}; left: {left}")
        for name in (self.rig.destination, self.rig.destination + ".wal"):
            subprocess.run(["rm", "-rf", name], check=True)

    # A table that halts at a value, keeps what comes, and is resumed

    def halts(self):
        rig = self.rig
        rig.server.sql("create table misfits (id int primary key, amount numeric(10,2)); insert into misfits select i, i from generate_series(1, 500) i")
        rig.catch_up()
        rig.server.sql("insert into misfits values (1000, 'NaN'); update misfits set amount = amount + 1 where id < 300; "
                       "delete from misfits where id > 400; insert into misfits values (1001, 3)")
        if "kept.staged" not in self.points:
            return rig.catch_up(codes=(3,))
        self.until_failpoint("kept.staged")
        rig.catch_up(codes=(3,))
        done = rig.command("resume", "public.misfits", environment={"SLUICE_DESTINATION": rig.destination})
        if done.returncode != 0:
            raise Failure(f"resume: {done.stderr}")
        for point in ("resume.piece_staged", "resume.piece_committed"):
            self.until_failpoint(point, "--on-misfit", "null")
        rig.catch_up("--on-misfit", "null")
        self.compare_now()
        rig.server.sql("drop table misfits")

    # A place that the server cannot decode, passed over

    def cannot_be_decoded(self):
        rig = self.rig
        rig.server.sql("create type mood as enum ('good', 'bad'); create table moods (id int primary key, m mood, v text); "
                       "insert into moods values (1, 'good', 'a'), (2, 'bad', 'a')")
        rig.catch_up()
        rig.server.sql("delete from pg_enum where enumlabel = 'bad' and enumtypid = 'mood'::regtype; insert into moods values (3, 'good', 'a')")
        rig.server.sql("update moods set v = 'b'")
        rig.server.sql("update moods set m = 'good' where id = 2")
        rig.catch_up(codes=(4,))
        place = re.findall(r"--skip-transaction (\S+)", rig.log())[-1]
        if "pass_over.committed" in self.points:
            self.until_failpoint("pass_over.committed", "--skip-transaction", place)
            rig.catch_up()
        else:
            rig.catch_up("--skip-transaction", place)
        self.compare_now()
        rig.server.sql("drop table moods")

    def exchange_triggers(self):
        """The event triggers come and go: with them schema changes and new tables are told by the stream, without by the catalog."""
        wish = "--uninstall-ddl-trigger" if self.has_triggers else "--install-ddl-trigger"
        done = self.rig.command("check", wish, self.rig.source)
        if done.returncode != 0:
            raise Failure(f"check {wish}: {done.stdout}{done.stderr}")
        self.has_triggers = not self.has_triggers

    def until_failpoint(self, point, *more):
        self.rig.start(*more, environment={"SLUICE_FAILPOINTS": f"{point}:kill:1"})
        try:
            self.rig.process.wait(timeout=300)
        except subprocess.TimeoutExpired:
            raise Failure(f"failpoint {point} is not passed: {self.rig.log()[-1500:]}") from None
        if self.rig.process.returncode != -9:
            raise Failure(f"ended with {self.rig.process.returncode} before failpoint {point}: {self.rig.log()[-1500:]}")
        self.count_hit(point)

    # In between

    def one_kill(self):
        dice = self.dice.random()
        if dice < 0.12:
            self.rig.start()
            time.sleep(self.dice.uniform(0.05, 0.8))
            self.kill_server()
            time.sleep(self.dice.uniform(0, 0.5))
            if not self.ended_by_itself():
                self.rig.kill()
                self.kills["sluice at random"] += 1
            return
        if dice < 0.7 and self.points:
            point = self.next_point()
            if self.at_failpoint(point, SLOW.get(point.split(".")[0], 1.2)):
                return
        else:
            self.rig.start()
        if self.dice.random() < 0.15:
            self.resync()
        time.sleep(self.dice.uniform(0.05, self.options.between))
        if not self.ended_by_itself():
            self.rig.kill()
            self.kills["sluice at random"] += 1

    def resync(self):
        """Of the running process, or noted for the next one; where it is being killed it may fail."""
        table = self.dice.choice(["single", "keyed", "busy", "shaped"])
        self.rig.command("resync", f"public.{table}", environment={"SLUICE_DESTINATION": self.rig.destination})

    def kill_server(self):
        kind = self.dice.choice(["crash", "immediate", "walsender", "backend"])
        server = self.rig.server
        self.kills[{"crash": "PostgreSQL, all processes", "immediate": "PostgreSQL, immediate stop", "walsender": "a walsender",
                    "backend": "a backend of sluice"}[kind]] += 1
        if kind == "crash":
            server.crash()
        elif kind == "immediate":
            server.stop("immediate")
        else:
            name = "sluice/%/stream" if kind == "walsender" else "sluice/%"
            for pid in server.sql(f"SELECT pid FROM pg_stat_activity WHERE application_name LIKE '{name}' LIMIT 1", check=False).split():
                kill(int(pid))  # the postmaster then restarts everything
            wait_for("the server answers", lambda: server.sql("SELECT 1", check=False).strip() == "1")
            return
        server.start()

    def compare_now(self):
        self.rows = self.rig.expect_equal(6)
        self.comparisons += 1

    def settle(self, writers):
        writers.pause()
        if self.rig.process.poll() is None:
            self.rig.kill()
            self.kills["sluice at random"] += 1
        self.rig.server.sql("delete from busy where id >= 1000000000000000")
        self.rig.catch_up(codes=(0, 3))
        try:
            self.compare_now()
        except Failure:
            self.rig.catch_up(codes=(0, 3))  # a schema change without rows may have come last
            self.compare_now()
        self.exchange_triggers()
        writers.go_on()

    def total(self):
        return sum(self.kills.values())

    def seconds(self):
        return time.monotonic() - self.began

    def is_enough(self):
        return self.total() >= (self.options.least or self.options.kills) and len(self.hits) >= min(self.options.points, len(self.points))

    def goes_on(self):
        """--seconds are what it should take; a busy machine gets more."""
        if self.seconds() < self.options.seconds:
            return self.total() < self.options.kills or not self.is_enough()
        return not self.is_enough() and self.seconds() < LIMIT * self.options.seconds

    def summary(self):
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        missed = ", ".join(sorted(set(self.points) - set(self.hits))) or "none"
        return (f"{self.total()} kills ({kinds}), {self.comparisons} comparisons, {self.rows} rows in the last, {len(self.hits)} of "
                f"{len(self.points)} failpoints, {self.seconds():.0f} s; not hit: {missed}")


def failpoints(sluice):
    """The names in the program; empty: it was built without."""
    done = subprocess.run([sluice, "help"], env={"SLUICE_FAILPOINTS": "list", "PATH": "/usr/bin"}, text=True, capture_output=True)
    return re.findall(r"^failpoint (\S+)$", done.stderr, re.MULTILINE)


def one_run(options, seed):
    with Rig("torture", options, SETTINGS) as rig:
        rig.server.sql(SETUP + ALTERED)
        torture = Torture(rig, seed, options)
        try:
            torture.births()
            torture.halts()
            torture.cannot_be_decoded()
            writers = Load(rig.server, seed)
            rig.threads.append(writers)
            while torture.goes_on():
                for _ in range(options.settle):
                    torture.one_kill()
                torture.settle(writers)
        except Failure as failure:
            raise Failure(f"{failure}\nbefore that {torture.summary()}") from None
        writers.stopping.set()
        if not torture.is_enough():
            raise Failure(f"too few kills or failpoints within {LIMIT * options.seconds:.0f} s: {torture.summary()}")
        return f"all equal: {torture.summary()}"


def main():
    options = parser(__doc__)
    options.add_argument("--kills", type=int, default=300)
    options.add_argument("--settle", type=int, default=12, help="kills between two comparisons")
    options.add_argument("--between", type=float, default=0.6, help="seconds before a random kill, at most")
    options.add_argument("--points", type=int, default=0, help="distinct failpoints that must be hit")
    options.add_argument("--least", type=int, default=0, help="kills that must be done; default: all of them")
    options.add_argument("--seconds", type=float, default=100000, help="it ends then, unless --least and --points have not been reached")
    with Results("torture") as results:
        results.seeds(one_run, options.parse_args())


if __name__ == "__main__":
    main()
