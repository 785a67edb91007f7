"""A shelf in memory that fails and hangs when told to, and stored responses to put on it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from proxy.cache.store import disk_tier
from proxy.cache.store.backend import RecoveredState, WriteBatch
from proxy.cache.store.disk_tier import WriteBehindTier
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.errors import StoreError
from proxy.model import (
    CacheKey,
    StoredResponse,
    Tag,
)
from proxy.observability.log import Log
from proxy.runtime.clock import FakeClock

BOARD = Tag("board:1")
BEGAN = 1_000


def key(number: int) -> CacheKey:
    """A key like a digest."""
    return CacheKey(f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC834 % (1 << 160):040x}")


def answer(
    number: int, body: bytes = b"{}", *, seq: int = BEGAN, tags: tuple[Tag, ...] = (BOARD,)
) -> StoredResponse:
    """A stored response under `key(number)`, asked for at `seq`."""
    return StoredResponse(
        key=key(number),
        status=200,
        head=b"Content-Type: application/json\r\n",
        body=body,
        gzip=False,
        etag="e",
        requested_at=1_800_000_000.0,
        requested_seq=seq,
        tags=tags,
    )


class Gate:
    """Something may pass, or waits until it may."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.waiting = 0

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def passed(self) -> None:
        self.waiting += 1
        try:
            await self._open.wait()
        finally:
            self.waiting -= 1


class RamShelf:
    """A Shelf without a disk. `broken` fails every method; the gates make some of them hang."""

    def __init__(self) -> None:
        self.rows: dict[CacheKey, StoredResponse] = {}
        self.epochs: dict[Tag, int] = {}
        self.names: dict[str, str] = {}
        self.floor = 0
        self.broken = False
        self.opened = self.asked = 0
        self.reading, self.writing, self.scanning = Gate(), Gate(), Gate()

    async def open(self) -> RecoveredState:
        self._check()
        self.opened += 1
        return RecoveredState(dict(self.epochs), self.floor, dict(self.names))

    async def get(self, key: CacheKey) -> StoredResponse | None:
        self.asked += 1
        stored = self.rows.get(key)
        await self.reading.passed()
        self._check()
        return stored

    async def write(self, batch: WriteBatch) -> int:
        await self.writing.passed()
        self._check()
        self.rows.update(batch.puts)
        for dropped in batch.deletes:
            self.rows.pop(dropped, None)
        self.epochs.update(batch.epochs)
        self.names.update(batch.aliases)
        self.floor = max(self.floor, batch.min_valid_seq)
        return 0

    async def keys(self) -> AsyncIterator[Sequence[CacheKey]]:
        await self.scanning.passed()
        self._check()
        yield list(self.rows)

    async def used_bytes(self) -> int:
        self._check()
        return sum(stored.size_bytes for stored in self.rows.values())

    async def check(self) -> None:
        self._check()

    async def close(self) -> None:
        self._check()

    def _check(self) -> None:
        if self.broken:
            raise StoreError("out of order")


async def turns(number: int = 50) -> None:
    """Let every task go on until it has to wait for something."""
    for _ in range(number):
        await asyncio.sleep(0)


class Process:
    """What one process of the proxy has above its shelf."""

    def __init__(self, backend: RamShelf, seq: int = BEGAN) -> None:
        self.lines: list[bytes] = []
        self.clock = FakeClock()
        self.epochs = TagEpochs(seq)
        self.durable = WriteBehindTier(
            backend,
            self.epochs,
            self.clock,
            Log(self.lines.append, self.clock),
            pending_bytes=20_000,
        )

    def invalidate(self, *tags: Tag) -> None:
        self.epochs.invalidate(tags)
        self.durable.note_invalidation(tags)

    def is_current(self, stored: StoredResponse) -> bool:
        return self.epochs.is_current(stored.tags, stored.requested_seq)

    async def reopened(self) -> None:
        """The time has come to open a shelf that failed."""
        await turns()
        self.clock.advance(disk_tier.REOPEN_AFTER_S)
        await turns()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes gather no longer than until the loop turns."""
    monkeypatch.setattr(disk_tier, "BATCH_WINDOW_S", 0.0)
    monkeypatch.setattr(disk_tier, "FLUSH_TIMEOUT_S", 60.0)


@pytest.fixture
def shelf() -> RamShelf:
    return RamShelf()


Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def start(shelf: RamShelf) -> AsyncIterator[Start]:
    """Starts a process on the shelf; stopped at the end, the shelf in order again."""
    started: list[Process] = []

    async def begin(seq: int = BEGAN) -> Process:
        process = Process(shelf, seq)
        await process.durable.start()
        started.append(process)
        await turns()
        return process

    yield begin
    shelf.broken = False
    for gate in (shelf.reading, shelf.writing, shelf.scanning):
        gate.open()
    for process in started:
        await process.durable.stop()
