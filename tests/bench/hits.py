"""How fast is a hit? This proxy beside nginx's `proxy_cache` and beside the naive design.

And beside itself: a client with a key, one of 200, beside an anonymous one.

Every server runs on one core, who asks and the upstream on another; slices of one second are
interleaved and compared with their neighbours. Run as `python -m tests.bench.hits [--quick]`.
"""

import argparse
import asyncio
import platform
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from tests.bench.figures import Ratio, verdict
from tests.bench.load import (
    WRK,
    Slice,
    Targets,
    is_disturbed,
    run,
)
from tests.bench.servers import (
    NAMED_KEY,
    Bench,
    Server,
    check,
)

BOARDS = 50
"""Different targets in turn, as many for every server."""

SHORT_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    rounds: int
    sizes: tuple[int, ...] = (1_000, 20_000)
    connections: tuple[int, ...] = (1, 16, 64)
    slice_s: float = 1.0
    client_keys: int = 200
    """As many as a company has."""


PLANS = {
    "full": Plan(rounds=9),
    "quick": Plan(rounds=2),
    "smoke": Plan(rounds=1, sizes=(1_000,), connections=(2,), slice_s=0.1, client_keys=2),
}


def main(arguments: list[str] | None = None) -> None:
    """Measure and print; nothing is left running."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.hits")
    parser.add_argument("--quick", action="store_const", const="quick", dest="plan")
    parser.add_argument("--smoke", action="store_const", const="smoke", dest="plan")
    plan = PLANS[parser.parse_args(arguments).plan or "full"]
    print(interpreter())
    if WRK is None:
        print(
            "wrk is not installed: asyncio asks instead, and is itself the limit (apt install wrk)"
        )
    with Bench() as bench:
        upstream = bench.upstream()
        proxy = bench.proxy(upstream, client_keys=plan.client_keys)
        started = [proxy, bench.nginx(upstream), bench.naive(upstream)]
        servers = {server.name: server for server in started if server is not None}
        field = f"Authorization: Bearer {NAMED_KEY}"
        servers["named"] = replace(servers["proxy"], name="named", field=field)
        for size in plan.sizes:
            for connections in plan.connections:
                _measure(servers, size, connections, plan)


def interpreter() -> str:
    """Which Python is measured; Debian's is optimised, pyenv's by default is not."""
    return f"Python {platform.python_version()}, {Path(sys.executable).resolve()}"


def least_rate(size: int, connections: int) -> float:
    """The rate that is aimed at, relative to nginx."""
    if connections == 1:
        return 1.0
    return 1.5 if size <= SHORT_BYTES else 1.2


def _measure(servers: dict[str, Server], size: int, connections: int, plan: Plan) -> None:
    targets = Targets("0123456789ab", BOARDS, size)
    for server in servers.values():
        warm(server, targets)
    slices: dict[str, list[Slice]] = {name: [] for name in servers}
    for _ in range(plan.rounds):
        for name, server in servers.items():
            slices[name].append(run(server, targets, connections, plan.slice_s))
    print(f"\n{size // 1000} kB, {connections} connections, {plan.rounds} slices each")
    for name, several in slices.items():
        print(
            f"  {name:6} {median(s.per_second for s in several):8,.0f} hits/s"
            f" {median(s.cpu_per_request_s for s in several) * 1e6:7.1f} µs CPU"
            f" {median(s.p99_s for s in several) * 1e3:7.2f} ms p99"
        )
    disturbed = is_disturbed([s for several in slices.values() for s in several])
    for name in servers:
        if name != "proxy":
            least = least_rate(size, connections)
            _compare(name, slices["proxy"], slices[name], least, disturbed=disturbed)


def warm(server: Server, targets: Targets) -> None:
    """Everything is stored, and comes back right, before anything is timed."""
    all_targets = [targets.target(number) for number in range(targets.different)]
    asyncio.run(check(server, all_targets, hit=False))
    for _ in range(2):
        asyncio.run(check(server, all_targets, hit=True))


def _compare(
    name: str, ours: list[Slice], theirs: list[Slice], least: float, *, disturbed: bool
) -> None:
    rate = Ratio([s.per_second for s in ours], [s.per_second for s in theirs])
    cpu = Ratio([s.cpu_per_request_s for s in ours], [s.cpu_per_request_s for s in theirs])
    p99 = Ratio([s.p99_s for s in ours], [s.p99_s for s in theirs])
    print(f"  proxy/{name}: hits/s {rate}, CPU {cpu}, p99 {p99}")
    judged = 1 / cpu.median if disturbed else rate.median
    if name == "nginx":
        print(verdict("hits to nginx's", judged, least=least))
        if not disturbed:
            print(verdict("p99 to nginx's", p99.median, most=1.5))
    elif name == "named":
        print(verdict("a named client's cost to an anonymous one's", judged, most=1.1))
    else:
        print(verdict("hits to the naive design's", judged, least=10.0))


if __name__ == "__main__":
    main()
