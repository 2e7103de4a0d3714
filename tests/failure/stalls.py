#!/usr/bin/env python3
"""What stands still or jumps while sluice runs under load: processes, the clock, the disk; and a bound on its memory.

SIGSTOP of sluice for longer than wal_sender_timeout, of its walsender, of the postmaster; CLOCK_REALTIME a day ahead and a
day back (machine_shim.c); fsync held while the walsender must keep its session, while the server shuts down, and while a
published table loses its key; a transaction of 200,000 rows with --memory 128MiB. After each a row that is written arrives, by the same process, and both sides come to be equal.

  stalls.py --sluice build/dev/sluice --hold 20
"""
import pathlib
import signal
import subprocess
import time

from network import Network
from rig import Failure, Results, Rig, kill, parser, wait_for
from torture import SETUP, Load

SETTINGS = """
shared_buffers='64MB'
logical_decoding_work_mem='64kB'
wal_sender_timeout='3s'
fsync=off
"""
DAY = 86400
WALSENDER = "SELECT pid FROM pg_stat_replication WHERE application_name LIKE 'sluice/%/stream'"


class Stalls:
    def __init__(self, rig, options, results):
        self.rig, self.options = rig, options
        self.network = Network(rig, 0, False, results)
        self.network.proxy.close()
        rig.source = rig.server.url()
        self.clock, self.hold = rig.folder / "clock", rig.folder / "hold"

    def walsender(self):
        return self.rig.server.sql(WALSENDER).strip()

    def streams(self):
        """The walsender's process, once there is one."""
        return wait_for("sluice streams", self.walsender)

    def sluice_stopped(self):
        before = self.streams()
        self.rig.process.send_signal(signal.SIGSTOP)
        try:
            wait_for("the server gives up the session", lambda: before not in self.walsender())
        finally:
            self.rig.process.send_signal(signal.SIGCONT)

    def walsender_stopped(self):
        pid, at = int(self.streams().split()[0]), self.rig.log_file.stat().st_size
        kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        try:
            wait_for("the silence is noticed", lambda: "SLU-2113" in self.rig.log(at))
        finally:
            kill(pid, signal.SIGCONT)
        return f"noticed after {time.monotonic() - began:.0f} s"

    def postmaster_stopped(self):
        """Sessions go on; only new ones wait."""
        pid = self.rig.server.pid()
        kill(pid, signal.SIGSTOP)
        try:
            at = self.rows_written()
            wait_for("the stream goes on", lambda: self.rows_written() > at or self.is_idle(), every=0.2)
        finally:
            kill(pid, signal.SIGCONT)

    def rows_written(self):
        status = self.rig.status()
        return status["totals"]["rows_streamed"] if status else 0

    def is_idle(self):
        status = self.rig.status()
        return bool(status) and status["lag"]["bytes"] == 0

    def clock_jumps(self):
        for shift in (DAY, -DAY, 0):
            self.clock.write_text(str(shift))
            for _ in range(8):
                lag = wait_for("status answers", self.rig.status)["lag"]
                times = [lag["seconds"], lag["latency_p50_seconds"], lag["latency_p99_seconds"]]
                if lag["bytes"] < 0 or any(n is not None and not 0 <= n < DAY + 600 for n in times):
                    raise Failure(f"clock shifted by {shift} s: lag {lag}")
                time.sleep(0.2)

    def fsync_held(self):
        before = self.streams()
        self.hold.touch()
        try:
            until = time.monotonic() + self.options.hold
            while time.monotonic() < until:
                if self.walsender() != before:
                    raise Failure(f"the walsender lost its session while the destination was held: {self.rig.log()[-1500:]}")
                time.sleep(0.5)
        finally:
            self.hold.unlink()
        return (f"one walsender session over {self.options.hold:.0f} s of a destination that stands still, "
                "with wal_sender_timeout 3 s")

    def held(self, work):
        """The destination stands still, with something to store."""
        self.streams()
        self.hold.touch()
        try:
            wait_for("much is not stored", lambda: (self.rig.status() or {"lag": {"bytes": 0}})["lag"]["bytes"] > 1 << 17, every=0.2)
            began = time.monotonic()
            work()
            return time.monotonic() - began
        finally:
            self.hold.unlink()

    def shut_down(self):
        """A server that is stopped waits for its walsender, and that for what we have stored."""
        took = self.held(self.rig.server.stop)
        self.rig.server.start()
        return f"a fast shutdown took {took:.0f} s of a destination that stands still"

    def key_lost(self):
        """Updates of a published table without a key are refused by the server."""
        sql = self.rig.server.sql
        sql("create table lent (id int constraint lent_key primary key, v int); insert into lent select i, 0 from generate_series(1, 10) i")
        wait_for("it is live", lambda: "lent" in [t["table"] for t in (self.rig.status() or {"tables": []})["tables"] if t["state"] == "live"], every=0.2)

        def lose():
            sql("alter table lent drop constraint lent_key")
            wait_for("updates go on", lambda: "UPDATE 10" in subprocess.run(
                ["psql", self.rig.server.url(), "-X", "-c", "update lent set v = v + 1"], text=True, capture_output=True).stdout, every=0.2)
        took = self.held(lose)
        sql("alter table lent add constraint lent_key primary key (id)")
        return f"updates were refused for {took:.0f} s of a destination that stands still"

    def large_transaction(self):
        # The writers delete many ids beyond 10^9, and a few of any.
        self.rig.server.sql("insert into busy select -i, i, now(), gen_random_uuid(), array[i, i] from generate_series(1, 200000) i")
        done = "SELECT count(*) AS n FROM public.busy WHERE id < 0"
        wait_for("200,000 rows arrive", lambda: self.rig.query(done)[0]["n"] > 150000, every=0.5)
        text = pathlib.Path(f"/proc/{self.rig.process.pid}/status").read_text()
        peak = int(text.split("VmHWM:")[1].split()[0]) // 1024
        said = f"peak {peak} MiB resident with --memory {self.options.memory}"
        if peak > self.options.peak:
            raise Failure(f"{said}, more than {self.options.peak} MiB")
        self.rig.server.sql("delete from busy where id < 0")
        return said


STALLS = ["sluice_stopped", "walsender_stopped", "postmaster_stopped", "clock_jumps", "fsync_held", "shut_down", "key_lost",
          "large_transaction"]


def one_run(options, seed, results):
    with Rig("stalls", options, SETTINGS) as rig:
        rig.server.sql(SETUP + "create table marks (id int primary key)")
        shim = rig.folder / "shim.so"
        source = pathlib.Path(__file__).parent / "machine_shim.c"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", str(shim), str(source), "-ldl"], check=True)
        stalls = Stalls(rig, options, results)
        rig.start(environment={"LD_PRELOAD": str(shim), "SHIM_CLOCK": str(stalls.clock), "SHIM_HOLD": str(stalls.hold)})
        stalls.streams()
        writers = Load(rig.server, seed)
        rig.threads.append(writers)
        for name in options.stall or STALLS:
            stalls.network.run(name, writers, getattr(stalls, name))
        if rig.stop() != 0:
            raise Failure(f"SIGTERM ended with {rig.process.returncode}")
        return "stopped"


def main():
    options = parser(__doc__)
    options.add_argument("--hold", type=float, default=20, help="seconds for which fsync does not return")
    options.add_argument("--peak", type=int, default=400, help="MiB that may be resident")
    options.add_argument("--stall", action="append", help="only these")
    with Results("stalls") as results:
        results.seeds(one_run, options.parse_args(), results)


if __name__ == "__main__":
    main()
