"""Disk tier: a write-behind cache of a storage backend, which may fail at any time.

While the backend fails, reads are misses and responses are stored in memory only; both are counted,
and it is opened again after a while (D1). Invalidations are remembered until they can be written.

A Bloom filter of the keys on disk spares a miss the read: a key that was added is always found; any
other key may be found too, which costs one read.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from proxy.cache.store.alias_table import MAX_ALIASES, AliasTable
from proxy.cache.store.backend import RecoveredState, StorageBackend, WriteBatch
from proxy.cache.store.tag_epochs import MAX_TAGS, TagEpochs
from proxy.errors import DirectoryTaken, StoreError
from proxy.model import CacheKey, StoredResponse, Tag
from proxy.observability.log import Log
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import TaskSet

_BITS = 1 << 25
"""4 MiB; at a million keys and four probes about one in four hundred is a false positive."""
_PROBES = 4


class BloomFilter:
    """Keys are hexadecimal digests, so their own digits serve as the hash functions."""

    def __init__(self) -> None:
        self._bits = bytearray(_BITS // 8)
        self.is_empty = True

    def add(self, keys: Iterable[CacheKey]) -> None:
        for key in keys:
            self.is_empty = False
            for bit in _probes(key):
                self._bits[bit >> 3] |= 1 << (bit & 7)

    def may_contain(self, key: CacheKey) -> bool:
        return all(self._bits[bit >> 3] >> (bit & 7) & 1 for bit in _probes(key))


def _probes(key: CacheKey) -> list[int]:
    digits = int(key[:32], 16)
    return [(digits >> (32 * probe)) % _BITS for probe in range(_PROBES)]


PENDING_BYTES = 32 * 1024 * 1024
"""Bytes that may wait to be written; beyond them a response stays in memory only."""
MAX_PENDING_DELETES = 10_000
BATCH_WINDOW_S = 0.05
"""Seconds for which writes are gathered into one transaction."""
REOPEN_AFTER_S = 5.0
FLUSH_TIMEOUT_S = 1.0
STOP_TIMEOUT_S = 2.0
"""A backend that hangs is abandoned at shutdown."""
_OPENED = Tag("opened")
"""Its epoch is the `seq` at which a process began: the next one begins above it (D9)."""


@dataclass(slots=True)
class DiskStats:
    """Counts for the metrics."""

    reads: int = 0
    errors: int = 0
    evictions: int = 0
    dropped: int = 0
    used_bytes: int = 0


class WriteBehindTier:
    """Owns the backend, pending writes, and the tasks that write and reopen."""

    def __init__(
        self,
        backend: StorageBackend,
        epochs: TagEpochs,
        clock: Clock,
        log: Log,
        pending_bytes: int = PENDING_BYTES,
    ) -> None:
        self.stats = DiskStats()
        self.is_working = False
        self.taken = ""
        """How another process keeps it off; empty unless one does."""
        self._has_opened = False
        self.aliases = AliasTable()
        """With the names of earlier processes once the backend is open."""
        self.newest_at = 0.0
        """POSIX seconds of the newest request whose response an earlier process stored."""
        self.identity = ""
        """Identity of the cache partitions, from an earlier process until it is saved."""
        self._backend = backend
        self._epochs = epochs
        self._clock = clock
        self._log = log
        self._pending_bytes = pending_bytes
        self._keys = BloomFilter()
        self._keys_complete = False
        self._pending, self._writing = WriteBatch(), WriteBatch()
        self._begun = self._ended = 0
        self._drops = 0
        self._wake, self._hurry, self._written = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._opened = asyncio.Event()
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Open the backend; after a failure continue without it and try again."""
        await self._open()
        self._tasks.spawn(self._write_behind())
        self._tasks.spawn(self._scan_keys())

    async def stop(self) -> None:
        """Write pending changes and close the backend, within 2 * STOP_TIMEOUT_S."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._tasks.stop()
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                if self.is_working:
                    await self._write_pending()
                await self._backend.close()

    @property
    def may_have_any(self) -> bool:
        """Whether anything may be stored here, valid or not."""
        return self.is_working and not (self._keys_complete and self._keys.is_empty)

    async def get(self, key: CacheKey) -> StoredResponse | None:
        """The stored response, valid or not; None if the backend fails or does not have it."""
        for batch in (self._pending, self._writing):
            if key in batch.puts or key in batch.deletes:
                return batch.puts.get(key)
        if not self.is_working or (self._keys_complete and not self._keys.may_contain(key)):
            return None
        self.stats.reads += 1
        drops = self._drops
        try:
            stored = await self._backend.get(key)
        except StoreError as error:
            self._fail("read", error)
            return None
        # A response dropped during the read must not be returned; any drop counts, they are rare.
        return stored if drops == self._drops else None

    def put(self, stored: StoredResponse) -> None:
        """Queue a response to be written; it is dropped if too many bytes wait already."""
        self._replace(stored.key)
        if self._pending.put_bytes + stored.size_bytes > self._pending_bytes:
            self.stats.dropped += 1
            if len(self._pending.deletes) < MAX_PENDING_DELETES:
                self._pending.deletes.add(stored.key)
        else:
            self._pending.put_bytes += stored.size_bytes
            self._pending.puts[stored.key] = stored
            self._pending.deletes.discard(stored.key)
        self._wake.set()

    def drop(self, key: CacheKey) -> None:
        """Queue a removal; from now on the response is not returned."""
        self._replace(key)
        self._drops += 1
        if len(self._pending.deletes) >= MAX_PENDING_DELETES:
            self._discard_all()
        self._pending.deletes.add(key)
        self._wake.set()

    def note_invalidation(self, tags: Iterable[Tag]) -> None:
        """Queue the invalidation that was just made, so that it survives this process."""
        self._pending.epochs.update(dict.fromkeys(tags, self._epochs.seq))
        if len(self._pending.epochs) > MAX_TAGS:
            self._discard_all()
        self._pending.min_valid_seq = self._epochs.min_valid_seq
        self._wake.set()

    def add_aliases(self, names: Mapping[str, str]) -> None:
        """Queue permanent names, unless too many wait already."""
        if names and len(self._pending.aliases) + len(names) <= MAX_ALIASES:
            self._pending.aliases.update(names)
            self._wake.set()

    def save_identity(self, identity: str) -> None:
        """Have the identity of the cache partitions outlive this process."""
        self.identity = self._pending.identity = identity
        self._wake.set()

    async def flush(self) -> bool:
        """Return when pending changes have been written, after FLUSH_TIMEOUT_S, or on a failure.

        Whether they have been written.
        """
        if not self.is_working:
            return False
        wanted = self._begun + bool(self._pending)
        self._hurry.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                while self.is_working and self._ended < wanted:
                    self._written.clear()
                    await self._written.wait()
                return self.is_working
        return False

    async def _write_behind(self) -> None:
        while True:
            await self._wake.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(BATCH_WINDOW_S):
                    await self._hurry.wait()
            self._wake.clear()
            self._hurry.clear()
            if self.is_working:
                await self._write_pending()
            else:
                await self._clock.sleep(REOPEN_AFTER_S)
                await self._open()
                self._wake.set()

    async def _write_pending(self) -> None:
        batch, self._pending, self._writing = self._pending, WriteBatch(), self._pending
        self._begun += 1
        self._keys.add(batch.puts)
        try:
            self.stats.evictions += await self._backend.write(batch)
            self.stats.used_bytes = await self._backend.used_bytes()
        except StoreError as error:
            self._requeue(batch)
            self._fail("write", error)
        except asyncio.CancelledError:
            # `stop` interrupted the write, and writes pending changes once more.
            puts, batch.puts = batch.puts, {}
            self._requeue(batch)
            for key in puts.keys() - self._pending.deletes - self._pending.puts.keys():
                self._pending.puts[key] = puts[key]
            raise
        finally:
            self._writing = WriteBatch()
            self._ended += 1
            self._written.set()

    def _requeue(self, batch: WriteBatch) -> None:
        # Responses may be lost; invalidations and removals must not, nor may older responses
        # come back under the same keys.
        self.stats.dropped += len(batch.puts)
        self._pending.epochs = {**batch.epochs, **self._pending.epochs}
        self._pending.deletes |= (batch.deletes | batch.puts.keys()) - self._pending.puts.keys()
        self._pending.identity = self._pending.identity or batch.identity
        self._pending.aliases = {**batch.aliases, **self._pending.aliases}
        self._pending.min_valid_seq = self._epochs.min_valid_seq

    def _replace(self, key: CacheKey) -> None:
        replaced = self._pending.puts.pop(key, None)
        if replaced is not None:
            self._pending.put_bytes -= replaced.size_bytes

    def _discard_all(self) -> None:
        # The backend has failed for long: instead of remembering more, discard all it has.
        self._pending.epochs.clear()
        self._pending.deletes.clear()
        self._pending.min_valid_seq = self._epochs.min_valid_seq = self._epochs.invalidate(())

    async def _open(self) -> None:
        try:
            opened = await self._backend.open()
            self.stats.used_bytes = await self._backend.used_bytes()
        except StoreError as error:
            self._fail("open", error)
            return
        self._epochs.restore(opened.epochs, opened.min_valid_seq)
        self._reconcile(opened)
        self.aliases.restore(opened.aliases)
        self.newest_at = opened.newest_at
        self._pending.epochs[_OPENED] = self._epochs.seq
        self._pending.min_valid_seq = self._epochs.min_valid_seq
        self.identity = self.identity or opened.identity
        self._wake.set()
        self.is_working = self._has_opened = True
        self._opened.set()
        self.taken = ""
        self._log.event("info", "store opened")

    def _reconcile(self, opened: RecoveredState) -> None:
        """Apply the invalidations of this process to what the backend has recovered.

        If another process or another file had stored it, its responses may have been requested
        after an invalidation of this process, and before the change was known there.
        """
        if opened.is_incomplete:
            self._pending.epochs = {**self._epochs.last, **self._pending.epochs}
            self._pending.aliases = {**self.aliases.permanent(), **self._pending.aliases}
            self._pending.identity = self.identity
        if opened.is_other:
            self._discard_all()
        elif not self._has_opened and self._pending.epochs:
            seq = self._epochs.again(self._pending.epochs)
            self._pending.epochs = dict.fromkeys(self._pending.epochs, seq)

    async def check_directory(self) -> None:
        """Check the backend on disk; after a failure it is reopened, REOPEN_AFTER_S later."""
        if not self.is_working:
            return
        try:
            await self._backend.check()
        except StoreError as error:
            self._fail("check", error)

    async def _scan_keys(self) -> None:
        # Until all keys are known the filter excludes nothing; keys written meanwhile are added
        # when they are written, so none is missed between the last page and the end.
        while not self._keys_complete:
            await self._opened.wait()
            try:
                async for keys in self._backend.keys():
                    self._keys.add(keys)
            except StoreError as error:
                self._fail("scan", error)
            else:
                self._keys_complete = True

    def _fail(self, action: str, error: StoreError) -> None:
        if self.is_working or not self.stats.errors:
            self._log.event("error", "store failed", action=action, error=str(error))
        self.stats.errors += 1
        self.is_working = False
        self._opened.clear()
        self._written.set()
        self.taken = str(error) if isinstance(error, DirectoryTaken) else ""
        self._wake.set()
