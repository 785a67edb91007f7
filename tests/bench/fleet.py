"""Three nodes of a fleet as processes, above a real Redis and the fake Trello with its limits on.

Run as `python -m tests.bench.fleet [--quick]`, on the machine's clock: some four minutes, or one.
"""

import argparse
import asyncio
import random
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median

import aiohttp

from proxy.fake_trello.samples import fill
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import SystemClock
from tests.bench import fleet_files, fleet_near
from tests.bench.figures import verdict
from tests.bench.fleet_load import Clients, Seen
from tests.bench.overload import (
    LATENCY_S,
    PER_WINDOW,
    PERSON,
    TOOLS,
    WINDOW_S,
    jain,
    page_of,
    quantile,
    questions_of,
)
from tests.bench.rivals import Question
from tests.bench.servers import Server, ask
from tests.fleet.nodes import NodeGroup, NodeProcess, now
from tests.redis_server import MISSING, REDIS_SERVER, RedisServer
from tests.scenarios.conftest import KEY, TOKEN

HERD, HERD_LATENCY_S = 500, 0.15
DRAIN_S = 1.0
"""Between a node's leaving the load balancer and SIGTERM, as preStop has it."""
_numbers = count()
_SETTINGS = """\
freshness: {watch: off}
routes: [{match: '/boards/*', lifetime: 1h}]
"""


@dataclass(frozen=True, slots=True)
class Durations:
    """Seconds of each part."""

    overload_s: float = 60.0
    redis_s: float = 60.0
    load_s: float = 6.0
    """Before and after a node ends."""
    near: int = 300
    """Writes of each kind."""
    slices: int = 9
    relays: int = 300
    """In each slice."""
    files: int = 5
    file_bytes: int = 30_000_000


_QUICK = Durations(overload_s=20.0, redis_s=10.0, load_s=3.0, near=100, files=3)
_SMOKE = Durations(
    overload_s=1.0,
    redis_s=0.5,
    load_s=0.3,
    near=3,
    slices=2,
    relays=20,
    files=1,
    file_bytes=500_000,
)


@dataclass(frozen=True, slots=True)
class Stage:
    """All that takes part."""

    group: NodeGroup
    alone: NodeProcess
    """A proxy without a fleet."""
    trello: FakeTrello
    redis: RedisServer
    clients: Clients
    durations: Durations

    @property
    def board(self) -> str:
        return self.trello.trello.example_board


@asynccontextmanager
async def staged(
    durations: Durations, settings: str = _SETTINGS, *, limits: bool = True
) -> AsyncIterator[Stage]:
    """A settled fleet, and a proxy on its own, not started; everything is ended at last."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trello-proxy-")))
        trello = FakeTrello(SystemClock(), key=KEY, token=TOKEN, limits=limits)
        fill(trello.trello)
        await trello.start()
        stack.push_async_callback(trello.stop)
        redis = RedisServer(directory / "redis")
        redis.start()
        stack.callback(redis.kill)
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        upstream = f"upstream: {{url: '{trello.url}', storage_hosts: ['{trello.storage_host}']}}\n"
        nodes = [NodeProcess(directory / str(n), redis.url, upstream, session) for n in range(3)]
        alone = fleet_near.SingleProcess(directory / "alone", "", upstream, session)
        for node in (*nodes, alone):
            stack.push_async_callback(node.kill)
        group = NodeGroup(nodes)
        await group.start(settings)
        yield Stage(group, alone, trello, redis, Clients(group, trello), durations)


async def herd(stage: Stage) -> None:
    """Equal requests, all at once, to all nodes."""
    target = f"/1/boards/{stage.board}/cards?fields=name,desc"
    stage.trello.faults.latency_s = HERD_LATENCY_S
    stage.trello.request_log.reset()
    nodes = stage.group.nodes
    heard = await asyncio.gather(*(nodes[n % len(nodes)].get(target) for n in range(HERD)))
    stage.trello.faults.clear()
    sent = stage.trello.request_log.count("GET", target.partition("?")[0])
    failed = sum(each.status != 200 for each in heard)
    print(f"{HERD} identical cold GETs over {len(nodes)} nodes")
    print(verdict("upstream requests", sent, most=1))
    print(verdict("failed", failed, most=0))


async def files(stage: Stage) -> None:
    """Attachments that no node has, each requested at all nodes at once."""
    number, size_bytes = stage.durations.files, stage.durations.file_bytes
    await fleet_files.cold_files(stage.group, stage.trello, number=number, size_bytes=size_bytes)


async def relays(stage: Stage) -> None:
    """A stored response from the leader, and through a follower; one client, in slices.

    Each request has a field of its own, so that the leader does not repeat a header it knows.
    """
    leader = await stage.group.settled()
    follower = (await stage.group.followers())[0]
    servers = [Server(each.address, each.port, each.pid) for each in (leader, follower)]
    target = f"/1/boards/{stage.board}?fields=name"
    repeated, direct, relayed = list[_Cost](), list[_Cost](), list[_Cost]()
    number = stage.durations.relays
    for _ in range(stage.durations.slices):
        repeated.append(await _cost(leader, servers, target, number, "X-Number: 0"))
        direct.append(await _cost(leader, servers, target, number))
        relayed.append(await _cost(follower, servers, target, number))
    print("a stored response, median ms and CPU of both nodes:")
    kinds = {"leader, header repeated": repeated, "leader": direct, "follower": relayed}
    for name, costs in kinds.items():
        latency, cpu = median(each.latency for each in costs), median(each.cpu for each in costs)
        print(f"  {name:24} {latency:.2f} ms, {cpu:.2f} ms")
    pairs = [*zip(relayed, direct, strict=True)]
    added = median(one.latency - other.latency for one, other in pairs)
    added_cpu = median(one.cpu - other.cpu for one, other in pairs)
    print(verdict("ms that the relay adds", added, most=0.7))
    print(verdict("ms of CPU that the relay adds", added_cpu, most=0.7))


@dataclass(frozen=True, slots=True)
class _Cost:
    """Median milliseconds of a request, and milliseconds of CPU."""

    latency: float
    cpu: float


async def _cost(
    node: NodeProcess,
    servers: list[Server],
    target: str,
    number: int,
    field: str = "Cache-Control: max-age=86400\r\nX-Number: {}",
) -> _Cost:
    """Cost of a request to `node`; `field` with a number of its own, and a directive: relayed."""
    used_s = sum(each.cpu_s() for each in servers)
    latency = median(await _latencies(node, target, number, field))
    return _Cost(latency * 1e3, (sum(each.cpu_s() for each in servers) - used_s) / number * 1e3)


async def _latencies(node: NodeProcess, target: str, number: int, field: str) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    took = list[float]()
    for _ in range(number):
        began = now()
        await ask(reader, writer, node.port, target, field.format(next(_numbers)))
        took.append(now() - began)
    writer.close()
    await writer.wait_closed()
    return took


@dataclass(slots=True)
class _Served:
    """What clients in overload got."""

    answered: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    """The person's, for a page."""
    used: float = 0.0
    """Of Trello's limit."""
    refused: int = 0
    """429s from Trello."""


