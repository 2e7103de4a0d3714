#!/usr/bin/env python3
"""Random schema changes and rows over ten tables, with kills of sluice, then a comparison by content.

Two sessions own five tables each and know their columns. They insert, update, delete, truncate, and in between add, drop,
rename, exchange, widen and retype columns, drop and add one under the same name, rewrite tables, change keys and replica
identities, also in transactions with rows before and after and in savepoints that are rolled back. sluice is killed with
SIGKILL at random moments. Ends 0 when every run ended equal, or with tables halted for the one documented reason: copied
again too often (SLU-4208).

  ddl_hammer.py --sluice build/dev/sluice --runs 5 --statements 300 --kills 3
"""
import argparse
import copy
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from hammer import Server  # noqa: E402

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
    "mood": lambda d: d.choice(["'sad'", "'ok'"]),
}
WIDER = {"varchar(8)": ["varchar(30)", "text"], "varchar(30)": ["text"], "numeric(8,2)": ["numeric(14,2)"], "timestamp(0)": ["timestamp"]}


class Table:
    """What a session knows of a table: columns beside the key, as (name, type)."""

    def __init__(self, name):
        self.name, self.key, self.columns, self.next = name, "id", [("a", "text"), ("b", "int"), ("c", "varchar(8)")], 0

    def fresh(self, dice):
        self.next += 1
        return dice.choice([f"n{self.next}", f"N {self.next}", f"käse{self.next}"])


def q(name):
    return '"' + name + '"'


def value(dice, kind):
    if dice.random() < 0.15:
        return "NULL"
    if kind == "text" and dice.random() < 0.2:
        return f"repeat(md5('{dice.random()}'), 120)"  # stored apart, and left out where unchanged
    return TYPES[kind](dice)


def rows(dice, t):
    what = dice.random()
    if what < 0.45 or not t.columns:
        names = [t.key] + [n for n, _ in t.columns if dice.random() < 0.8]
        kinds = dict(t.columns)
        values = [str(dice.randint(1, 400))] + [value(dice, kinds[n]) for n in names[1:]]
        return f"INSERT INTO {t.name} ({', '.join(map(q, names))}) VALUES ({', '.join(values)}) ON CONFLICT DO NOTHING;"
    if what < 0.8:
        name, kind = dice.choice(t.columns)
        return f"UPDATE {t.name} SET {q(name)} = {value(dice, kind)} WHERE {q(t.key)} % {dice.randint(2, 9)} = 0;"
    if what < 0.86:
        return f"UPDATE {t.name} SET {q(t.key)} = {dice.randint(1000, 10**9)} WHERE {q(t.key)} = {dice.randint(1, 400)};"
    if what < 0.98:
        return f"DELETE FROM {t.name} WHERE {q(t.key)} % {dice.randint(5, 30)} = 1;"
    return f"TRUNCATE {t.name};"


def ddl(dice, t, risky):
    kinds = ["add", "add", "add", "drop", "drop", "rename", "rename", "swap", "widen", "null", "vacuum", "identity", "key"]
    kind = dice.choice(kinds + (["retype", "using", "volatile", "replace"] if dice.random() < risky else []))
    alter = f"ALTER TABLE {t.name} "
    if kind in ("add", "volatile"):
        name, of = t.fresh(dice), dice.choice(list(TYPES))
        default = f" DEFAULT {TYPES[of](dice)}" if dice.random() < 0.5 else ""
        if kind == "volatile":
            of, default = "numeric(8,2)", " DEFAULT random()"
        t.columns.append((name, of))
        return alter + f"ADD COLUMN {q(name)} {of}{default};"
    if kind == "null" and t.columns:
        return alter + f"ALTER COLUMN {q(dice.choice(t.columns)[0])} SET DEFAULT NULL;"
    if kind == "vacuum":
        return f"VACUUM FULL {t.name};"
    if kind == "identity":
        return alter + f"REPLICA IDENTITY {dice.choice(['FULL', 'DEFAULT'])};"
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
    if kind == "replace":
        t.columns.append(t.columns.pop(at))
        return alter + f"DROP COLUMN {q(name)}; " + alter + f"ADD COLUMN {q(name)} {of};"
    return ""


def in_transaction(text):
    return not text.startswith(("VACUUM", "BEGIN"))


def step(dice, t, options):
    """One statement, or one transaction of several."""
    if dice.random() < 0.75:
        return ddl(dice, t, options.risky) if dice.random() < options.ddl else rows(dice, t)
    parts = ["BEGIN;"]
    for _ in range(dice.randint(2, 5)):
        if dice.random() < 0.25:
            saved, inner = copy.deepcopy(t), []
            for _ in range(2):
                text = ddl(dice, t, options.risky) if dice.random() < 0.6 else rows(dice, t)
                inner.append(text if in_transaction(text) else "")
            t.key, t.columns = saved.key, saved.columns
            parts += ["SAVEPOINT s;", *inner, "ROLLBACK TO s;"]
            continue
        saved = copy.deepcopy(t)
        text = ddl(dice, t, options.risky) if dice.random() < 0.4 else rows(dice, t)
        if in_transaction(text):
            parts.append(text)
        else:
            t.key, t.columns = saved.key, saved.columns
    return " ".join([*parts, "COMMIT;"])


