#!/usr/bin/env python3
"""A server that lies: what it sends is damaged on the way, and sluice must neither crash, hang nor eat the memory.

Each round puts a proxy between a real server and `sluice run` (first run, copy, stream, restart) that damages a few
messages of the server: lengths, counts, oids, positions, texts, unknown messages, a flood, an end in the middle. A round
passes when sluice ends by itself, with an exit code of its own, below the memory limit. What a server may get wrong
without anybody noticing (a value) is not looked at: that a mirror is right is proved elsewhere, with an honest server.

  hostile_server.py --sluice build/dev/sluice --rounds 16
"""
import itertools
import random
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

from rig import Failure, Results, Rig, parser

SECONDS_MAX = 20
MEMORY_MAX_MIB = 600
EXIT_CODES = {0, 1, 2, 3, 4, 5}


def lie_about_length(kind, body, rng):
    length = rng.choice([0, 1, 3, 4, 2**31 - 1, 2**31, 2**32 - 1, len(body) + 5, max(4, len(body) - 3)])
    return kind + struct.pack("!I", length) + body


def damage_bytes(kind, body, rng):
    changed = bytearray(body)
    for _ in range(rng.randint(1, 8)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
    return frame(kind, bytes(changed))


def damage_number(kind, body, rng):
    """A 16 or 32 bit field somewhere takes an extreme."""
    changed = bytearray(body)
    width, form = rng.choice([(2, "!H"), (4, "!I")])
    if len(changed) >= width:
        at = rng.randrange(len(changed) - width + 1)
        struct.pack_into(form, changed, at, rng.choice([0, 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1]))
    return frame(kind, bytes(changed))


def cut_short(kind, body, rng):
    return frame(kind, body[: rng.randrange(len(body) + 1)])


def make_longer(kind, body, rng):
    return frame(kind, body + bytes(rng.randrange(256) for _ in range(rng.choice([1, 4, 1000, 1_000_000]))))


def other_kind(kind, body, rng):
    return frame(rng.choice([b"D", b"T", b"C", b"E", b"N", b"Z", b"W", b"H", b"d", b"c", b"K", b"R", b"\x00", b"\xff"]), body)


def twice(kind, body, _):
    return frame(kind, body) * 2


def nothing(_kind, _body, _rng):
    return b""


def noise(_kind, _body, rng):
    return bytes(rng.randrange(256) for _ in range(5000))


def flood_of_notices(kind, body, _):
    notice = frame(b"N", b"SWARNING\0C01000\0M" + b"x" * 8000 + b"\0\0")
    return notice * 5000 + frame(kind, body)


def flood_of_parameters(kind, body, _):
    return b"".join(frame(b"S", b"p%d\0" % i + b"v" * 1000 + b"\0") for i in range(20000)) + frame(kind, body)


def endless_notices(kind, body, _):
    return endless(frame(b"N", b"SWARNING\0C01000\0M" + b"x" * 8000 + b"\0\0"))


def endless_parameters(kind, body, _):
    return (frame(b"S", b"p%d\0" % i + b"v" * 60_000 + b"\0") for i in itertools.count())


def endless_repetition(kind, body, _):
    return endless(frame(kind, body))


def endless(message):
    return itertools.repeat(message * (1 + 200_000 // len(message)))


def huge_error(_kind, _body, _rng):
    return frame(b"E", b"SERROR\0CXX000\0M" + b"y" * 20_000_000 + b"\0\0")


def formats_in_an_error(_kind, _body, _rng):
    return frame(b"E", b"SFATAL\0C%s%n\0M%n%n{}{0}{:999999999}\x1b[2J\r\n\0D%s\0H{}\0\0")


def end_here(_kind, _body, _rng):
    return None


ATTACKS = [lie_about_length, damage_bytes, damage_number, cut_short, make_longer, other_kind, twice, nothing, noise,
           flood_of_notices, flood_of_parameters, endless_notices, endless_parameters, endless_repetition, huge_error, formats_in_an_error, end_here]
FREQUENT = [damage_bytes, damage_number, cut_short]


def frame(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def read_exactly(conn, count):
    out = b""
    while len(out) < count:
        piece = conn.recv(min(1 << 20, count - len(out)))
        if not piece:
            raise ConnectionError
        out += piece
    return out


class Proxy:
    """Damages `hits` messages of the server, spread over the first `span` ones of all its connections."""

    def __init__(self, server, rng, span, hits, attacks):
        self.server, self.rng, self.attacks = ("127.0.0.1", server.port), rng, attacks
        self.targets = {rng.randrange(span) for _ in range(hits)}
        self.seen = 0
        self.done = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            upstream = socket.create_connection(self.server)
        except OSError:
            client.close()
            return
        threading.Thread(target=self.forward, args=(client, upstream), daemon=True).start()
        try:
            self.tamper(upstream, client)
        except OSError:
            pass
        for conn in (client, upstream):
            try:
                conn.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            conn.close()

    def forward(self, client, upstream):
        try:
            while data := client.recv(1 << 16):
                upstream.sendall(data)
        except OSError:
            pass
        try:
            upstream.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def tamper(self, upstream, client):
        first = read_exactly(upstream, 1)
        while first in (b"N", b"S") and not self.is_message(upstream):  # the answer to SSLRequest, GSSENCRequest
            client.sendall(first)
            first = read_exactly(upstream, 1)
        while True:
            length = struct.unpack("!I", read_exactly(upstream, 4))[0]
            body = read_exactly(upstream, length - 4)
            out = self.change(first, body)
            if out is None:
                return
            for piece in [out] if isinstance(out, bytes) else out:
                client.sendall(piece)
            first = read_exactly(upstream, 1)

    @staticmethod
    def is_message(upstream):
        """After 'N' or 'S': does a length follow at once?"""
        upstream.settimeout(0.05)
        try:
            return len(upstream.recv(4, socket.MSG_PEEK)) == 4
        except TimeoutError:
            return False
        finally:
            upstream.settimeout(None)

    def change(self, kind, body):
        with self.lock:
            number, self.seen = self.seen, self.seen + 1
            if number not in self.targets:
                return frame(kind, body)
            attack = self.rng.choice(self.attacks)
            self.done.append(f"{attack.__name__} of {kind.decode('latin1')} at {number}")
            return attack(kind, body, self.rng)

    def close(self):
        self.listener.close()


def peak_memory_mib(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            for line in status:
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0


CLEAN = """DO $$ BEGIN
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'sluice/%';
  WHILE EXISTS (SELECT FROM pg_replication_slots WHERE active) LOOP PERFORM pg_sleep(0.01); END LOOP;
  PERFORM pg_drop_replication_slot(slot_name) FROM pg_replication_slots;
  EXECUTE (SELECT coalesce(string_agg(format('DROP PUBLICATION %I', pubname), ';'), 'SELECT 1') FROM pg_publication);
  END $$"""


def run(rig, port):
    """Through the proxy at `port`; raises where the run does not end as it should."""
    rig.source = rig.server.url(port, "?sslmode=disable&gssencmode=disable")
    process = rig.start("--until", "caught-up", "--retry-for", "2s")
    deadline, peak = time.monotonic() + SECONDS_MAX, 0
    while process.poll() is None and time.monotonic() < deadline:
        peak = max(peak, peak_memory_mib(process.pid))
        time.sleep(0.02)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)  # it may wait for what never comes: then it must still end when told to
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            rig.kill()
            raise Failure("hangs, also after SIGTERM") from None
    if process.returncode not in EXIT_CODES:
        raise Failure(f"ended with {process.returncode}")
    if peak > MEMORY_MAX_MIB:
        raise Failure(f"took {peak:.0f} MiB")


def one_round(rig, seed):
    rng, server = random.Random(seed), rig.server
    at = rig.log_file.stat().st_size if rig.log_file.exists() else 0
    folder = rig.folder / f"round-{seed}"
    folder.mkdir()
    rig.destination, rig.environment["SLUICE_STATE"] = str(folder / "m.duckdb"), str(folder)
    try:
        # Half of the rounds begin behind an honest first run: then it is the restart and the stream that are met.
        if seed % 2:
            proxy = Proxy(server, rng, 1, 0, ATTACKS)
            run(rig, proxy.port)
            proxy.close()
            server.sql("INSERT INTO t SELECT (SELECT max(id) FROM t) + i, 'new' FROM generate_series(1, 300) i;"
                       "UPDATE t SET a = 'changed', l = NULL WHERE id % 3 = 0; DELETE FROM t WHERE id % 11 = 0")
        span, hits = rng.choice([(30, 2), (150, 3), (600, 4), (2000, 20)])
        proxy = Proxy(server, rng, span, hits, rng.choice([ATTACKS, FREQUENT]))
        run(rig, proxy.port)
    except Failure as failure:
        raise Failure(f"{failure}; {'; '.join(proxy.done)}\n{rig.log(at)[-2000:]}") from None
    finally:
        proxy.close()
        server.sql(CLEAN)  # whatever the round left at the server, once its sessions are over
    if not rig.options.keep:
        shutil.rmtree(folder)
    return f"exit {rig.process.returncode} after {'; '.join(proxy.done) or 'nothing'}"


def main():
    options = parser(__doc__, seed=random.randrange(10**6))
    options.add_argument("--rounds", type=int, default=40)
    options = options.parse_args()
    with Results("hostile_server") as results, Rig("hostile", options) as rig:
        rig.server.sql("""CREATE TABLE t (id int PRIMARY KEY, a text, n numeric, at timestamptz, l int[], j jsonb);
                          INSERT INTO t SELECT i, repeat('x', i % 50), i / 7.0, now(), ARRAY[i, NULL], '{"a": 1}'
                          FROM generate_series(1, 500) i""")
        for seed in range(options.seed, options.seed + options.rounds * options.runs):
            results.attempt(f"seed {seed}", one_round, rig, seed)


if __name__ == "__main__":
    main()
