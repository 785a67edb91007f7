"""Token limits: the limits that the requests of a token count towards, and their queues."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from math import inf

from proxy.access.client import ANONYMOUS, Client
from proxy.config.schema import Limits
from proxy.model import CacheKey, Credential, Fields, Limit, Priority, Rate
from proxy.ratelimit.fair_queue import FairQueue
from proxy.ratelimit.send_log import PriorSends, Send, SendLog, key_text, token_text
from proxy.ratelimit.share import BACKGROUND_SHARE
from proxy.ratelimit.sliding_window import (
    MAX_NAMES,
    HeaderOnlyLimit,
    SentRequest,
    SlidingWindowLimit,
    parse_rate_limit_headers,
)
from proxy.runtime.lru import LruDict
from proxy.trello.failures import RouteLimit

LOCKOUT_GUARD = 50
"""429s within one window of the key's limit that block the key: Trello locks it at 200."""
MAX_TOKENS = 1000
"""Tokens, and keys, whose limits are known; the least recently used are evicted."""
_TRELLO_NAMES: dict[Limit, str] = {"key": "api-key", "token": "api-token"}
"""Names in Trello's responses, which never have the limits of routes."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One request as counted in each of its limits."""

    sent: tuple[SentRequest, ...]
    sent_before: int
    """Requests of the token before it."""
    number: int = 0
    """In the log, if there is one."""


@dataclass(slots=True, eq=False)
class QueuedRequest:
    """A request that waits for its permit."""

    priority: Priority
    client: str
    queue_class: "QueueClass"
    key: CacheKey
    queued_at: float
    predicted_at: float
    """When it was expected to be sent, by the prediction that admitted it."""
    usage: "asyncio.Future[Usage]"
    """Set when the request may be sent."""
    client_id: str = ""
    """Whose quota of queue slots it takes."""
    task: "asyncio.Task[object] | None" = field(default_factory=asyncio.current_task)


@dataclass(slots=True)
class KeyLimits:
    """The limit that all tokens of one key share."""

    limit: SlidingWindowLimit
    rejections: deque[float] = field(default_factory=lambda: deque(maxlen=LOCKOUT_GUARD))
    """Times of the last 429s."""


@dataclass(frozen=True, slots=True)
class TokenLog:
    """Where the requests of one token are logged."""

    log: SendLog
    token: str
    key: str
    """Digests."""

    def sent(self, limits: tuple[tuple[Limit, SlidingWindowLimit], ...], now: float) -> int:
        """Number of a request that is sent now and counts towards `limits`."""
        (name, _), window_s = limits[-1], max(limit.window_s for _, limit in limits)
        route = "" if name in _TRELLO_NAMES else name
        return self.log.sent(Send(self.token, self.key, route, window_s, now))


