#!/usr/bin/env python3
"""Random schema changes and rows over ten tables, with kills of sluice, then a comparison by content.

Two sessions own five tables each and know their columns. They insert, update, delete, truncate (several at once too), and
in between add, drop, rename, exchange, widen, narrow and retype columns, drop and add one under the same name, add and
rename labels of enums, rewrite tables, change keys and replica identities, rename, exchange and move tables to another
schema, drop them and make them again, take them out of the publication and put them back; two tables are partitioned, and
partitions come and go with their rows; also in transactions with rows before and after and in savepoints that are rolled back. sluice is killed with SIGKILL at random moments. Ends 0 when every
table of every run ended equal.

  ddl_hammer.py --sluice build/dev/sluice --runs 5 --statements 300 --kills 3
"""
import copy
import itertools
import json
import random
import subprocess
import threading
import time
import traceback

from rig import Failure, Results, Rig, parser, wait_for

TYPES = {
    "int": lambda d: str(d.randint(-1000, 1000)),
    "bigint": lambda d: str(d.randint(-(10**12), 10**12)),
    "text": lambda d: "'" + "x" * d.randint(0, 5) + str(d.randint(0, 99)) + "'",
    "varchar(8)": lambda d: f"'{d.randint(0, 99999)}'",
    "varchar(30)": lambda d: f"'{d.randint(0, 99999)} longer'",
    "numeric(8,2)": lambda d: f"{d.randint(-99999, 99999)}.{d.randint(10, 99)}",
    "numeric(14,2)": lambda d: f"{d.randint(-99999999, 99999999)}.{d.randint(10, 99)}",
    "timestamp(0)": lambda d: f"'2026-01-01 00:00:{d.randint(10, 59)}'",
    "timestamp": lambda d: f"'2026-01-01 00:00:00.{d.randint(100000, 999999)}'",
    "boolean": lambda d: d.choice(["true", "false"]),
    "jsonb": lambda d: f"'{{\"a\": {d.randint(0, 9)}}}'",
}
NARROWER = {"text": ("varchar(30)", "left({}, 30)"), "varchar(30)": ("varchar(8)", "left({}, 8)"), "bigint": ("int", "({} % 1000)::int"),
            "numeric(14,2)": ("numeric(8,2)", "{} % 1000"), "timestamp": ("timestamp(0)", "{}::timestamp(0)")}
WIDER = {"varchar(8)": ["varchar(30)", "text"], "varchar(30)": ["text"], "numeric(8,2)": ["numeric(14,2)"], "timestamp(0)": ["timestamp"]}

NUMBERS = itertools.count(1)  # of names: tables exchange theirs, and indexes and partitions stay

# Two sessions and sluice itself; a table that sluice had not published yet, or has put back already.
EXPECTED = ("deadlock", "is not part of the publication", "is already member of publication", "tuple concurrently updated")


class Mood:
    """An enum of one session, and its labels."""

    def __init__(self, name):
        self.name, self.labels, self.next = name, ["sad", "ok"], 0

    def alter(self, dice):
        self.next += 1
        if dice.random() < 0.5:
            self.labels.append(f"added{self.next}")
            return f"ALTER TYPE {self.name} ADD VALUE '{self.labels[-1]}';"
        at = dice.randrange(len(self.labels))
        old, self.labels[at] = self.labels[at], f"called{self.next}"
        return f"ALTER TYPE {self.name} RENAME VALUE '{old}' TO '{self.labels[at]}';"


