"""Stored responses of the simulated leader: memory, and its copy in Redis behind a chain of writes.

It stands for the response store with its Redis backend, and judges by the same functions.
"""

from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import replace

from proxy.cache.store import redis_chain
from proxy.cache.store.redis_chain import SCHEMA, Chain, Opening, ServerState
from proxy.cache.store.store import key_tag
from proxy.cache.store.succession import Succession
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.errors import StoreError
from proxy.fleet.barrier import Barrier
from proxy.model import CacheKey, Tag
from proxy.runtime.tasks import TaskSet
from tests.fleet.simulation.redis import Client, Data, Meta
from tests.fleet.simulation.world import Machine

FENCES_BATCHES = True
"""A switch for the tests: whether Redis refuses batches of an earlier term."""


class SimulatedStore:
    """Valid responses: what is known to the leader of one term."""

    def __init__(
        self,
        client: Client,
        machine: Machine,
        barrier: Barrier,
        restore: Callable[[], Awaitable[None]],
    ) -> None:
        self._restore = restore
        self.barrier = barrier
        self.epochs = TagEpochs(seq=0)
        self.is_behind = False
        self._client, self._machine = client, machine
        self._memory: dict[str, tuple[int, int]] = {}
        self._chain: Chain | None = None
        self._term = 0
        self._rows: dict[str, tuple[int, int]] = {}
        self._tags: dict[str, int] = {}
        self._is_flushing = False
        self._tasks = TaskSet()
        self._flushed_at = 0

    @property
    def unsaved(self) -> frozenset[str]:
        """Cards with an invalidation that was not sent to Redis yet."""
        return frozenset(self._tags)

    async def open(self, succession: Succession) -> bool:
        """Begin a term; whether what was stored before is still used."""
        meta, epochs = await self._state()
        self._term = succession.term
        found = self._found(meta)
        opening = redis_chain.judge_opening(found, None, is_behind=not succession.trusts(found))
        self.epochs = TagEpochs(seq=succession.first_seq)
        if opening is Opening.RESTORE:
            self.epochs.restore({Tag(tag): seq for tag, seq in epochs.items()}, 0)
        await self._claim(meta, opening)
        self._flushed_at = self.epochs.seq
        self._tasks.spawn(self._write_behind())
        return opening is Opening.RESTORE

    async def get(self, key: str) -> int | None:
        """The version stored, if it is valid."""
        found = self._memory.get(key) or await self._row(key)
        if found is not None and self.epochs.is_current([Tag(key)], found[1]):
            return found[0]
        return None

    def peek(self, key: str) -> int | None:
        """The version in memory, if it is valid."""
        version, seq = self._memory.get(key, (None, 0))
        return version if self.epochs.is_current([Tag(key)], seq) else None

    def put(self, key: str, version: int, requested_seq: int) -> None:
        """Store what was requested at `requested_seq`, unless it was invalidated since."""
        if self.epochs.is_current([Tag(key)], requested_seq):
            self._memory[key] = self._rows[key] = (version, requested_seq)
            self.barrier.publish([key_tag(CacheKey(key))])

    def invalidate(self, keys: tuple[str, ...]) -> None:
        """Purge."""
        seq = self.epochs.invalidate(Tag(key) for key in keys)
        self.barrier.publish(Tag(key) for key in keys)
        self._tags |= dict.fromkeys(keys, seq)

    async def flush(self, wait_s: float = 1.0) -> bool:
        """Whether Redis has all invalidations so far."""
        seq, ends_at = self.epochs.seq, self._machine.boottime() + wait_s
        while self._flushed_at < seq:
            if self._machine.boottime() > ends_at or self.is_behind:
                return False
            await self._flush()
            await self._machine.sleep(0.002)
        return True

    async def close(self) -> None:
        """Say in Redis that it has everything, if it has."""
        if await self.flush():
            chain = self._chain

            def script(data: Data) -> None:
                if chain is not None and data.meta.term == self._term:
                    data.meta.is_closed = True

            await self._client.run(script)

    async def stop(self) -> None:
        """Forget everything."""
        await self._tasks.stop()

    async def _write_behind(self) -> None:
        while True:
            await self._machine.sleep(0.05)
            await self._flush()

    async def _flush(self) -> None:
        if self._is_flushing or not (self._rows or self._tags or self.is_behind):
            return
        self._is_flushing = True
        rows, self._rows = self._rows, {}
        tags, self._tags = self._tags, {}
        seq = self.epochs.seq
        try:
            if self.is_behind:
                await self._open_again()
            await self._batch(rows, tags)
            self.is_behind = False
            self._flushed_at = seq
        except StoreError:
            self.is_behind = True
            self._rows = rows | self._rows
            self._tags = tags | self._tags
        finally:
            self._is_flushing = False

    async def _batch(self, rows: Mapping[str, tuple[int, int]], tags: Mapping[str, int]) -> None:
        chain, term = self._chain, self._term
        if chain is None:
            raise StoreError("not open")
        chain.sent = max(chain.sent, chain.confirmed + 1)
        confirmed, gen = chain.confirmed, chain.gen

        def script(data: Data) -> bool:
            meta = data.meta
            is_mine = (meta.term, meta.gen, meta.n) == (term, gen, confirmed)
            if FENCES_BATCHES and not is_mine:
                return False
            data.epochs |= tags
            data.rows |= {f"{gen}:{key}": row for key, row in rows.items()}
            meta.n += 1
            meta.is_closed = False
            return True

        if not await self._client.run(script):
            raise StoreError("chain")
        chain.confirmed += 1

    async def _row(self, key: str) -> tuple[int, int] | None:
        chain = self._chain
        if chain is None:
            return None
        name = f"{chain.gen}:{key}"
        try:
            found, row = await self._client.run(
                lambda data: (replace(data.meta), data.rows.get(name))
            )
        except StoreError:
            self.is_behind = True
            return None
        if not chain.covers(str(found.term), found.gen, found.n):
            self.is_behind = True
            return None
        return row

    async def _open_again(self) -> None:
        meta, _ = await self._state()
        opening = redis_chain.judge_opening(self._found(meta), self._chain)
        await self._restore()
        if opening is Opening.KEEP and self._chain is not None:
            self._chain.confirmed = meta.n
            if meta.run_id == self._client.run_id:
                return
        await self._claim(meta, opening)

    async def _claim(self, found: Meta, opening: Opening) -> None:
        known = self._chain.sent if self._chain else 0
        gen = f"{self._term}-{found.n}" if opening is Opening.RENEW else found.gen
        n, run_id, term = max(found.n, known) + 1, self._client.run_id, self._term
        new = Meta(term, gen, n, run_id)
        epochs = {str(tag): seq for tag, seq in self.epochs._last.items()}

        def script(data: Data) -> bool:
            if data.meta != found or data.meta.term > term:
                return False
            data.meta = deepcopy(new)
            if opening in (Opening.RENEW, Opening.REASSERT):
                data.epochs = dict(epochs)
            return True

        if self._chain is not None:
            self._chain.sent = n
        if not await self._client.run(script):
            raise StoreError("changed meanwhile")
        self._chain = Chain(str(term), gen, n, n)

    async def _state(self) -> tuple[Meta, dict[str, int]]:
        return await self._client.run(lambda data: (replace(data.meta), dict(data.epochs)))

    def _found(self, meta: Meta) -> ServerState:
        return ServerState(
            holder=str(meta.term),
            gen=meta.gen,
            n=meta.n,
            schema=SCHEMA,
            run_id=meta.run_id,
            server_run_id=self._client.run_id,
            has_epochs=True,
            term=meta.term,
            is_handed_over=meta.is_closed,
        )
