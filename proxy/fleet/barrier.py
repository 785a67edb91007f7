"""Barrier: invalidations that a leader sends to its followers, and waits for (D72).

    number = barrier.publish(tags)      # right after they were invalidated in the store
    await barrier.passed(number)        # no follower uses what it invalidated any more

One object for each term. A session `join`s, and sends what its Subscription takes.
"""

import asyncio
from collections.abc import Iterable

from proxy.cache.store.tag_epochs import TagEpochs
from proxy.fleet.protocol import Invalidation
from proxy.fleet.trust import Holder, Holders, PriorTrust
from proxy.model import Tag
from proxy.observability.metrics import Histogram
from proxy.runtime.clock import BootClock

MAX_TAG_CHARS = 16 * 1024
"""Of the tags in one message; more is an invalidation of everything."""


class BarrierStats:
    """Figures of all terms, for the metrics."""

    def __init__(self) -> None:
        self.durations = Histogram()
        """How long writes, purges and webhook deliveries waited."""
        self.expired = 0
        """Followers whose trust had to end before an invalidation was over."""


class Subscription:
    """Invalidations that one session has not sent yet, merged into one message."""

    def __init__(self, barrier: "Barrier", holder: Holder, number: int) -> None:
        self.holder = holder
        self.number = number
        """Of an invalidation: all that follow it are sent."""
        self.is_pending = asyncio.Event()
        self._barrier = barrier
        self._tags: set[Tag] = set()
        self._chars = 0
        self._is_of_all = False

    def add(self, tags: Iterable[Tag], *, is_of_all: bool) -> None:
        """Send these too."""
        new = set(tags) - self._tags
        self._tags |= new
        self._chars += sum(map(len, new))
        self._is_of_all |= is_of_all or self._chars > MAX_TAG_CHARS
        self.is_pending.set()

    def take(self) -> Invalidation | None:
        """The message to send now; None: there is nothing new.

        A merged message has the last number: entries given in between are invalidated in vain.
        """
        if not self.is_pending.is_set():
            return None
        self.is_pending.clear()
        tags = () if self._is_of_all else tuple(self._tags)
        message = Invalidation(self._barrier.number, tags, self._is_of_all)
        self._tags, self._chars, self._is_of_all = set(), 0, False
        return message

    @property
    def trusted_s(self) -> float:
        """Seconds for which a write waits for the follower at most."""
        return self._barrier.trusted_s(self.holder)

    @property
    def lag(self) -> int:
        """Invalidations that the follower has not acknowledged."""
        return self._barrier.number - self.holder.acknowledged

    def pinged(self) -> bool:
        """The follower sent a ping; False: end the session, it must join anew."""
        return self._barrier.note_ping(self.holder)

    def acknowledged(self, number: int) -> None:
        """The follower has applied everything up to this number."""
        self._barrier.note_acknowledgement(self.holder, number)

    def leave(self, *, is_gone: bool) -> None:
        """The session is over. `is_gone`: the follower uses nothing any more, for certain."""
        self._barrier.leave(self, is_gone=is_gone)


class Barrier:
    """What followers may still use, at the leader."""

    def __init__(
        self, clock: BootClock, prior: PriorTrust, stats: BarrierStats, term: int = 0
    ) -> None:
        self.term = term
        self._clock = clock
        self._stats = stats
        self._holders = Holders(prior)
        self._published = TagEpochs(self.number)
        """For followers that join again; it advances with `number`."""
        self._subscriptions: list[Subscription] = []
        self._changed = asyncio.Event()
        self._is_closed = False

    @property
    def number(self) -> int:
        """Of the last invalidation."""
        return self._holders.number

    def publish(self, tags: Iterable[Tag], *, is_of_all: bool = False) -> int:
        """Have every follower invalidate `tags`; the number to wait for. Synchronous."""
        number, named = self._holders.publish(self._clock.boottime()), tuple(tags)
        self._published.invalidate(named)
        if is_of_all:
            self._published.min_valid_seq = number
        for each in self._subscriptions:
            each.add(named, is_of_all=is_of_all)
        return number

    async def passed(self, number: int, at_most_s: float | None = None) -> None:
        """Return when no follower uses what was invalidated up to `number`; TimeoutError.

        Also when the term is over: then nothing that waited may be acknowledged.
        """
        async with asyncio.timeout(at_most_s):
            while True:
                now = self._clock.boottime()
                ends_at = self._holders.waits_until(number, now)
                if not ends_at or self._is_closed:
                    return
                await self._wait_for_change(ends_at - now)

    async def confirmed(self) -> None:
        """As `passed`, for all invalidations so far; the time is counted."""
        began = self._clock.boottime()
        await self.passed(self.number)
        self._stats.durations.observe(self._clock.boottime() - began)

    def expect(self, addresses: set[str] | None) -> None:
        """As Holders.expect."""
        self._holders.expect(addresses)
        self._note_change()

    def close(self) -> None:
        """The term is over: wait for nothing any more."""
        self._is_closed = True
        self._note_change()

    def joined(self, address: str) -> None:
        """As Holders.joined."""
        self._holders.joined(address)
        self._note_change()

    def join(self, address: str, instance: str, applied: int | None = None) -> Subscription:
        """Begin a session with a follower; None: it has nothing that was given in this term.

        Else it is sent what followed the invalidation `applied`, if all of that is known.
        """
        missed = None if applied is None else self._published.since(applied)
        number = self.number if applied is None or missed is None else applied
        subscription = Subscription(self, self._holders.join(address, instance), number)
        if missed:
            subscription.add(missed, is_of_all=False)
        self._subscriptions.append(subscription)
        return subscription

    def leave(self, subscription: Subscription, *, is_gone: bool) -> None:
        """As Subscription.leave."""
        self._subscriptions = [each for each in self._subscriptions if each is not subscription]
        if is_gone:
            self._holders.gone(subscription.holder)
            self._note_change()

    def ended(self, address: str) -> None:
        """As Holders.ended."""
        for each in self._subscriptions:
            each.holder.is_gone |= each.holder.address == address
        self._holders.ended(address)
        self._note_change()

    def trusted_s(self, holder: Holder) -> float:
        """As Subscription.trusted_s."""
        return max(0.0, holder.until - self._clock.boottime())

    def note_ping(self, holder: Holder) -> bool:
        """As Subscription.pinged."""
        is_trusted = self._holders.pinged(holder, self._clock.boottime())
        self._stats.expired += not is_trusted
        self._note_change()
        return is_trusted

    def note_acknowledgement(self, holder: Holder, number: int) -> None:
        """As Subscription.acknowledged."""
        self._holders.acknowledge(holder, number, self._clock.boottime())
        self._note_change()

    async def _wait_for_change(self, at_most_s: float) -> None:
        try:
            async with asyncio.timeout(max(0.001, at_most_s)):
                await self._changed.wait()
        except TimeoutError:
            return

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
