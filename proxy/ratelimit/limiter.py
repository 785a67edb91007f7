"""Every request to Trello takes its turn here, so that none is sent which Trello would refuse.

While there is room, taking one is arithmetic: nothing waits, no task is asked. Else it waits in
line (`line.py`); who cannot have a turn within `limits.wait` hears so at once. A waiter who is
cancelled leaves the line, and costs Trello nothing.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf

from proxy.config.schema import Limits
from proxy.errors import RateLimited
from proxy.http_semantics.fields import RateLimitQuota
from proxy.model import (
    CacheKey,
    Credential,
    Fields,
    Limit,
    Priority,
)
from proxy.observability.metrics import (
    Histogram,
    Metrics,
    count,
)
from proxy.ratelimit.account import (
    QueueClass,
    QueuedRequest,
    TokenLimits,
    TokenLimitsTable,
    Usage,
)
from proxy.ratelimit.sliding_window import SlidingWindowLimit
from proxy.runtime.clock import Clock
from proxy.trello.message import ApiRequest
from proxy.trello.rate_limits import (
    refusal,
    route_limit,
)


@dataclass(frozen=True, slots=True)
class WaitPrediction:
    """What the limiter would say to a question to Trello now."""

    limit: str
    """Which of Trello's limits decides."""
    wait_s: float
    is_rejected: bool
    """Whether that is longer than `limits.wait`."""


class Permit:
    """Leave to send one request; `end`, `fail` or `throttled` says what came of it."""

    def __init__(self, limiter: "RateLimiter", queue_class: QueueClass, taken: Usage) -> None:
        self._limiter = limiter
        self._queue_class = queue_class
        self._usage = taken

    def end(self, fields: Fields) -> None:
        """It was answered."""
        self._limiter.end(self._queue_class, self._usage, fields)

    def fail(self, *, sent: bool) -> None:
        """There is no answer; unless nothing was `sent`, Trello may have counted it."""
        if sent:
            self.end(())
        else:
            self._limiter.release(self._queue_class)

    def throttled(self, limit: str) -> None:
        """Trello refused it for this limit's sake."""
        self._limiter.block_limit(self._queue_class.token_limits, limit)


MAX_QUEUED = 2000
ADMISSION_SHARE = 0.9
"""Of `limits.wait`: who would wait longer by what is known now is not let in."""
OLDEST_FIRST_EVERY = 8
"""Each so-many-th turn is the oldest waiter's, however little it urges: nobody starves."""
OLD_AFTER_S = 0.25
"""Of `limits.wait`: nobody younger is old."""