async def overload(stage: Stage) -> None:
    """Five times the limit, at random nodes."""
    seconds = stage.durations.overload_s
    served = await _overloaded(stage, seconds)
    tools = [served.answered[f"tool {n}"] for n in range(TOOLS)]
    print(f"five times the limit for {seconds:.0f} s; the person saw {len(served.waits)} pages")
    print(verdict("429s from Trello", served.refused, most=0))
    print(verdict("of Trello's limit used", served.used, least=0.94))
    print(verdict("Jain's index over the tools", jain(tools), least=0.98))
    print(verdict("s, the person's p95 wait for a page", quantile(served.waits, 0.95), most=0.3))


async def overload_killed(stage: Stage) -> None:
    """The same with a kill -9 of the leader, whose clients' next requests go to another node."""
    seconds = min(stage.durations.overload_s, 2 * WINDOW_S)
    await asyncio.sleep(min(WINDOW_S, seconds))
    leader = await stage.group.settled()

    async def kill() -> None:
        await asyncio.sleep(seconds / 2)
        stage.clients.rotation.remove(leader)
        await leader.kill()

    killing = asyncio.create_task(kill())
    served = await _overloaded(stage, seconds)
    await killing
    await leader.start(_SETTINGS)
    await stage.group.settled()
    stage.clients.rotation.append(leader)
    print(f"five times the limit for {seconds:.0f} s with a kill -9 of the leader")
    print(verdict("429s from Trello", served.refused, most=1))
    print(verdict("of Trello's limit used", served.used, least=0.75))


async def _overloaded(stage: Stage, seconds: float) -> _Served:
    """What clients got of five times the limit, from the start of one of Trello's windows on."""
    log = stage.trello.request_log
    stage.trello.faults.latency_s = LATENCY_S
    chance, served = random.Random(7), _Served()  # noqa: S311 - the same load each time
    if seconds >= WINDOW_S:
        await asyncio.sleep(-SystemClock().now() % WINDOW_S)
    log.reset()
    sent, began = set[asyncio.Task[None]](), now()
    for question in questions_of(seconds):
        await asyncio.sleep(began + question.at - now())
        node = chance.choice(stage.clients.rotation)
        sent.add(asyncio.create_task(_request(stage, node, question, served)))
    await asyncio.sleep(began + seconds - now())
    served.used = log.total / (PER_WINDOW * seconds / WINDOW_S)
    served.refused = log.refused
    for task in sent:
        task.cancel()
    await asyncio.gather(*sent, return_exceptions=True)
    stage.trello.faults.clear()
    return served


async def _request(stage: Stage, node: NodeProcess, question: Question, served: _Served) -> None:
    target = f"/1/boards/{stage.board}/lists?_={question.number}"
    fields = {"User-Agent": question.tool}
    if question.tool == PERSON:
        target = page_of(stage.trello, question.number)
        fields = {"Accept": "text/html", "Cache-Control": "no-cache"}
    began = now()
    heard = await node.get(target, headers=fields)
    if heard.status == 200:
        served.answered[question.tool] += 1
        if question.tool == PERSON:
            served.waits.append(now() - began)