class Session(threading.Thread):
    def __init__(self, server, seed, tables, options):
        super().__init__()
        self.server, self.dice, self.tables, self.options, self.failed = server, random.Random(seed), tables, options, []

    def run(self):
        for _ in range(self.options.statements // 2):
            text = step(self.dice, self.dice.choice(self.tables), self.options)
            done = subprocess.run(["psql", self.server.url(), "-qAtX"], input=text, text=True, capture_output=True)
            self.failed += [f"{line} <- {text}" for line in done.stderr.splitlines() if "ERROR" in line and "deadlock" not in line]
            time.sleep(self.dice.choice([0, 0, 0, 0.05, 0.2]))


def one_run(options, seed):
    dice = random.Random(seed)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-ddl-hammer-"))
    os.chmod(folder, 0o755)
    server = Server(str(folder / "server"), options.version, 20000 + (os.getpid() * 7 + seed) % 20000)
    environment = dict(os.environ, SLUICE_STATE=str(folder / "state"))
    log = open(folder / "sluice.log", "a")
    target = [server.url(), str(folder / "out.duckdb")]
    process = None

    def start(*more):
        return subprocess.Popen([options.sluice, "run", *target, "--http", "off", "--progress", "plain", "--memory", "512MiB", *more],
                                stdout=log, stderr=log, env=environment)

    try:
        tables = [Table(f"t{i}") for i in range(10)]
        server.sql("CREATE TYPE mood AS ENUM ('sad', 'ok');")
        for t in tables:
            server.sql(f"CREATE TABLE {t.name} (id int PRIMARY KEY, a text, b int, c varchar(8)); "
                       f"INSERT INTO {t.name} SELECT i, 'a' || i, i, 'c' || i FROM generate_series(1, 200) i;")
        process = start()
        time.sleep(2)
        sessions = [Session(server, seed * 2 + i, tables[i * 5:i * 5 + 5], options) for i in range(2)]
        for session in sessions:
            session.start()
        kills = 0
        while any(session.is_alive() for session in sessions):
            time.sleep(dice.uniform(0.3, 2 * options.between))
            if process.poll() is not None:
                print(f"seed {seed}: sluice ended by itself with {process.returncode}; kept {folder}")
                return False
            if kills < options.kills:
                kills += 1
                process.send_signal(signal.SIGKILL)
                process.wait()
                process = start()
        for session in sessions:
            session.join()
            if session.failed:
                print(f"seed {seed}: statements failed: {session.failed[:2]}; kept {folder}")
                return False
        process.send_signal(signal.SIGTERM)
        if process.wait(timeout=60) not in (0, 3):
            print(f"seed {seed}: SIGTERM ended with {process.returncode}; kept {folder}")
            return False
        for _ in range(4):  # what is noticed only now is copied again once more
            process = start("--until", "caught-up")
            if process.wait(timeout=options.timeout) not in (0, 3):
                print(f"seed {seed}: run --until caught-up ended with {process.returncode}; kept {folder}")
                return False
            verified = subprocess.run([options.sluice, "verify", *target, "--json"], env=environment, text=True, capture_output=True,
                                      timeout=options.timeout)
            report = json.loads(verified.stdout) if verified.stdout.strip() else {"tables": []}
            waits = [t for t in report["tables"] if t["status"] not in ("equal", "different") and "SLU-4208" not in json.dumps(t)]
            if report["tables"] and not waits:
                break
        equal = [t for t in report["tables"] if t["status"] == "equal"]
        halted = [t for t in report["tables"] if "SLU-4208" in json.dumps(t)]
        if len(equal) + len(halted) != len(tables):
            print(f"seed {seed}: verify: {verified.returncode} {verified.stderr[-1500:]} {json.dumps(report)[:3000]}; kept {folder}")
            return False
        with open(folder / "sluice.log") as text:
            again = text.read().count("is copied again")
        print(f"seed {seed}: {len(equal)} equal, {len(halted)} halted, {again} copies again, {kills} kills", flush=True)
        server.stop("immediate")
        server = None
        shutil.rmtree(folder, ignore_errors=True)
        return True
    finally:
        if process and process.poll() is None:
            process.kill()
        if server:
            try:
                server.stop("immediate")
            except subprocess.CalledProcessError:
                pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default="build/dev/sluice")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--statements", type=int, default=300)
    parser.add_argument("--ddl", type=float, default=0.3, help="share of schema changes")
    parser.add_argument("--risky", type=float, default=0.1, help="share of those among them that take a copy")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--between", type=float, default=3, help="seconds between kills, about")
    parser.add_argument("--version", default="17")
    parser.add_argument("--timeout", type=float, default=600)
    options = parser.parse_args()
    results = [one_run(options, options.seed + i) for i in range(options.runs)]
    print(f"{results.count(True)} of {len(results)} runs ended as they should")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
