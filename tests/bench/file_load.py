"""Who reads files: sockets in one thread, bytes counted and thrown away.

Run as `python -m tests.bench.file_load PORT TARGET READERS BYTES_PER_S SECONDS` it reads at a pace
and prints how many bytes came.
"""

import argparse
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.servers import Server

_BUFFER = bytearray(1 << 20)
_PAUSE_S = 0.002


@dataclass(frozen=True, slots=True)
class Read:
    """What one slice of reading gave."""

    bytes: int
    seconds: float
    cpu_s: float
    answers: int

    @property
    def per_second(self) -> float:
        return self.bytes / self.seconds

    @property
    def cpu_s_per_gb(self) -> float:
        return self.cpu_s / self.bytes * 1e9


def request(port: int, target: str) -> bytes:
    """A GET; a range stands behind the path, after a space."""
    path, _, span = target.partition(" ")
    ranged = f"Range: bytes={span}\r\n" if span else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{ranged}\r\n".encode()


class Reader:
    """One connection, one file after the other; the pace is its caller's."""

    def __init__(self, port: int, next_target: Callable[[], str]) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.settimeout(30)
        self.answers = 0
        self._port = port
        self._next_target = next_target
        self._left = 0
        self._ask()

    def take(self) -> int:
        """Body bytes of what there is to read now."""
        if self._left == 0:
            return self._begin()
        count = self.sock.recv_into(_BUFFER, min(len(_BUFFER), self._left))
        assert count, "a body ended early"
        return self._took(count)

    def _begin(self) -> int:
        received = b""
        while b"\r\n\r\n" not in received:
            more = self.sock.recv(64 * 1024)
            assert more, "no answer"
            received += more
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.split(b" ", 2)[1] in {b"200", b"206"}, head
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        self._left = int(length)
        return self._took(len(body))

    def _took(self, count: int) -> int:
        self._left -= count
        if self._left == 0:
            self.answers += 1
            self._ask()
        return count

    def _ask(self) -> None:
        self.sock.sendall(request(self._port, self._next_target()))


def read(server: Server, next_target: Callable[[], str], readers: int, seconds: float) -> Read:
    """As fast as it goes."""
    before = server.cpu_s()
    got, responses, took_s = pull(server.port, next_target, readers, seconds)
    return Read(got, took_s, server.cpu_s() - before, responses)


def pull(
    port: int,
    next_target: Callable[[], str],
    readers: int,
    seconds: float,
    bytes_per_s: float = float("inf"),
) -> tuple[int, int, float]:
    """Bytes, whole answers, and the seconds it took."""
    several = [Reader(port, next_target) for _ in range(readers)]
    began, got = time.monotonic(), 0
    with selectors.DefaultSelector() as selector:
        for reader in several:
            selector.register(reader.sock, selectors.EVENT_READ, reader)
        while (elapsed_s := time.monotonic() - began) < seconds:
            if got > bytes_per_s * elapsed_s:
                time.sleep(_PAUSE_S)
                continue
            got += sum(key.data.take() for key, _ in selector.select(0.1))
    for reader in several:
        reader.sock.close()
    return got, sum(reader.answers for reader in several), elapsed_s


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("target")
    parser.add_argument("readers", type=int)
    parser.add_argument("bytes_per_s", type=float)
    parser.add_argument("seconds", type=float)
    given = parser.parse_args()
    print(
        pull(given.port, lambda: given.target, given.readers, given.seconds, given.bytes_per_s)[0]
    )