class QueueClass:
    """Requests that count towards the same limits, and their queue."""

    def __init__(
        self,
        token_limits: "TokenLimits",
        limits: tuple[tuple[Limit, SlidingWindowLimit], ...],
        share: SlidingWindowLimit | None,
    ) -> None:
        """`share`: the proxy's own limit for these requests, besides Trello's."""
        self.token_limits = token_limits
        self.limits = limits
        self.queue: FairQueue[QueuedRequest] = FairQueue()
        self._share = share
        self._all_limits = tuple(each for _, each in limits) + ((share,) if share else ())
        names = [_TRELLO_NAMES.get(name, "") for name, _ in limits]
        self._names = (*names, "") if share else tuple(names)

    def earliest_send_at(self, now: float, priority: Priority, *, queued: bool = True) -> float:
        """When one more may be sent; `inf` if that depends on a response."""
        interactive = priority is Priority.INTERACTIVE
        at = now
        for limit in self._all_limits:
            at = max(at, limit.earliest_send_at(now, interactive=interactive, queued=queued))
        for header_limit in self.token_limits.header_limits.values():
            at = max(at, header_limit.earliest_send_at(now, self.token_limits.sent))
        return at

    def waits_besides(self, now: float, other: "QueueClass") -> bool:
        """Whether requests here wait for a limit that those of `other` do not count towards."""
        return any(
            limit.earliest_send_at(now, interactive=False, queued=True) > now
            for limit in self._all_limits
            if limit not in other._all_limits
        )

    def acquire(self, now: float) -> Usage:
        """Count a request sent now in every limit."""
        sent_before = self.token_limits.sent
        self.token_limits.sent += 1
        sent = tuple([limit.acquire(now) for limit in self._all_limits])
        log = self.token_limits.log
        return Usage(sent, sent_before, log.sent(self.limits, now) if log is not None else 0)

    def release(self, usage: Usage) -> None:
        """Uncount a request that was not sent."""
        for limit in self._all_limits:
            limit.release()
        if (log := self.token_limits.log) is not None:
            log.log.unsent(usage.number)

    def end(self, usage: Usage, now: float, fields: Fields) -> None:
        """Count a request as answered with these fields, or, without any, as lost."""
        headers = parse_rate_limit_headers(fields)
        for limit, name, sent in zip(self._all_limits, self._names, usage.sent, strict=True):
            limit.end(sent, now, headers.pop(name, None))
        header_limits = self.token_limits.header_limits
        for name, header in headers.items():
            if name in header_limits or len(header_limits) < MAX_NAMES:
                header_limits.setdefault(name, HeaderOnlyLimit()).observe(
                    header, usage.sent[0].at, usage.sent_before
                )
        if (log := self.token_limits.log) is not None:
            is_shared = any(limit.is_shared for limit in self._all_limits)
            log.log.ended(usage.number, now, is_shared=is_shared)

    def predict(
        self, now: float, priority: Priority, ahead: dict[SlidingWindowLimit, int]
    ) -> tuple[Limit, float]:
        """When a request with `ahead` others before it may be sent, and the limit that decides."""
        interactive = priority is Priority.INTERACTIVE
        latest: tuple[Limit, float] = ("token", now)
        for name, limit in self.limits:
            at = limit.predict(now, ahead[limit] + 1, interactive=interactive)
            latest = max(latest, (name, at), key=lambda each: each[1])
        if self._share is not None:
            own = self._share.predict(now, len(self.queue) + 1, interactive=interactive)
            latest = max(latest, ("token", own), key=lambda each: each[1])
        at = max(latest[1], self.earliest_send_at(now, priority))
        return (latest[0], at) if at < inf else latest


