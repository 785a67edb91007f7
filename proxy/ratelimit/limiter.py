"""Rate limiter: every request to Trello's API needs its permit, so that Trello refuses none.

Below the limits a permit is issued at once, without a wait or a task. At the limits requests are
queued by priority and client (`fair_queue.py`); one that is predicted to wait longer than
`limits.wait` is rejected at once. A cancelled request leaves the queue and is never sent.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf

from proxy.config.schema import Limits
from proxy.errors import RateLimited, UpstreamError
from proxy.http_semantics.fields import RateLimitQuota
from proxy.model import CacheKey, Credential, Fields, Limit, Priority
from proxy.observability.metrics import Histogram, Metrics, count
from proxy.ratelimit.send_log import PriorSends, SendLog
from proxy.ratelimit.sliding_window import SlidingWindowLimit
from proxy.ratelimit.token_limits import (
    QueueClass,
    QueuedRequest,
    TokenLimits,
    TokenLimitsTable,
    Usage,
)
from proxy.runtime.clock import Clock
from proxy.runtime.randomness import RandomBytes, uniform
from proxy.runtime.tasks import TaskSet
from proxy.trello.failures import refusal, route_limit
from proxy.trello.message import ApiRequest

MAX_QUEUED = 2000
MAX_QUEUED_PER_CLIENT = MAX_QUEUED // 2
ADMISSION_SHARE = 0.9
"""Reject at once when the predicted wait exceeds this fraction of `limits.wait`."""
OLDEST_FIRST_EVERY = 8
"""Every eighth permit is for the oldest request, whatever its priority: none starves."""
OLD_AFTER_SHARE = 0.25
"""Fraction of `limits.wait` after which a request counts as old."""


@dataclass(frozen=True, slots=True)
class WaitPrediction:
    """The wait for a permit that the limiter predicts now."""

    limit: str
    """The limit that decides."""
    wait_s: float
    is_rejected: bool
    """Whether the wait is too long for `limits.wait`."""


class Permit:
    """Permit for one upstream request; release with `end`, `fail` or `throttled`."""

    def __init__(self, limiter: "RateLimiter", queue_class: QueueClass, usage: Usage) -> None:
        self._limiter = limiter
        self._queue_class = queue_class
        self._usage = usage

    def end(self, fields: Fields) -> None:
        """Trello responded with these fields."""
        self._limiter.end(self._queue_class, self._usage, fields)

    def fail(self, *, sent: bool) -> None:
        """There is no response; if anything was `sent`, Trello may have counted the request."""
        if sent:
            self.end(())
        else:
            self._limiter.release(self._queue_class, self._usage)

    def throttled(self, limit: str) -> None:
        """Trello responded with 429 because of this limit; `end` or `fail` follows."""
        self._limiter.block_limit(self._queue_class.token_limits, limit)


class RateLimiter:
    """The limits of all tokens in use, and the requests queued for them."""

    def __init__(
        self,
        limits: Limits,
        clock: Clock,
        random_bytes: RandomBytes,
        metrics: Metrics,
        may_send: Callable[[], None] | None = None,
    ) -> None:
        """`may_send` raises an UpstreamError while this process must send nothing (D65).

        None: it always may.
        """
        self.limits = limits
        self._may_send = may_send
        self._clock = clock
        self._random_bytes = random_bytes
        self._metrics = metrics
        self._tokens = TokenLimitsTable(limits)
        self._queued: dict[QueuedRequest, None] = {}
        """In order of arrival."""
        self._by_key: dict[CacheKey, QueuedRequest] = {}
        self._by_client: Counter[str] = Counter()
        """Queued requests by client."""
        self._queue_classes: OrderedDict[QueueClass, None] = OrderedDict()
        """Those with a queued request; the one served least recently comes first."""
        self._issued = 0
        self._tasks = TaskSet()
        self._timer: asyncio.Task[None] | None = None
        self._timer_at = inf

    async def acquire(self, request: ApiRequest) -> Permit:
        """A permit; RateLimited if it would take longer than `limits.wait`."""
        if self._may_send is not None:
            self._may_send()
        queue_class, now = self._queue_class(request), self._clock.monotonic()
        is_first = all(other.waits_besides(now, queue_class) for other in self._queue_classes)
        if is_first and queue_class.earliest_send_at(now, request.priority, queued=False) <= now:
            return Permit(self, queue_class, self._issue(queue_class, request.priority, now, 0.0))
        queued = self._enqueue(request, queue_class, now)
        self._dispatch()
        try:
            usage = await queued.usage
        except asyncio.CancelledError:
            self._cancel(queued)
            raise
        permit = Permit(self, queued.queue_class, usage)
        if self._may_send is not None:
            try:
                self._may_send()
            except UpstreamError:
                permit.fail(sent=False)
                raise
        return permit

    def reject_queued(self, error: UpstreamError) -> None:
        """Reject every queued request: another node sends them from now on."""
        for queued in self.queued:
            self._dequeue(queued)
            if not queued.usage.cancelled():
                queued.usage.set_exception(error)

    def succeed(self, prior: PriorSends, log: SendLog | None = None) -> None:
        """Count what earlier processes used, and log what is sent (D65); nothing was sent yet."""
        self._tokens = TokenLimitsTable(self.limits, prior, log)

    def raise_priority(self, request: ApiRequest) -> None:
        """Raise a queued request's priority when one of higher priority is collapsed onto it.

        It also leaves its client's own limit when the other one's client has a wider one.
        """
        queued = self._by_key.get(request.key)
        if queued is None:
            return
        now, queue_class = self._clock.monotonic(), self._queue_class(request)
        is_earlier = queue_class is not queued.queue_class and queue_class.earliest_send_at(
            now, request.priority
        ) < queued.queue_class.earliest_send_at(now, queued.priority)
        if is_earlier or request.priority < queued.priority:
            self._leave_class(queued)
            queued.priority = min(queued.priority, request.priority)
            queued.client = request.queue_key
            queued.queue_class = queue_class if is_earlier else queued.queue_class
            self._join_class(queued)
            self._dispatch()

    def is_queued(self, task: "asyncio.Task[object]") -> bool:
        """Whether this task waits for a permit, so that nothing of its request was sent."""
        return any(queued.task is task for queued in self._queued)

    def reconfigure(self, limits: Limits) -> None:
        """Set other limits; requests sent before still count."""
        self.limits = limits
        self._tokens.reconfigure(limits)
        self._dispatch()

    async def stop(self) -> None:
        """Cancel the timer."""
        await self._tasks.stop()

    @property
    def queued(self) -> tuple[QueuedRequest, ...]:
        """The queued requests in order of arrival."""
        return tuple(self._queued)

    def queue_lengths(self) -> dict[str, float]:
        """The number of queued requests by priority."""
        lengths = Counter(queued.priority for queued in self.queued)
        return {priority.label: float(lengths[priority]) for priority in Priority}

    def oldest_wait_s(self) -> float:
        """Seconds that the oldest queued request has waited; 0 if there is none."""
        oldest = next(iter(self.queued), None)
        return self._clock.monotonic() - oldest.queued_at if oldest is not None else 0.0

    def predict_wait(self, request: ApiRequest) -> WaitPrediction:
        """The wait of a request like this one if it arrived now."""
        now = self._clock.monotonic()
        limit, at = self._predict(self._queue_class(request), request, now)
        wait_s = max(0.0, at - now)
        return WaitPrediction(limit, wait_s, self._is_too_long(wait_s))

    def quotas(self, request: ApiRequest) -> dict[Limit, RateLimitQuota]:
        """The limits that a request like this one counts towards, and what is left of them."""
        now = self._clock.monotonic()
        quotas: dict[Limit, RateLimitQuota] = {}
        for name, limit in self._queue_class(request).limits:
            reset_after_s = ceil(limit.reset_after_s(now))
            quotas[name] = RateLimitQuota(
                limit.limit, ceil(limit.window_s), limit.remaining(now), reset_after_s
            )
        return quotas

    def remaining(self, credential: Credential) -> dict[str, float]:
        """Requests left to API clients with this credential, by limit."""
        now = self._clock.monotonic()
        limits = self._tokens.for_credential(credential).limits()
        return {name: float(limit.remaining(now)) for name, limit in limits.items()}

    def end(self, queue_class: QueueClass, usage: Usage, fields: Fields) -> None:
        """Count a request as answered with these fields, or, without any, as lost."""
        queue_class.end(usage, self._clock.monotonic(), fields)
        self._dispatch()

    def release(self, queue_class: QueueClass, usage: Usage) -> None:
        """Uncount a request that was not sent."""
        queue_class.release(usage)
        self._dispatch()

    def block_limit(self, token_limits: TokenLimits, limit: str) -> None:
        """Block a limit of which Trello sent a 429 for one window."""
        count(self._metrics.upstream_throttled, limit)
        token_limits.block(limit, self._clock.monotonic(), uniform(self._random_bytes))

    def _dispatch(self) -> None:
        """Issue all permits that may be issued now, and set the timer for the next."""
        if not self._queued:
            return
        now = self._clock.monotonic()
        self._reject_expired(now)
        while (queued := self._next(now)) is not None:
            self._dequeue(queued)
            if queued.usage.cancelled():  # its task has yet to run
                continue
            waited_s = now - queued.queued_at
            usage = self._issue(queued.queue_class, queued.priority, now, waited_s)
            queued.usage.set_result(usage)
        self._set_timer(now)

    def _queue_class(self, request: ApiRequest) -> QueueClass:
        is_poll = request.priority is Priority.POLLER
        token_limits = self._tokens.for_credential(request.credential)
        route = route_limit(request.match.segments)
        return token_limits.queue_class(route, is_poll=is_poll, client=request.client)

    def _issue(
        self, queue_class: QueueClass, priority: Priority, now: float, waited_s: float
    ) -> Usage:
        self._issued += 1
        self._metrics.rate_limit_waits.setdefault(priority.label, Histogram()).observe(waited_s)
        return queue_class.acquire(now)

    def _enqueue(self, request: ApiRequest, queue_class: QueueClass, now: float) -> QueuedRequest:
        """Queue a request; RateLimited if its wait is predicted to be too long."""
        limit, at = self._predict(queue_class, request, now)
        if self._is_full(request.client_id) or self._is_too_long(at - now):
            raise self._rate_limited(request.priority, limit, at - now)
        usage = asyncio.get_running_loop().create_future()
        queued = QueuedRequest(
            request.priority,
            request.queue_key,
            queue_class,
            request.key,
            now,
            at,
            usage,
            request.client_id,
        )
        self._queued[queued] = None
        self._by_key[queued.key] = queued
        self._by_client[queued.client_id] += 1
        self._join_class(queued)
        return queued

    def _is_full(self, client_id: str) -> bool:
        is_over_quota = self._by_client[client_id] >= MAX_QUEUED_PER_CLIENT and bool(client_id)
        return is_over_quota or len(self._queued) >= MAX_QUEUED

    def _predict(
        self, queue_class: QueueClass, request: ApiRequest, now: float
    ) -> tuple[Limit, float]:
        """When the request may be sent if it is queued now, and the limit that decides."""
        own = queue_class.queue.ahead(request.priority, request.queue_key)
        ahead: dict[SlidingWindowLimit, int] = {limit: own for _, limit in queue_class.limits}
        for other in self._queue_classes:
            if other is not queue_class:
                before = other.queue.before(request.priority, own + 1)
                for _, limit in other.limits:
                    if limit in ahead:
                        ahead[limit] += before
        return queue_class.predict(now, request.priority, ahead)

    def _is_too_long(self, wait_s: float) -> bool:
        return wait_s > self.limits.wait_s * ADMISSION_SHARE

    def _rate_limited(self, priority: Priority, limit: Limit, wait_s: float) -> RateLimited:
        count(self._metrics.rate_limit_rejected, priority.label)
        return RateLimited(*refusal(limit), max(1, ceil(wait_s)))

    def _next(self, now: float) -> QueuedRequest | None:
        """The request to send now: by priority, and by age every OLDEST_FIRST_EVERY permits."""
        if (self._issued + 1) % OLDEST_FIRST_EVERY == 0 and (
            oldest := self._oldest_ready(now)
        ) is not None:
            return oldest
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
        """The oldest request that may be sent now, if it counts as old."""
        ready: dict[tuple[QueueClass, Priority], bool] = {}
        for queued in self._queued:
            if now - queued.queued_at < self.limits.wait_s * OLD_AFTER_SHARE:
                return None
            group = queued.queue_class, queued.priority
            if group not in ready:
                ready[group] = queued.queue_class.earliest_send_at(now, queued.priority) <= now
            if ready[group]:
                return queued
        return None

    def _reject_expired(self, now: float) -> None:
        """Reject the requests that have waited for `limits.wait`."""
        while self._queued:
            oldest = next(iter(self._queued))
            if now < oldest.queued_at + self.limits.wait_s:
                return
            self._dequeue(oldest)
            if oldest.usage.cancelled():
                continue
            limit, at = oldest.queue_class.predict(
                now, oldest.priority, {limit: 0 for _, limit in oldest.queue_class.limits}
            )
            oldest.usage.set_exception(self._rate_limited(oldest.priority, limit, at - now))

    def _dequeue(self, queued: QueuedRequest) -> None:
        del self._queued[queued]
        self._by_client[queued.client_id] -= 1
        if not self._by_client[queued.client_id]:
            del self._by_client[queued.client_id]
        if self._by_key.get(queued.key) is queued:
            del self._by_key[queued.key]
        self._leave_class(queued)

    def _join_class(self, queued: QueuedRequest) -> None:
        self._queue_classes[queued.queue_class] = None
        queued.queue_class.queue.push(queued)

    def _leave_class(self, queued: QueuedRequest) -> None:
        queue_class = queued.queue_class
        queue_class.queue.remove(queued)
        if queue_class.queue:
            self._queue_classes.move_to_end(queue_class)
        else:
            del self._queue_classes[queue_class]

    def _cancel(self, queued: QueuedRequest) -> None:
        """Dequeue the request of a cancelled task, or release its permit if it was issued."""
        if queued in self._queued:
            self._dequeue(queued)
        elif not queued.usage.cancelled() and queued.usage.exception() is None:
            self.release(queued.queue_class, queued.usage.result())

    def _set_timer(self, now: float) -> None:
        """Set the timer for the next permit, or the next rejection if that is earlier."""
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
        self._timer = self._tasks.spawn(self._on_timer(at - now))

    async def _on_timer(self, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        self._timer, self._timer_at = None, inf
        self._dispatch()
