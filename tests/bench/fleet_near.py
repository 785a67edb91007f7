"""Near caches of a fleet: cost of a hit, of the barrier, and what a killed leader means to hits."""

import asyncio
from collections.abc import Awaitable
from itertools import count
from math import inf
from pathlib import Path
from statistics import median

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.bench.figures import Ratio, verdict
from tests.bench.overload import quantile
from tests.bench.servers import ask
from tests.fleet.nodes import NodeGroup, NodeProcess, now
from tests.serve_process import READY_S

SETTINGS = """\
freshness: {watch: off}
routes: [{match: '/boards/*', lifetime: 1h}, {match: '/cards/*', lifetime: 1h}]
limits: {token: 1000000/1s, key: 1000000/1s}
"""
PAUSE_S, POLL_S = 0.005, 0.003
_numbers = count()


class SingleProcess(NodeProcess):
    """A proxy without a fleet."""

    def configuration(self) -> str:
        """As NodeProcess.configuration."""
        cache = f"cache: {{directory: {self.directory / 'cache'}}}\n"
        return f"listen: 127.0.0.1:{self.port}\n{self.settings}{cache}"


async def start_alone(node: NodeProcess) -> None:
    """Return when it serves."""
    await node.start(SETTINGS)
    ends = now() + READY_S
    while now() < ends:
        try:
            await node.get("/healthz")
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.05)
        else:
            return
    raise TimeoutError(node.log_file.read_text()[-500:])


async def hits(alone: NodeProcess, group: NodeGroup, board: str, *, slices: int, each: int) -> None:
    """CPU of a repeated hit at a follower, and at a process without a fleet."""
    follower = (await group.followers())[0]
    target = f"/1/boards/{board}?fields=name"
    for node in (alone, follower):
        for _ in range(5):
            assert (await node.get(target)).status == 200
            await asyncio.sleep(0.05)
    theirs, ours = list[float](), list[float]()
    for _ in range(slices):
        theirs.append(await _cpu_of_hits(alone, target, each))
        ours.append(await _cpu_of_hits(follower, target, each))
    micros = [median(several) * 1e6 for several in (theirs, ours)]
    print(f"a repeated hit: {micros[0]:.1f} µs of CPU alone, {micros[1]:.1f} at a follower")
    print(verdict("of its cost in a process alone", Ratio(ours, theirs).median, most=1.05))


async def barrier(alone: NodeProcess, group: NodeGroup, card: str, number: int) -> None:
    """Writes through a follower, and how soon each node shows them."""
    leader, followers = await group.settled(), await group.followers()
    direct, relayed, seen = list[float](), list[float](), list[float]()
    before = await _barrier_buckets(leader)
    for _ in range(number):
        direct.append(await _write(alone, card))
        relayed.append(await _write(followers[0], card))
        for node in group.nodes:
            await node.get(f"/1/cards/{card}")
        seen.append(await _until_shown(leader, group.nodes, card))
    counts = _difference(await _barrier_buckets(leader), before)
    p50, p99 = (_quantile(counts, share) * 1e3 for share in (0.5, 0.99))
    print(f"{number * 2} writes; the barrier by the leader's histogram, all else by clients")
    print(verdict("ms, the barrier's p50", p50, most=3))
    print(verdict("ms, the barrier's p99", p99, most=20))
    added = max(0.0, (quantile(relayed, 0.99) - quantile(direct, 0.99)) * 1e3)
    print(verdict("ms that a write through a follower takes longer, p99", added, most=10))
    slowest = max(seen) * 1e3
    print(
        verdict("ms from sending a write until all nodes show it, the slowest", slowest, most=100)
    )


async def leader_killed(group: NodeGroup, board: str, wait_s: float) -> None:
    """kill -9 of the leader, while clients of the others read what is stored."""
    leader, followers = await group.settled(), await group.followers()
    target, took, failed = f"/1/boards/{board}?fields=name", list[float](), 0
    ends = inf

    async def read(node: NodeProcess) -> None:
        nonlocal failed
        while now() < ends:
            began = now()
            failed += (await node.get(target)).status != 200
            took.append(now() - began)
            await asyncio.sleep(PAUSE_S)

    for node in followers:
        await node.get(target)
    reading = asyncio.gather(*map(read, followers))
    await asyncio.sleep(1.0)
    await leader.kill()
    ends = now() + wait_s
    await reading
    await leader.start(SETTINGS)
    await group.settled()
    print(f"kill -9 of the leader: {len(took)} hits at the other nodes")
    print(verdict("failed", failed, most=0))
    print(verdict("ms, the slowest", max(took) * 1e3, most=50))


async def _cpu_of_hits(node: NodeProcess, target: str, number: int) -> float:
    """CPU seconds of one hit."""
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    for _ in range(10):
        await ask(reader, writer, node.port, target)
    used_s = _cpu_s(node.pid)
    for _ in range(number):
        await ask(reader, writer, node.port, target)
    used_s = _cpu_s(node.pid) - used_s
    writer.close()
    await writer.wait_closed()
    return used_s / number


def _cpu_s(pid: int) -> float:
    """CPU seconds of all threads, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((each / "schedstat").read_text().split()[0]) for each in tasks) / 1e9


async def _write(node: NodeProcess, card: str) -> float:
    began = now()
    heard = await node("PUT", f"/1/cards/{card}", data={"desc": f"d{next(_numbers)}"})
    assert heard.status == 200
    return now() - began


async def _until_shown(writer: NodeProcess, nodes: list[NodeProcess], card: str) -> float:
    """Seconds from sending a write until each node has shown it."""
    name, began = f"n{next(_numbers)}", now()

    async def shown(node: NodeProcess) -> float:
        while True:
            heard = await node.get(f"/1/cards/{card}")
            if heard.json["name"] == name:
                return now() - began
            await asyncio.sleep(POLL_S)

    watching: list[Awaitable[float]] = [shown(node) for node in nodes]
    _, *seen = await asyncio.gather(_put_name(writer, card, name), *watching)
    return max(seen)


async def _put_name(node: NodeProcess, card: str, name: str) -> float:
    assert (await node("PUT", f"/1/cards/{card}", data={"name": name})).status == 200
    return 0.0


async def _barrier_buckets(node: NodeProcess) -> dict[float, float]:
    """Cumulative counts by upper bound in seconds."""
    text = (await node.get("/metrics")).body.decode()
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "trello_proxy_fleet_barrier_seconds_bucket"
    }


def _difference(after: dict[float, float], before: dict[float, float]) -> dict[float, float]:
    return {bound: each - before.get(bound, 0.0) for bound, each in after.items()}


def _quantile(counts: dict[float, float], share: float) -> float:
    """As Prometheus's histogram_quantile."""
    wanted, low, below = share * max(counts.values(), default=0.0), 0.0, 0.0
    for bound, each in sorted(counts.items()):
        if each >= wanted:
            inside = each - below
            return low + (bound - low) * (wanted - below) / inside if inside else bound
        low, below = bound, each
    return inf
