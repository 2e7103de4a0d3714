"""The cases: each makes its tables, compares, and returns an Outcome. Goals are ratios of rows a second, unless they say more."""
import dataclasses
import subprocess
import threading
import time

import contenders
import workloads
from contenders import Pipeline, Session, Subscription, sql, tcp, unix_socket
from timing import Contender, Failed, interleave


@dataclasses.dataclass
class Goal:
    what: str
    value: float
    must: float
    aim: float
    unit: str = "x"
    at_most: bool = False

    def reaches(self, limit):
        return self.value <= limit if self.at_most else self.value >= limit


@dataclasses.dataclass
class Outcome:
    """What a case has found. `points` are for a plot: [{"x", NAME: value}]."""
    title: str
    comparison: object = None
    goals: list = dataclasses.field(default_factory=list)
    points: list = dataclasses.field(default_factory=list)
    figures: dict = dataclasses.field(default_factory=dict)


CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


# Copies

PSQL, ONE, TWO, FILE = "psql \\copy", "null:, 1 connection", "null:, 2 connections", "DuckDB"


def _copiers(bench, kind):
    server, source = bench.server, tcp(bench.server)
    file = bench.work / "copy.duckdb"
    one = Pipeline(bench, "copy_one", source, "null:", [f"public.{kind}"], "--copy-workers", "1")
    two = Pipeline(bench, "copy_two", source, "null:", [f"public.{kind}"], "--copy-workers", "2")
    duckdb = Pipeline(bench, "copy_file", source, file, [f"public.{kind}"])
    made = [Contender(PSQL, lambda: contenders.copy_out(server, kind))]
    made += [Contender(who, lambda pipeline=pipeline: pipeline.until("copied"), after=pipeline.drop)
             for who, pipeline in ((ONE, one), (TWO, two), (FILE, duckdb))]
    return made


def _copy(bench, kind, rows, cpu_goal=None):
    workloads.create_filled(bench.server, kind, rows)
    found = interleave(rows, _copiers(bench, kind), bench.repeats, bench.server)
    goals = [Goal("null:, 1 connection / psql", found.ratio(ONE, PSQL), 1.0, 1.2),
             Goal("null:, 2 connections / psql", found.ratio(TWO, PSQL), 1.7, 1.9),
             Goal("DuckDB / psql", found.ratio(FILE, PSQL), 0.65, 0.85)]
    if cpu_goal:
        goals.append(Goal("our CPU / server's, null:", found.cpu_ratio(ONE), *cpu_goal, at_most=True))
    workloads.drop(bench.server, [kind])
    return Outcome(f"copy of {rows:,} {kind} rows", found, goals)


@case
def copy_narrow(bench):
    """5 columns: bigint, int, float8, text, timestamptz."""
    return _copy(bench, "narrow", bench.size(5_000_000, 1_000_000), (0.3, 0.12))


@case
def copy_wide(bench):
    """40 columns: integers, short texts, floats, numerics, timestamps."""
    return _copy(bench, "wide", bench.size(1_000_000, 200_000), (0.5, 0.3))


@case
def copy_kilobyte(bench):
    """Rows of 1 KB, most of it one text."""
    return _copy(bench, "kilobyte", bench.size(2_000_000, 200_000))


@case
def copy_subscription(bench):
    """Into DuckDB, against a native subscription's copy into a table with a key."""
    rows = bench.size(5_000_000, 1_000_000)
    server, subscriber = bench.server, bench.subscriber()
    workloads.create_filled(server, "narrow", rows)
    workloads.create(subscriber, "narrow", "narrow")
    native = Subscription(server, subscriber, ["narrow"])
    pipeline = Pipeline(bench, "against", tcp(server), bench.work / "against.duckdb", ["public.narrow"])

    def native_drop():
        native.settle()
        native.drop()
        sql(subscriber, "TRUNCATE narrow, mark; CHECKPOINT")

    found = interleave(rows, [Contender("subscription", native.copy, after=native_drop),
                              Contender(FILE, lambda: pipeline.until("copied"), after=pipeline.drop)], bench.repeats, server, subscriber)
    native.close()
    workloads.drop(server, ["narrow"])
    workloads.drop(subscriber, ["narrow"])
    return Outcome(f"copy of {rows:,} narrow rows, against a subscription", found, [Goal("DuckDB / subscription", found.ratio(FILE, "subscription"), 2.5, 3.5)])


# Streams

