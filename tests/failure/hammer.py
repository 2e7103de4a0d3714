#!/usr/bin/env python3
"""Copies and streams under load while sluice and PostgreSQL are killed, then compares by content.

One run: a scratch server, pgbench tables and a set of odd ones, pgbench clients and odd writers (inserts, key changes and
swaps, deletes, TRUNCATE, savepoints, rollbacks, a transaction open across the copy's start, a large one, prepared ones);
sluice is killed with SIGKILL at random moments, the server restarted once fast and once immediately; writers stop;
`run --until caught-up`, `verify`. Ends 0 when every run ended equal.

  hammer.py --sluice build/dev/sluice --runs 1 --scale 1 --kills 3 --seconds 20
"""
import argparse
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

CACHE = os.environ.get("SLUICE_CACHE") or ("/var/cache/sluice" if os.geteuid() == 0 else os.path.expanduser("~/.cache/sluice"))


class Server:
    """A PostgreSQL of the cache in a folder of its own, as another user when we are root."""

    def __init__(self, folder, version, port):
        self.folder, self.port = folder, port
        found = sorted(pathlib.Path(CACHE).glob(f"postgres-{version}.*"))
        if not found:
            sys.exit(f"no PostgreSQL {version} in {CACHE}: run scripts/setup test")
        self.bin = found[-1] / "native" / "bin"
        os.makedirs(folder)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        self._run("initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "postgres", "--locale=C", "-E", "UTF8", "--no-sync")
        with open(f"{folder}/data/postgresql.conf", "a") as conf:
            conf.write(f"""
port={port}
listen_addresses='127.0.0.1'
unix_socket_directories='{folder}'
wal_level=logical
max_wal_senders=20
max_replication_slots=20
max_prepared_transactions=20
max_connections=100
max_wal_size=4GB
shared_buffers=256MB
logical_decoding_work_mem='1MB'
""")
        self.start()

    def _run(self, tool, *arguments):
        command = [str(self.bin / tool), *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")

    def start(self):
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log", "-w", "-t", "120", "start")

    def stop(self, mode="fast"):
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-m", mode, "-w", "-t", "120", "stop")

    def url(self):
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def sql(self, text, check=True):
        done = subprocess.run(["psql", self.url(), "-qAtX", "-v", "ON_ERROR_STOP=1"], input=text, text=True, capture_output=True)
        if check and done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout


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


class Writers:
    """Odd statements, each session in a thread, until told to stop. A server that is away is waited for."""

    def __init__(self, server, seed):
        self.server, self.stopping = server, threading.Event()
        self.failed = []
        self.threads = [threading.Thread(target=self.odd, args=(seed * 10 + i,)) for i in range(2)]
        self.threads += [threading.Thread(target=self.prepared, args=(seed,)), threading.Thread(target=self.clients)]
        for thread in self.threads:
            thread.start()

    def note(self, error):
        away = ("could not connect", "connection to server", "terminating connection", "server closed", "shutting down",
                "starting up", "recovery mode", "deadlock", "duplicate key", "could not serialize", "not yet accepting")
        if not any(word in error for word in away):
            self.failed.append(error)

    def odd(self, seed):
        dice = random.Random(seed)
        while not self.stopping.is_set():
            statements = "\n".join(dice.choice(ODD) for _ in range(20))
            done = subprocess.run(["psql", self.server.url(), "-qAtX"], input=statements, text=True, capture_output=True)
            for line in done.stderr.splitlines():
                if "ERROR" in line:
                    self.note(line)
            if done.returncode == 2:
                self.stopping.wait(0.2)

    def prepared(self, seed):
        dice, n = random.Random(seed + 77), 0
        while not self.stopping.is_set():
            n += 1
            end = dice.choice(["commit", "commit", "rollback"])
            self.server.sql(f"begin; insert into single select 5000000+{n}, 1 on conflict do nothing; prepare transaction 'h{n}';", check=False)
            self.stopping.wait(dice.random())
            self.server.sql(f"{end} prepared 'h{n}';", check=False)

    def clients(self):
        while not self.stopping.is_set():
            subprocess.run(["pgbench", "-h", "127.0.0.1", "-p", str(self.server.port), "-U", "postgres", "-n", "-c", "8", "-j", "2", "-T", "5",
                            "postgres"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        for line in self.server.sql("select gid from pg_prepared_xacts").split():
            self.server.sql(f"rollback prepared '{line}'")


def one_run(options, seed):
    dice = random.Random(seed)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-hammer-"))
    os.chmod(folder, 0o755)
    port = 20000 + (os.getpid() * 7 + seed) % 20000
    server = Server(str(folder / "server"), options.version, port)
    log = open(folder / "sluice.log", "a")
    environment = dict(os.environ, SLUICE_STATE=str(folder / "state"))
    sluice = [options.sluice, "run", server.url(), str(folder / "out.duckdb"), "--http", "off", "--progress", "plain", "--memory", options.memory]

    def start(*more):
        return subprocess.Popen([*sluice, *more], stdout=log, stderr=log, env=environment)

    writers = None
    process = None
    try:
        subprocess.run(["pgbench", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-i", "-q", "-s", str(options.scale), "postgres"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        server.sql(SETUP)
        writers = Writers(server, seed)
        open_one = subprocess.Popen(["psql", server.url(), "-qAtX"], stdin=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        process = start()
        time.sleep(0.5)  # after the slot: this one is open across the copies' start
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
                process.send_signal(signal.SIGKILL)
                process.wait()
                process = start()
            if restarts and now > restarts[0][0]:
                server.stop(restarts.pop(0)[1])
                server.start()
            if process.poll() is not None:
                print(f"seed {seed}: sluice ended by itself with {process.returncode}; log: {folder}/sluice.log")
                return False
        if open_one:
            open_one.communicate("commit;\n")
        if large:
            large.wait()
        writers.stop()
        if writers.failed:
            print(f"seed {seed}: statements of the application failed: {writers.failed[:3]}")
            return False
        process.send_signal(signal.SIGTERM)
        ended = time.time()
        code = process.wait(timeout=60)
        took = time.time() - ended
        if code != 0 or took > 10:
            print(f"seed {seed}: SIGTERM ended with {code} after {took:.1f} s; log: {folder}/sluice.log")
            return False
        process = start("--until", "caught-up")
        if process.wait(timeout=options.timeout) != 0:
            print(f"seed {seed}: run --until caught-up ended with {process.returncode}; log: {folder}/sluice.log")
            return False
        verified = subprocess.run([options.sluice, "verify", server.url(), str(folder / "out.duckdb"), "--json"], env=environment, text=True,
                                  capture_output=True, timeout=options.timeout)
        report = json.loads(verified.stdout) if verified.stdout.strip() else {}
        tables = report.get("tables", [])
        compared = [t for t in tables if t["status"] == "equal"]
        if verified.returncode != 0 or not report.get("equal") or len(compared) != len(tables) or len(tables) < 10:
            print(f"seed {seed}: verify: {verified.returncode} {verified.stderr[-2000:]} {json.dumps(report)[:3000]}; kept {folder}")
            return False
        rows = sum(t["rows_source"] for t in tables)
        print(f"seed {seed}: equal, {len(tables)} tables, {rows} rows, {options.kills} kills, {options.restarts} server restarts", flush=True)
        if not options.keep:
            server.stop("immediate")
            shutil.rmtree(folder, ignore_errors=True)
            server = None
        return True
    finally:
        if writers and not writers.stopping.is_set():
            writers.stopping.set()
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
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--restarts", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--large", type=int, default=50000, help="rows of the large transaction")
    parser.add_argument("--version", default="17")
    parser.add_argument("--memory", default="512MiB")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    results = [one_run(options, options.seed + i) for i in range(options.runs)]
    print(f"{results.count(True)} of {len(results)} runs ended equal")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
