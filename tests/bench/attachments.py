"""How fast, and at what cost, are files? This proxy beside nginx's `proxy_cache` and static file.

Servers run on one core, who reads and the origin on another; slices are interleaved and compared
with their neighbours. Run as `python -m tests.bench.attachments [--quick]`.
"""

import argparse
import asyncio
import http.client
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median

from tests.bench.figures import Ratio, verdict
from tests.bench.file_load import (
    Read,
    read,
    request,
)
from tests.bench.file_origin import (
    BLOCK,
    bytes_of,
    file_id,
)
from tests.bench.file_servers import FileBench
from tests.bench.servers import Server

MB = 1_000_000
RANGE_BYTES = 64 * 1024
HIT = "/1/boards/0123456789abcdef01234567/cards"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    rounds: int
    sizes_mb: tuple[int, ...] = (1, 50, 500)
    readers: tuple[int, ...] = (1, 16)
    slice_s: float = 2.0
    cold_readers: int = 100
    cold_mb: int = 30
    cold_ms: int = 3_000
    large_mb: int = 2_000


PLANS = {
    "full": Plan(rounds=8),
    "quick": Plan(rounds=3, sizes_mb=(1, 50), slice_s=1.0, large_mb=500),
    "smoke": Plan(
        rounds=1, sizes_mb=(1,), readers=(2,), slice_s=0.2, cold_readers=5, cold_mb=2, cold_ms=500,
        large_mb=5,
    ),
}  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Measure and print; nothing is left running."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.attachments")
    parser.add_argument("--quick", action="store_const", const="quick", dest="plan")
    parser.add_argument("--smoke", action="store_const", const="smoke", dest="plan")
    plan = PLANS[parser.parse_args(arguments).plan or "full"]
    with FileBench() as bench:
        origin = bench.origin()
        proxy, nginx = bench.file_proxy(origin), bench.file_nginx(origin)
        _get(proxy, "/healthz", {})
        _resident_at_start(proxy)
        _cold(origin, proxy, nginx, plan)
        for size in plan.sizes_mb:
            bench.put_static(f"{size}", size * MB)
            for readers in plan.readers:
                _warm(proxy, nginx, size, readers, plan)
        _ranges(proxy, nginx, plan)
        _beside_hits(proxy, nginx, plan)
        _memory(proxy, plan)


def download(file: str) -> str:
    return f"/1/cards/c/attachments/{file}/download/f.bin"


def _warm(proxy: Server, nginx: Server | None, size: int, readers: int, plan: Plan) -> None:
    path = download(file_id(size * MB))
    ways: dict[str, tuple[Server, str]] = {"proxy": (proxy, path)}
    if nginx is not None:
        ways |= {"nginx": (nginx, path), "static": (nginx, f"/static/{size}")}
    for server, target in ways.values():
        for _ in range(2):
            _check(server, target, size * MB)
            time.sleep(0.2)  # what has come in is put in its place
    slices: dict[str, list[Read]] = {name: [] for name in ways}
    for _ in range(plan.rounds):
        for name, (server, target) in ways.items():
            slices[name].append(read(server, partial(str, target), readers, plan.slice_s))
    print(f"\nWarm, {size} MB, {readers} readers, {plan.rounds} slices each")
    _print(slices)
    if nginx is not None and readers >= 16:
        most = 1.75 if size >= 50 else 2
        print(verdict("CPU per byte to nginx's", _cpu_ratio(slices, "nginx").median, most=most))


def _ranges(proxy: Server, nginx: Server | None, plan: Plan) -> None:
    size = max(plan.sizes_mb[:2])
    path = download(file_id(size * MB))
    draw = random.Random(1)  # noqa: S311 — any ranges

    def ranged() -> str:
        start = draw.randrange(size * MB - RANGE_BYTES)
        return f"{path} {start}-{start + RANGE_BYTES - 1}"

    servers = {server.name: server for server in (proxy, nginx) if server is not None}
    for server in servers.values():
        status, body = _get(server, path, {"Range": "bytes=1000-2000"})
        assert (status, body) == (206, bytes_of(1001, 1000)), server.name
    slices: dict[str, list[Read]] = {name: [] for name in servers}
    for _ in range(plan.rounds):
        for name, server in servers.items():
            slices[name].append(read(server, ranged, 16, plan.slice_s))
    print(f"\nRanges of 64 kB of {size} MB, 16 readers, {plan.rounds} slices each")
    _print(slices)
    if nginx is not None:
        print(verdict("CPU per byte to nginx's", _cpu_ratio(slices, "nginx").median, most=3))


def _print(slices: dict[str, list[Read]]) -> None:
    for name, several in slices.items():
        print(
            f"  {name:6} {median(s.per_second / MB for s in several):8,.0f} MB/s"
            f" {median(s.cpu_s_per_gb for s in several):7.3f} s CPU per GB"
        )
    for name in slices:
        if name != "proxy":
            print(f"  proxy/{name}: CPU per byte {_cpu_ratio(slices, name)}")


def _cpu_ratio(slices: dict[str, list[Read]], name: str) -> Ratio:
    return Ratio([s.cpu_s_per_gb for s in slices["proxy"]], [s.cpu_s_per_gb for s in slices[name]])


