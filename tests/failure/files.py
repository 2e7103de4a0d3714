#!/usr/bin/env python3
"""What can be wrong with the destination's file and the disks, and that nothing is lost when it is put right.

A file that another process holds, at the start; one that is read-only, cut short, not DuckDB's; a log that was cut; a disk
that fills up under the file, and one under the spill. Each ends with the code that docs/errors.md has for it, or goes on by
itself; after that the same command goes on, and both sides are equal. Mounts need root: without it those are skipped.

  files.py --sluice build/dev/sluice
"""
import fcntl
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

from rig import Failure, Results, Rig, differences, parser, wait_for
from torture import SETUP, failpoints

SETTINGS = """
shared_buffers='64MB'
logical_decoding_work_mem='64kB'
wal_sender_timeout='10s'
fsync=off
"""
GROW = "insert into busy select (random()*1e17)::bigint, i, now(), gen_random_uuid(), array[i] from generate_series(1, {0}) i on conflict do nothing"


class Skipped(Exception):
    """Cannot be tried here; why."""


class Files:
    def __init__(self, rig):
        self.rig, self.mounts = rig, []
        self.file = pathlib.Path(rig.destination)

    def ends_with(self, codes, word, seconds=300):
        """The running process ends by itself, with one of the exit codes and a line that has `word`."""
        at = self.at
        try:
            code = self.rig.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"still runs: {self.rig.log(at)[-1500:]}") from None
        text = self.rig.log(at)
        if code not in codes or not re.search(word, text):
            raise Failure(f"ended with {code}, expected {codes} and {word}: {text[-1500:]}")
        return f"exit {code}, {re.search(word, text).group(0)}"

    def start(self, *more):
        self.at = self.rig.log_file.stat().st_size if self.rig.log_file.exists() else 0
        self.rig.start(*more)

    def goes_on(self):
        self.rig.catch_up()
        wrong = differences(self.rig)[0]
        if wrong:
            raise Failure(f"different: {wrong}")

    def mount(self, place, *arguments):
        os.makedirs(place, exist_ok=True)
        done = subprocess.run(["mount", *arguments, str(place)], capture_output=True, text=True)
        if done.returncode != 0:
            raise Skipped(f"mount is not allowed: {done.stderr.strip()}")
        self.mounts.append(str(place))

    def unmount(self):
        for place in reversed(self.mounts):
            subprocess.run(["umount", "-l", place], check=False)
        self.mounts = []

    # The cases

    def held_by_another(self):
        with open(self.file, "r+b") as held:
            fcntl.lockf(held, fcntl.LOCK_EX)
            self.start()
            said = self.ends_with((2,), "SLU-5001")
        return said

    def read_only(self):
        if os.geteuid() != 0:
            raise Skipped("needs root")
        self.mount(self.rig.folder, "--bind", str(self.rig.folder))
        copy = self.rig.folder / "fixed"
        os.makedirs(copy)
        shutil.copy(self.file, copy / "out.duckdb")
        self.mount(copy, "--bind", str(copy))
        subprocess.run(["mount", "-o", "remount,ro,bind", str(copy)], check=True)
        before, self.rig.destination = self.rig.destination, str(copy / "out.duckdb")
        try:
            self.start()
            return self.ends_with((2, 4), "SLU-50[0-9]+")
        finally:
            self.rig.destination = before
            self.unmount()
            shutil.rmtree(copy)

    def with_bytes(self, change, codes, word):
        """The file as change(bytes) makes it is refused and left as it is."""
        whole = self.file.read_bytes()
        try:
            bad = change(whole)
            self.file.write_bytes(bad)
            self.start()
            said = self.ends_with(codes, word)
            if self.file.read_bytes() != bad:
                raise Failure("a file that was refused was written")
            return said
        finally:
            self.file.write_bytes(whole)

    def garbage(self):
        return self.with_bytes(lambda whole: os.urandom(len(whole)), (2,), "SLU-50[0-9]+")

    def cut_short(self):
        return self.with_bytes(lambda whole: whole[:len(whole) // 2], (2, 4), "SLU-[0-9]+")

    def log_cut(self):
        """What is gone was acknowledged: it must say so, or come again; never go on with a hole."""
        self.start()
        wait_for("it streams", lambda: self.rig.server.sql("SELECT 1 FROM pg_stat_replication").strip())
        log = pathlib.Path(self.rig.destination + ".wal")
        for _ in range(40):
            self.rig.server.sql("update single set v = v + 1 where id % 10 = 1")
            if log.exists() and log.stat().st_size > 20000:
                break
            time.sleep(0.05)
        wait_for("DuckDB's log grows", lambda: log.exists() and log.stat().st_size > 5000)
        self.rig.kill()
        saved = self.file.read_bytes(), log.read_bytes()
        log.write_bytes(saved[1][:len(saved[1]) // 2])
        self.start("--until", "caught-up")
        code = self.rig.process.wait(timeout=300)
        text = self.rig.log(self.at)
        said = f"exit {code}, {(re.findall('SLU-[0-9]+', text) or ['equal'])[-1]}"
        if code == 0 and differences(self.rig)[0]:
            raise Failure(f"goes on with a hole after its log was cut: {text[-1500:]}")
        if code not in (0, 2, 4):
            raise Failure(f"{said}: {text[-1500:]}")
        if code != 0:
            self.file.write_bytes(saved[0])
            log.write_bytes(saved[1])
        return said

    def on_tmpfs(self, size):
        """Moves the destination to a file system of its own."""
        place = self.rig.folder / "disk"
        self.mount(place, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")
        shutil.copy(self.file, place / "out.duckdb")
        self.rig.destination = str(place / "out.duckdb")
        return place

    def from_tmpfs(self, before):
        self.rig.kill()
        if os.path.exists(self.rig.destination):
            for end in ("", ".wal"):
                if os.path.exists(self.rig.destination + end):
                    shutil.copy(self.rig.destination + end, before + end)
        self.rig.destination = before
        self.unmount()

    def disk_full(self, statements, size):
        before = self.rig.destination
        place = self.on_tmpfs(size)
        try:
            self.start()
            for text in statements:
                self.rig.server.sql(text)
            said = self.ends_with((4, 5), "SLU-5012|SLU-5[0-9]+")
            subprocess.run(["mount", "-o", "remount,size=1g", str(place)], check=True)
            self.goes_on()
            return said
        finally:
            self.from_tmpfs(before)

    def disk_full_in_one_transaction(self):
        return self.disk_full([GROW.format(400000)], "12m")

    def disk_full_in_many(self):
        return self.disk_full([GROW.format(3000)] * 60, "14m")

    def two_starts(self):
        """Of two first starts on one file one makes the mirror, and the other leaves it alone."""
        before = self.rig.destination
        for i in range(4):
            self.rig.destination = str(self.rig.folder / f"two{i}.duckdb")
            both = self.rig.start(), self.rig.start()
            wait_for("one gives up", lambda: any(process.poll() is not None for process in both), 300)
            loser, winner = sorted(both, key=lambda process: process.poll() is None)
            self.rig.process = winner
            if loser.returncode != 2:
                raise Failure(f"the second start ended with {loser.returncode}: {self.rig.log()[-1500:]}")
            wait_for("the first one copies", lambda: winner.poll() is not None or not differences(self.rig)[0], 300, 0.2)
            if self.rig.stop() != 0:
                raise Failure(f"the first start ended with {winner.returncode}: {self.rig.log()[-1500:]}")
            self.goes_on()
            self.rig.command("drop", "--yes", self.rig.source, self.rig.destination)
        self.rig.destination = before
        return "four times one of two"

    def slot_read_meanwhile(self):
        """Between the look at the slot and the start of the stream somebody else takes a change from it."""
        if "stream.checked" not in failpoints(self.rig.sluice):
            raise Skipped("needs a program with failpoints")
        self.at = self.rig.log_file.stat().st_size
        process = self.rig.start(environment={"SLUICE_FAILPOINTS": "stream.checked:stop:1"})
        wait_for("it stands still", lambda: "failpoint stream.checked" in self.rig.log(self.at), 120)
        self.rig.server.sql("insert into single values (77000000, 1); select count(*) from pg_logical_slot_get_binary_changes('sluice_out', null, "
                            "null, 'proto_version', '1', 'publication_names', 'sluice_out')")
        process.send_signal(signal.SIGCONT)
        said = self.ends_with((4,), "SLU-3015")
        self.rig.catch_up("--on-lost-slot", "resync")
        return said

    def schemas_swapped_in_a_copy(self):
        """Two schemas exchange their names while a table in one of them is read share by share: the rest of it is then another table."""
        if "copy.rows" not in failpoints(self.rig.sluice):
            raise Skipped("needs a program with failpoints")
        self.rig.server.sql("create schema app; create schema app_new; create table app.t (id uuid primary key, n int, note text); "
                            "create table app_new.t (id uuid primary key, n int, note text); "
                            "insert into app.t select gen_random_uuid(), i, repeat('o', 200) from generate_series(1, 100000) i; "
                            "insert into app_new.t select gen_random_uuid(), -i, repeat('n', 200) from generate_series(1, 90000) i; analyze")
        self.at = self.rig.log_file.stat().st_size
        process = self.rig.start(environment={"SLUICE_FAILPOINTS": "copy.rows:stop:2", "SLUICE_COPY_RANGE": "1MiB"})
        wait_for("it stands still", lambda: "failpoint copy.rows" in self.rig.log(self.at), 120)
        self.rig.server.sql("begin; alter schema app rename to app_old; alter schema app_new rename to app; commit")
        process.send_signal(signal.SIGCONT)
        wait_for("the copy noticed", lambda: "(SLU-2103)" in self.rig.log(self.at), 120)
        wait_for("both are copied", lambda: {("app", "t", "live"), ("app_old", "t", "live")} <= {
            tuple(row) for row in self.rig.ask("SELECT source_schema, source_table, state FROM sluice.tables WHERE source_table = 't'") or []}, 120)
        if self.rig.stop() != 0:
            raise Failure(f"SIGTERM ended with {self.rig.process.returncode}")
        self.goes_on()
        done, told = self.rig.verify()
        if done.returncode != 0:
            raise Failure(f"verify: {told}")
        return "SLU-2103, both copied again"

    def disk_full_under_the_spill(self):
        place = self.rig.folder / "small-state"
        self.mount(place, "-t", "tmpfs", "-o", "size=1m", "tmpfs")
        before = self.rig.environment["SLUICE_STATE"]
        self.rig.environment["SLUICE_STATE"] = str(place)
        try:
            self.start()
            wait_for("it streams", lambda: self.rig.server.sql("SELECT 1 FROM pg_stat_replication").strip())
            self.rig.server.sql(GROW.format(300000))
            said = self.ends_with((4, 5), "SLU-6102")
            subprocess.run(["mount", "-o", "remount,size=1g", str(place)], check=True)
            self.goes_on()
            return said
        finally:
            self.rig.kill()
            self.rig.environment["SLUICE_STATE"] = before
            self.unmount()


CASES = ["held_by_another", "read_only", "garbage", "cut_short", "log_cut", "disk_full_in_one_transaction", "disk_full_in_many",
         "disk_full_under_the_spill", "two_starts", "slot_read_meanwhile", "schemas_swapped_in_a_copy"]


def one_case(options, name):
    with Rig("files", options, SETTINGS) as rig:
        rig.server.sql(SETUP)
        files = Files(rig)
        rig.catch_up()
        try:
            said = getattr(files, name)()
            files.goes_on()
        except Skipped as why:
            print(f"files: {name}: skipped: {why}", flush=True)
            return None
        finally:
            rig.kill()
            files.unmount()
        return f"{said}; then equal"


def main():
    options = parser(__doc__)
    options.add_argument("--case", action="append", help="only these")
    options = options.parse_args()
    with Results("files") as results:
        for name in (options.case or CASES) * options.runs:
            results.attempt(name, one_case, options, name)


if __name__ == "__main__":
    main()
