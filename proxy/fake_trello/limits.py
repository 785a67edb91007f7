"""Trello's rate limits: fixed windows, with the counters in response header fields."""

from dataclasses import dataclass

from proxy.fake_trello.errors import Refusal, json_refusal
from proxy.fake_trello.request import Requester
from proxy.runtime.clock import Clock

Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `limit` requests in each window of `window_s` seconds."""

    name: str
    limit: int
    window_s: int
    code: str
    message: str = "Rate limit exceeded"
    field: str = ""
    """Its name in x-rate-limit-*; empty when no field reports it."""


KEY = Rule("key", 300, 10, "API_KEY_LIMIT_EXCEEDED", field="api-key")
TOKEN = Rule("token", 100, 10, "API_TOKEN_LIMIT_EXCEEDED", field="api-token")
MEMBER = Rule("member", 375, 10, "MEMBER_LIMIT_EXCEEDED", field="member")
MEMBERS = Rule("members", 100, 900, "RATE_LIMIT_EXCEEDED", "Exceeded rate limit to /1/member")
SEARCH = Rule("search", 30, 10, "RATE_LIMIT_EXCEEDED", "Exceeded rate limit to /1/search")
_REFUSALS = Rule("refusals", 200, 10, KEY.code)
_DIRECT = 2
_NO_LIMIT = 1_000_000


class _Window:
    __slots__ = ("count", "number")

    def __init__(self) -> None:
        self.number = -1
        self.count = 0


class Limits:
    """Counts requests and refuses those over a limit; while not `on`, does neither."""

    def __init__(self, clock: Clock, *, on: bool) -> None:
        self.on = on
        self._clock = clock
        self._windows: dict[tuple[str, str], _Window] = {}

    def reset(self) -> None:
        """Reset all counters."""
        self._windows.clear()

    def take(self, requester: Requester, segments: tuple[str, ...]) -> Refusal | None:
        """Count a request in all its buckets; or in none, and return the refusal."""
        if not self.on or requester.key is None:
            return None
        if self.is_locked(requester.key):
            return json_refusal(429, KEY.code, KEY.message)
        buckets = [
            (rule, self._window(rule, name)) for rule, name in _counted_buckets(requester, segments)
        ]
        for rule, window in buckets:
            if window.count >= rule.limit:
                self._window(_REFUSALS, requester.key).count += 1
                return json_refusal(429, rule.code, rule.message)
        for _, window in buckets:
            window.count += 1
        return None

    def is_locked(self, key: str) -> bool:
        """Whether the key was refused so often that all its requests are refused."""
        return self._window(_REFUSALS, key).count > _REFUSALS.limit

    def fields(self, requester: Requester) -> Fields:
        """The x-rate-limit-* fields of a response to this requester."""
        out: Fields = []
        for rule, name in _buckets(requester):
            used = self._window(rule, name).count if self.on else 1
            limit = rule.limit if self.on else _NO_LIMIT
            prefix = f"X-Rate-Limit-{rule.field.title()}"
            out.append((f"{prefix}-Interval-Ms", str(rule.window_s * 1000)))
            out.append((f"{prefix}-Max", str(limit)))
            out.append((f"{prefix}-Remaining", str(limit - used)))
        return out

    def _window(self, rule: Rule, name: str) -> _Window:
        window = self._windows.setdefault((rule.name, name), _Window())
        number = int(self._clock.now() // rule.window_s)
        if window.number != number:
            window.number, window.count = number, 0
        return window


def _buckets(requester: Requester) -> list[tuple[Rule, str]]:
    pairs = ((KEY, requester.key), (TOKEN, requester.token), (MEMBER, requester.member_id))
    return [(rule, name) for rule, name in pairs if name is not None]


def _counted_buckets(requester: Requester, segments: tuple[str, ...]) -> list[tuple[Rule, str]]:
    out = _buckets(requester)
    first = segments[0].lower() if segments else ""
    name = requester.token or requester.key or ""
    if first in ("member", "members") and len(segments) == _DIRECT:
        out.append((MEMBERS, name))
    if first in ("search", "memberssearch"):
        out.append((SEARCH, name))
    return out
