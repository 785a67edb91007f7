"""Every request to Trello takes its turn here, so that none is sent which Trello would refuse.

While there is room, taking one is arithmetic: nothing waits, no task is asked. Else it waits in
line (`line.py`); who cannot have a turn within `limits.wait` hears so at once. A waiter who is
cancelled leaves the line, and costs Trello nothing.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from math import ceil, inf

from proxy.clock import Clock
from proxy.config import Limits
from proxy.errors import TurnTooLate
from proxy.flow.account import Account, Accounts, Lane, Taken, Waiter
from proxy.flow.ask import Ask
from proxy.flow.turn import Turn
from proxy.metrics import Durations, Metrics, count
from proxy.model import CacheKey, Credential, Fields, Urgency
from proxy.policy.explaining import Foretold
from proxy.policy.limits import Limit, refusal, route_limit
from proxy.policy.quota import Quota
from proxy.upstream.budget import Bucket

MOST_WAITING = 2000
PROMISED = 0.9
"""Of `limits.wait`: who would wait longer by what is known now is not let in."""
AGED_TURN = 8
"""Each so-many-th turn is the oldest waiter's, however little it urges: nobody starves."""
AGED = 0.25
"""Of `limits.wait`: nobody younger is old."""


class Turns:
    """The limits of all tokens that requests are sent with, and everybody who waits for them."""

    def __init__(
        self, limits: Limits, clock: Clock, random: Callable[[int], bytes], metrics: Metrics
    ) -> None:
        self.limits = limits
        self._clock = clock
        self._random = random
        self._metrics = metrics
        self._accounts = Accounts(limits)
        self._waiting: dict[Waiter, None] = {}
        """In the order they came."""
        self._by_key: dict[CacheKey, Waiter] = {}
        self._lanes: OrderedDict[Lane, None] = OrderedDict()
        """Those with a waiter; the one that was served longest ago comes first."""
        self._served = 0
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = inf

    async def take(self, ask: Ask) -> Turn:
        """A turn; TurnTooLate when `limits.wait` would not do."""
        lane, now = self._lane(ask), self._clock.monotonic()
        is_first = all(other.is_held_up(now, lane) for other in self._lanes)
        if is_first and lane.earliest(now, ask.urgency, in_line=False) <= now:
            return Turn(self, lane, self._taken(lane, ask.urgency, now, 0.0))
        waiter = self._admit(ask, lane, now)
        self._dispatch()
        try:
            return Turn(self, lane, await waiter.granted)
        except asyncio.CancelledError:
            self._abandon(waiter)
            raise

    def hurry(self, ask: Ask) -> None:
        """Somebody joins a flight: where it waits less urgently than they would, it moves up."""
        waiter = self._by_key.get(ask.key)
        if waiter is not None and ask.urgency < waiter.urgency:
            waiter.lane.line.remove(waiter)
            waiter.urgency, waiter.tool = ask.urgency, ask.tool
            waiter.lane.line.push(waiter)
            self._dispatch()

    def holds(self, task: "asyncio.Task[object]") -> bool:
        """Whether this task waits here: nothing of it was sent."""
        return any(waiter.task is task for waiter in self._waiting)

    @property
    def wait_s(self) -> float:
        return self.limits.wait_s

    def keep_to(self, limits: Limits) -> None:
        """Other limits, from here on; what was sent still counts."""
        self.limits = limits
        self._accounts.keep_to(limits)
        self._dispatch()

    async def stop(self) -> None:
        """Ring no more."""
        if self._alarm is not None:
            self._alarm.cancel()
            await asyncio.gather(self._alarm, return_exceptions=True)

    @property
    def waiting(self) -> tuple[Waiter, ...]:
        """Everybody, in the order they came."""
        return tuple(self._waiting)

    def lengths(self) -> dict[str, float]:
        """How many wait, by urgency."""
        waiting = Counter(waiter.urgency for waiter in tuple(self._waiting))
        return {urgency.label: float(waiting[urgency]) for urgency in Urgency}

    def oldest_s(self) -> float:
        """How long the oldest waiter has waited."""
        oldest = next(iter(tuple(self._waiting)), None)
        return self._clock.monotonic() - oldest.since if oldest is not None else 0.0

    def foresee(self, ask: Ask) -> Foretold:
        """What a request like this one would be told if it came now."""
        lane, now = self._lane(ask), self._clock.monotonic()
        limit, due = lane.due(now, ask.urgency, self._ahead(lane, ask))
        wait_s = max(0.0, due - now)
        return Foretold(limit, wait_s, wait_s > self.limits.wait_s * PROMISED)

    def quotas(self, ask: Ask) -> dict[Limit, Quota]:
        """What is left of the limits that a request like this one is under."""
        now = self._clock.monotonic()
        quotas: dict[Limit, Quota] = {}
        for limit, bucket in self._lane(ask).buckets:
            whole_in_s = ceil(bucket.whole_in_s(now))
            quotas[limit] = Quota(
                bucket.most, ceil(bucket.window_s), bucket.remaining(now), whole_in_s
            )
        return quotas

    def remaining(self, credential: Credential) -> dict[str, float]:
        """Requests that are left to tools, by limit."""
        now = self._clock.monotonic()
        buckets = self._accounts.of(credential).buckets()
        return {limit: float(bucket.remaining(now)) for limit, bucket in buckets.items()}

    def end(self, lane: Lane, taken: Taken, fields: Fields) -> None:
        """A request of this lane was answered, or will not be."""
        lane.end(taken, self._clock.monotonic(), fields)
        self._dispatch()

    def give_back(self, lane: Lane) -> None:
        """A request of this lane never left the machine."""
        lane.give_back()
        self._dispatch()

    def stop_limit(self, account: Account, limit: str) -> None:
        """Trello answered 429: this limit's window has to end first."""
        count(self._metrics.throttled, limit)
        jitter = int.from_bytes(self._random(2), "big") / 0xFFFF
        account.stop(limit, self._clock.monotonic(), jitter)

    def _dispatch(self) -> None:
        """Give a turn to everybody who may have one now."""
        if not self._waiting:
            return
        now = self._clock.monotonic()
        self._refuse_late(now)
        while (waiter := self._next(now)) is not None:
            self._leave(waiter)
            if waiter.granted.cancelled():  # it leaves, and has not been told yet
                continue
            waited_s = now - waiter.since
            taken = self._taken(waiter.lane, waiter.urgency, now, waited_s)
            waiter.granted.set_result(taken)
        self._set_alarm(now)

    def _lane(self, ask: Ask) -> Lane:
        is_watch = ask.urgency is Urgency.WATCH
        account = self._accounts.of(ask.credential)
        return account.lane(route_limit(ask.match.segments), is_watch=is_watch)

    def _taken(self, lane: Lane, urgency: Urgency, now: float, waited_s: float) -> Taken:
        self._served += 1
        self._metrics.turn_waits.setdefault(urgency.label, Durations()).observe(waited_s)
        return lane.take(now)

    def _admit(self, ask: Ask, lane: Lane, now: float) -> Waiter:
        """A waiter in the line, or TurnTooLate."""
        limit, due = lane.due(now, ask.urgency, self._ahead(lane, ask))
        if len(self._waiting) >= MOST_WAITING or due - now > self.limits.wait_s * PROMISED:
            raise self._too_late(ask.urgency, limit, due - now)
        granted = asyncio.get_running_loop().create_future()
        waiter = Waiter(ask.urgency, ask.tool, lane, ask.key, now, due, granted)
        self._waiting[waiter] = None
        self._by_key[ask.key] = waiter
        self._lanes[lane] = None
        lane.line.push(waiter)
        return waiter

    def _ahead(self, lane: Lane, ask: Ask) -> dict[Bucket, int]:
        """How many go before one more, of those who draw from the same buckets."""
        own = lane.line.ahead(ask.urgency, ask.tool)
        ahead = {bucket: own for _, bucket in lane.buckets}
        for other in self._lanes:
            if other is not lane:
                before = other.line.before(ask.urgency, own + 1)
                for _, bucket in other.buckets:
                    if bucket in ahead:
                        ahead[bucket] += before
        return ahead

    def _too_late(self, urgency: Urgency, limit: Limit, wait_s: float) -> TurnTooLate:
        count(self._metrics.turns_refused, urgency.label)
        return TurnTooLate(*refusal(limit), max(1, ceil(wait_s)))

    def _next(self, now: float) -> Waiter | None:
        """Who may go now, the first of them by urgency; each so-many-th time, by age."""
        if (self._served + 1) % AGED_TURN == 0 and (aged := self._aged(now)) is not None:
            return aged
        best: tuple[Urgency, Lane] | None = None
        for lane in self._lanes:
            for urgency in lane.line.urgencies():
                if best is not None and urgency >= best[0]:
                    break
                if lane.earliest(now, urgency) <= now:
                    best = urgency, lane
                    break
        return best[1].line.first(best[0]) if best is not None else None

    def _aged(self, now: float) -> Waiter | None:
        """The oldest who may go now, if it is old."""
        ready: dict[tuple[Lane, Urgency], bool] = {}
        for waiter in self._waiting:
            if now - waiter.since < self.limits.wait_s * AGED:
                return None
            group = waiter.lane, waiter.urgency
            if group not in ready:
                ready[group] = waiter.lane.earliest(now, waiter.urgency) <= now
            if ready[group]:
                return waiter
        return None

    def _refuse_late(self, now: float) -> None:
        """Whoever has waited for all of `limits.wait` hears that it was in vain."""
        while self._waiting:
            oldest = next(iter(self._waiting))
            if now < oldest.since + self.limits.wait_s:
                return
            self._leave(oldest)
            if oldest.granted.cancelled():
                continue
            limit, due = oldest.lane.due(
                now, oldest.urgency, {bucket: 0 for _, bucket in oldest.lane.buckets}
            )
            oldest.granted.set_exception(self._too_late(oldest.urgency, limit, due - now))

    def _leave(self, waiter: Waiter) -> None:
        """Out of the line, whatever comes."""
        del self._waiting[waiter]
        if self._by_key.get(waiter.key) is waiter:
            del self._by_key[waiter.key]
        lane = waiter.lane
        lane.line.remove(waiter)
        if lane.line:
            self._lanes.move_to_end(lane)
        else:
            del self._lanes[lane]

    def _abandon(self, waiter: Waiter) -> None:
        """Nobody is there to use the turn."""
        if waiter in self._waiting:
            self._leave(waiter)
        elif not waiter.granted.cancelled() and waiter.granted.exception() is None:
            self.give_back(waiter.lane)

    def _set_alarm(self, now: float) -> None:
        """Ring when the next may go, or has waited for too long."""
        if not self._waiting:
            return
        at = next(iter(self._waiting)).since + self.limits.wait_s
        for lane in self._lanes:
            for urgency in lane.line.urgencies():
                at = min(at, lane.earliest(now, urgency))
        if self._alarm is not None:
            if self._alarm_at <= at:
                return
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = asyncio.create_task(self._ring(at - now))  # noqa: TID251 — owned: stop

    async def _ring(self, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        self._alarm, self._alarm_at = None, inf
        self._dispatch()
