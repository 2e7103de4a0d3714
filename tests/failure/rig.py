"""What the failure programs share: a scratch server, sluice as a process, a comparison of its own, options and ending.

A Rig is a folder with a server, a destination, sluice's state and log; leaving it ends what runs and, where all went
well, removes the folder. differences() reads both sides without sluice's verify: psql at the source, `sluice sql` at the
destination, a count and the sum of the rows' hashes for each table. A program's main is parser() and Results.

Deadlines are there to end what hangs: nothing that merely takes long on a busy machine comes near them.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

CACHE = os.environ.get("SLUICE_CACHE") or ("/var/cache/sluice" if os.geteuid() == 0 else os.path.expanduser("~/.cache/sluice"))


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended on the way out
# A shell lets what it starts in the background ignore this, and so would what is started here, pgbench for one.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Failure(Exception):
    """What was to hold did not."""


def parser(doc, **defaults):
    """The options that each program has; `defaults` where it has others."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--sluice", default="build/dev/sluice")
    made.add_argument("--version", default="17", help="of PostgreSQL")
    made.add_argument("--runs", type=int, default=1)
    made.add_argument("--seed", type=int, default=1, help="of the first run; each has the next")
    made.add_argument("--memory", default="128MiB", help="what sluice is given")
    made.add_argument("--timeout", type=float, default=600, help="seconds within which `run --until caught-up` ends")
    made.add_argument("--keep", action="store_true", help="keep the folder")
    made.set_defaults(**defaults)
    return made


class Results:
    """What passed and what failed. Leaving it prints both counts and ends the program, with 1 where anything failed.

    Whatever is raised inside is one failure, told with its traceback unless it is a Failure; what passed before counts.
    """

    def __init__(self, program):
        self.program, self.passes, self.failures = program, 0, 0

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and not issubclass(kind, Exception):
            return
        if error is not None:
            self.raised("", error)
        print(f"{self.passes} passed, {self.failures} failed", flush=True)
        sys.exit(1 if self.failures else 0)

    def passed(self, what):
        self.passes += 1
        print(f"{self.program}: {what}", flush=True)

    def failed(self, what):
        self.failures += 1
        print(f"{self.program}: FAILED: {what}", flush=True)

    def check(self, what, is_good, detail=""):
        if is_good:
            self.passed(what)
        else:
            self.failed(f"{what}: {detail}")

    def raised(self, where, error):
        if isinstance(error, Failure):
            self.failed(f"{where}{error}")
        else:
            self.failed(f"{where}{''.join(traceback.format_exception(error))}{getattr(error, 'stderr', None) or ''}")

    def attempt(self, name, work, *arguments):
        """work(*arguments) returns what to say of it; None: it has counted what it tried."""
        try:
            said = work(*arguments)
            if said is not None:
                self.passed(f"{name}: {said}")
        except Exception as error:
            self.raised(f"{name}: ", error)

    def seeds(self, one_run, options, *more):
        """one_run(options, seed, *more) for each seed."""
        for seed in range(options.seed, options.seed + options.runs):
            self.attempt(f"seed {seed}", one_run, options, seed, *more)