class Table:
    """What a session knows of a table: columns beside the key, as (name, type)."""

    def __init__(self, name, mood, is_partitioned):
        self.parts, self.is_partitioned = [], is_partitioned
        self.schema, self.first, self.base, self.mood, self.next = "public", name, name, mood, 0
        self.reset()

    def reset(self):
        self.next += 1
        self.key, self.columns, self.index = "id", [("a", "text"), ("b", "int"), ("c", "varchar(8)")], f"{self.first}_key{next(NUMBERS)}"
        # The two together 18 refuses to update in any publication without publish_generated_columns.
        self.has_full, self.has_generated = False, False

    @property
    def name(self):
        return f"{self.schema}.{self.base}"

    def bounds(self, at):
        low = "MINVALUE" if at == 0 else 100 * at
        return f"FOR VALUES FROM ({low}) TO ({'MAXVALUE' if at == 3 else 100 * at + 100})"

    def part(self):
        return f"{self.first}_p{next(NUMBERS)}"

    def create(self):
        if self.is_partitioned:
            self.parts = [self.part() for _ in range(4)]
            return (f"CREATE TABLE {self.name} (id int CONSTRAINT {self.index} PRIMARY KEY, a text, b int, c varchar(8)) PARTITION BY RANGE (id); "
                    + "".join(f"CREATE TABLE {p} PARTITION OF {self.name} {self.bounds(i)}; " for i, p in enumerate(self.parts))
                    + f"INSERT INTO {self.name} SELECT i, 'a' || i, i, 'c' || i FROM generate_series(1, 400) i;")
        return (f"CREATE TABLE {self.name} (id int CONSTRAINT {self.index} PRIMARY KEY, a text, b int, c varchar(8)); "
                f"INSERT INTO {self.name} SELECT i, 'a' || i, i, 'c' || i FROM generate_series(1, 200) i;")

    def back_to(self, saved):
        """What a rollback leaves; names that were given out stay so."""
        self.__dict__.update({**saved.__dict__, "next": self.next, "mood": self.mood})

    def fresh(self, dice):
        self.next += 1
        return dice.choice([f"n{self.next}", f"N {self.next}", f"käse{self.next}"])


def q(name):
    return '"' + name + '"'


def value(dice, t, kind, is_null_allowed=True):
    if is_null_allowed and dice.random() < 0.15:
        return "NULL"
    if kind == "text" and dice.random() < 0.2:
        return f"repeat(md5('{dice.random()}'), 120)"  # stored apart, and left out where unchanged
    return f"'{dice.choice(t.mood.labels)}'" if kind == t.mood.name else TYPES[kind](dice)


def rows(dice, t):
    what = dice.random()
    if what < 0.45 or not t.columns:
        names = [t.key] + [n for n, _ in t.columns if dice.random() < 0.8]
        kinds = dict(t.columns)
        values = [str(dice.randint(1, 400))] + [value(dice, t, kinds[n]) for n in names[1:]]
        return f"INSERT INTO {t.name} ({', '.join(map(q, names))}) VALUES ({', '.join(values)}) ON CONFLICT DO NOTHING;"
    if what < 0.8:
        name, kind = dice.choice(t.columns)
        return f"UPDATE {t.name} SET {q(name)} = {value(dice, t, kind)} WHERE {q(t.key)} % {dice.randint(2, 9)} = 0;"
    if what < 0.86:
        return f"UPDATE {t.name} SET {q(t.key)} = {dice.randint(1000, 10**9)} WHERE {q(t.key)} = {dice.randint(1, 400)};"
    if what < 0.98:
        return f"DELETE FROM {t.name} WHERE {q(t.key)} % {dice.randint(5, 30)} = 1;"
    return f"TRUNCATE {t.name};"