class RateLimiter:
    """The limits of all tokens that requests are sent with, and everybody who waits for them."""

    def __init__(
        self, limits: Limits, clock: Clock, random: Callable[[int], bytes], metrics: Metrics
    ) -> None:
        self.limits = limits
        self._clock = clock
        self._random = random
        self._metrics = metrics
        self._tokens = TokenLimitsTable(limits)
        self._queued: dict[QueuedRequest, None] = {}
        """In the order they came."""
        self._by_key: dict[CacheKey, QueuedRequest] = {}
        self._queue_classes: OrderedDict[QueueClass, None] = OrderedDict()
        """Those with a waiter; the one that was served longest ago comes first."""
        self._issued = 0
        self._timer: asyncio.Task[None] | None = None
        self._timer_at = inf

    async def acquire(self, request: ApiRequest) -> Permit:
        """A turn; TurnTooLate when `limits.wait` would not do."""
        queue_class, now = self._queue_class(request), self._clock.monotonic()
        is_first = all(other.is_blocked(now, queue_class) for other in self._queue_classes)
        if is_first and queue_class.earliest_send_at(now, request.priority, in_line=False) <= now:
            return Permit(self, queue_class, self._issue(queue_class, request.priority, now, 0.0))
        waiter = self._enqueue(request, queue_class, now)
        self._dispatch()
        try:
            return Permit(self, queue_class, await waiter.usage)
        except asyncio.CancelledError:
            self._cancel(waiter)
            raise

    def raise_priority(self, request: ApiRequest) -> None:
        """Somebody joins a flight: where it waits less urgently than they would, it moves up."""
        waiter = self._by_key.get(request.key)
        if waiter is not None and request.priority < waiter.priority:
            waiter.queue_class.queue.remove(waiter)
            waiter.priority, waiter.client = request.priority, request.queue_key
            waiter.queue_class.queue.push(waiter)
            self._dispatch()

    def is_queued(self, task: "asyncio.Task[object]") -> bool:
        """Whether this task waits here: nothing of it was sent."""
        return any(waiter.task is task for waiter in self._queued)

    @property
    def max_wait_s(self) -> float:
        return self.limits.wait_s

    def reconfigure(self, limits: Limits) -> None:
        """Other limits, from here on; what was sent still counts."""
        self.limits = limits
        self._tokens.reconfigure(limits)
        self._dispatch()

    async def stop(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)

    @property
    def queued(self) -> tuple[QueuedRequest, ...]:
        """Everybody, in the order they came."""
        return tuple(self._queued)

    def queue_lengths(self) -> dict[str, float]:
        """How many wait, by urgency."""
        waiting = Counter(waiter.priority for waiter in tuple(self._queued))
        return {priority.label: float(waiting[priority]) for priority in Priority}

    def oldest_wait_s(self) -> float:
        """How long the oldest waiter has waited."""
        oldest = next(iter(tuple(self._queued)), None)
        return self._clock.monotonic() - oldest.queued_at if oldest is not None else 0.0

    def predict_wait(self, request: ApiRequest) -> WaitPrediction:
        """What a request like this one would be told if it came now."""
        queue_class, now = self._queue_class(request), self._clock.monotonic()
        limit, due = queue_class.ready_at(
            now, request.priority, self._queued_ahead(queue_class, request)
        )
        wait_s = max(0.0, due - now)
        return WaitPrediction(limit, wait_s, wait_s > self.limits.wait_s * ADMISSION_SHARE)

    def quotas(self, request: ApiRequest) -> dict[Limit, RateLimitQuota]:
        """What is left of the limits that a request like this one is under."""
        now = self._clock.monotonic()
        quotas: dict[Limit, RateLimitQuota] = {}
        for limit, bucket in self._queue_class(request).limits:
            whole_in_s = ceil(bucket.reset_after_s(now))
            quotas[limit] = RateLimitQuota(
                bucket.limit, ceil(bucket.window_s), bucket.remaining(now), whole_in_s
            )
        return quotas

    def remaining(self, credential: Credential) -> dict[str, float]:
        """Requests that are left to tools, by limit."""
        now = self._clock.monotonic()
        buckets = self._tokens.for_credential(credential).limits()
        return {limit: float(bucket.remaining(now)) for limit, bucket in buckets.items()}

    def end(self, queue_class: QueueClass, taken: Usage, fields: Fields) -> None:
        """A request of this lane was answered, or will not be."""
        queue_class.end(taken, self._clock.monotonic(), fields)
        self._dispatch()

    def release(self, queue_class: QueueClass) -> None:
        """A request of this lane never left the machine."""
        queue_class.release()
        self._dispatch()

    def block_limit(self, account: TokenLimits, limit: str) -> None:
        """Trello answered 429: this limit's window has to end first."""
        count(self._metrics.upstream_throttled, limit)
        jitter = int.from_bytes(self._random(2), "big") / 0xFFFF
        account.block(limit, self._clock.monotonic(), jitter)

    def _dispatch(self) -> None:
        """Give a turn to everybody who may have one now."""
        if not self._queued:
            return
        now = self._clock.monotonic()
        self._reject_expired(now)
        while (waiter := self._next(now)) is not None:
            self._dequeue(waiter)
            if waiter.usage.cancelled():  # it leaves, and has not been told yet
                continue
            waited_s = now - waiter.queued_at
            taken = self._issue(waiter.queue_class, waiter.priority, now, waited_s)
            waiter.usage.set_result(taken)
        self._set_timer(now)

    def _queue_class(self, request: ApiRequest) -> QueueClass:
        is_watch = request.priority is Priority.POLLER
        account = self._tokens.for_credential(request.credential)
        return account.queue_class(route_limit(request.match.segments), is_watch=is_watch)

    def _issue(
        self, queue_class: QueueClass, priority: Priority, now: float, waited_s: float
    ) -> Usage:
        self._issued += 1
        self._metrics.rate_limit_waits.setdefault(priority.label, Histogram()).observe(waited_s)
        return queue_class.acquire(now)

    def _enqueue(self, request: ApiRequest, queue_class: QueueClass, now: float) -> QueuedRequest:
        """A waiter in the line, or TurnTooLate."""
        limit, due = queue_class.ready_at(
            now, request.priority, self._queued_ahead(queue_class, request)
        )
        if len(self._queued) >= MAX_QUEUED or due - now > self.limits.wait_s * ADMISSION_SHARE:
            raise self._rate_limited(request.priority, limit, due - now)
        granted = asyncio.get_running_loop().create_future()
        waiter = QueuedRequest(
            request.priority, request.queue_key, queue_class, request.key, now, due, granted
        )
        self._queued[waiter] = None
        self._by_key[request.key] = waiter
        self._queue_classes[queue_class] = None
        queue_class.queue.push(waiter)
        return waiter

    def _queued_ahead(
        self, queue_class: QueueClass, request: ApiRequest
    ) -> dict[SlidingWindowLimit, int]:
        """How many go before one more, of those who draw from the same buckets."""
        own = queue_class.queue.ahead(request.priority, request.queue_key)
        ahead = {bucket: own for _, bucket in queue_class.limits}
        for other in self._queue_classes:
            if other is not queue_class:
                before = other.queue.before(request.priority, own + 1)
                for _, bucket in other.limits:
                    if bucket in ahead:
                        ahead[bucket] += before
        return ahead

    def _rate_limited(self, priority: Priority, limit: Limit, wait_s: float) -> RateLimited:
        count(self._metrics.rate_limit_rejected, priority.label)
        return RateLimited(*refusal(limit), max(1, ceil(wait_s)))

    def _next(self, now: float) -> QueuedRequest | None:
        """Who may go now, the first of them by urgency; each so-many-th time, by age."""
        if (self._issued + 1) % OLDEST_FIRST_EVERY == 0 and (
            aged := self._oldest_ready(now)
        ) is not None:
            return aged
        best: tuple[Priority, QueueClass] | None = None
        for queue_class in self._queue_classes:
            for priority in queue_class.queue.priorities():
                if best is not None and priority >= best[0]:
                    break
                if queue_class.earliest_send_at(now, priority) <= now:
                    best = priority, queue_class
                    break
        return best[1].queue.first(best[0]) if best is not None else None

    def _oldest_ready(self, now: float) -> QueuedRequest | None:
        """The oldest who may go now, if it is old."""
        ready: dict[tuple[QueueClass, Priority], bool] = {}
        for waiter in self._queued:
            if now - waiter.queued_at < self.limits.wait_s * OLD_AFTER_S:
                return None
            group = waiter.queue_class, waiter.priority
            if group not in ready:
                ready[group] = waiter.queue_class.earliest_send_at(now, waiter.priority) <= now
            if ready[group]:
                return waiter
        return None

    def _reject_expired(self, now: float) -> None:
        """Whoever has waited for all of `limits.wait` hears that it was in vain."""
        while self._queued:
            oldest = next(iter(self._queued))
            if now < oldest.queued_at + self.limits.wait_s:
                return
            self._dequeue(oldest)
            if oldest.usage.cancelled():
                continue
            limit, due = oldest.queue_class.ready_at(
                now, oldest.priority, {bucket: 0 for _, bucket in oldest.queue_class.limits}
            )
            oldest.usage.set_exception(self._rate_limited(oldest.priority, limit, due - now))

    def _dequeue(self, waiter: QueuedRequest) -> None:
        """Out of the line, whatever comes."""
        del self._queued[waiter]
        if self._by_key.get(waiter.key) is waiter:
            del self._by_key[waiter.key]
        queue_class = waiter.queue_class
        queue_class.queue.remove(waiter)
        if queue_class.queue:
            self._queue_classes.move_to_end(queue_class)
        else:
            del self._queue_classes[queue_class]

    def _cancel(self, waiter: QueuedRequest) -> None:
        """Nobody is there to use the turn."""
        if waiter in self._queued:
            self._dequeue(waiter)
        elif not waiter.usage.cancelled() and waiter.usage.exception() is None:
            self.release(waiter.queue_class)

    def _set_timer(self, now: float) -> None:
        """Ring when the next may go, or has waited for too long."""
        if not self._queued:
            return
        at = next(iter(self._queued)).queued_at + self.limits.wait_s
        for queue_class in self._queue_classes:
            for priority in queue_class.queue.priorities():
                at = min(at, queue_class.earliest_send_at(now, priority))
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.create_task(self._on_timer(at - now))  # noqa: TID251 — owned: stop

    async def _on_timer(self, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        self._timer, self._timer_at = None, inf
        self._dispatch()
