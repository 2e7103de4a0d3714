#!/usr/bin/env python3
"""Copies and streams under load while sluice and PostgreSQL are killed, then compares by content.

One run: a scratch server, pgbench tables and a set of odd ones, pgbench clients and odd writers (inserts, key changes and
swaps, deletes, TRUNCATE, savepoints, rollbacks, a transaction open across the copy's start, a large one, prepared ones);
sluice is killed with SIGKILL at random moments, the server restarted once fast and once immediately; writers stop;
`run --until caught-up`, `verify`. Ends 0 when every run ended equal.

  hammer.py --sluice build/dev/sluice --runs 1 --scale 1 --kills 3 --seconds 20
"""
import json
import random
import subprocess
import time

from rig import Failure, Results, Rig, Writers, parser, wait_for

SETUP = """
alter table pgbench_history replica identity full;
create table keyed (a int, b text, v text, big text, primary key (a, b));
create table swapped (id int primary key deferrable initially immediate, v int);
alter table swapped replica identity full;
create table single (id int primary key, v int);
create table small (id int primary key, v text);
create table busy (id bigint primary key, v numeric(20,4), t timestamptz, j jsonb, u uuid, arr int[]);
create table loose (a int, b text);
alter table loose replica identity full;
insert into keyed select i, 'k'||i%10, 'v'||i, repeat(md5(i::text), 200) from generate_series(1, 2000) i;
insert into swapped select i, i from generate_series(1, 200) i;
insert into single select i, i from generate_series(1, 5000) i;
insert into small select i, 's'||i from generate_series(1, 100) i;
insert into loose select i % 50, 'x' from generate_series(1, 500) i;
"""

ODD = [
    "insert into busy select (random()*1e12)::bigint, random()*1000, now(), jsonb_build_object('a', random()), gen_random_uuid(), array[1,null,3] from generate_series(1, 20) on conflict do nothing;",
    "update busy set v = v + 1 where id in (select id from busy order by random() limit 10);",
    "delete from busy where id in (select id from busy order by random() limit 8);",
    "update single set id = id + 1000000 where id = (select min(id) from single);",
    "update single set v = v + 1 where id % 97 = floor(random()*97)::int;",
    "begin; set constraints all deferred; update swapped set id = case id when 1 then 2 when 2 then 1 end where id in (1, 2); commit;",
    "update swapped set v = v + 1 where id = (random()*100)::int;",
    "update keyed set v = v || '.' where a % 50 = (random()*50)::int;",
    "update keyed set b = b || '+' where a = (random()*2000)::int;",
    "update keyed set big = repeat(md5(random()::text), 300) where a = (random()*2000)::int;",
    "begin; truncate small; insert into small select i, 'n'||random() from generate_series(1, 50) i; commit;",
    "truncate small;",
    "insert into small select i, 'z' from generate_series(1000, 1010) i on conflict do nothing;",
    "begin; insert into loose select 7, 'tx' from generate_series(1, 5); savepoint a; delete from loose where a = 7; rollback to a; update loose set b = 'upd' where ctid = (select min(ctid) from loose); commit;",
    "delete from loose where ctid = (select max(ctid) from loose);",
    "begin; delete from single; rollback;",
    "begin; savepoint a; insert into single select 2000000 + (random()*1e6)::int, 1 on conflict do nothing; savepoint b; update single set v = -1 where id % 11 = 0; rollback to b; release a; commit;",
]