class TokenLimits:
    """All limits of one token."""

    def __init__(self, limits: Limits, key: KeyLimits, log: TokenLog | None = None) -> None:
        self.key = key
        self.log = log
        self.sent = 0
        """Requests sent with this token so far."""
        self.header_limits: dict[str, HeaderOnlyLimit] = {}
        self.token_limit = _sliding_window(limits.token)
        self._routes: dict[RouteLimit, SlidingWindowLimit] = {
            "members": _sliding_window(limits.members),
            "search": _sliding_window(limits.search),
        }
        self._poller_share = _sliding_window(_poller_share(limits))
        self._client_shares: dict[str, SlidingWindowLimit] = {}
        """By name, of the clients that have a limit."""
        self._queue_classes: dict[tuple[RouteLimit | None, SlidingWindowLimit | None], QueueClass]
        self._queue_classes = {}

    def queue_class(
        self, route: RouteLimit | None, *, is_poll: bool = False, client: Client = ANONYMOUS
    ) -> QueueClass:
        """The class of requests under this route's limit, and the client's own if it has one.

        Polls have a fifth of the token's.
        """
        share = self._poller_share if is_poll else self._client_share(client)
        found = self._queue_classes.get((route, share))
        if found is None:
            limits: tuple[tuple[Limit, SlidingWindowLimit], ...]
            limits = (("key", self.key.limit), ("token", self.token_limit))
            if route is not None:
                limits = (*limits, (route, self._routes[route]))
            found = self._queue_classes[route, share] = QueueClass(self, limits, share)
        return found

    def _client_share(self, client: Client) -> SlidingWindowLimit | None:
        if client.limit is None:
            return None
        share = self._client_shares.get(client.name)
        if share is None:
            share = self._client_shares[client.name] = _sliding_window(client.limit)
        elif (share.limit, share.window_s) != (client.limit.count, client.limit.window_s):
            share.reconfigure(client.limit.count, client.limit.window_s)
        return share

    def limits(self) -> dict[Limit, SlidingWindowLimit]:
        """Trello's limits of this token by name."""
        routes = self._routes
        return {
            "key": self.key.limit,
            "token": self.token_limit,
            "members": routes["members"],
            "search": routes["search"],
        }

    def reconfigure(self, limits: Limits) -> None:
        """Set other limits; requests sent before still count."""
        share = _poller_share(limits)
        self._poller_share.reconfigure(share.count, share.window_s)
        for name, limit in self.limits().items():
            rate: Rate = getattr(limits, name)
            limit.reconfigure(rate.count, rate.window_s)

    def block(self, name: str, now: float, jitter: float) -> None:
        """Block the limit of a 429, and the key after LOCKOUT_GUARD of them in one window."""
        limit = next((each for known, each in self.limits().items() if known == name), None)
        if limit is not None:
            limit.block(now, jitter)
        elif name in self.header_limits or len(self.header_limits) < MAX_NAMES:
            self.header_limits.setdefault(name, HeaderOnlyLimit()).block(now, jitter)
        rejections = self.key.rejections
        rejections.append(now)
        if len(rejections) == LOCKOUT_GUARD and now - rejections[0] < self.key.limit.window_s:
            self.key.limit.block(now, jitter)


class TokenLimitsTable:
    """The limits of the MAX_TOKENS tokens used most recently."""

    def __init__(
        self, limits: Limits, prior: PriorSends | None = None, log: SendLog | None = None
    ) -> None:
        """`prior`: what earlier processes used. `log`: where requests are logged."""
        self._limits = limits
        self._prior = prior
        self._log = log
        self._keys: LruDict[str, KeyLimits] = LruDict(MAX_TOKENS)
        self._by_token: LruDict[Credential, TokenLimits] = LruDict(MAX_TOKENS)

    def __len__(self) -> int:
        return len(self._by_token)

    def reconfigure(self, limits: Limits) -> None:
        """Set other limits for every token; requests sent before still count."""
        self._limits = limits
        for token_limits in self._by_token.values():
            token_limits.reconfigure(limits)

    def for_credential(self, credential: Credential) -> TokenLimits:
        """The limits of a token; new ones if it was not used recently."""
        key = self._keys.use(credential.key)
        found = self._by_token.use(credential)
        if found is None:
            if key is None:
                key = self._keys[credential.key] = KeyLimits(_sliding_window(self._limits.key))
                self._count_prior(key_text(credential.key), {"key": key.limit})
            found = TokenLimits(self._limits, key, self._log_of(credential))
            self._by_token[credential] = found
            own = found.limits()
            del own["key"]
            self._count_prior(token_text(credential), own)
        return found

    def _count_prior(self, owner: str, limits: dict[Limit, SlidingWindowLimit]) -> None:
        if self._prior is not None:
            self._prior.count_in(owner, limits)

    def _log_of(self, credential: Credential) -> TokenLog | None:
        if self._log is None:
            return None
        digest = self._log.digest
        token, key = digest(token_text(credential)), digest(key_text(credential.key))
        return TokenLog(self._log, token, key)


def _poller_share(limits: Limits) -> Rate:
    return Rate(max(1, limits.token.count // BACKGROUND_SHARE), limits.token.window_s)


def _sliding_window(rate: Rate) -> SlidingWindowLimit:
    return SlidingWindowLimit(rate.count, rate.window_s)
