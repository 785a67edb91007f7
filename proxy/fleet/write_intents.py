"""Write intents: what writes in progress may change, in Redis for the next leader.

A write that was sent may be made after its leader has ended. So its tags are in Redis before it is
sent, and the next leader invalidates what it finds there: at once, and again while the write may
still be on its way. So long they stay there, for the leader after it; if Redis loses them, they are
put there again.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from proxy.errors import StoreError
from proxy.fleet.errors import LeaderLost, NoLeader
from proxy.fleet.leadership import Leadership
from proxy.fleet.timing import HEARTBEAT_S
from proxy.model import Tag
from proxy.runtime.clock import BootClock
from proxy.runtime.tasks import TaskSet

REPEAT_S = 5.0
"""Between two invalidations of what an earlier leader's writes may change."""
_SETTLE_S = 2.0
"""How long a write waits for Redis, or for the consent of all members to go on without."""
_POLL_S = HEARTBEAT_S / 8


class IntentStore(Protocol):
    """Intents in Redis; methods raise only StoreError."""

    async def put(self, intents: Mapping[str, Collection[Tag]]) -> None:
        """Store intents."""

    async def remove(self, names: Collection[str]) -> None:
        """Remove intents."""

    async def all(self) -> Mapping[str, Collection[Tag]]:
        """All intents by name."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A write in progress."""

    name: str
    leadership: Leadership


class WriteIntents:
    """The leader's writes: `begin`, `check` right before sending, then `finish` or `cancel`."""

    def __init__(self, store: IntentStore, clock: BootClock, instance: str) -> None:
        """`instance`: random, of this process."""
        self._store = store
        self._clock = clock
        self._instance = instance
        self._count = 0
        self._kept: dict[str, Collection[Tag]] = {}
        """What Redis is to have, as far as this leader knows."""
        self._tasks = TaskSet()

    async def begin(self, leadership: Leadership | None, tags: Collection[Tag]) -> Intent:
        """Announce a write that may change `tags`; NoLeader: it must not be sent."""
        if leadership is None or not leadership.acts():
            raise NoLeader
        intent = Intent(self._new_name(), leadership)
        self._kept[intent.name] = tags
        try:
            await self._announce(intent, tags)
        except BaseException:
            self.cancel(intent)
            raise
        return intent

    def check(self, intent: Intent) -> None:
        """NoLeader unless this node still decides; there must be no wait between this and send."""
        if not intent.leadership.acts():
            raise NoLeader

    async def finish(self, intent: Intent, save: Callable[[], Awaitable[bool]]) -> None:
        """Return when the write may be acknowledged: its invalidations are made, and kept.

        LeaderLost: it must not be, and its intent is left to the next leader. `save`: writes the
        invalidations to Redis, and whether they are there. If they are not, every member must know
        that Redis is behind.
        """
        ends_at = self._clock.boottime() + _SETTLE_S
        while self._clock.boottime() < ends_at:
            is_kept = await save() or intent.leadership.has_consent()
            if not intent.leadership.acts():
                break
            if is_kept:
                self.cancel(intent)
                return
            await self._clock.sleep(_POLL_S)
        raise LeaderLost

    def cancel(self, intent: Intent) -> None:
        """The write was not sent, or its invalidations are made."""
        self._tasks.spawn(self._remove([intent.name]))

    async def take_over(self, lost: Collection[Tag]) -> Mapping[str, Collection[Tag]]:
        """Intents of earlier leaders, with one for `lost`: tags of those that Redis may have lost.

        They are in Redis until `repeat` removes them. StoreError.
        """
        left = {**await self._store.all()}
        if lost:
            name = self._new_name()
            await self._store.put({name: lost})
            left[name] = lost
        self._kept = {**left}
        return left

    async def restore(self) -> None:
        """Put into Redis, which may have lost some, what it is to have; StoreError.

        To be called before a later leader can trust Redis.
        """
        if self._kept:
            await self._store.put({**self._kept})

    async def repeat(
        self, names: Collection[str], invalidate: Callable[[], None], read_timeout_s: float
    ) -> None:
        """Invalidate while writes of earlier leaders may still be made; then remove `names`."""
        ends_at = self._clock.boottime() + read_timeout_s + REPEAT_S
        while self._clock.boottime() < ends_at:
            await self._clock.sleep(REPEAT_S)
            invalidate()
        await self._remove(names)

    async def stop(self) -> None:
        """Stop removing; what is left costs the next leader an invalidation."""
        await self._tasks.stop()

    async def _remove(self, names: Collection[str]) -> None:
        for name in names:
            self._kept.pop(name, None)
        with suppress(StoreError):
            await self._store.remove(names)

    def _new_name(self) -> str:
        self._count += 1
        return f"{self._instance}:{self._count}"

    async def _announce(self, intent: Intent, tags: Collection[Tag]) -> None:
        ends_at = self._clock.boottime() + _SETTLE_S
        while True:
            with suppress(StoreError):
                await self._store.put({intent.name: tags})
                break
            if intent.leadership.has_consent():
                break
            self._check_time(intent, ends_at)
            await self._clock.sleep(_POLL_S)
        self.check(intent)

    def _check_time(self, intent: Intent, ends_at: float) -> None:
        self.check(intent)
        if self._clock.boottime() >= ends_at:
            raise NoLeader