# Who starts far behind reads by SQL, unless told not to.
AS_STREAM = ("--catch-up-from", "off")
BY_SQL, FILE_STREAM = "null:, by SQL", "DuckDB, as a stream"
RECEIVE, RECEIVE_UNIX, NULL, NULL_UNIX = "pg_recvlogical, TCP", "pg_recvlogical, unix socket", "null:, TCP", "null:, unix socket"


def _end_of_log(server):
    """Where the log ends now, with something behind it: nobody waits for a keepalive."""
    end = sql(server, "SELECT pg_current_wal_insert_lsn()")
    sql(server, "SELECT pg_logical_emit_message(true, 'bench', ''); CHECKPOINT")
    return end


def _streams(bench, workload, everyone=True):
    """Each round writes once and all drain it, each from a slot of its own."""
    server = bench.server
    workload.create(server)
    tables = [f"public.{table}" for table in workload.tables]
    pipelines = {NULL: Pipeline(bench, "stream_tcp", tcp(server), "null:", tables, *AS_STREAM)}
    urls = {RECEIVE: tcp(server)}
    if everyone:
        pipelines[NULL_UNIX] = Pipeline(bench, "stream_unix", unix_socket(server), "null:", tables, *AS_STREAM)
        urls[RECEIVE_UNIX] = unix_socket(server)
    for pipeline in pipelines.values():
        pipeline.until("caught-up")
    slots = {who: f"baseline_{number}" for number, who in enumerate(urls)}
    for slot in slots.values():
        sql(server, f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    end = ""

    def prepare():
        nonlocal end
        workload.write()
        end = _end_of_log(server)

    found = interleave(workload.rows, [
        *(Contender(who, lambda who=who: contenders.receive(urls[who], slots[who], "sluice_stream_tcp", end)) for who in urls),
        *(Contender(who, lambda pipeline=pipeline: pipeline.until(end)) for who, pipeline in pipelines.items())],
        bench.repeats, server, prepare=prepare)
    for slot in slots.values():
        sql(server, f"SELECT pg_drop_replication_slot('{slot}')")
    for pipeline in pipelines.values():
        pipeline.drop()
    workloads.drop(server, workload.tables)
    return found


def _stream(bench, title, workload, goals=True):
    found = _streams(bench, workload)
    ratios = [("TCP / pg_recvlogical, TCP", NULL, RECEIVE, 1.9, 2.3), ("TCP / pg_recvlogical, unix socket", NULL, RECEIVE_UNIX, 1.05, 1.25),
              ("unix socket / pg_recvlogical, unix socket", NULL_UNIX, RECEIVE_UNIX, 0.95, 1.05)]
    return Outcome(f"stream: {title}, {workload.rows:,} rows", found, [
        *(Goal(what, found.ratio(who, baseline), must, aim) for what, who, baseline, must, aim in ratios),
        Goal("our CPU / server's", found.cpu_ratio(NULL), 0.25, 0.13, at_most=True)] if goals else [])


@case
def stream_1(bench):
    """Inserts, a row a transaction."""
    return _stream(bench, "transactions of 1 row", workloads.Inserts(bench.server, bench.size(150_000, 50_000), 1))


@case
def stream_1000(bench):
    """Inserts, 1,000 rows a transaction."""
    return _stream(bench, "transactions of 1,000 rows", workloads.Inserts(bench.server, bench.size(1_000_000, 500_000), 1000))


@case
def stream_pgbench(bench):
    """pgbench with 8 clients."""
    return _stream(bench, "pgbench", workloads.Pgbench(bench.server, bench.size(80_000, 16_000)))


@case
def stream_orders(bench):
    """A mix like TPC-C's."""
    return _stream(bench, "orders", workloads.Orders(bench.server, bench.size(30_000, 10_000)), goals=False)


@case
def stream_toast(bench):
    """Updates beside a value out of line."""
    return _stream(bench, "updates beside TOAST", workloads.Toast(bench.server, bench.size(300_000, 100_000)), goals=False)


@case
def stream_large(bench):
    """One transaction, streamed before it commits."""
    rows = bench.size(2_000_000, 500_000)
    found = _streams(bench, workloads.Inserts(bench.server, rows, rows))
    return Outcome(f"stream: one transaction of {rows:,} rows", found, [
        Goal("TCP / pg_recvlogical, TCP", found.ratio(NULL, RECEIVE), 1.5, 2.0),
        Goal("unix socket / pg_recvlogical, unix socket", found.ratio(NULL_UNIX, RECEIVE_UNIX), 0.95, 1.05)])


@case
def catch_up(bench):
    """The log by SQL, from far behind to null:, beside the stream and pg_recvlogical."""
    workload, server = workloads.Inserts(bench.server, bench.size(3_000_000, 1_000_000), 1000), bench.server
    workload.create(server)
    by_sql, stream = (Pipeline(bench, name, tcp(server), "null:", ["public.inserts"], *more) for name, more in (("by_sql", ()), ("stream", AS_STREAM)))
    for pipeline in (by_sql, stream):
        pipeline.until("caught-up")
    sql(server, "SELECT pg_create_logical_replication_slot('baseline', 'pgoutput')")
    end = ""

    def prepare():
        nonlocal end
        workload.write()
        end = _end_of_log(server)

    found = interleave(workload.rows, [Contender(RECEIVE, lambda: contenders.receive(tcp(server), "baseline", "sluice_stream", end)),
                                       Contender(BY_SQL, lambda: by_sql.until(end)), Contender(NULL, lambda: stream.until(end))],
                       bench.repeats, server, prepare=prepare)
    sql(server, "SELECT pg_drop_replication_slot('baseline')")
    for pipeline in (by_sql, stream):
        pipeline.drop()
    workloads.drop(server, workload.tables)
    return Outcome(f"catch-up: transactions of 1,000 rows, {workload.rows:,} rows", found, [
        Goal("by SQL / pg_recvlogical, TCP", found.ratio(BY_SQL, RECEIVE), 3.0, 5.0),
        Goal("by SQL / null:, TCP", found.ratio(BY_SQL, NULL), 1.2, 2.0)])


def _against_subscription(bench, title, workload, must, aim):
    server, subscriber = bench.server, bench.subscriber()
    for each in (server, subscriber):
        workload.create(each)
    sql(subscriber, "TRUNCATE " + ", ".join(workload.tables))
    native = Subscription(server, subscriber, workload.tables)
    native.copy()
    native.settle()
    tables = [f"public.{table}" for table in workload.tables]
    pipelines = {FILE: Pipeline(bench, "against", tcp(server), bench.work / "against.duckdb", tables),
                 FILE_STREAM: Pipeline(bench, "against_stream", tcp(server), bench.work / "against_stream.duckdb", tables, *AS_STREAM)}
    for pipeline in pipelines.values():
        pipeline.until("caught-up")
    end = ""

    def prepare():
        nonlocal end
        workload.write()
        native.mark()
        end = _end_of_log(server)
        sql(subscriber, "CHECKPOINT")

    found = interleave(workload.rows, [Contender("subscription", native.apply, after=native.settle),
                                       *(Contender(who, lambda pipeline=pipeline: pipeline.until(end)) for who, pipeline in pipelines.items())],
                       bench.repeats, server, subscriber, prepare=prepare)
    native.drop()
    native.close()
    for pipeline in pipelines.values():
        pipeline.drop()
    for each in (server, subscriber):
        workloads.drop(each, workload.tables)
    return Outcome(f"stream into DuckDB: {title}, {workload.rows:,} rows", found, [Goal("DuckDB / subscription", found.ratio(FILE, "subscription"), must, aim)])


@case
def duckdb_inserts(bench):
    """Inserts of 1,000 rows, against a native subscription."""
    return _against_subscription(bench, "transactions of 1,000 rows", workloads.Inserts(bench.server, bench.size(1_000_000, 200_000), 1000), 1.1, 1.5)


@case
def duckdb_pgbench(bench):
    """pgbench, against a native subscription."""
    return _against_subscription(bench, "pgbench", workloads.Pgbench(bench.server, bench.size(80_000, 16_000)), 1.5, 2.5)


# Single figures

def _percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _latency(bench, pipeline, script, rate, seconds):
    """Milliseconds from the return of a COMMIT at the source until a reader of the file sees its row, for a row every 25 ms beside the load."""
    server = bench.server
    sql(server, "TRUNCATE probe")
    session, lock, waiting, lags = Session(server), threading.Lock(), [], []
    done = threading.Event()
    load = subprocess.Popen(workloads.upsert_command(server, script, rate, seconds), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def write():
        number = 0
        while not done.wait(0.025):
            number += 1
            session.ask(f"INSERT INTO probe VALUES ({number})")
            with lock:
                waiting.append((number, time.monotonic()))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while True:
            is_over = load.poll() is not None
            if is_over:
                done.set()
            seen, now = int(pipeline.value("SELECT coalesce(max(id), 0) FROM public.probe")), time.monotonic()
            with lock:
                while waiting and waiting[0][0] <= seen:
                    lags.append(1000 * max(0.0, now - waiting.pop(0)[1]))
                if is_over and not writer.is_alive() and not waiting:
                    break
            time.sleep(0.005)
    finally:
        done.set()
        writer.join()
        session.close()
        if load.poll() is None:
            load.kill()
        output = load.communicate()[0]
    if load.returncode != 0:
        raise Failed(output[-2000:])
    reached = next(float(line.split("=")[1].split()[0]) for line in output.splitlines() if line.startswith("tps"))
    return {"p50": _percentile(lags, 0.5), "p99": _percentile(lags, 0.99), "longest": max(lags), "transactions_per_second": reached, "rows_seen": len(lags)}


def _with_upserts(bench, rows, measure_all):
    """measure_all(pipeline, script) beside a pipeline that follows table narrow, with `rows` rows, and table probe."""
    server = bench.server
    workloads.create_filled(server, "narrow", rows)
    sql(server, "CREATE TABLE probe (id int PRIMARY KEY)")
    pipeline = Pipeline(bench, "latency", tcp(server), bench.work / "latency.duckdb", ["public.narrow", "public.probe"])
    pipeline.until("caught-up")
    script = workloads.upserts(bench.work / "upserts.sql", rows)
    with pipeline.running():
        result = measure_all(pipeline, script)
    pipeline.drop()
    workloads.drop(server, ["narrow", "probe"])
    return result


@case
def latency(bench):
    """Upserts with uniform keys, 500 transactions a second; --long: for 10 minutes."""
    rows, seconds = bench.size(5_000_000, 1_000_000), 600 if bench.is_long else bench.size(60, 15)
    found = _with_upserts(bench, rows, lambda pipeline, script: _latency(bench, pipeline, script, 500, seconds))
    return Outcome(f"commit to visible in DuckDB, 500 upserts a second into {rows:,} rows, {seconds} s", goals=[
        Goal("p50", found["p50"], 50, 50, "ms", True), Goal("p99", found["p99"], 200, 200, "ms", True)], figures=found)


@case
def large_transaction(bench):
    """A transaction of 5 M rows beside a running pipeline: when its first row is decoded, and the peak of memory."""
    rows = bench.size(5_000_000, 1_000_000)
    server = bench.server
    workload = workloads.Inserts(server, rows, rows)
    workload.create(server)
    pipeline = Pipeline(bench, "large", tcp(server), "null:", ["public.inserts"])
    pipeline.until("caught-up")
    with pipeline.running():
        writer = threading.Thread(target=workload.write)
        started = time.monotonic()
        writer.start()
        while pipeline.ask({"command": "status"})[0]["status"]["memory"]["staged_bytes"] == 0 and time.monotonic() - started < 300:
            time.sleep(0.01)
        first = time.monotonic() - started
        writer.join()
        committed = time.monotonic() - started
        while pipeline.ask({"command": "status"})[0]["status"]["totals"]["rows_streamed"] < rows and time.monotonic() - started < 300:
            time.sleep(0.05)
        drained = time.monotonic() - started
    pipeline.drop()
    workloads.drop(server, ["inserts"])
    peak = pipeline.usage.ru_maxrss / 1024
    return Outcome(f"one transaction of {rows:,} rows, seen while it is written", goals=[
        Goal("first row decoded, of the time to its commit", first / committed, 0.1, 0.1, at_most=True),
        Goal("peak resident", peak, 100, 60, "MiB", True)],
        figures={"first_seconds": first, "commit_seconds": committed, "drained_seconds": drained})


@case
def start(bench):
    """From exec until the server has sent the change that waited; the slot is there."""
    server, milliseconds = bench.server, []
    workload = workloads.Inserts(server, 1, 1)
    workload.create(server)
    pipeline = Pipeline(bench, "start", tcp(server), "null:", ["public.inserts"])
    pipeline.until("caught-up")
    session = Session(server)
    for _ in range(bench.size(15, 7)):
        workload.write()
        end = _end_of_log(server)
        began = time.monotonic()
        process = subprocess.Popen([str(word) for word in pipeline.command(end)])
        while session.ask(f"SELECT count(*) FROM pg_stat_replication WHERE sent_lsn >= '{end}'") != "1" and process.poll() is None:
            time.sleep(0.001)
        milliseconds.append(1000 * (time.monotonic() - began))
        if process.wait() != 0:
            raise Failed(f"sluice ended with {process.returncode}")
    session.close()
    pipeline.drop()
    workloads.drop(server, ["inserts"])
    return Outcome("from exec to the first change", goals=[Goal("median", _percentile(milliseconds, 0.5), 100, 50, "ms", True)],
                   figures={"milliseconds": milliseconds})


@case
def verify(bench):
    """Both sides equal, against psql that reads the same columns."""
    rows = bench.size(10_000_000, 1_000_000)
    server = bench.server
    workloads.create_filled(server, "narrow", rows)
    pipeline = Pipeline(bench, "verify", tcp(server), bench.work / "verify.duckdb", ["public.narrow"])
    pipeline.until("caught-up")
    found = interleave(rows, [
        Contender(PSQL, lambda: contenders.copy_out(server, "narrow")),
        Contender("verify", lambda: contenders.run_measured([bench.sluice, "verify", pipeline.source, pipeline.destination, *pipeline.options]))],
        bench.repeats, server)
    pipeline.drop()
    workloads.drop(server, ["narrow"])
    return Outcome(f"verify of {rows:,} rows", found, [Goal("time / psql's", 1 / found.ratio("verify", PSQL), 1.6, 1.25, at_most=True)])


# What the plots show besides

def _point(x, found):
    return {"x": x, **{who: {"rows_per_second": found.rows / found.median(who), "seconds": found.median(who),
                             "cpu_microseconds_per_row": 1e6 * found.median(who, "cpu") / found.rows} for who in found.samples}}


@case
def transaction_sizes(bench):
    """Throughput of the stream against the size of transactions."""
    sizes = bench.size((1, 10, 100, 1000, 10_000, 100_000), (1, 100, 10_000))
    rows = bench.size({1: 100_000}, {1: 50_000})
    return Outcome("stream: rows a second by rows a transaction", points=[
        _point(size, _streams(bench, workloads.Inserts(bench.server, rows.get(size, bench.size(300_000, 200_000)), size), everyone=False))
        for size in sizes])


@case
def rates(bench):
    """Latency against the rate of transactions."""
    rows = bench.size(1_000_000, 200_000)
    seconds = bench.size(12, 5)
    return Outcome(f"commit to visible in DuckDB, upserts into {rows:,} rows", points=_with_upserts(bench, rows, lambda pipeline, script: [
        {"x": rate, **_latency(bench, pipeline, script, rate, seconds)} for rate in (100, 300, 1000, 3000)]))


@case
def table_counts(bench):
    """Cost of the stream against the number of tables that its transactions go to in turn."""
    rows = bench.size(300_000, 100_000)
    return Outcome("stream: transactions of 100 rows, to tables in turn", points=[
        _point(count, _streams(bench, workloads.Inserts(bench.server, rows, 100, tables=[f"t{number}" for number in range(count)]), everyone=False))
        for count in bench.size((1, 10, 100, 300), (1, 100))])


@case
def column_counts(bench):
    """Cost of a copy against the number of columns, half of them int, half short texts."""
    points, rows = [], bench.size(500_000, 100_000)
    server = bench.server
    for count in bench.size((2, 5, 10, 20, 40, 80), (2, 20)):
        columns = [f"c{number} {'text' if number % 2 else 'int'}" for number in range(1, count)]
        values = [f"'text ' || i + {number}" if number % 2 else f"i + {number}" for number in range(1, count)]
        sql(server, f"CREATE TABLE columns (id bigint PRIMARY KEY, {', '.join(columns)}); "
                    f"INSERT INTO columns SELECT i, {', '.join(values)} FROM generate_series(1, {rows}) i; VACUUM (FREEZE, ANALYZE) columns; CHECKPOINT")
        points.append(_point(count, interleave(rows, _copiers(bench, "columns"), bench.repeats, server)))
        workloads.drop(server, ["columns"])
    return Outcome(f"copy of {rows:,} rows by their columns", points=points)


@case
def row_counts(bench):
    """Time of a copy against the number of rows."""
    points = []
    for rows in bench.size((10_000, 100_000, 1_000_000, 10_000_000), (10_000, 1_000_000)):
        workloads.create_filled(bench.server, "narrow", rows)
        points.append(_point(rows, interleave(rows, _copiers(bench, "narrow"), bench.repeats, bench.server)))
        workloads.drop(bench.server, ["narrow"])
    return Outcome("copy of narrow rows by their number", points=points)


QUICK = ("copy_narrow", "stream_1000", "stream_pgbench", "duckdb_inserts", "start", "verify")
