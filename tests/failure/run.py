#!/usr/bin/env python3
"""Every failure program, in lanes side by side, and what they say in one sum; at the end again what the failed ones said.

  run.py --sluice build/dev/sluice           what CI runs, about ten minutes on two cores with nothing else on them
  run.py --sluice build/dev/sluice --long    2,000 kills, a destination that stands still for ten minutes, more seeds
"""
import argparse
import pathlib
import re
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).parent

# Others work on the same two cores here: what takes long is told, and only what hangs fails.
QUICK = [
    [["torture.py", "--kills", "300", "--points", "44", "--seconds", "400"], ["latency.py", "--pairs", "3", "--round", "6", "--scale", "1", "--times", "10"],
     ["one_of_many.py", "--limit", "30"]],
    [["network.py"], ["stalls.py", "--hold", "20"], ["tls.py"]],
    [["hostile_server.py", "--rounds", "16"], ["files.py"], ["harm.py"], ["restart.py", "--tables", "80", "--kills", "8", "--seconds", "25"], ["ranges.py"],
     ["append.py"]],
]
LONG = [
    [["torture.py", "--kills", "2000", "--points", "47"], ["hammer.py", "--runs", "4", "--kills", "8", "--seconds", "60"],
     ["latency.py", "--pairs", "12", "--times", "10"], ["one_of_many.py", "--limit", "30", "--seconds", "30"]],
    [["network.py", "--runs", "3"], ["stalls.py", "--hold", "600"], ["files.py"], ["ddl_hammer.py", "--runs", "5"], ["tls.py"]],
    [["hostile_server.py", "--rounds", "100"], ["harm.py", "--megabytes", "100"], ["restart.py", "--kills", "100"], ["ranges.py", "--runs", "5", "--kills", "12"],
     ["append.py", "--runs", "5"]],
]


LINES = 60  # of a failed program, said again at the end


def run_lane(lane, sluice, lock, results):
    for program in lane:
        name, began = " ".join(program), time.monotonic()
        done = subprocess.run([sys.executable, str(HERE / program[0]), "--sluice", sluice, *program[1:]], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, errors="replace", check=False)
        counts = re.findall(r"^(\d+) passed, (\d+) failed$", done.stdout, re.MULTILINE)
        passed, failed = map(int, counts[-1]) if counts else (0, 0)
        if done.returncode != 0 and failed == 0:
            failed = 1
        with lock:
            print(f"--- {name}: {time.monotonic() - began:.0f} s\n{done.stdout}", end="", flush=True)
            results.append((name, passed, failed, done))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default="build/dev/sluice")
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args()
    lock, results = threading.Lock(), []
    lanes = [threading.Thread(target=run_lane, args=(lane, options.sluice, lock, results)) for lane in (LONG if options.long else QUICK)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    for name, _, failed, done in results:
        if failed:
            print(f"--- {name}: FAILED, exit code {done.returncode}; the end of it:")
            print("\n".join(done.stdout.splitlines()[-LINES:]))
    passed, failed = sum(result[1] for result in results), sum(result[2] for result in results)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
