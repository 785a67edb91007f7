"""A token's limits: which buckets a request of it draws from, and the lines that wait for them."""

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from math import inf

from proxy.config.schema import Limits
from proxy.config.units import Rate
from proxy.model import (
    CacheKey,
    Credential,
    Fields,
    Limit,
    Priority,
)
from proxy.ratelimit.fair_queue import FairQueue
from proxy.ratelimit.share import BACKGROUND_SHARE
from proxy.ratelimit.sliding_window import SentRequest, SlidingWindowLimit
from proxy.ratelimit.upstream_headers import MAX_NAMES, HeaderOnlyLimit, parse_rate_limit_headers
from proxy.trello.rate_limits import (
    RouteLimit,
)

LOCKOUT_GUARD = 50
"""So many 429s in one window of the key's stop it whole: at 200 Trello would lock it."""
MAX_TOKENS = 1000
"""Tokens of clients' own; the one that was used longest ago is forgotten."""
_NAMES: dict[Limit, str] = {"key": "api-key", "token": "api-token"}
"""What Trello's answers call them; the routes' are never told of."""


@dataclass(frozen=True, slots=True)
class Usage:
    """A request that was counted; `before` it, its token had sent so many."""

    sent: tuple[SentRequest, ...]
    sent_before: int


@dataclass(slots=True, eq=False)
class QueuedRequest:
    """A request that waits for its turn."""

    priority: Priority
    client: str
    queue_class: "QueueClass"
    key: CacheKey
    queued_at: float
    ready_at: float
    """When it should have its turn, as foreseen when it came."""
    usage: "asyncio.Future[Usage]"
    task: "asyncio.Task[object] | None" = field(default_factory=asyncio.current_task)


@dataclass(slots=True)
class KeyLimits:
    """What all tokens of one key share."""

    limit: SlidingWindowLimit
    rejections: deque[float] = field(default_factory=lambda: deque(maxlen=LOCKOUT_GUARD))
    """When the last 429s came."""


class QueueClass:
    """Requests that draw from the same buckets, and those of them that wait."""

    def __init__(
        self,
        account: "TokenLimits",
        buckets: tuple[tuple[Limit, SlidingWindowLimit], ...],
        share: SlidingWindowLimit | None,
    ) -> None:
        """`share`: what they keep to besides, of their own accord."""
        self.token_limits = account
        self.limits = buckets
        self.queue: FairQueue[QueuedRequest] = FairQueue()
        self._all_limits = tuple(bucket for _, bucket in buckets) + ((share,) if share else ())
        names = [_NAMES.get(limit, "") for limit, _ in buckets]
        self._names = (*names, "") if share else tuple(names)

    def earliest_send_at(self, now: float, priority: Priority, *, in_line: bool = True) -> float:
        """When one more may go; `inf` where only an answer can tell."""
        for_people = priority is Priority.INTERACTIVE
        at = now
        for bucket in self._all_limits:
            at = max(at, bucket.earliest_send_at(now, for_people=for_people, in_line=in_line))
        for told in self.token_limits.header_limits.values():
            at = max(at, told.earliest_send_at(now, self.token_limits.sent))
        return at

    def is_blocked(self, now: float, queue_class: "QueueClass") -> bool:
        """Whether who waits here waits for a bucket that `lane` does not draw from."""
        return any(
            bucket.earliest_send_at(now, for_people=False, in_line=True) > now
            for bucket in self._all_limits
            if bucket not in queue_class._all_limits
        )

    def acquire(self, now: float) -> Usage:
        """Count one that goes now, in every bucket."""
        before = self.token_limits.sent
        self.token_limits.sent += 1
        return Usage(tuple([bucket.acquire(now) for bucket in self._all_limits]), before)

    def release(self) -> None:
        """One never left the machine."""
        for bucket in self._all_limits:
            bucket.release()

    def end(self, taken: Usage, now: float, fields: Fields) -> None:
        """One was answered, with these fields; or will not be."""
        said = parse_rate_limit_headers(fields)
        for bucket, name, sent in zip(self._all_limits, self._names, taken.sent, strict=True):
            bucket.end(sent, now, said.pop(name, None))
        told = self.token_limits.header_limits
        for name, statement in said.items():
            if name in told or len(told) < MAX_NAMES:
                told.setdefault(name, HeaderOnlyLimit()).observe(
                    statement, taken.sent[0].at, taken.sent_before
                )

    def ready_at(
        self, now: float, priority: Priority, ahead: dict[SlidingWindowLimit, int]
    ) -> tuple[Limit, float]:
        """When one with so many `ahead` of it may go, and which limit decides that."""
        for_people = priority is Priority.INTERACTIVE
        late: tuple[Limit, float] = ("token", now)
        for limit, bucket in self.limits:
            at = bucket.predict(now, ahead[bucket] + 1, for_people=for_people)
            late = max(late, (limit, at), key=lambda each: each[1])
        at = max(late[1], self.earliest_send_at(now, priority))
        return (late[0], at) if at < inf else late


