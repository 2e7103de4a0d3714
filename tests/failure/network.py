#!/usr/bin/env python3
"""What networks do to the connections between sluice and PostgreSQL, under load; afterwards sluice goes on by itself.

Each fault is injected at random moments through a proxy (fault_proxy.py) and healed. Then a row that is written must arrive,
by the same process, within a deadline; no table may have halted; and with the writers paused both sides must come to be
equal, read by psql and `sluice sql`. Once in plain text, once over TLS, and during the first copy too.

  network.py --sluice build/dev/sluice
"""
import random
import time

from fault_proxy import FaultProxy
from rig import Failure, Results, Rig, differences, parser, wait_for
from torture import SETUP, Load

SETTINGS = """
shared_buffers='64MB'
logical_decoding_work_mem='64kB'
wal_sender_timeout='10s'
fsync=off
"""


class Network:
    def __init__(self, rig, seed, is_tls, results):
        self.rig, self.dice, self.results = rig, random.Random(seed), results
        self.proxy = FaultProxy(rig.server.port)
        rig.source = rig.server.url(self.proxy.port, "?sslmode=require" if is_tls else "?sslmode=disable")
        self.markers = 0

    def pause(self):
        time.sleep(self.dice.uniform(0.05, 0.6))  # a random moment

    # The faults

    def latency(self):
        self.proxy.delay = 0.03
        time.sleep(4)

    def one_byte_writes(self):
        self.proxy.slice = True
        time.sleep(4)

    def resets(self):
        for _ in range(8):
            self.proxy.reset()
            self.pause()

    def half_closes(self):
        for i in range(6):
            self.proxy.half_close(i % 2 == 0)
            self.pause()

    def cuts(self):
        for _ in range(8):
            self.proxy.cut_after(self.dice.choice([1, 7, 100, 5000, 70000]))
            self.pause()

    def cuts_of_new_connections(self):
        for count in (0, 1, 9, 50, 400, 3000, 40000):
            self.proxy.cut_new = count
            self.proxy.reset()
            self.pause()

    def corrupted_bytes(self):
        before = self.proxy.corrupted
        for _ in range(6):
            self.proxy.corrupt()
            self.pause()
        wait_for("a byte is corrupted", lambda: self.proxy.corrupted > before)

    def blackhole(self):
        at = self.rig.log_file.stat().st_size
        self.proxy.blackhole(True)
        # By the stream or by a statement, whichever has its deadline first.
        wait_for("the silence is noticed", lambda: "is opened again" in self.rig.log(at), every=0.2)

    def blackhole_of_standing_connections(self):
        """New ones work at once."""
        self.proxy.blackhole(True)
        self.proxy.blackhole(False)

    # What must hold afterwards

    def run(self, fault, writers, work=None):
        """work() is the fault, of this object where it is not given; it may return a note."""
        self.pause()
        note = (work or getattr(self, fault))()
        note = f"; {note}" if note else ""
        self.proxy.heal()
        began = time.monotonic()
        self.markers += 1
        self.rig.server.sql(f"insert into marks values ({self.markers})")
        wait_for(f"after {fault}: a new row arrives", self.has_marker, every=0.2)
        writers.pause()
        self.await_equal(fault)
        writers.go_on()
        self.results.passed(f"{fault}: the same process goes on, equal after {time.monotonic() - began:.1f} s{note}")

    def has_marker(self):
        code = self.rig.process.poll()
        if code is not None:
            raise Failure(f"sluice ended with {code}: {self.rig.log()[-1500:]}")
        done = self.rig.command("sql", self.rig.destination, "--csv", "-c", f"select count(*) from public.marks where id = {self.markers}")
        return done.returncode == 0 and done.stdout.split()[-1:] == ["1"]

    def copy_at_once(self):
        """A table that was copied again too often waits for minutes (SLU-4208), unless it is asked for."""
        status = self.rig.status() or {"tables": []}
        for table in status["tables"]:
            if "SLU-4208" in (table["reason"] or ""):
                self.rig.command("resync", f"public.{table['table']}", environment={"SLUICE_DESTINATION": self.rig.destination})

    def await_equal(self, fault):
        last = []

        def is_equal():
            last[:] = differences(self.rig)[0]
            if last:
                self.copy_at_once()
            return not last
        try:
            wait_for("equal", is_equal, every=0.3)
        except Failure:
            raise Failure(f"after {fault}: {last}") from None
        status = self.rig.status()
        halted = [t["table"] for t in status["tables"] if t["state"] == "halted"] if status else "no status"
        if halted:
            raise Failure(f"after {fault}: halted: {halted}")


FAULTS = ["latency", "one_byte_writes", "resets", "half_closes", "cuts", "cuts_of_new_connections", "blackhole_of_standing_connections", "blackhole"]
FAULTS_OF_TLS = ["one_byte_writes", "resets", "cuts", "blackhole_of_standing_connections", "corrupted_bytes"]


def one_run(options, seed, results):
    results.attempt(f"seed {seed}, plain text", one_line, options, seed, False, results)
    results.attempt(f"seed {seed}, TLS", one_line, options, seed, True, results)


def one_line(options, seed, is_tls, results):
    with Rig("network", options, SETTINGS + ("ssl=on\n" if is_tls else "")) as rig:
        rig.server.sql(SETUP + "create table marks (id int primary key); insert into loose select i, repeat('w', 200) from generate_series(1, 20000) i")
        network = Network(rig, seed, is_tls, results)
        try:
            # The first copy meets them, too.
            network.proxy.delay = 0.005
            rig.start()
            for fault in ("resets", "cuts"):
                getattr(network, fault)()
            if not is_tls:
                network.proxy.blackhole(True)
                network.proxy.blackhole(False)
            network.proxy.heal()
            wait_for("the first copy ends", lambda: not differences(rig)[0], every=0.5)
            writers = Load(rig.server, seed)
            rig.threads.append(writers)
            for fault in options.fault or (FAULTS_OF_TLS if is_tls else FAULTS):
                network.run(fault, writers)
            began = time.monotonic()
            if rig.stop() != 0:
                raise Failure(f"SIGTERM ended with {rig.process.returncode}")
            return f"stopped in {time.monotonic() - began:.1f} s"
        finally:
            network.proxy.close()


def main():
    options = parser(__doc__, memory="256MiB")
    options.add_argument("--fault", action="append", help="only these")
    with Results("network") as results:
        results.seeds(one_run, options.parse_args(), results)


if __name__ == "__main__":
    main()
