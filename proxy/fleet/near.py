"""Near cache: responses that a follower was given by the leader, to serve again by itself (D72).

A response is used only while
1. this node is trusted (`trust.py`);
2. it is fresh by this node's own clock, counted from when it was requested from the leader;
3. nothing that it shows was invalidated after it was given, and no other response has taken its
   place: both are invalidations, numbered by the leader;
4. every invalidation since it was given is known: after a gap between two sessions the leader
   sends those that were missed, before the reply that renews trust, or nothing is kept.
It is a response store of its own, so that the fast path repeats its hits as any other's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from proxy.cache.clock_monitor import TOLERANCE_S
from proxy.cache.store.store import MemoryTier, ResponseStore, key_tag
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.fleet.protocol import Invalidation, Pong
from proxy.fleet.trust import Trust
from proxy.model import CacheKey, StoredResponse
from proxy.observability.metrics import Readings
from proxy.runtime.clock import BootClock

MAX_USED = 400
"""Keys that are reported together, with a ping; further ones are when they are used again."""


class Given(NamedTuple):
    """What the leader says of a response that it gives in stored form."""

    term: int
    number: int
    """Of the last invalidation before it was given."""
    key: CacheKey
    """The leader's."""
    lifetime_s: float
    is_watched: bool
    """Whether `lifetime_s` holds only while its boards are watched."""
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NearResponse(StoredResponse):
    """A response in the near cache; `requested_seq` is the number with which it was given."""

    leader_key: CacheKey
    lifetime_s: float
    is_watched: bool


class LeaderWatch:
    """Whether the leader's watched boards count as watched, as far as this node knows."""

    def __init__(self) -> None:
        self.current_until = -inf

    def is_current(self, now: float) -> bool:
        """As WatchedBoards.is_current."""
        return now <= self.current_until


class _NearStore(ResponseStore):
    """Notes which responses are used: the fast path looks each up once a second."""

    def __init__(self, limit_bytes: int, number: int, used: dict[CacheKey, None]) -> None:
        super().__init__(MemoryTier(limit_bytes), None, TagEpochs(number))
        self.epochs.min_valid_seq = number
        self._used = used

    def peek(self, key: CacheKey) -> StoredResponse | None:
        """As ResponseStore.peek."""
        stored = super().peek(key)
        if isinstance(stored, NearResponse) and len(self._used) < MAX_USED:
            self._used[stored.leader_key] = None
        return stored


class Near:
    """The near cache of one node, and whether it may be used."""

    def __init__(self, clock: BootClock, limit_bytes: int) -> None:
        """`limit_bytes`: 0 keeps nothing."""
        self.limit_bytes = limit_bytes
        self.term = 0
        """Of the leader that gave the responses; 0 without one."""
        self.watch = LeaderWatch()
        self.wants_sample = False
        """Whether the next hit is to be relayed, so that the leader verifies it (D33)."""
        self._evictions = 0
        self.on_change: Callable[[], None] = _nothing
        """Called when there is another `store`, or trust ends before its time."""
        self._clock = clock
        self.trust = Trust()
        self.timer = clock.boottime
        """The clock of `trust`."""
        self._used: dict[CacheKey, None] = {}
        self._clock_offset_s = 0.0
        self.store: ResponseStore = _NearStore(0, 0, self._used)

    def is_usable(self) -> bool:
        """Whether this node is trusted now."""
        return self.timer() < self.trust.until

    @property
    def trusted_s(self) -> float:
        """Seconds for which it is trusted, without another pong."""
        return max(0.0, self.trust.until - self._clock.boottime())

    @property
    def kept(self) -> int:
        """Responses in it."""
        return len(self.store.memory)

    @property
    def evictions(self) -> int:
        """Responses evicted since the start."""
        return self._evictions + self.store.memory.evictions

    def readings(self) -> Readings:
        """Metrics of its size."""
        return {
            "near_bytes": lambda: self.store.memory.used_bytes,
            "near_responses": lambda: self.kept,
            "near_evictions_total": lambda: self.evictions,
        }

    def begin(self, term: int, number: int | None) -> None:
        """A session begins; `number`: that of its Welcome. None: the leader invalidates nothing."""
        has_all_before = term == self.term and number == self.store.seq
        self.suspend()
        self.wants_sample = False
        self.term = term if number is not None and self.limit_bytes else 0
        if not (self.term and has_all_before):
            self._begin_store(number or 0)

    def end(self) -> None:
        """Use nothing any more, before this node leads, or says that it leaves."""
        self.begin(0, None)

    def suspend(self) -> None:
        """Use nothing until an acting leader with this node's settings replies."""
        self.trust.end()
        self.on_change()

    def pinged(self, number: int) -> None:
        """A ping with this number is about to be sent."""
        self.trust.pinged(number, self._clock.boottime())

    def confirmed(self, pong: Pong, config: str) -> None:
        """The acting leader replied. `config`: digest of this node's settings."""
        if not self.term:
            return
        if pong.config != config:
            self.suspend()
            return
        pinged_at = self.trust.confirmed(pong.number)
        if pinged_at is None:
            return
        self.wants_sample = pong.wants_sample
        now, offset_s = self._clock.now(), self._clock.now() - self._clock.boottime()
        watched_until = pinged_at + offset_s + pong.watched_s
        is_clock_set = abs(offset_s - self._clock_offset_s) > TOLERANCE_S
        if is_clock_set or self.watch.current_until < now < watched_until:
            # Ages are not known, or changes of watched boards may have been missed.
            self._begin_store(self.store.seq)
        self.watch.current_until = watched_until

    def apply(self, message: Invalidation) -> None:
        """Invalidate what was given before; to be acknowledged afterwards."""
        epochs = self.store.epochs
        epochs.seq = message.number - 1
        epochs.invalidate(message.tags)
        if message.is_of_all:
            epochs.min_valid_seq = message.number

    def keep(
        self, key: CacheKey, stored: StoredResponse, given: Given, took_s: float
    ) -> NearResponse:
        """The response as it is served here, and kept if it may be.

        `key`: this node's. `took_s`: seconds since it was requested from the leader.
        """
        near = NearResponse(
            key=key,
            status=stored.status,
            head=stored.head,
            body=stored.body,
            gzip=stored.gzip,
            etag=stored.etag,
            requested_at=self._clock.now() - took_s - given.age_s,
            requested_seq=given.number,
            tags=(*stored.tags, key_tag(given.key)),
            leader_key=given.key,
            lifetime_s=given.lifetime_s,
            is_watched=given.is_watched,
        )
        if self.term and given.term == self.term:
            self.store.put(near)
        return near

    def find(self, key: CacheKey) -> NearResponse | None:
        """The response, if it may be used now."""
        if not self.is_usable():
            return None
        near, now = self.store.peek(key), self._clock.now()
        if not isinstance(near, NearResponse):
            return None
        is_fresh = 0 <= now - near.requested_at < near.lifetime_s
        is_watched = not near.is_watched or self.watch.is_current(now)
        return near if is_fresh and is_watched else None

    def take_used(self) -> tuple[CacheKey, ...]:
        """The leader's keys of responses that were used since the last call."""
        used = tuple(self._used)
        self._used.clear()
        return used

    def _begin_store(self, number: int) -> None:
        self._clock_offset_s = self._clock.now() - self._clock.boottime()
        self._evictions += self.store.memory.evictions
        self._used.clear()
        limit_bytes = self.limit_bytes if self.term else 0
        self.store = _NearStore(limit_bytes, number, self._used)
        self.on_change()


def _nothing() -> None:
    return None
