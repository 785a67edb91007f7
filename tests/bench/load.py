"""Load: one slice of requests on some connections, by wrk or, where there is none, by asyncio."""

import asyncio
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.servers import Server, ask, expected

WRK = shutil.which("wrk")
_SCRIPT = Path(__file__).with_name("targets.lua")
_HEAD_BYTES = 100
"""An answer has at least such a header: fewer bytes in all, and bodies are missing."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What is asked for; `different` boards, each once more `again` requests later."""

    prefix: str
    different: int
    size: int
    again: int = 0

    def target(self, number: int) -> str:
        return f"/1/boards/{self.prefix}{number:012x}/cards?limit={self.size}"


def new_targets(size: int, again: int = 0) -> Targets:
    """Boards nobody has asked for yet."""
    return Targets(secrets.token_hex(6), 1 << 40, size, again)


@dataclass(frozen=True, slots=True)
class Slice:
    """What one slice of time gave."""

    requests: int
    seconds: float
    p50_s: float
    p99_s: float
    cpu_s: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def mean_s(self) -> float:
        """Of one connection: from one answer to the next."""
        return self.seconds / self.requests

    @property
    def cpu_per_request_s(self) -> float:
        return self.cpu_s / self.requests


def run(server: Server, targets: Targets, connections: int, seconds: int) -> Slice:
    """Closed loop: each connection asks as soon as it was answered. Errors end the benchmark."""
    before = server.cpu_s()
    load = _wrk if WRK else _asyncio
    requests, took_s, p50_s, p99_s, received, errors = load(server, targets, connections, seconds)
    cpu_s = server.cpu_s() - before
    assert not errors, f"{server.name}: {errors} errors"
    least = requests * (targets.size + _HEAD_BYTES)
    assert requests and received >= least, f"{server.name}: {received} bytes, {least} expected"
    return Slice(requests, took_s, p50_s, p99_s, cpu_s)


_Figures = tuple[int, float, float, float, int, int]


def _wrk(server: Server, targets: Targets, connections: int, seconds: int) -> _Figures:
    command = [WRK or "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(_SCRIPT)]
    arguments = [targets.prefix, str(targets.different), str(targets.size), str(targets.again)]
    done = subprocess.run(
        [*command, server.url, "--", *arguments],
        capture_output=True,
        check=True,
        text=True,
        timeout=seconds + 30,
    )
    figures = done.stdout.partition("FIGURES ")[2].split()[:6]
    requests, took_us, p50_us, p99_us, received, errors = (int(figure) for figure in figures)
    return requests, took_us / 1e6, p50_us / 1e6, p99_us / 1e6, received, errors


def _asyncio(server: Server, targets: Targets, connections: int, seconds: int) -> _Figures:
    return asyncio.run(_closed_loop(server, targets, connections, seconds))


async def _closed_loop(
    server: Server, targets: Targets, connections: int, seconds: int
) -> _Figures:
    took: list[float] = []
    received = 0
    began = time.monotonic()
    numbers = iter(range(1 << 40))

    async def one() -> None:
        nonlocal received
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while time.monotonic() < began + seconds:
            target = targets.target(next(numbers) % targets.different)
            asked_at = time.monotonic()
            head, body = await ask(reader, writer, server.port, target)
            took.append(time.monotonic() - asked_at)
            assert head.startswith(b"HTTP/1.1 200 "), head
            assert body == expected(target), body[:80]
            received += len(head) + len(body)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    elapsed = time.monotonic() - began
    took.sort()
    p50_s, p99_s = took[len(took) // 2], took[len(took) * 99 // 100]
    return len(took), elapsed, p50_s, p99_s, received, 0