def ddl(dice, t, risky):
    kinds = ["add", "add", "add", "drop", "drop", "rename", "rename", "swap", "widen", "default", "null", "vacuum", "identity", "key", "table",
             "schema"]
    kind = dice.choice(kinds + (["retype", "using", "volatile", "generated", "replace", "narrow"] if dice.random() < risky else []))
    alter = f"ALTER TABLE {t.name} "
    if kind in ("add", "volatile"):
        name, of = t.fresh(dice), dice.choice([*TYPES, t.mood.name])
        default = f" DEFAULT {value(dice, t, of, False)}" if dice.random() < 0.5 else ""
        if kind == "volatile":
            of, default = "numeric(8,2)", " DEFAULT random()"
        t.columns.append((name, of))
        return alter + f"ADD COLUMN {q(name)} {of}{default};"
    if kind == "default" and t.columns:
        name, of = dice.choice(t.columns)
        return alter + f"ALTER COLUMN {q(name)} SET DEFAULT {value(dice, t, of)};"
    if kind == "null":
        name = t.fresh(dice)
        t.columns.append((name, "int"))
        return alter + f"ADD COLUMN {q(name)} int NOT NULL DEFAULT 7; " + alter + f"ALTER COLUMN {q(name)} DROP NOT NULL;"
    if kind == "generated" and not t.has_full:
        name, t.has_generated = t.fresh(dice), True
        return alter + f"ADD COLUMN {q(name)} int GENERATED ALWAYS AS ({dice.randint(1, 9)}) STORED;"
    if kind == "vacuum" and not t.is_partitioned:
        return dice.choice([f"VACUUM FULL {t.name};", f"CLUSTER {t.name} USING {t.index};"])
    if kind == "identity" and not t.is_partitioned:
        index = f"{t.first}_i{next(NUMBERS)}"
        t.has_full = not t.has_generated and dice.random() < 0.4
        return alter + "REPLICA IDENTITY FULL;" if t.has_full else dice.choice(
            [alter + "REPLICA IDENTITY DEFAULT;",
             f"CREATE UNIQUE INDEX {index} ON {t.name} ({q(t.key)}); " + alter + f"REPLICA IDENTITY USING INDEX {index};"])
    if kind == "table":
        t.base = f"{t.first}_{next(NUMBERS)}"
        return alter + f"RENAME TO {t.base};"
    if kind == "schema":
        t.schema = "other" if t.schema == "public" else "public"
        return alter + f"SET SCHEMA {t.schema};"
    if kind == "key":
        old, t.key = t.key, f"k{t.next}"
        t.next += 1
        return alter + f"RENAME COLUMN {q(old)} TO {q(t.key)};"
    if not t.columns:
        return ""
    at = dice.randrange(len(t.columns))
    name, of = t.columns[at]
    if kind == "drop":
        t.columns.pop(at)
        return alter + f"DROP COLUMN {q(name)};"
    if kind == "rename":
        t.columns[at] = (t.fresh(dice), of)
        return alter + f"RENAME COLUMN {q(name)} TO {q(t.columns[at][0])};"
    if kind == "swap" and len(t.columns) > 1:
        other = (at + 1) % len(t.columns)
        second, second_of = t.columns[other]
        t.columns[at], t.columns[other] = (second, of), (name, second_of)
        return (f"BEGIN; {alter}RENAME COLUMN {q(name)} TO tmp; {alter}RENAME COLUMN {q(second)} TO {q(name)}; "
                f"{alter}RENAME COLUMN tmp TO {q(second)}; COMMIT;")
    if kind == "widen" and of in WIDER:
        t.columns[at] = (name, dice.choice(WIDER[of]))
        return alter + f"ALTER COLUMN {q(name)} TYPE {t.columns[at][1]};"
    if kind == "retype" and of == "int":
        t.columns[at] = (name, "bigint")
        return alter + f"ALTER COLUMN {q(name)} TYPE bigint;"
    if kind == "using" and of in ("int", "bigint"):
        return alter + f"ALTER COLUMN {q(name)} TYPE {of} USING {q(name)} + 1;"
    if kind == "narrow" and of in NARROWER:
        to, using = NARROWER[of]
        t.columns[at] = (name, to)
        return alter + f"ALTER COLUMN {q(name)} DROP DEFAULT, ALTER COLUMN {q(name)} TYPE {to} USING {using.format(q(name))};"
    if kind == "replace":
        t.columns.append(t.columns.pop(at))
        return alter + f"DROP COLUMN {q(name)}; " + alter + f"ADD COLUMN {q(name)} {of};"
    return ""