def wait_for(what, condition, seconds=300.0, every=0.02):
    """The first true value of condition(), looked at until a deadline."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"not within {seconds:.0f} s: {what}")
        time.sleep(every)


def children_of(pid):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                pass
    return found


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def free_port():
    """A port below those that the kernel gives to clients, and what keeps other rigs from it for as long as it is held."""
    for _ in range(1000):
        port = random.randint(15000, 30000)
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0sluice-rig-{port}")  # an abstract name: gone with the process
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
            return port, lock
        except OSError:
            lock.close()
    raise Failure("no port is free for a server")


class Server:
    """A PostgreSQL of the cache in a folder of its own, as another user when we are root."""

    def __init__(self, folder, version, settings=""):
        self.folder, self.major = folder, int(version)
        found = sorted(pathlib.Path(CACHE).glob(f"postgres-{version}.*"))
        if not found:
            sys.exit(f"no PostgreSQL {version} in {CACHE}: run scripts/setup test")
        self.bin = found[-1] / "native" / "bin"
        os.makedirs(folder)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        if "ssl=on" in settings:
            self._make_certificate()
        self._run("initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "postgres", "--locale=C", "-E", "UTF8", "--no-sync")
        with open(f"{folder}/data/postgresql.conf", "a") as conf:
            conf.write(f"""
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
{settings}
ssl_cert_file='{folder}/certificate.pem'
ssl_key_file='{folder}/key.pem'
""")
        self._start_at_a_free_port()

    def _start_at_a_free_port(self):
        for _ in range(20):
            self.port, self.port_lock = free_port()
            try:
                return self.start()
            except Failure as failure:
                if "Address already in use" not in str(failure):
                    raise
        raise Failure("no port is free for a server")

    def _make_certificate(self):
        key, certificate = f"{self.folder}/key.pem", f"{self.folder}/certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out",
                        certificate], check=True, capture_output=True)
        os.chmod(key, 0o600)
        if os.geteuid() == 0:
            shutil.chown(key, "nobody")

    def _run(self, tool, *arguments):
        command = [str(self.bin / tool), *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", check=False)
        if done.returncode != 0:
            raise Failure(f"{' '.join(command)}: {done.returncode}: {done.stdout[-1500:]}\n{self.log()[-1500:]}")

    def log(self):
        """What the server wrote to its log."""
        path = pathlib.Path(f"{self.folder}/log")
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self):
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log", "-o", f"-p {self.port}", "-w", "-t", "300", "start")

    def stop(self, mode="fast"):
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-m", mode, "-w", "-t", "300", "stop")

    def pid(self):
        with open(f"{self.folder}/data/postmaster.pid") as text:
            return int(text.readline())

    def crash(self):
        """SIGKILL of the postmaster and all that it started; nothing is written any more."""
        postmaster = self.pid()
        kill(postmaster, signal.SIGSTOP)
        wait_for("it makes no more children", lambda: _state(postmaster) in ("T", "Z"))
        everyone = [postmaster, *children_of(postmaster)]
        for pid in everyone:
            kill(pid)
        wait_for("the server's processes end", lambda: not any(_is_running(pid) for pid in everyone))
        # Where nobody reaps them their numbers stay taken, which is all that the next start looks at.
        for name in (f"{self.folder}/data/postmaster.pid", f"{self.folder}/.s.PGSQL.{self.port}.lock"):
            pathlib.Path(name).unlink(missing_ok=True)

    def url(self, port=None, more=""):
        return f"postgres://postgres@127.0.0.1:{port or self.port}/postgres{more}"

    def sql(self, text, check=True):
        done = subprocess.run(["psql", self.url(), "-qAtX", "-v", "ON_ERROR_STOP=1"], input=text, text=True, capture_output=True)
        if check and done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout


def _state(pid):
    """One letter, as ps has it; Z where there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def _is_running(pid):
    return _state(pid) != "Z"


