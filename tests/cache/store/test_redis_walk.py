"""A random walk of reads and writes while Redis fails in every way: no response is ever old.

Every change goes through the store, so whatever it returns must be the current version.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.cache.store import redis_connection
from proxy.model import Tag
from tests.cache.store.conftest import answer, key
from tests.cache.store.redis_node import RedisNode
from tests.redis_server import RedisServer, needs_redis

pytestmark = needs_redis

STEPS = 150
CARDS = 8
PATIENT_S, IMPATIENT_S = 10.0, 0.02


class Walk:
    """Its processes, their Redis, and the current version of each card."""

    def __init__(self, seed: int, server: RedisServer, directory: Path) -> None:
        self._random = random.Random(seed)  # noqa: S311 - any walk
        self._server = server
        self._directory = directory
        self._versions = dict.fromkeys(range(CARDS), 0)
        self._began = 1_000
        self.nodes: list[RedisNode] = []
        self.hits = 0

    @property
    def node(self) -> RedisNode:
        return self.nodes[-1]

    async def start(self) -> None:
        self._began += 1_000
        self.nodes.append(RedisNode(self._server.url, self._directory, seq=self._began))
        await self.node.start()

    async def step(self) -> None:
        if self._random.random() < 0.15:
            await self._random.choice(self._faults())()
        else:
            await self._random.choice((self._read, self._read, self._write, self._refresh))()
        if self._random.random() < 0.3:
            await self.node.lost_something()
        if self._random.random() < 0.5:
            await self.node.reopened()

    async def _read(self) -> None:
        card = self._random.randrange(CARDS)
        stored = await self.node.get(card)
        if stored is None:
            self._put(card)
        else:
            self.hits += 1
            assert int(stored.body) == self._versions[card]

    async def _write(self) -> None:
        card = self._random.randrange(CARDS)
        self._versions[card] += 1
        await self.node.invalidate(Tag(f"card:{card}"))

    async def _refresh(self) -> None:
        """A new version is found and replaces the stored one, or shows that it is gone."""
        card = self._random.randrange(CARDS)
        self._versions[card] += 1
        if self._random.random() < 0.3:
            self.node.store.drop(key(card))
        else:
            self._put(card)

    def _put(self, card: int) -> None:
        body, tags = str(self._versions[card]).encode(), (Tag(f"card:{card}"),)
        self.node.store.put(answer(card, body, seq=self.node.epochs.seq, tags=tags))

    def _faults(self) -> list[Callable[[], Awaitable[None]]]:
        return [
            self._evict,
            self._evict,
            self._flush_all,
            self._cut_connections,
            self._hang,
            self._hang,
            self._fill,
            self._restart_empty,
            self._roll_back,
            self._roll_back,
            self._roll_back_and_crash,
            self._end_process,
            self._crash,
            self._crash_behind,
        ]

    async def _evict(self) -> None:
        with self._server.client() as client:
            names = client.keys("*")
            if names:
                client.delete(self._random.choice(sorted(names)))

    async def _flush_all(self) -> None:
        with self._server.client() as client:
            client.flushall()

    async def _cut_connections(self) -> None:
        with self._server.client() as client:
            client.script_flush()
            client.client_kill_filter(_type="normal", skipme=True)

    async def _hang(self) -> None:
        self._server.pause()
        redis_connection.TIMEOUT_S = IMPATIENT_S
        for _ in range(self._random.randrange(1, 6)):
            await self._random.choice((self._read, self._write, self._refresh))()
            if self._random.random() < 0.3:
                await self.node.store.flush()
        redis_connection.TIMEOUT_S = PATIENT_S
        self._server.resume()

    async def _fill(self) -> None:
        """Redis is out of memory for a while."""
        with self._server.client() as client:
            client.config_set("maxmemory", 1 << 20)
        for _ in range(4):
            await self._random.choice((self._read, self._write, self._refresh))()
            await self.node.store.flush()
        with self._server.client() as client:
            client.config_set("maxmemory", 0)

    async def _restart_empty(self) -> None:
        (self._server.directory / "dump.rdb").unlink(missing_ok=True)
        await self._server.restart()

    async def _roll_back(self) -> None:
        """Redis loses its newest writes, as by a fail-over."""
        await self._change_after_saving()
        await self._server.restart()

    async def _roll_back_and_crash(self) -> None:
        await self._change_after_saving()
        await self._server.restart()
        await self._start_after_a_crash()

    async def _change_after_saving(self) -> None:
        await self.node.reopened()
        for card in range(CARDS):
            self._put(card)
        await self.node.store.flush()
        with self._server.client() as client:
            client.save()
        for _ in range(self._random.randrange(6)):
            await self._random.choice((self._write, self._refresh))()
            await self.node.store.flush()

    async def _end_process(self) -> None:
        await self.node.stop()
        await self.start()

    async def _crash(self) -> None:
        await self.node.store.flush()
        await self._start_after_a_crash()

    async def _crash_behind(self) -> None:
        """The process knows of changes that Redis does not."""
        await self._change_after_saving()
        self._server.pause()
        redis_connection.TIMEOUT_S = IMPATIENT_S
        await self.node.lost_something()
        for _ in range(3):
            await self._write()
        redis_connection.TIMEOUT_S = PATIENT_S
        self._server.resume()
        await self._start_after_a_crash()

    async def _start_after_a_crash(self) -> None:
        """The process before is gone without a word, its lease has run out."""
        with self._server.client() as client:
            client.delete("{test}:lease")
        await self.start()


@pytest.fixture
async def walk(
    seed: int,
    own_redis: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Walk]:
    monkeypatch.setattr(redis_connection, "TIMEOUT_S", PATIENT_S)
    async with AsyncExitStack() as stack:
        made = Walk(seed, own_redis, tmp_path)
        await made.start()
        yield made
        for node in made.nodes:
            stack.push_async_callback(node.stop)


@pytest.mark.seeds(2)
async def test_no_response_is_older_than_the_last_change(walk: Walk) -> None:
    for _ in range(STEPS):
        await walk.step()
    await walk.node.reopened()
    assert walk.hits > 10