def partition(dice, t):
    """Rows that come or go with a partition."""
    at = dice.randrange(4)
    part, where = t.parts[at], t.bounds(at)
    key = 100 * at + dice.randint(1, 99)
    kind = dice.choice(["empty", "again", "filled", "vacuum", "replace"])
    if kind == "empty":
        return f"TRUNCATE {part};"
    if kind == "vacuum":
        return f"VACUUM FULL {part};"
    if kind == "again":
        return (f"ALTER TABLE {t.name} DETACH PARTITION {part}; INSERT INTO {part} ({q(t.key)}) VALUES ({key}) ON CONFLICT DO NOTHING; "
                f"ALTER TABLE {t.name} ATTACH PARTITION {part} {where};")
    t.parts[at] = t.part()
    if kind == "replace":
        return f"DROP TABLE {part}; CREATE TABLE {t.parts[at]} PARTITION OF {t.name} {where}; INSERT INTO {t.name} ({q(t.key)}) VALUES ({key});"
    return (f"BEGIN; CREATE TABLE {t.parts[at]} (LIKE {t.name}); INSERT INTO {t.parts[at]} ({q(t.key)}) VALUES ({key}); DROP TABLE {part}; "
            f"ALTER TABLE {t.name} ATTACH PARTITION {t.parts[at]} {where}; COMMIT;")


def in_transaction(text):
    return not text.startswith(("VACUUM", "CLUSTER", "BEGIN"))


def of_several(dice, tables, options):
    """What concerns more than the columns of one table."""
    t, other = dice.sample(tables, 2)
    kind = dice.choice(["exchange", "truncate", "enum", "publication", "again", "partition"])
    if kind == "partition" and dice.random() < 3 * options.risky:
        return partition(dice, next(table for table in tables if table.is_partitioned))
    if kind == "exchange" and t.schema == other.schema:
        t.base, other.base = other.base, t.base
        return (f"BEGIN; ALTER TABLE {t.name} RENAME TO passing_{t.mood.name}; ALTER TABLE {other.name} RENAME TO {t.base}; "
                f"ALTER TABLE {t.schema}.passing_{t.mood.name} RENAME TO {other.base}; COMMIT;")
    if kind == "truncate":
        return f"TRUNCATE {t.name}, {other.name} CASCADE;"
    if kind == "enum" and dice.random() < 3 * options.risky:
        return t.mood.alter(dice)
    if kind == "publication" and dice.random() < 3 * options.risky:
        return (f"ALTER PUBLICATION sluice_out DROP TABLE {t.name}; {rows(dice, t)} "
                f"ALTER PUBLICATION sluice_out ADD TABLE ONLY {t.name};")
    if kind == "again" and dice.random() < 3 * options.risky:
        dropped = t.name
        t.reset()
        return f"DROP TABLE {dropped}; {t.create()}"
    return ""


def step(dice, t, options):
    """One statement, or one transaction of several."""
    if dice.random() < 0.75:
        return ddl(dice, t, options.risky) if dice.random() < options.ddl else rows(dice, t)
    parts = ["BEGIN;"]
    for _ in range(dice.randint(2, 5)):
        if dice.random() < 0.25:
            saved, inner = copy.deepcopy(t), []
            for _ in range(2):
                before = copy.deepcopy(t)
                text = ddl(dice, t, options.risky) if dice.random() < 0.6 else rows(dice, t)
                if in_transaction(text):
                    inner.append(text)
                else:
                    t.back_to(before)
            t.back_to(saved)
            parts += ["SAVEPOINT s;", *inner, "ROLLBACK TO s;"]
            continue
        saved = copy.deepcopy(t)
        text = ddl(dice, t, options.risky) if dice.random() < 0.4 else rows(dice, t)
        if in_transaction(text):
            parts.append(text)
        else:
            t.back_to(saved)
    return " ".join([*parts, "COMMIT;"])


