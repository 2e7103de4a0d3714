"""Who is compared: psql, pg_recvlogical, sluice, a native subscription. All binary; TCP is without TLS."""
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from timing import Failed, run, run_measured, wait_for_child

CLIENTS = "/usr/lib/postgresql/15/bin"  # Debian's wrappers in /usr/bin would cost them a start of Perl


def tcp(server):
    return server.url(more="?sslmode=disable")


def unix_socket(server):
    return f"postgres://postgres@/postgres?host={server.folder}&port={server.port}"


def sql(server, text):
    """Runs SQL, a statement or several, each in its own transaction unless it says so. Returns what it printed."""
    return run([f"{CLIENTS}/psql", tcp(server), "-qAtX", "-v", "ON_ERROR_STOP=1", "-f", "-"], input=text)


def pgbench(server, *arguments):
    return run([f"{CLIENTS}/pgbench", "-h", "127.0.0.1", "-p", server.port, "-U", "postgres", *arguments, "postgres"])


def copy_out(server, query):
    """psql: a table or a query in brackets, to /dev/null."""
    return run_measured([f"{CLIENTS}/psql", tcp(server), "-qX", "-c", f"\\copy {query} to '/dev/null' (format binary)"])


def receive(url, slot, publication, end):
    return run_measured([f"{CLIENTS}/pg_recvlogical", "-d", url, "-S", slot, "--start", "-f", "/dev/null", "--endpos", end, "-o", "proto_version=2",
                         "-o", "binary=true", "-o", "streaming=true", "-o", f"publication_names={publication}"])


class Session:
    """A psql that stays, for questions that must not cost a connection each."""

    def __init__(self, server):
        self.process = subprocess.Popen([f"{CLIENTS}/psql", tcp(server), "-qAtX", "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self.ask("SET client_min_messages = warning")

    def ask(self, text):
        self.process.stdin.write(f"{text};\n\\echo --\n")
        lines = []
        for line in self.process.stdout:
            if line == "--\n":
                return "\n".join(lines)
            lines.append(line[:-1])
        raise Failed(f"psql ended at: {text}")

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Pipeline:
    """One pipeline of sluice's, its state in a folder of its own."""

    def __init__(self, bench, name, source, destination, tables, *options):
        self.bench, self.name, self.source, self.destination = bench, name, source, str(destination)
        self.state = bench.work / f"state_{name}"
        self.options = ["--pipeline", name, "--state", str(self.state)]
        self.run_options = [*options, "--http", "off", "--progress", "off", "--quiet", *(word for table in tables for word in ("-t", table))]

    def command(self, until):
        return [self.bench.sluice, "run", self.source, self.destination, *self.options, *self.run_options, "--until", until]

    def until(self, until):
        return run_measured(self.command(until))

    def drop(self):
        run([self.bench.sluice, "drop", self.source, self.destination, *self.options, "--yes"])
        shutil.rmtree(self.state, ignore_errors=True)
        if self.destination.startswith("/"):
            for name in (self.destination, self.destination + ".wal"):
                with contextlib.suppress(FileNotFoundError):
                    (self.bench.work / name).unlink()

    @contextlib.contextmanager
    def running(self):
        """A process that runs until the block ends; its rusage is in .usage then."""
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(self.command("never"), stdout=log, stderr=log)
            try:
                while not self._answers():
                    if process.poll() is not None:
                        log.seek(0)
                        raise Failed(f"sluice ended with {process.returncode}: {log.read().decode(errors='replace')[-2000:]}")
                    time.sleep(0.05)
                yield self
                process.send_signal(signal.SIGINT)
                self.usage = wait_for_child(process, log)
            finally:
                if process.returncode is None and process.poll() is None:
                    process.kill()
                    process.wait()

    def _answers(self):
        try:
            return self.ask({"command": "status"})[0]["status"]["phase"] == "running"
        except OSError:
            return False

    def ask(self, request):
        """The lines of the answer of the control socket."""
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(self.state / f"{self.name}.sock"))
            peer.sendall(json.dumps(request).encode() + b"\n")
            lines = [json.loads(line) for line in peer.makefile("rb")]
        if not lines or "error" in lines[-1]:
            raise Failed(f"{request}: {lines[-1:]}")
        return lines

    def value(self, query):
        """The one value of a query at the destination, as text."""
        return next(line["rows"][0][0] for line in self.ask({"command": "sql", "sql": query}) if line.get("rows"))


class Subscription:
    """CREATE SUBSCRIPTION (binary, streaming) at a second server, for tables that are there already, and for table mark."""

    def __init__(self, source, subscriber, tables):
        self.source, self.subscriber = source, subscriber
        for server in (source, subscriber):
            sql(server, "CREATE TABLE mark (id int PRIMARY KEY)")
        sql(source, f"CREATE PUBLICATION native FOR TABLE mark, {', '.join(tables)}")
        self.session = Session(subscriber)
        self.marks = 0

    def copy(self):
        """Makes the subscription; returns when every table is copied."""
        self.session.ask(f"CREATE SUBSCRIPTION native CONNECTION 'host=127.0.0.1 port={self.source.port} user=postgres dbname=postgres "
                         f"sslmode=disable' PUBLICATION native WITH (binary = true, streaming = on)")
        self._wait("SELECT count(*) > 0 AND bool_and(srsubstate IN ('s', 'r')) FROM pg_subscription_rel")

    def settle(self):
        """Waits for the workers that copied to hand over, and stops the one that applies."""
        self._wait("SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")
        self.session.ask("ALTER SUBSCRIPTION native DISABLE")
        sql(self.source, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'native' AND active")

    def mark(self):
        """A row behind what was written so far."""
        self.marks += 1
        sql(self.source, f"INSERT INTO mark VALUES ({self.marks})")

    def apply(self):
        """Lets it run until the last mark is visible."""
        self.session.ask("ALTER SUBSCRIPTION native ENABLE")
        self._wait(f"SELECT count(*) > 0 FROM mark WHERE id = {self.marks}")

    def drop(self):
        self.session.ask("ALTER SUBSCRIPTION native DISABLE")
        time.sleep(0.2)
        self.session.ask("DROP SUBSCRIPTION native")

    def close(self):
        self.session.close()
        sql(self.source, "DROP PUBLICATION native; DROP TABLE mark")
        sql(self.subscriber, "DROP TABLE mark")

    def _wait(self, query):
        end = time.monotonic() + 600
        while self.session.ask(query) != "t":
            if time.monotonic() > end:
                raise Failed(f"not within 600 s at the subscriber: {query}")
            time.sleep(0.01)
