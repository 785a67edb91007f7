"""One process of the proxy above a real Redis: memory, tier and backend, on a fake clock."""

import secrets
from dataclasses import replace
from pathlib import Path

from proxy.cache.store import disk_tier
from proxy.cache.store.disk_tier import WriteBehindTier
from proxy.cache.store.redis_backend import RedisBackend
from proxy.cache.store.redis_behind import BehindMarker
from proxy.cache.store.redis_connection import RedisConnection
from proxy.cache.store.store import MemoryTier, ResponseStore
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.model import StoredResponse, Tag
from proxy.observability.log import Log
from proxy.runtime.clock import FakeClock
from tests.cache.store.conftest import BEGAN, answer, key
from tests.scenarios.conftest import until

ROOM = 8 << 20
ANSWERED_AT = answer(1).requested_at
MAX_LATE_S = 5.0
"""That a test may take: meanwhile Redis's clock runs, and the fake one does not."""


class RedisNode:
    """`start` it, and `stop` it whatever happens; it reads from Redis, not from memory."""

    def __init__(
        self, url: str, directory: Path, *, seq: int = BEGAN, now: float = ANSWERED_AT
    ) -> None:
        """`now`: by its clock, which stands still while that of Redis does not."""
        self.lines: list[bytes] = []
        self.clock = FakeClock(now)
        log = Log(self.lines.append, self.clock)
        self.epochs = TagEpochs(seq)
        self.connection = RedisConnection(url, self.clock)
        self.backend = RedisBackend(
            self.connection,
            name="test",
            limit_bytes=ROOM,
            clock=self.clock,
            log=log,
            random=secrets.token_bytes,
            behind=BehindMarker(directory),
        )
        self.tier = WriteBehindTier(self.backend, self.epochs, self.clock, log)
        self.store = ResponseStore(MemoryTier(0), self.tier, self.epochs)

    @property
    def log(self) -> str:
        return b"".join(self.lines).decode()

    async def start(self) -> None:
        await self.tier.start()

    async def stop(self) -> None:
        await self.tier.stop()

    async def keep(self, *stored: StoredResponse) -> None:
        """Store them, and return when Redis has them."""
        for each in stored:
            self.store.put(each)
        await self.store.flush()

    async def get(self, number: int) -> StoredResponse | None:
        return await self.store.get(key(number))

    async def has(self, stored: StoredResponse) -> bool:
        """Whether it finds this; as old as it is by the clock of Redis, if another stored it."""
        found = await self.store.get(stored.key)
        if found is None or abs(found.requested_at - stored.requested_at) > MAX_LATE_S:
            return False
        return replace(found, requested_at=stored.requested_at) == stored

    async def invalidate(self, *tags: Tag) -> None:
        self.store.purge(tags)
        await self.store.flush()

    async def lost_something(self) -> bool:
        """Look as the monitor does each second."""
        await self.tier.check_directory()
        return not self.tier.is_working

    async def reopened(self) -> None:
        """Return when the tier that failed works again, and has written everything."""
        while not self.tier.is_working:
            await until(lambda: bool(self.clock.sleepers) or self.tier.is_working)
            self.clock.advance(disk_tier.REOPEN_AFTER_S)
            await until(lambda: self.tier.is_working or bool(self.clock.sleepers))
        await self.store.flush()