class Session(threading.Thread):
    def __init__(self, server, seed, tables, options):
        super().__init__()
        self.server, self.dice, self.tables, self.options, self.failed = server, random.Random(seed), tables, options, []

    def run(self):
        try:
            self.work()
        except Exception:
            self.failed.append(traceback.format_exc())

    def work(self):
        for _ in range(self.options.statements // 2):
            if self.dice.random() < 0.2 * self.options.ddl:
                text = of_several(self.dice, self.tables, self.options)
            else:
                text = step(self.dice, self.dice.choice(self.tables), self.options)
            done = subprocess.run(["psql", self.server.url(), "-qAtX"], input=text, text=True, capture_output=True)
            self.failed += [f"{line} <- {text}" for line in done.stderr.splitlines() if "ERROR" in line and not any(word in line for word in EXPECTED)]
            time.sleep(self.dice.choice([0, 0, 0, 0.05, 0.2]))


def one_run(options, seed):
    with Rig("ddl-hammer", options) as rig:
        return hammer(rig, options, seed)


def hammer(rig, options, seed):
    dice, server = random.Random(seed), rig.server
    moods = [Mood(f"mood{i}") for i in range(2)]
    tables = [Table(f"t{i}", moods[i // 5], i % 5 == 4) for i in range(10)]
    server.sql("CREATE SCHEMA other;" + "".join(f"CREATE TYPE {mood.name} AS ENUM ('sad', 'ok');" for mood in moods))
    for t in tables:
        server.sql(t.create())
    if options.trigger and rig.command("check", rig.source, "--install-ddl-trigger").returncode != 0:
        raise Failure("the event triggers could not be installed")
    rig.start()
    wait_for("sluice streams", lambda: rig.process.poll() is not None or "1" in server.sql("SELECT count(*) FROM pg_stat_replication"), every=0.2)
    sessions = [Session(server, seed * 2 + i, tables[i * 5:i * 5 + 5], options) for i in range(2)]
    for session in sessions:
        session.start()
    kills = 0
    while any(session.is_alive() for session in sessions):
        time.sleep(dice.uniform(0.3, 2 * options.between))
        if rig.process.poll() is not None:
            raise Failure(f"sluice ended by itself with {rig.process.returncode}")
        if kills < options.kills:
            kills += 1
            rig.kill()
            rig.start()
    for session in sessions:
        session.join()
        if session.failed:
            raise Failure(f"statements failed: {session.failed[:2]}")
    if rig.stop() not in (0, 3):
        raise Failure(f"SIGTERM ended with {rig.process.returncode}")
    for _ in range(4):  # what is noticed only now is copied again once more
        rig.catch_up(codes=(0, 3))
        verified, report = rig.verify()
        names = {t.name for t in tables}
        report["tables"] = [t for t in report["tables"] if f"{t['schema']}.{t['table']}" in names]
        waits = [t for t in report["tables"] if t["status"] not in ("equal", "different")]
        if len(report["tables"]) == len(tables) and not waits:
            break
    equal = [t for t in report["tables"] if t["status"] == "equal"]
    if len(equal) != len(tables):
        raise Failure(f"verify: {verified.returncode} {verified.stderr[-1500:]} {json.dumps(report)[:3000]}")
    return f"{len(equal)} equal, {rig.log().count('is copied again')} copies again, {kills} kills"


def main():
    options = parser(__doc__, memory="512MiB")
    options.add_argument("--statements", type=int, default=300)
    options.add_argument("--ddl", type=float, default=0.3, help="share of schema changes")
    options.add_argument("--risky", type=float, default=0.1, help="share of those among them that take a copy")
    options.add_argument("--kills", type=int, default=3)
    options.add_argument("--between", type=float, default=3, help="seconds between kills, about")
    options.add_argument("--trigger", action="store_true", help="with the event triggers installed")
    with Results("ddl_hammer") as results:
        results.seeds(one_run, options.parse_args())


if __name__ == "__main__":
    main()