class Psql:
    """One session, one answer a line: asking costs the machine next to nothing. It ends with the first error."""

    def __init__(self, url):
        self.process = subprocess.Popen(["psql", url, "-qAtX", "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, sql):
        self.process.stdin.write(sql + ";\n")
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Rig:
    def __init__(self, name, options, settings=""):
        self.options = options
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"sluice-{name}-"))
        os.chmod(self.folder, 0o755)
        self.sluice = str(pathlib.Path(options.sluice).resolve())
        self.destination = str(self.folder / "out.duckdb")
        self.environment = dict(os.environ, SLUICE_STATE=str(self.folder / "state"))
        self.log_file = self.folder / "sluice.log"
        self.process, self.processes, self.threads = None, [], []
        self.server = Server(str(self.folder / "server"), options.version, settings)
        self.source = self.server.url()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for writers in self.threads:
            writers.stopping.set()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        for writers in self.threads:
            writers.join()
        try:
            self.server.stop("immediate")
        except Failure:
            pass
        if kind is None and not self.options.keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        elif kind is not None:
            print(f"kept {self.folder}", flush=True)

    def start(self, *more, environment=None):
        """`sluice run`, its output at the end of the log."""
        with open(self.log_file, "a") as log:
            self.process = subprocess.Popen(
                [self.sluice, "run", self.source, self.destination, "--http", "off", "--progress", "plain", "--memory",
                 self.options.memory, *more],
                stdout=log, stderr=log, cwd=self.folder, env=dict(self.environment, **(environment or {})))
        self.processes = [process for process in self.processes if process.poll() is None] + [self.process]
        return self.process

    def command(self, *arguments, timeout=300.0, environment=None):
        return subprocess.run([self.sluice, *arguments], env=dict(self.environment, **(environment or {})), text=True, capture_output=True,
                              timeout=timeout, cwd=self.folder, check=False)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=180.0):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"SIGTERM did not end it within {seconds:.0f} s") from None

    def log(self, at=0):
        with open(self.log_file, errors="replace") as text:
            text.seek(at)
            return text.read()

    def status(self):
        """Of the running process; None: it does not answer."""
        try:
            done = self.command("status", "--json", self.destination, timeout=30)
        except subprocess.TimeoutExpired:
            return None
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else None

    def catch_up(self, *more, codes=(0,), timeout=None, environment=None):
        process = self.start("--until", "caught-up", *more, environment=environment)
        try:
            code = process.wait(timeout=timeout or self.options.timeout)
        except subprocess.TimeoutExpired:
            raise Failure("run --until caught-up does not end") from None
        if code not in codes:
            raise Failure(f"run --until caught-up ended with {code}: {self.log()[-1500:]}")

    def query(self, sql):
        done = self.command("sql", self.destination, "--json", "-c", sql)
        if done.returncode != 0:
            raise Failure(f"sluice sql: {done.stderr[-1000:]}")
        return json.loads(done.stdout)

    def ask(self, sql):
        """Rows of the destination as texts, over the control socket of the running process: it costs little. None: nobody answers."""
        sockets = list(pathlib.Path(self.environment["SLUICE_STATE"]).glob("*.sock"))
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(sockets[0]))
                client.sendall(json.dumps({"command": "sql", "sql": sql}).encode() + b"\n")
                answer = "".join(client.makefile())
        except (IndexError, OSError):
            return None
        return [row for line in map(json.loads, answer.splitlines()) for row in line.get("rows", [])]

    def verify(self):
        done = self.command("verify", self.source, self.destination, "--json", timeout=self.options.timeout)
        return done, json.loads(done.stdout) if done.stdout.strip() else {"tables": []}

    def expect_equal(self, tables_min=1):
        """Raises where a table of schema public differs; the number of rows compared."""
        wrong, tables, rows = differences(self)
        if wrong or tables < tables_min:
            raise Failure(f"{tables} tables compared, different: {wrong}")
        return rows


# How a value is written on both sides, by the source's type.
FORMS = {
    "bpchar": ("CASE WHEN {0} IS NOT NULL THEN concat({0}, '') END", "{0}::VARCHAR"),  # a cast to text drops the padding
    "timestamptz": ("(extract(epoch FROM {0}) * 1000000)::bigint::text", "epoch_us({0})::VARCHAR"),
    "_int4": ("array_to_string({0}, ',', 'N')", "coalesce(list_aggregate(list_transform({0}, lambda x: coalesce(x::VARCHAR, 'N')), 'string_agg', ','), "
              "CASE WHEN {0} IS NULL THEN NULL ELSE '' END)"),
}


TABLES_AT_ONCE = 100  # what one argument of a command has room for


def _rows(columns, side):
    parts = []
    for name, kind in columns:
        quoted = '"' + name.replace('"', '""') + '"'
        form = FORMS.get(kind, ("{0}::text", "{0}::VARCHAR"))[side].format(quoted)
        parts.append(f"coalesce({form}, '~')")
    # A function of PostgreSQL takes 100 arguments.
    calls = [f"concat_ws('|', {', '.join(parts[at:at + 90])})" for at in range(0, len(parts), 90)]
    return " || '|' || ".join(calls) if calls else "''"


