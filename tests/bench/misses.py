"""What does a miss cost, beside nginx storing? And a rush of callers, and many targets?

Run as `python -m tests.bench.misses [--quick]`.
"""

import argparse
import asyncio
import contextlib
import resource
import time
from dataclasses import dataclass
from statistics import median

from tests.bench.figures import Ratio, verdict
from tests.bench.load import (
    WRK,
    Slice,
    Stalled,
    is_disturbed,
    new_targets,
    run,
)
from tests.bench.servers import (
    Bench,
    Server,
    ask,
    asked,
    check,
    expected,
)

MIB = 2**20
BEYOND_BYTES = 100 * MIB
"""What the process may take beyond `cache.memory`."""
AGAIN = 100
"""While memory is watched, each target is asked for once more so many requests later."""
_DELAY_MS = 150


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    rounds: int
    callers: int = 500
    targets: int = 200_000
    memory: int = 256
    """MiB of `cache.memory`."""
    slice_s: float = 1.0


PLANS = {
    "full": Plan(rounds=12),
    "quick": Plan(rounds=3, targets=20_000, memory=16),
    "smoke": Plan(rounds=1, callers=20, targets=100, memory=16, slice_s=0.1),
}


def main(arguments: list[str] | None = None) -> None:
    """Measure and print; nothing is left running."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.misses")
    parser.add_argument("--quick", action="store_const", const="quick", dest="plan")
    parser.add_argument("--smoke", action="store_const", const="smoke", dest="plan")
    parser.add_argument("--memory", type=int, metavar="MIB", help="cache.memory; default: 256")
    given = parser.parse_args(arguments)
    plan = PLANS[given.plan or "full"]
    if WRK is None:
        print(
            "wrk is not installed: asyncio asks instead, and is itself the limit (apt install wrk)"
        )
    with Bench() as bench:
        upstream = bench.upstream()
        started = [bench.proxy(upstream), bench.nginx(upstream)]
        servers = [server for server in started if server is not None]
        for server in servers:
            targets = new_targets(1_000)
            asyncio.run(check(server, [targets.target(n) for n in range(5)], hit=False))
            asyncio.run(check(server, [targets.target(n) for n in range(5)], hit=True))
            if plan.rounds > 1:  # nginx makes the directories of its cache at first use
                _slice(server, 32, upstream, plan.slice_s)
        _added(upstream, servers, plan)
        _rate(upstream, servers, plan)
        for server in servers:
            _rush(upstream, server, plan.callers)
    memory = given.memory or plan.memory
    with Bench() as bench:
        upstream = bench.upstream()
        _memory(bench.proxy(upstream, f"{memory}MiB"), memory * MIB, plan.targets)


def _added(upstream: Server, servers: list[Server], plan: Plan) -> None:
    """One connection, every target new: what each server adds to a direct question, by p50."""
    added: dict[str, list[float]] = {server.name: [] for server in servers}
    direct: list[float] = []
    for _ in range(plan.rounds):
        direct.append(_slice(upstream, 1, upstream, plan.slice_s).p50_s)
        for server in servers:
            took_s = _slice(server, 1, upstream, plan.slice_s).p50_s
            added[server.name].append(took_s - direct[-1])
    print(f"\nA stored miss, 1 connection, {plan.rounds} slices each")
    print(f"  direct {median(direct) * 1e6:6.0f} µs")
    for name, several in added.items():
        print(f"  {name:6} {median(several) * 1e6:6.0f} µs more")
    if "nginx" in added:
        ratio = Ratio(added["proxy"], added["nginx"])
        print(f"  proxy/nginx: added {ratio}")
        print(verdict("added to nginx's", ratio.median, most=1.5))


def _rate(upstream: Server, servers: list[Server], plan: Plan) -> None:
    """32 connections, every target new."""
    slices: dict[str, list[Slice]] = {server.name: [] for server in servers}
    for _ in range(plan.rounds):
        for server in servers:
            slices[server.name].append(_slice(server, 32, upstream, plan.slice_s))
    print(f"\nStored misses, 32 connections, {plan.rounds} slices each")
    for name, several in slices.items():
        print(
            f"  {name:6} {median(s.per_second for s in several):8,.0f} misses/s"
            f" {median(s.cpu_per_request_s for s in several) * 1e6:7.1f} µs CPU"
            f" {median(s.p99_s for s in several) * 1e3:7.2f} ms p99"
        )
    if "nginx" in slices:
        ours, theirs = slices["proxy"], slices["nginx"]
        rate = Ratio([s.per_second for s in ours], [s.per_second for s in theirs])
        cpu = Ratio([s.cpu_per_request_s for s in ours], [s.cpu_per_request_s for s in theirs])
        print(f"  proxy/nginx: misses/s {rate}, CPU {cpu}")
        disturbed = is_disturbed([*ours, *theirs])
        print(verdict("misses to nginx's", 1 / cpu.median if disturbed else rate.median, least=0.5))


def _slice(server: Server, connections: int, upstream: Server, seconds: float) -> Slice:
    helpers = () if server is upstream else (upstream,)
    try:
        return run(server, new_targets(1_000), connections, seconds, *helpers)
    except Stalled:  # a disk may stop for a second; the next slice says whether it was that
        return run(server, new_targets(1_000), connections, seconds, *helpers)


def _rush(upstream: Server, server: Server, callers: int) -> None:
    """The same new target, asked for by everybody at once, of an upstream that takes its time."""
    target = f"{new_targets(1_000).target(0)}&since={_DELAY_MS}"
    before = asked(upstream)
    took = asyncio.run(_all_at_once(server, target, callers))
    questions = asked(upstream) - before
    print(f"\n{callers} identical cold requests, upstream {_DELAY_MS} ms: {server.name}")
    print(f"  upstream requests {questions}, p99 {took[len(took) * 99 // 100] * 1e3:.0f} ms")
    if server.name == "proxy":
        print(verdict("upstream requests", questions, most=1))


async def _all_at_once(server: Server, target: str, callers: int) -> list[float]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2 * callers + 100)), hard))
    connections = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(callers)]

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
        began = time.monotonic()
        head, body = await ask(reader, writer, server.port, target)
        assert head.startswith(b"HTTP/1.1 200 "), head
        assert body == expected(target)
        return time.monotonic() - began

    try:
        return sorted(await asyncio.gather(*(one(*connection) for connection in connections)))
    finally:
        for _, writer in connections:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def _memory(server: Server, limit_bytes: int, different: int) -> None:
    """Peak memory while so many targets go through, each asked for twice."""
    at_start, asked_for, began = server.peak_bytes(), 0, time.monotonic()
    while asked_for < different and time.monotonic() < began + 240:
        seconds = 1 if different < 1_000 else 5
        asked_for += run(server, new_targets(1_000, again=AGAIN), 32, seconds).requests // 2
    peak = server.peak_bytes()
    print(f"\n{asked_for:,} targets of 1 kB, twice each, cache.memory {limit_bytes // MIB} MiB")
    print(f"  resident: {at_start / MIB:.0f} MiB at the start, {peak / MIB:.0f} MiB at most")
    allowed = (limit_bytes + BEYOND_BYTES) / MIB
    print(verdict("MiB resident", peak / MIB, most=allowed))


if __name__ == "__main__":
    main()