class Load(Writers):
    def __init__(self, server, seed):
        super().__init__(server)
        self.dice, self.prepared_count = random.Random(seed + 77), 0
        for i in range(2):
            self.begin(self.odd, random.Random(seed * 10 + i))
        self.begin(self.prepared)
        self.begin(self.clients)

    def odd(self, dice):
        self.run("\n".join(dice.choice(ODD) for _ in range(20)))

    def prepared(self):
        self.prepared_count += 1
        name = f"h{self.prepared_count}"
        end = self.dice.choice(["commit", "commit", "rollback"])
        self.server.sql(f"begin; insert into single select 5000000+{self.prepared_count}, 1 on conflict do nothing; prepare transaction '{name}';",
                        check=False)
        self.stopping.wait(self.dice.random())
        self.server.sql(f"{end} prepared '{name}';", check=False)

    def clients(self):
        subprocess.run(["pgbench", "-h", "127.0.0.1", "-p", str(self.server.port), "-U", "postgres", "-n", "-c", "8", "-j", "2", "-T", "5",
                        "postgres"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def one_run(options, seed):
    with Rig("hammer", options) as rig:
        return hammer(rig, options, seed)


def hammer(rig, options, seed):
    dice, server = random.Random(seed), rig.server
    subprocess.run(["pgbench", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-i", "-q", "-s", str(options.scale), "postgres"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server.sql(SETUP)
    writers = Load(server, seed)
    rig.threads.append(writers)
    open_one = subprocess.Popen(["psql", server.url(), "-qAtX"], stdin=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for("the writers write", lambda: writers.written > 2)
    rig.start()
    # After the slot: this one is open across the copies' start.
    wait_for("the slot is made", lambda: rig.process.poll() is not None or server.sql("SELECT slot_name FROM pg_replication_slots"))
    open_one.stdin.write("begin; insert into single values (9000001, 1); update keyed set v = 'long' where a < 100;\n")
    open_one.stdin.flush()
    large_at = time.time() + options.seconds * 0.4
    open_until = time.time() + min(30, options.seconds * 0.6)
    moments = sorted(dice.uniform(0.5, options.seconds) for _ in range(options.kills))
    restarts = [(options.seconds * 0.55, "fast"), (options.seconds * 0.75, "immediate")][: options.restarts]
    began, large = time.time(), None
    while time.time() - began < options.seconds:
        time.sleep(0.02)
        now = time.time() - began
        if open_one and time.time() > open_until:
            open_one.stdin.write("commit;\n")
            open_one.stdin.close()
            open_one = None
        if large is None and time.time() > large_at:
            large = subprocess.Popen(["psql", server.url(), "-qAtX", "-c",
                                      f"insert into busy select 2000000000000 + i, i, now(), null, null, null from generate_series(1, {options.large}) i"],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if moments and now > moments[0]:
            moments.pop(0)
            rig.kill()
            rig.start()
        if restarts and now > restarts[0][0]:
            server.stop(restarts.pop(0)[1])
            server.start()
        if rig.process.poll() is not None:
            raise Failure(f"sluice ended by itself with {rig.process.returncode}")
    if open_one:
        open_one.communicate("commit;\n")
    if large:
        large.wait()
    writers.pause()
    ended = time.time()
    code = rig.stop()
    took = time.time() - ended
    if code != 0:
        raise Failure(f"SIGTERM ended with {code} after {took:.1f} s")
    rig.catch_up()
    verified, report = rig.verify()
    tables = report["tables"]
    compared = [t for t in tables if t["status"] == "equal"]
    if verified.returncode != 0 or not report.get("equal") or len(compared) != len(tables) or len(tables) < 10:
        raise Failure(f"verify: {verified.returncode} {verified.stderr[-2000:]} {json.dumps(report)[:3000]}")
    rows = sum(t["rows_source"] for t in tables)
    return f"equal, {len(tables)} tables, {rows} rows, {options.kills} kills, {options.restarts} server restarts, stopped in {took:.1f} s"


def main():
    options = parser(__doc__, memory="512MiB")
    options.add_argument("--scale", type=int, default=1)
    options.add_argument("--kills", type=int, default=3)
    options.add_argument("--restarts", type=int, default=2)
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--large", type=int, default=50000, help="rows of the large transaction")
    with Results("hammer") as results:
        results.seeds(one_run, options.parse_args())


if __name__ == "__main__":
    main()