def differences(rig):
    """Tables of schema public whose rows differ, the number compared, their rows at the source."""
    listed = rig.server.sql("""
      SELECT json_agg(t) FROM (
        SELECT c.relname AS name, (SELECT json_agg(json_build_array(a.attname, ty.typname) ORDER BY a.attnum) FROM pg_attribute a
          JOIN pg_type ty ON ty.oid = a.atttypid WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
        FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 1) t""")
    tables = json.loads(listed)
    source, destination = [], []
    for table in tables:
        name, columns = table["name"], table["columns"] or []
        source.append(f"""SELECT '{name}', count(*), coalesce(sum(('x' || left(md5(r), 15))::bit(60)::bigint), 0)
                          FROM (SELECT {_rows(columns, 0)} AS r FROM public."{name}") x""")
        destination.append(f"""SELECT '{name}' AS name, count(*) AS rows, coalesce(sum(('0x' || left(md5(r), 15))::BIGINT), 0)::VARCHAR AS hash
                               FROM (SELECT {_rows(columns, 1)} AS r FROM public."{name}")""")
    here, there = {}, {}
    for at in range(0, len(tables), TABLES_AT_ONCE):
        for line in rig.server.sql(" UNION ALL ".join(source[at:at + TABLES_AT_ONCE])).splitlines():
            name, rows, digest = line.split("|")
            here[name] = (int(rows), digest)
        try:
            there |= {row["name"]: (row["rows"], row["hash"]) for row in rig.query(" UNION ALL ".join(destination[at:at + TABLES_AT_ONCE]))}
        except Failure as failure:
            return [str(failure)], len(here), 0
    wrong = [f"{name}: {here[name][0]} rows at the source, {there[name][0]} at the destination" for name in here if here[name] != there[name]]
    return wrong, len(here), sum(rows for rows, _ in here.values())


class Writers:
    """Threads that write until told to stop, or to pause. A server that is away is waited for."""

    AWAY = ("could not connect", "connection to server", "terminating connection", "server closed", "shutting down", "starting up",
            "recovery mode", "not yet accepting", "not accepting", "deadlock", "duplicate key", "could not serialize")

    def __init__(self, server):
        self.server, self.stopping, self.going = server, threading.Event(), threading.Event()
        self.going.set()
        self.failed, self.busy, self.lock, self.threads, self.written = [], 0, threading.Lock(), [], 0

    def begin(self, work, *arguments):
        """work(*arguments) again and again, in a thread."""
        thread = threading.Thread(target=self._loop, args=(work, arguments), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _loop(self, work, arguments):
        while not self.stopping.is_set():
            if not self.going.wait(0.2):
                continue
            with self.lock:
                if not self.going.is_set():
                    continue
                self.busy += 1
            try:
                work(*arguments)
            except Exception:
                self.failed.append(traceback.format_exc())
            finally:
                with self.lock:
                    self.busy -= 1
                    self.written += 1

    def run(self, text):
        done = subprocess.run(["psql", self.server.url(), "-qAtX"], input=text, text=True, capture_output=True)
        for line in done.stderr.splitlines():
            if "ERROR" in line and not any(word in line for word in self.AWAY):
                self.failed.append(line)
        if done.returncode == 2:
            self.stopping.wait(0.2)

    def pause(self):
        """Returns when nobody writes and nothing is prepared."""
        with self.lock:
            self.going.clear()
        wait_for("the writers pause", lambda: self.busy == 0)
        for gid in self.server.sql("SELECT gid FROM pg_prepared_xacts").split():
            self.server.sql(f"ROLLBACK PREPARED '{gid}'")
        if self.failed:
            raise Failure(f"statements of the application failed: {self.failed[:3]}")

    def go_on(self):
        self.going.set()

    def join(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