async def leader_killed(stage: Stage) -> None:
    """kill -9 of the leader; its clients' requests go to another node."""
    leader, log = await stage.group.settled(), stage.trello.request_log
    log.reset()
    async with stage.clients.busy() as seen:
        await asyncio.sleep(stage.durations.load_s)
        async with _gone(stage, leader):
            await leader.kill()
            await stage.group.settled()
            await asyncio.sleep(stage.durations.load_s)
    reads, writes = seen.of("hit", "miss"), seen.of("write")
    unknown = sum(each.status != 200 for each in writes)
    print(f"kill -9 of the leader: {_count(seen)}")
    print(verdict("reads failed", sum(each.status != 200 for each in reads), most=0))
    print(verdict("writes of unknown outcome", unknown, most=1))
    print(verdict("s, the slowest", seen.slowest_s, most=2.5))
    print(verdict("429s from Trello", log.refused, most=1))


async def redis_killed(stage: Stage) -> None:
    """kill -9 of Redis, which is away for a while and comes back empty."""
    seconds = stage.durations.redis_s
    await stage.clients.store_working_set()
    async with stage.clients.busy() as before:
        await asyncio.sleep(stage.durations.load_s)
    async with stage.clients.busy() as seen:
        stage.redis.kill()
        await asyncio.sleep(seconds)
        await asyncio.to_thread(stage.redis.start)
        await asyncio.sleep(stage.durations.load_s)
    print(f"kill -9 of Redis for {seconds:.0f} s: {_count(seen)}")
    print(verdict("failed", len(seen.failed), most=0))
    print(verdict("s, the slowest", seen.slowest_s, most=1.5))
    print(verdict("of the hit ratio before", seen.hit_ratio / before.hit_ratio, least=0.99))


async def leader_stopped(stage: Stage) -> None:
    """SIGTERM of the leader, once the load balancer uses it no more; what it relays goes on."""
    leader = await stage.group.settled()
    async with stage.clients.busy() as seen:
        await asyncio.sleep(stage.durations.load_s)
        async with _gone(stage, leader):
            await asyncio.sleep(min(DRAIN_S, stage.durations.load_s))
            leader.send_signal(signal.SIGTERM)
            code = await leader.ended()
            await asyncio.sleep(stage.durations.load_s)
    print(f"SIGTERM of the leader: {_count(seen)}, exit code {code}")
    print(verdict("failed", len(seen.failed), most=0))
    print(verdict("s, the slowest", seen.slowest_s, most=2.5))


@asynccontextmanager
async def _gone(stage: Stage, node: NodeProcess) -> AsyncIterator[None]:
    """The load balancer does without a node that ends in here; a smoke does not start it again."""
    stage.clients.rotation.remove(node)
    yield
    if stage.durations is not _SMOKE:
        await node.start(_SETTINGS)
        await stage.group.settled()
        stage.clients.rotation.append(node)


def _count(seen: Seen) -> str:
    counts = Counter(each.kind for each in seen.exchanges)
    failed = Counter(f"{each.kind} {each.status}" for each in seen.failed)
    text = f"{counts['hit']} hits, {counts['miss']} misses, {counts['write']} writes"
    return f"{text}; failed: {dict(failed)}" if failed else text


async def run(durations: Durations) -> None:
    """Every part, on one fleet."""
    async with staged(durations) as stage:
        for part in (herd, files, relays, overload):
            await part(stage)
        if durations is not _SMOKE:
            await overload_killed(stage)
        else:
            await near_caches(stage)
        await asyncio.sleep(min(WINDOW_S, durations.overload_s))
        for part in (leader_killed, redis_killed, leader_stopped):
            await part(stage)
        if durations is _SMOKE:
            return
    async with staged(durations, fleet_near.SETTINGS, limits=False) as stage:
        await near_caches(stage)


async def near_caches(stage: Stage) -> None:
    """What followers serve by themselves."""
    group, card, number = stage.group, stage.trello.trello.example_card, stage.durations.near
    await fleet_near.start_alone(stage.alone)
    await fleet_near.hits(stage.alone, group, stage.board, slices=9, each=number * 10)
    await fleet_near.barrier(stage.alone, group, card, number)
    if stage.durations is not _SMOKE:
        await fleet_near.leader_killed(group, stage.board, stage.durations.load_s)


def main(arguments: list[str] | None = None) -> None:
    """Run and print; nothing is left running."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fleet")
    parser.add_argument("--quick", action="store_const", const=_QUICK, dest="durations")
    parser.add_argument("--smoke", action="store_const", const=_SMOKE, dest="durations")
    durations = parser.parse_args(arguments).durations or Durations()
    if REDIS_SERVER is None:
        print(MISSING)
        return
    asyncio.run(run(durations))


if __name__ == "__main__":
    main()