def _cold(origin: Server, proxy: Server, nginx: Server | None, plan: Plan) -> None:
    """Everybody wants the same file that nobody has, of an origin that takes its time."""
    length = plan.cold_mb * MB
    for server in (proxy, nginx):
        if server is None:
            continue
        number = int(server is proxy)
        before = _asked(origin)
        target = download(file_id(length, plan.cold_ms, number))
        took = asyncio.run(_all_at_once(server, target, plan.cold_readers, length))
        first = sorted(each[0] for each in took)
        p95_s, whole_s = first[len(first) * 95 // 100], max(each[1] for each in took)
        downloads = _asked(origin) - before
        print(
            f"\n{plan.cold_readers} readers of one cold {plan.cold_mb} MB file, origin"
            f" {plan.cold_ms} ms: {server.name}\n  downloads {downloads}, first byte p95"
            f" {p95_s * 1e3:.0f} ms, last byte {whole_s * 1e3:.0f} ms"
        )
        if server is proxy:
            print(verdict("downloads", downloads, most=1))
            share = p95_s / (plan.cold_ms / 1000)
            print(verdict("first byte p95 to the origin's time", share, most=0.05))


async def _all_at_once(
    server: Server, target: str, count: int, length: int
) -> list[tuple[float, float]]:
    """Seconds to the first and to the last byte, of each."""

    connections = [
        await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 20) for _ in range(count)
    ]

    async def one(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[float, float]:
        began = time.monotonic()
        writer.write(request(server.port, target))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        got = len(await reader.read(1))
        first_s = time.monotonic() - began
        while got < length:
            chunk = await reader.read(1 << 20)
            assert chunk, f"{server.name}: {got} of {length}"
            got += len(chunk)
        writer.close()
        return first_s, time.monotonic() - began

    return await asyncio.gather(*(one(*connection) for connection in connections))


def _beside_hits(proxy: Server, nginx: Server | None, plan: Plan) -> None:
    """Hits while 400 MB/s of files go out, beside hits on their own.

    What nginx does here with a static file shows how much of it is the machine's.
    """
    size = max(plan.sizes_mb[:2])
    ways = {"proxy": (proxy, HIT)}
    if nginx is not None:
        ways["nginx"] = (nginx, "/static/1")
    alone: dict[str, list[float]] = {name: [] for name in ways}
    beside: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(plan.rounds):
        for name, (server, target) in ways.items():
            alone[name].append(_hits_p99_s(server, target, plan.slice_s))
            with _pump(server, size, plan.slice_s + 0.5):
                time.sleep(0.5)
                beside[name].append(_hits_p99_s(server, target, plan.slice_s))
    print(f"\nHits, one every 2 ms, beside 400 MB/s of files, {plan.rounds} slices each")
    for name in ways:
        before_ms, after_ms = median(alone[name]) * 1e3, median(beside[name]) * 1e3
        ratio = Ratio(beside[name], alone[name])
        print(f"  {name:6} p99 alone {before_ms:.2f} ms, beside {after_ms:.2f} ms, {ratio}")
    ratio = Ratio(beside["proxy"], alone["proxy"])
    print(verdict("p99 beside files to p99 alone", ratio.median, most=1.5))


@contextmanager
def _pump(server: Server, size_mb: int, seconds: float) -> Iterator[None]:
    """Reads 400 MB/s of files; AssertionError unless about as much came."""
    path = download(file_id(size_mb * MB))
    arguments = [str(server.port), path, "4", str(400 * MB), str(seconds)]
    # Who measures shares a core with who reads, and must not wait for it.
    command = ["nice", "-n", "19", sys.executable, "-m", "tests.bench.file_load", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reading:
        yield
        assert int(reading.communicate(timeout=60)[0]) > 0


def _hits_p99_s(server: Server, target: str, seconds: float) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    took, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        connection.request("GET", target)
        response = connection.getresponse()
        response.read()
        took.append(time.monotonic() - began)
        assert response.status == 200
        time.sleep(0.002)
    connection.close()
    took.sort()
    return took[len(took) * 99 // 100]


def _memory(proxy: Server, plan: Plan) -> None:
    """What all of it made the process grow by, a file above `max_file` included."""
    before = proxy.peak_bytes()
    target = download(file_id(plan.large_mb * MB, number=7))
    _check(proxy, target, plan.large_mb * MB)
    grown = proxy.peak_bytes() - before
    print(f"\nMemory: peak {proxy.peak_bytes() / MB:.0f} MB,", end=" ")
    print(f"{grown / MB:.0f} MB more for one file of {plan.large_mb} MB")
    idle = _resident_at_start(proxy)
    print(verdict("MB grown since the start", (proxy.peak_bytes() - idle) / MB, most=50))


_AT_START: dict[int, int] = {}


def _resident_at_start(server: Server) -> int:
    return _AT_START.setdefault(server.pid, server.peak_bytes())


def _check(server: Server, target: str, length: int) -> None:
    """AssertionError unless every byte comes, and comes right."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request("GET", target)
    response = connection.getresponse()
    assert response.status == 200, (server.name, response.status)
    got = 0
    while chunk := response.read(len(BLOCK)):
        assert chunk == bytes_of(len(chunk), got) if len(chunk) < len(BLOCK) else chunk == BLOCK
        got += len(chunk)
    connection.close()
    assert got == length, (server.name, got)


def _get(server: Server, target: str, fields: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", target, headers=fields)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def _asked(origin: Server) -> int:
    return int(_get(origin, "/asked", {})[1])


if __name__ == "__main__":
    main()
