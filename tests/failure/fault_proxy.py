"""A TCP proxy that does to connections what networks do, when it is told to.

Between sluice and PostgreSQL it forwards bytes both ways. `delay`, `slice` and `copy_rate` (bytes a second to a client, on
each connection that has sent a COPY) hold while they are set; reset(), half_close(),
cut_after() and corrupt() happen to the connections of that moment; in a blackhole nothing is forwarded while every
connection stays open, and those that were in one stay dead when it ends, as behind a firewall that forgot them.
"""
import socket
import struct
import threading
import time

CHUNK = 1 << 16


class _Pair:
    """One client and its connection to the server, with a thread a direction."""

    def __init__(self, proxy, client):
        self.proxy, self.client, self.server = proxy, client, None
        self.is_dead = proxy.is_blackhole  # carries nothing any more
        self.is_closed = False
        self.left = proxy.cut_new  # bytes to the client before the cut; None: no end
        self.corrupts = self.is_copy = False
        threading.Thread(target=self._open, daemon=True).start()

    def _open(self):
        if self.is_dead:
            return
        try:
            self.server = socket.create_connection(("127.0.0.1", self.proxy.target), timeout=60)
            for side in (self.client, self.server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                side.settimeout(None)
        except OSError:  # nobody there, or closed meanwhile
            self.close(True)
            return
        threading.Thread(target=self._pump, args=(self.client, self.server, False), daemon=True).start()
        self._pump(self.server, self.client, True)

    def _pump(self, source, target, is_down):
        try:
            while not self.is_closed:
                data = source.recv(CHUNK)
                if self.is_dead or self.is_closed:
                    return
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                if self.proxy.delay:
                    time.sleep(self.proxy.delay)
                if self.proxy.copy_rate:
                    self.is_copy = self.is_copy or (not is_down and b"COPY " in data)
                    if is_down and self.is_copy:
                        time.sleep(len(data) / self.proxy.copy_rate)
                if is_down:
                    if self.corrupts and len(data) > 100:
                        self.corrupts = False
                        self.proxy.corrupted += 1
                        data = data[:60] + bytes([data[60] ^ 0x10]) + data[61:]
                    if self.left is not None:
                        data, self.left = data[:self.left], self.left - len(data)
                if self.proxy.slice:
                    for i in range(len(data)):
                        target.sendall(data[i:i + 1])
                else:
                    target.sendall(data)
                if is_down and self.left is not None and self.left <= 0:
                    self.close(False)
                    return
        except OSError:
            self.close(False)

    def half_close(self, toward_client):
        try:
            (self.client if toward_client else self.server).shutdown(socket.SHUT_WR)
        except (OSError, AttributeError):
            pass

    def close(self, is_reset):
        self.is_closed = True
        for side in (self.client, self.server):
            if side is None:
                continue
            try:
                if is_reset:
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    side.shutdown(socket.SHUT_RD)  # whoever reads returns, and close() is the last reference
                else:
                    side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            side.close()
        self.proxy.forget(self)


class FaultProxy:
    def __init__(self, target):
        self.target, self.delay, self.slice, self.cut_new, self.is_blackhole, self.corrupted = target, 0.0, False, None, False, 0
        self.copy_rate = 0
        self._pairs, self._lock = set(), threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._pairs.add(_Pair(self, client))

    def forget(self, pair):
        with self._lock:
            self._pairs.discard(pair)

    def pairs(self):
        with self._lock:
            return list(self._pairs)

    def reset(self):
        for pair in self.pairs():
            pair.close(True)

    def half_close(self, toward_client):
        for pair in self.pairs():
            pair.half_close(toward_client)

    def cut_after(self, count):
        """The connections of now, after so many more bytes to the client."""
        for pair in self.pairs():
            pair.left = count

    def corrupt(self):
        """One bit of the next longer piece that the server sends, on each connection."""
        for pair in self.pairs():
            pair.corrupts = True

    def blackhole(self, is_on):
        self.is_blackhole = is_on
        if is_on:
            for pair in self.pairs():
                pair.is_dead = True

    def heal(self):
        self.delay, self.slice, self.cut_new, self.copy_rate = 0.0, False, None, 0
        self.blackhole(False)

    def close(self):
        self._listener.close()
        self.reset()
