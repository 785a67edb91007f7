"""Redis backend: one key with its own lifetime per response, and what a restart must not forget.

While the process runs its memory is the authority; Redis is a copy for the next process (D1). The
chain (`redis_chain.py`) shows whether Redis lost some of it: then everything is written again, or
a new generation begins, in which no earlier response is found. A lease keeps a second process out.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from proxy.cache.store.alias_table import MAX_ALIASES
from proxy.cache.store.backend import RecoveredState, WriteBatch
from proxy.cache.store.codec import loads
from proxy.cache.store.redis_behind import Marker
from proxy.cache.store.redis_chain import SCHEMA, Chain, Opening, ServerState, judge_opening
from proxy.cache.store.redis_connection import RedisConnection, RedisFull
from proxy.cache.store.redis_pieces import ChangePiece, PutRow, changes_of, row_pieces, rows_of
from proxy.cache.store.redis_scripts import (
    BATCH,
    CHAIN,
    COMPLETE_FIELD,
    HAND_OVER,
    OPEN,
    PRUNE,
    PUT,
    READ,
    RELEASE,
    RENEW,
    SWEEP,
    TAKEN,
)
from proxy.cache.store.redis_stats import RedisStats
from proxy.cache.store.succession import Succession
from proxy.errors import DirectoryTaken, StoreError
from proxy.model import CacheKey, StoredResponse, Tag
from proxy.observability.log import Log
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import TaskSet

LEASE_MS = 3_000
"""For so long after its last sign of life a process keeps others out."""
_NAME_SHARE_BYTES = 4_000
"""One name in each of two generations is kept for so much of the bound; it takes about 150."""
_SLOW_WRITE_S = 0.8
"""A little less than clients wait for their invalidations to be written."""
_EVICT_WHEN_FULL = 64
"""Responses evicted when Redis itself is out of memory, so that the next batch finds room."""


class RedisBackend:
    """Stored responses, epochs, names and identity under one hash tag."""

    def __init__(
        self,
        connection: RedisConnection,
        *,
        name: str,
        limit_bytes: int,
        clock: Clock,
        log: Log,
        random: Callable[[int], bytes],
        behind: Marker,
        succession: Succession | None = None,
    ) -> None:
        """`name`: two proxies that share a Redis have two.

        `succession`: of the leader of a fleet.
        """
        self._succession = succession
        self.restore: Callable[[], Awaitable[None]] | None = None
        """Puts into Redis what else a successor needs; called when it is opened again, before a
        successor can trust it. StoreError."""
        self.is_new = False
        """Whether nothing stored before it was opened first is used."""
        self._connection = connection
        self._name = name
        self._limit_bytes = limit_bytes
        self._max_names = min(MAX_ALIASES // 2, limit_bytes // _NAME_SHARE_BYTES)
        self._clock = clock
        self._log = log
        self._random = random
        self._behind = behind
        self._has_failed = False
        self._me = random(8).hex()
        self._ahead_s = 0.0
        """As of the connection when it was opened first: stored times are of Redis's clock as it
        was then, so that another node, with another clock, finds their ages (D78)."""
        self._chain: Chain | None = None
        self._is_incomplete = False
        self._floor = 0
        self._used_bytes = 0
        self._writes, self._sweeps = TaskSet(), TaskSet()
        self._writing = asyncio.Lock()

    @property
    def connection(self) -> RedisConnection:
        """The connection; this backend opens it again after a failure."""
        return self._connection

    @property
    def stats(self) -> RedisStats:
        """Figures for the metrics."""
        return self._connection.stats

    async def open(self) -> RecoveredState:
        """As StorageBackend.open; DirectoryTaken while another process has the lease."""
        with self._noting_failure():
            recovered = await self._open()
        self._has_failed = False
        return recovered

    async def _open(self) -> RecoveredState:
        await self._stop_tasks()
        await self._connection.open()
        meta = await self._meta()
        known, found = self._chain, await self._state(meta)
        opening = judge_opening(found, known, is_behind=self._is_behind(found))
        if known is not None and self.restore is not None:
            await self.restore()
        chain = await self._claim(found, opening)
        recovered = RecoveredState({}, 0)
        is_incomplete = opening in _INCOMPLETE
        if known is None:
            self.is_new, self._ahead_s = is_incomplete, self._connection.ahead_s
            recovered = await self._recover(chain, {} if is_incomplete else meta)
        elif opening is not Opening.KEEP:
            self.stats.reasserts += 1
            kept = "responses" if opening is Opening.REASSERT else "nothing"
            self._log.event("warning", "redis lost writes", kept=kept)
        if opening is Opening.RENEW and found.gen:
            self._sweeps.spawn(self._sweep(found.gen))
        self._chain = chain
        self._used_bytes = 0 if opening is Opening.RENEW else int(meta.get("bytes", 0))
        self._is_incomplete = is_incomplete
        return replace(recovered, is_incomplete=is_incomplete)

    async def get(self, key: CacheKey) -> StoredResponse | None:
        """As StorageBackend.get; None too while too many commands wait."""
        chain = self._opened
        if self._connection.is_busy:
            return None
        confirmed, keys = chain.confirmed, (self._key("meta"), self._prefix(chain.gen) + key)
        with self._noting_failure():
            *found, value = await self._connection.script(READ, keys)
            _check(chain, found, confirmed)
        return None if value is None else loads(key, value, self._ahead_s)

    async def write(self, batch: WriteBatch) -> int:
        """As StorageBackend.write; it is carried out although the caller may be cancelled."""
        return await asyncio.shield(self._writes.spawn(self._write(batch)))

    async def keys(self) -> AsyncIterator[Sequence[CacheKey]]:
        async for page in self._connection.members(self._key("order", self._opened.gen)):
            yield [CacheKey(key.decode()) for key in page]

    async def used_bytes(self) -> int:
        """As of the last write."""
        return self._used_bytes

    async def check(self) -> None:
        """As StorageBackend.check; renews the lease."""
        chain, confirmed = self._opened, self._opened.confirmed
        keys = self._key("meta"), self._key("lease"), self._key("epochs", chain.gen)
        with self._noting_failure():
            *found, has_epochs = await self._connection.script(RENEW, keys, self._me, LEASE_MS)
            _check(chain, found, confirmed)
            if not has_epochs and not self._is_incomplete:
                raise StoreError("Redis evicted the epochs")

    async def close(self) -> None:
        """As StorageBackend.close; another process may take over at once."""
        try:
            if self._connection.is_open:
                await self._connection.script(RELEASE, (self._key("lease"),), self._me)
        finally:
            await self._stop_tasks()
            await self._connection.close()

    async def hand_over(self) -> None:
        """Say that everything is written; the next leader may trust it."""
        with self._noting_failure():
            await self._connection.script(HAND_OVER, (self._key("meta"),), self._me)

    def _is_behind(self, found: ServerState) -> bool:
        if self._succession is not None:
            return not self._succession.trusts(found)
        return self._behind.was_set or found.term != 0  # numbers of a fleet's invalidations differ

    @property
    def _opened(self) -> Chain:
        if self._chain is None:
            raise StoreError("not open")
        return self._chain

    def _key(self, *parts: str) -> str:
        return ":".join((f"{{{self._name}}}", *parts))

    def _prefix(self, gen: str) -> str:
        """What keys of stored responses begin with."""
        return self._key("r", gen, "")

    async def _stop_tasks(self) -> None:
        await self._writes.stop()
        await self._sweeps.stop()

    async def _meta(self) -> dict[str, str]:
        pairs = self._connection.pairs(self._key("meta"))
        return {_text(name): _text(value) async for name, value in pairs}

    async def _state(self, meta: Mapping[str, str]) -> ServerState:
        gen = meta.get("gen", "")
        epochs = self._key("epochs", gen)
        command: Callable[[], Any] = partial(
            self._connection.client.hexists, epochs, COMPLETE_FIELD
        )
        return ServerState(
            holder=meta.get("holder", ""),
            gen=gen,
            n=int(meta.get("n", 0)),
            schema=meta.get("schema", ""),
            run_id=meta.get("run_id", ""),
            server_run_id=self._connection.run_id,
            has_epochs=bool(await self._connection.run(command)),
            term=int(meta.get("term", 0)),
            is_handed_over=meta.get("whole") == "1",
        )

    async def _claim(self, found: ServerState, opening: Opening) -> Chain:
        """Take the lease and go on with the chain, if Redis is as it was found."""
        gen = self._random(8).hex() if opening is Opening.RENEW else found.gen
        n = max(found.n, self._chain.sent if self._chain else 0) + 1
        if self._chain is not None:
            self._chain.sent = n
        keys = [self._key("meta"), self._key("lease")]
        keys += [self._key("epochs", found.gen), self._key("order", found.gen)]
        keys.append(self._key("epochs", gen))
        was, now = (found.holder, found.gen, found.n), (gen, n)
        keeps = int(opening not in _INCOMPLETE)
        server, term = (
            (self._connection.run_id, SCHEMA),
            self._succession.term if self._succession else 0,
        )
        (reply,) = await self._connection.script(
            OPEN, keys, self._me, LEASE_MS, *was, *now, *server, keeps, term
        )
        if reply == TAKEN:
            raise DirectoryTaken("another process uses Redis under the same redis.name")
        if reply == CHAIN:
            raise StoreError("Redis was changed while it was opened")
        return Chain(self._me, gen, n, n)

    async def _recover(self, chain: Chain, meta: Mapping[str, str]) -> RecoveredState:
        """What an earlier process left; without `meta` only what is true for ever."""
        epochs: dict[Tag, int] = {}
        if meta:
            pairs = self._connection.pairs(self._key("epochs", chain.gen))
            found = [(_text(tag), int(seq)) async for tag, seq in pairs]
            found.sort(key=lambda pair: pair[1])
            epochs = {Tag(tag): seq for tag, seq in found if tag != COMPLETE_FIELD}
        names: dict[str, str] = {}
        for generation in ("b", "a"):
            pairs = self._connection.pairs(self._key("names", generation))
            names |= {_text(name): _text(known_id) async for name, known_id in pairs}
        command: Callable[[], Any] = partial(self._connection.client.get, self._key("identity"))
        identity = await self._connection.run(command)
        self._floor = int(meta.get("floor", 0))
        return RecoveredState(
            epochs,
            self._floor,
            names,
            newest_at=float(meta["newest"]) + self._ahead_s if "newest" in meta else 0.0,
            identity=_text(identity or b""),
        )

    async def _write(self, batch: WriteBatch) -> int:
        slow = asyncio.get_running_loop().call_later(_SLOW_WRITE_S, self._behind.set)
        try:
            async with self._writing:
                with self._noting_failure():
                    evicted = await self._apply(batch)
        finally:
            slow.cancel()
        if not self._has_failed:
            self._behind.clear()
        return evicted

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        """Note that invalidations may be missing in Redis until it is opened and written again."""
        try:
            yield
        except StoreError:
            self._has_failed = True
            self._behind.set()
            raise

    async def _apply(self, batch: WriteBatch) -> int:
        lifetimes = rows_of(batch.puts, self._clock.now())
        dropped = frozenset(batch.puts.keys() - lifetimes.keys())
        self.stats.dropped += len(dropped)
        pieces = list(changes_of(batch, dropped))
        if not pieces and (self._is_incomplete or batch.min_valid_seq or batch.identity):
            pieces.append(ChangePiece())
        for number, piece in enumerate(pieces, 1):
            await self._change(batch, piece, is_last=number == len(pieces))
        if batch.min_valid_seq > self._floor:
            await self._prune(batch.min_valid_seq)
        evicted = 0
        for rows in row_pieces(batch.puts, lifetimes, self._ahead_s):
            newest_at = max(batch.puts[row.key].requested_at for row in rows)
            evicted += await self._put(rows, newest_at - self._ahead_s)
        return evicted

    async def _change(self, batch: WriteBatch, piece: ChangePiece, *, is_last: bool) -> None:
        floor, identity = batch.min_valid_seq, batch.identity
        state = self._epochs_state(is_last=is_last)
        await self._send(BATCH, state, floor, identity, self._max_names, 0, *piece.arguments)
        self._is_incomplete &= not is_last

    async def _put(self, rows: Sequence[PutRow], newest_at: float) -> int:
        """Store the rows; how many others were evicted for them."""
        state = self._epochs_state()
        values = [value for row in rows for value in row]
        try:
            return await self._send(PUT, state, self._limit_bytes, newest_at, *values)
        except RedisFull:
            self._log.event_once_a_minute("error", "redis full")
        self.stats.dropped += len(rows)
        # What was stored under these keys before must not come back, and is older.
        piece = ChangePiece(deletes=tuple(row.key.encode() for row in rows))
        full = 0, "", self._max_names, _EVICT_WHEN_FULL
        return await self._send(BATCH, state, *full, *piece.arguments)

    def _epochs_state(self, *, is_last: bool = False) -> str:
        if not self._is_incomplete:
            return "complete"
        return "completing" if is_last else "partial"

    async def _send(self, script: str, state: str, *arguments: Any) -> int:
        """Run a script that changes something and moves the chain on; how many were evicted."""
        chain = self._opened
        chain.sent = max(chain.sent, chain.confirmed + 1)
        _, n, used_bytes, evicted = await self._run(script, chain, state, *arguments)
        chain.confirmed, self._used_bytes = n, used_bytes
        return int(evicted)

    async def _prune(self, floor: int) -> None:
        """Remove epochs below the floor, which says as much."""
        chain, cursor = self._opened, b"0"
        while True:
            _, cursor = await self._run(PRUNE, chain, self._epochs_state(), cursor, floor)
            if cursor == b"0":
                self._floor = floor
                return

    async def _run(self, script: str, chain: Chain, state: str, *arguments: Any) -> Any:
        keys = [self._key("meta"), self._key("lease"), self._key("epochs", chain.gen)]
        keys += [self._key("order", chain.gen), self._key("names", "a"), self._key("names", "b")]
        keys.append(self._key("identity"))
        fence = self._me, chain.gen, chain.confirmed, state, LEASE_MS, self._prefix(chain.gen)
        reply = await self._connection.script(script, keys, *fence, *arguments)
        if reply[0] == CHAIN:
            raise StoreError(_BROKEN)
        return reply

    async def _sweep(self, gen: str) -> None:
        """Remove the responses of an earlier generation; what is left of them expires."""
        with suppress(StoreError):
            keys = (self._key("order", gen),)
            while await self._connection.script(SWEEP, keys, self._prefix(gen)) > 0:
                pass


_INCOMPLETE = frozenset({Opening.RENEW, Opening.REASSERT})
_BROKEN = "Redis lost writes, or another process writes there"


def _check(chain: Chain, found: Sequence[bytes | None], confirmed: int) -> None:
    """StoreError unless Redis has everything that was confirmed when it was asked."""
    holder, gen, n = (_text(each or b"") for each in found)
    if not chain.covers(holder, gen, int(n or 0), confirmed):
        raise StoreError(_BROKEN)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogatepass")
