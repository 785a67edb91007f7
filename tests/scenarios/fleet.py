"""A fleet of three nodes in this process: a proxy whose requests go to any of them."""

import asyncio
from random import Random
from typing import Any

from proxy.fleet.node import Node
from proxy.fleet.timing import PROMISE_S
from proxy.runtime.clock import FakeClock, SystemClock
from tests.redis_server import RedisServer, free_port
from tests.scenarios.conftest import BREATH_S, Heard, Proxy, StartProxy

NODES = 3
_SHORT_S = 1.0
"""The fleet's waits, and no lifetime, are below it."""


class FleetClock(SystemClock):
    """The tests' time, but for the fleet's: CLOCK_BOOTTIME and short waits are the machine's."""

    def __init__(self, fake: FakeClock) -> None:
        self._fake = fake
        self.ahead_s = 0.0

    def now(self) -> float:
        return self._fake.now()

    def monotonic(self) -> float:
        return self._fake.monotonic()

    def boottime(self) -> float:
        return super().boottime() + self.ahead_s

    async def sleep(self, delay_s: float) -> None:
        await (super().sleep(delay_s) if delay_s < _SHORT_S else self._fake.sleep(delay_s))


class FleetProxy(Proxy):
    """The nodes; `app` is the leader's."""

    def __init__(self, nodes: list[Proxy], leader: Proxy, seed: int) -> None:
        super().__init__(leader.app, leader.session, leader._lines)
        self._nodes, self._leader = nodes, leader
        self._draw = Random(seed)  # noqa: S311 - any nodes

    async def __call__(self, method: str, target: str, **options: Any) -> Heard:
        return await self._draw.choice(self._nodes)(method, target, **options)

    async def metric(self, sample: str) -> float:
        """A sample of the leader's."""
        return await self._leader.metric(sample)

    def check(self) -> None:
        """Fail unless the leader has led all the time and the followers have relayed to it."""
        assert _node_of(self._leader).acts()
        for each in self._nodes:
            if each is not self._leader:
                assert each.app.fleet is not None
                assert each.app.fleet._relay.results["ok"] > 20
        assert not [line for each in self._nodes for line in each.logged("leading ended")]


async def started_fleet(
    start_proxy: StartProxy,
    redis: RedisServer,
    clock: FakeClock,
    seed: int,
    yaml: str,
    **sections: dict[str, Any],
) -> FleetProxy:
    """Return when one node leads and the others follow it."""
    machine, nodes = FleetClock(clock), list[Proxy]()
    for _ in range(NODES):
        port = free_port()
        fleet = f"fleet: {{listen: 127.0.0.1:{port}, key: for-the-tests-of-a-walk}}\n"
        backend = f"cache: {{backend: redis, redis: '{redis.url}'}}\n"
        cache = {"directory": str(redis.directory / f"node-{port}")}
        made = start_proxy(yaml + fleet + backend, machine=machine, cache=cache, **sections)
        nodes.append(await made)
    async with asyncio.timeout(10):
        while not (leaders := [each for each in nodes if _node_of(each).acts()]):
            await asyncio.sleep(BREATH_S)
            if all(_node_of(each).members for each in nodes):
                machine.ahead_s = PROMISE_S  # what they promised in an earlier life is over
        while not all(_node_of(each).leader for each in nodes):  # noqa: ASYNC110 - any change
            await asyncio.sleep(BREATH_S)
    return FleetProxy(nodes, leaders[0], seed)


def _node_of(proxy: Proxy) -> Node:
    assert proxy.app.fleet is not None
    return proxy.app.fleet.node
