"""Timed runs: how long a program took, what it, the servers and everybody else used of the processor meanwhile.

A run during which others used more than a tenth of the machine is disturbed and does not count.
"""
import dataclasses
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")
OTHERS_MAX = 0.1  # of all processors together


class Failed(Exception):
    """A program that is measured did not do what it was asked."""


@dataclasses.dataclass
class Sample:
    seconds: float
    cpu: float  # seconds of a processor in the program
    server_cpu: float  # in the source's processes, the program's backends among them
    others: float  # the share of the machine that neither of them, nor this program, used
    rss_mib: float  # the program's peak

    @property
    def is_disturbed(self):
        return self.others > OTHERS_MAX


def run(command, **options):
    """Runs a program to its end. Returns what it printed."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **options)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\nended with {done.returncode}\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout.strip()


def wait_for_child(process, log):
    """Its rusage, once it has ended well."""
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        log.seek(0)
        raise Failed(f"{' '.join(process.args)}\nended with {process.returncode}\n{log.read().decode(errors='replace')[-4000:]}")
    return usage


def run_measured(command):
    """Runs a program; its rusage."""
    with tempfile.TemporaryFile() as log:
        return wait_for_child(subprocess.Popen([str(word) for word in command], stdout=log, stderr=log), log)


def _children(pid):
    return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _ticks(pid, first, last):
    try:
        return sum(int(word) for word in pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[first:last])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def server_seconds(server):
    """What a server's processes have used so far, those that have ended included."""
    postmaster = server.pid()
    return (_ticks(postmaster, 11, 15) + sum(_ticks(child, 11, 13) for child in _children(postmaster))) / TICK


def _wait_for_backends(server, count):
    for _ in range(200):
        if len(_children(server.pid())) <= count:
            return
        time.sleep(0.01)


def _machine_seconds():
    """Of all processors, in use; what the host took away counts as used."""
    words = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = map(int, words[:8])
    return (user + nice + system + irq + softirq + steal) / TICK


def _used(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def measure(action, source, *servers):
    """One Sample of action(), which returns the rusage of the one program it ran, or None."""
    everyone = (source, *servers)
    backends = {server: len(_children(server.pid())) for server in everyone}
    before = {server: server_seconds(server) for server in everyone}
    machine, own, started = _machine_seconds(), _used(resource.RUSAGE_CHILDREN) + _used(resource.RUSAGE_SELF), time.monotonic()
    usage = action()
    seconds = time.monotonic() - started
    for server, count in backends.items():
        _wait_for_backends(server, count)
    elapsed = time.monotonic() - started
    used = {server: server_seconds(server) - before[server] for server in everyone}
    others = (_machine_seconds() - machine - sum(used.values())
              - (_used(resource.RUSAGE_CHILDREN) + _used(resource.RUSAGE_SELF) - own)) / elapsed / os.cpu_count()
    return Sample(seconds, usage.ru_utime + usage.ru_stime if usage else 0.0, used[source], max(0.0, others),
                  usage.ru_maxrss / 1024 if usage else 0.0)


@dataclasses.dataclass
class Contender:
    """One of those that are compared: action() is timed, before() and after() are not."""
    who: str
    action: object
    before: object = None
    after: object = None


class Comparison:
    """The runs of several contenders, of which the undisturbed ones count, as long as there are any."""

    def __init__(self, rows):
        self.rows, self.samples, self.dropped = rows, {}, 0

    def add(self, who, sample):
        self.samples.setdefault(who, []).append(sample)

    def good(self, who):
        return [sample for sample in self.samples[who] if not sample.is_disturbed] or self.samples[who]

    def count(self, who):
        return sum(not sample.is_disturbed for sample in self.samples.get(who, []))

    def median(self, who, field="seconds"):
        return statistics.median(getattr(sample, field) for sample in self.good(who))

    def ratio(self, who, baseline):
        """How many times the baseline's rows a second."""
        return self.median(baseline) / self.median(who)

    def cpu_ratio(self, who):
        """The program's processor time over the server's, in the same runs."""
        return statistics.median(sample.cpu / max(sample.server_cpu, 0.01) for sample in self.good(who))

    def as_json(self):
        return [{"who": who, "rows": self.rows, "median_seconds": self.median(who), "rows_per_second": self.rows / self.median(who),
                 "cpu_seconds": self.median(who, "cpu"), "server_cpu_seconds": self.median(who, "server_cpu"),
                 "peak_mib": self.median(who, "rss_mib"), "disturbed": len(samples) - self.count(who),
                 "runs": [{"seconds": s.seconds, "cpu": s.cpu, "server_cpu": s.server_cpu, "others": round(s.others, 3)} for s in samples]}
                for who, samples in self.samples.items()]


def interleave(rows, contenders, repeats, source, *servers, prepare=None):
    """Rounds in which each contender runs once, the first one another each time, until each has `repeats` undisturbed runs.

    It gives up after twice as many rounds. prepare() comes before each round.
    """
    result = Comparison(rows)
    for number in range(2 * repeats):
        if all(result.count(contender.who) >= repeats for contender in contenders):
            break
        if prepare:
            prepare()
        turn = number % len(contenders)
        for contender in contenders[turn:] + contenders[:turn]:
            if contender.before:
                contender.before()
            result.add(contender.who, measure(contender.action, source, *servers))
            if contender.after:
                contender.after()
    return result