class TokenLimits:
    """One token's buckets; `sent` counts its requests, ever."""

    def __init__(self, limits: Limits, key: KeyLimits) -> None:
        self.key = key
        self.sent = 0
        self.header_limits: dict[str, HeaderOnlyLimit] = {}
        self.token_limit = _sliding_window(limits.token)
        self._routes: dict[RouteLimit, SlidingWindowLimit] = {
            "members": _sliding_window(limits.members),
            "search": _sliding_window(limits.search),
        }
        self._share = _sliding_window(_share_of(limits))
        self._queue_classes: dict[tuple[RouteLimit | None, bool], QueueClass] = {}

    def queue_class(self, route: RouteLimit | None, *, is_watch: bool) -> QueueClass:
        """Where requests under this limit wait; the watcher keeps to a fifth of the token's."""
        found = self._queue_classes.get((route, is_watch))
        if found is None:
            buckets: tuple[tuple[Limit, SlidingWindowLimit], ...]
            buckets = (("key", self.key.limit), ("token", self.token_limit))
            if route is not None:
                buckets = (*buckets, (route, self._routes[route]))
            found = QueueClass(self, buckets, self._share if is_watch else None)
            self._queue_classes[route, is_watch] = found
        return found

    def limits(self) -> dict[Limit, SlidingWindowLimit]:
        """All that Trello has for it, by name."""
        routes = self._routes
        return {
            "key": self.key.limit,
            "token": self.token_limit,
            "members": routes["members"],
            "search": routes["search"],
        }

    def reconfigure(self, limits: Limits) -> None:
        """Other limits, from here on."""
        share = _share_of(limits)
        self._share.reconfigure(share.count, share.window_s)
        for name, bucket in self.limits().items():
            rate: Rate = getattr(limits, name)
            bucket.reconfigure(rate.count, rate.window_s)

    def block(self, name: str, now: float, jitter: float) -> None:
        """A bucket ran over; so many of them at once, and the key rests."""
        for limit, bucket in self.limits().items():
            if limit == name:
                bucket.block(now, jitter)
                break
        else:
            if name in self.header_limits or len(self.header_limits) < MAX_NAMES:
                self.header_limits.setdefault(name, HeaderOnlyLimit()).block(now, jitter)
        refused = self.key.rejections
        refused.append(now)
        if len(refused) == LOCKOUT_GUARD and now - refused[0] < self.key.limit.window_s:
            self.key.limit.block(now, jitter)


class TokenLimitsTable:
    """The tokens that were used lately, MOST_ACCOUNTS of them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._keys: OrderedDict[str, KeyLimits] = OrderedDict()
        self._by_token: OrderedDict[Credential, TokenLimits] = OrderedDict()

    def reconfigure(self, limits: Limits) -> None:
        """Other limits, from here on."""
        self._limits = limits
        for account in self._by_token.values():
            account.reconfigure(limits)

    def __len__(self) -> int:
        return len(self._by_token)

    def for_credential(self, credential: Credential) -> TokenLimits:
        """A token's buckets, new where it was not seen lately."""
        found = self._by_token.get(credential)
        if found is None:
            key = self._keys.get(credential.key) or KeyLimits(_sliding_window(self._limits.key))
            self._keys[credential.key] = key
            found = self._by_token[credential] = TokenLimits(self._limits, key)
            for known in (self._by_token, self._keys):
                if len(known) > MAX_TOKENS:
                    known.popitem(last=False)
        self._by_token.move_to_end(credential)
        if credential.key in self._keys:
            self._keys.move_to_end(credential.key)
        return found


def _share_of(limits: Limits) -> Rate:
    """The watcher's."""
    return Rate(max(1, limits.token.count // BACKGROUND_SHARE), limits.token.window_s)


def _sliding_window(rate: Rate) -> SlidingWindowLimit:
    return SlidingWindowLimit(rate.count, rate.window_s)
