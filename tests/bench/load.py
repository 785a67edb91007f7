"""Load: one slice of requests on some connections, by wrk or, where there is none, by asyncio."""

import asyncio
import os
import resource
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.servers import (
    Server,
    ask,
    expected,
)

WRK = shutil.which("wrk")
_SCRIPT = Path(__file__).with_name("targets.lua")
DISTURBED = 0.15
"""When other programs take more of a core than this, rates and latencies tell of them."""
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


class Stalled(Exception):
    """Not one answer in a slice."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What one slice of time gave."""

    requests: int
    seconds: float
    p50_s: float
    p99_s: float
    cpu_s: float
    """Of the server."""
    others_s: float
    """CPU that programs used which have nothing to do with it."""

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_per_request_s(self) -> float:
        return self.cpu_s / self.requests


def is_disturbed(slices: list[Slice]) -> bool:
    """Whether other programs took so much that only figures per second of CPU are to be judged."""
    cores = median(each.others_s / each.seconds for each in slices)
    if cores > DISTURBED:
        print(f"  Other programs took {cores:.1f} cores: the rate is judged per second of CPU.")
    return cores > DISTURBED


def run(
    server: Server, targets: Targets, connections: int, seconds: float, *helpers: Server
) -> Slice:
    """Closed loop: each connection asks as soon as it was answered. Errors end the benchmark.

    `helpers` are at work too, and belong to what is measured. wrk counts whole seconds: asyncio
    asks where there are fewer.
    """
    used_s, cpu_s = _foreign_s(server, *helpers), server.cpu_s()
    load = _wrk if WRK and seconds >= 1 else _asyncio
    requests, took_s, p50_s, p99_s, received, errors = load(server, targets, connections, seconds)
    cpu_s, others_s = server.cpu_s() - cpu_s, _foreign_s(server, *helpers) - used_s
    assert not errors, f"{server.name}: {errors} errors"
    least = requests * (targets.size + _HEAD_BYTES)
    assert received >= least, f"{server.name}: {received} bytes, {least} expected"
    if not requests:
        raise Stalled(f"{server.name} answered nothing in {seconds} s")
    return Slice(requests, took_s, p50_s, p99_s, cpu_s, others_s)


def _foreign_s(*servers: Server) -> float:
    """CPU seconds of the whole machine, without these servers' and the benchmark's own."""
    user, nice, system, _idle, _waiting, *interrupts = (
        int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    )
    busy_s = sum((user, nice, system, *interrupts)) / os.sysconf("SC_CLK_TCK")
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    own_s = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return busy_s - own_s - sum(server.cpu_s() for server in servers)


_Figures = tuple[int, float, float, float, int, int]


def _wrk(server: Server, targets: Targets, connections: int, seconds: float) -> _Figures:
    command = [WRK or "wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "-s", str(_SCRIPT)]
    command += ["-H", server.field] if server.field else []
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


def _asyncio(server: Server, targets: Targets, connections: int, seconds: float) -> _Figures:
    return asyncio.run(_closed_loop(server, targets, connections, seconds))


async def _closed_loop(
    server: Server, targets: Targets, connections: int, seconds: float
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
            requested_at = time.monotonic()
            head, body = await ask(reader, writer, server.port, target, server.field)
            took.append(time.monotonic() - requested_at)
            assert head.startswith(b"HTTP/1.1 200 "), head
            assert body == expected(target), body[:80]
            received += len(head) + len(body)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    elapsed = time.monotonic() - began
    took.sort()
    p50_s, p99_s = took[len(took) // 2], took[len(took) * 99 // 100]
    return len(took), elapsed, p50_s, p99_s, received, 0
