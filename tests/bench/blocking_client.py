"""Blocking client: one connection, little CPU of its own.

As a program, `PORT TARGET`, it repeats a request every millisecond until its standard input ends,
and prints the longest that it waited, in seconds.
"""

import select
import socket
import sys
import time
from dataclasses import dataclass

INTERVAL_S = 0.001
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A response whose body was received and dropped."""

    status: int
    head: bytes
    length: int
    first_byte_s: float
    duration_s: float

    @property
    def etag(self) -> str:
        return self.head.partition(b"ETag: ")[2].partition(b"\r\n")[0].decode()


class BlockingClient:
    """Sends one request after the other."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(1 << 20))
        self._host = f"Host: 127.0.0.1:{port}"

    def close(self) -> None:
        self._socket.close()

    def get(self, target: str, fields: tuple[str, ...] = ()) -> Reply:
        lines = (f"GET {target} HTTP/1.1", self._host, *fields, "", "")
        began = time.perf_counter()
        self._socket.sendall("\r\n".join(lines).encode())
        received = self._receive()
        first_byte_s = time.perf_counter() - began
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        head = received[: end + 4]
        status = int(head.split(b" ", 2)[1])
        named = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
        length = left = 0 if status == 304 else int(named)
        left -= len(received) - len(head)
        while left > 0:
            left -= self._receive_into()
        return Reply(status, head, length, first_byte_s, time.perf_counter() - began)

    def checked(self, target: str, fields: tuple[str, ...], says: bytes, status: int) -> Reply:
        """The response, whose Cache-Status says so; AssertionError for another."""
        reply = self.get(target, fields)
        cache_status = reply.head.partition(b"Cache-Status: ")[2].partition(b"\r\n")[0]
        assert reply.status == status, reply.head
        assert says in cache_status, reply.head
        return reply

    def _receive(self) -> bytes:
        return bytes(self._buffer[: self._receive_into()])

    def _receive_into(self) -> int:
        size = self._socket.recv_into(self._buffer)
        if not size:
            raise ConnectionError("the server closed the connection")
        return size


def longest_wait_s(client: BlockingClient, target: str) -> float:
    """Of requests until standard input ends."""
    client.get(target)
    print("ready", flush=True)
    longest = 0.0
    while not select.select([sys.stdin], [], [], INTERVAL_S)[0]:
        longest = max(longest, client.get(target).duration_s)
    return longest


if __name__ == "__main__":
    print(longest_wait_s(BlockingClient(int(sys.argv[1])), sys.argv[2]))
