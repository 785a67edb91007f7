"""Traffic to all nodes at once, and its oracle: a read shows every write acknowledged before it."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from proxy.runtime.tasks import TaskSet
from tests.fleet.nodes import NodeGroup, NodeProcess, now

PAUSE_S = 0.03
"""Nodes must not wait for a processor: several share it."""
FLOWS_S, LAST_S = 30.0, 15.0
"""For the responses to requests that were sent before the end."""


@dataclass
class Traffic:
    """What clients of a fleet saw."""

    group: NodeGroup
    card: str
    written: int = 0
    """Number of the last write that was sent; the card's name has it."""
    acknowledged: int = 0
    reads: int = 0
    writes: int = 0
    wrong: list[str] = field(default_factory=list)
    failed_reads: list[object] = field(default_factory=list)
    failed_writes: list[object] = field(default_factory=list)
    slowest_read_s: float = 0.0
    slowest_write_s: float = 0.0
    avoided: NodeProcess | None = None
    """A node that its clients do not use, as a load balancer that knows it is gone."""
    in_progress: Counter[NodeProcess] = field(default_factory=Counter)
    """Requests without a response yet, by the node that they were sent to."""

    @asynccontextmanager
    async def running(self, seed: int = 1) -> AsyncIterator["Traffic"]:
        """Three clients that read and one that writes, meanwhile; each gets its last response."""
        tasks, chance = TaskSet(), random.Random(seed)  # noqa: S311
        stopping = asyncio.Event()
        acts = (self._read, self._read, self._read, self._write)
        running = {tasks.spawn(self._again(act, chance, stopping)) for act in acts}
        try:
            yield self
            stopping.set()
            _, waiting = await asyncio.wait(running, timeout=LAST_S)
            assert not waiting, self
        finally:
            await tasks.stop()

    async def leave(self, node: NodeProcess) -> None:
        """Return when its clients do not use a node, and it owes them nothing."""
        self.avoided, ends = node, now() + FLOWS_S
        while self.in_progress[node]:
            assert now() < ends, self
            await asyncio.sleep(0.01)

    async def goes_on(self, reads: int = 10, writes: int = 3) -> None:
        """Return when so many more requests had a response of 200."""
        reads, writes, ends = self.reads + reads, self.writes + writes, now() + FLOWS_S
        while self.reads < reads or self.writes < writes:
            assert now() < ends, self
            await asyncio.sleep(0.02)

    def _node(self, chance: random.Random) -> NodeProcess:
        return chance.choice([each for each in self.group.nodes if each is not self.avoided])

    async def _again(
        self, act: Callable[[NodeProcess], Any], chance: random.Random, stopping: asyncio.Event
    ) -> None:
        while not stopping.is_set():
            node = self._node(chance)
            self.in_progress[node] += 1
            await act(node)
            self.in_progress[node] -= 1
            await asyncio.sleep(PAUSE_S)

    async def _read(self, node: NodeProcess) -> None:
        before, began = self.acknowledged, now()
        try:
            heard = await node.get(f"/1/cards/{self.card}?fields=name")
        except aiohttp.ClientError as error:
            if node is not self.avoided:
                self.failed_reads.append(error)
            return
        self.slowest_read_s = max(self.slowest_read_s, now() - began)
        if heard.status != 200:
            self.failed_reads.append((heard.status, heard.body, heard.fields))
            return
        self.reads += 1
        number = int(heard.json["name"].removeprefix("v") or 0)
        if not before <= number <= self.written:
            self.wrong.append(f"v{number} after v{before} of {self.written}")

    async def _write(self, node: NodeProcess) -> None:
        self.written += 1
        number, began = self.written, now()
        try:
            heard = await node("PUT", f"/1/cards/{self.card}", data={"name": f"v{number}"})
        except aiohttp.ClientError as error:
            if node is not self.avoided:
                self.failed_writes.append(error)
            return
        self.slowest_write_s = max(self.slowest_write_s, now() - began)
        if heard.status == 200:
            self.acknowledged = number
            self.writes += 1
        else:
            self.failed_writes.append((heard.status, heard.body))
