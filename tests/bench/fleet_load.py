"""Clients of a fleet behind a load balancer, and what they saw of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import aiohttp

from proxy.fake_trello.server import FakeTrello
from proxy.runtime.tasks import TaskSet
from tests.fleet.nodes import NodeGroup, NodeProcess, now

WORKING_SET = 20
"""Targets that are stored, and requested again and again."""
HIT_CLIENTS, HIT_PAUSE_S = 5, 0.05
MISS_CLIENTS, MISS_PAUSE_S = 3, 0.5
WRITE_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its response."""

    kind: str
    began_at: float
    took_s: float
    status: int
    """0 if the connection ended before the response."""
    is_hit: bool


@dataclass(slots=True)
class Seen:
    """Exchanges that clients had."""

    exchanges: list[Exchange] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Exchange]:
        return [each for each in self.exchanges if each.kind in kinds]

    @property
    def failed(self) -> list[Exchange]:
        return [each for each in self.exchanges if each.status != 200]

    @property
    def slowest_s(self) -> float:
        return max((each.took_s for each in self.exchanges), default=float("nan"))

    @property
    def hit_ratio(self) -> float:
        """Of requests for the working set."""
        hits = [each.is_hit for each in self.of("hit")]
        return sum(hits) / len(hits) if hits else float("nan")


class Clients:
    """Programs whose requests go to the nodes in turn, without affinity."""

    def __init__(self, group: NodeGroup, trello: FakeTrello) -> None:
        self.rotation: list[NodeProcess] = [*group.nodes]
        """Nodes that the load balancer uses."""
        self._turn, self._number = count(), count()
        boards = trello.trello.request("/1/members/me/boards?fields=id")
        written = trello.trello.example_board
        self._card = f"/1/cards/{trello.trello.example_card}"
        self._stored_board = next(each["id"] for each in boards if each["id"] != written)
        self._board = f"/1/boards/{written}"

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[Seen]:
        """Reads of stored and of new targets, and a write each second, meanwhile."""
        seen, tasks, stopping = Seen(), TaskSet(), asyncio.Event()

        async def again(act: Callable[[Seen], Awaitable[None]], pause_s: float) -> None:
            while not stopping.is_set():
                await act(seen)
                await asyncio.sleep(pause_s)

        running = [tasks.spawn(again(self._write, WRITE_PAUSE_S))]
        running += [tasks.spawn(again(self._hit, HIT_PAUSE_S)) for _ in range(HIT_CLIENTS)]
        running += [tasks.spawn(again(self._miss, MISS_PAUSE_S)) for _ in range(MISS_CLIENTS)]
        try:
            yield seen
            stopping.set()
            await asyncio.gather(*running)
        finally:
            await tasks.stop()

    async def store_working_set(self) -> None:
        """Request each of its targets once."""
        for number in range(WORKING_SET):
            await self.exchange("first", "GET", self._stored(number))

    async def exchange(self, kind: str, method: str, target: str) -> Exchange:
        """One request; a node that takes no connection is passed over."""
        began_at = now()
        for _ in range(len(self.rotation)):
            node = self.rotation[next(self._turn) % len(self.rotation)]
            try:
                heard = await node(method, target)
            except aiohttp.ClientConnectorError:
                continue
            except aiohttp.ClientError:
                if method == "GET" and node not in self.rotation:
                    continue
                break
            took_s, is_hit = now() - began_at, heard.cache.startswith("hit")
            return Exchange(kind, began_at, took_s, heard.status, is_hit)
        return Exchange(kind, began_at, now() - began_at, 0, is_hit=False)

    def _stored(self, number: int) -> str:
        return f"/1/boards/{self._stored_board}?fields=name&number={number % WORKING_SET}"

    async def _hit(self, seen: Seen) -> None:
        seen.exchanges.append(await self.exchange("hit", "GET", self._stored(next(self._number))))

    async def _miss(self, seen: Seen) -> None:
        target = f"{self._board}/lists?number={next(self._number)}"
        seen.exchanges.append(await self.exchange("miss", "GET", target))

    async def _write(self, seen: Seen) -> None:
        target = f"{self._card}?desc=Version%20{next(self._number)}"
        seen.exchanges.append(await self.exchange("write", "PUT", target))
