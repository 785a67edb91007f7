"""Trello's rate limits: fixed windows on the clock, true counters in the header fields."""

from dataclasses import dataclass

from proxy.fake_trello.errors import Refusal, coded
from proxy.fake_trello.request import Requester
from proxy.runtime.clock import Clock

Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `most` calls in each window of `window_s` seconds."""

    name: str
    most: int
    window_s: int
    code: str
    message: str = "Rate limit exceeded"
    field: str = ""
    """Its name in x-rate-limit-*; empty when no field tells of it."""


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
    """Counts calls; refuses while `on`. Off, nothing is counted and no bucket is ever short."""

    def __init__(self, clock: Clock, *, on: bool) -> None:
        self.on = on
        self._clock = clock
        self._windows: dict[tuple[str, str], _Window] = {}

    def reset(self) -> None:
        """All buckets full again."""
        self._windows.clear()

    def take(self, asker: Requester, segments: tuple[str, ...]) -> Refusal | None:
        """Count a call in every bucket it touches, or in none and say why it is refused."""
        if not self.on or asker.key is None:
            return None
        if self.is_locked(asker.key):
            return coded(429, KEY.code, KEY.message)
        touched = [(rule, self._window(rule, name)) for rule, name in _touched(asker, segments)]
        for rule, window in touched:
            if window.count >= rule.most:
                self._window(_REFUSALS, asker.key).count += 1
                return coded(429, rule.code, rule.message)
        for _, window in touched:
            window.count += 1
        return None

    def is_locked(self, key: str) -> bool:
        """Whether the key was refused so often that it is refused everything."""
        return self._window(_REFUSALS, key).count > _REFUSALS.most

    def fields(self, asker: Requester) -> Fields:
        """The x-rate-limit-* fields of an answer to this asker."""
        out: Fields = []
        for rule, name in _buckets(asker):
            used = self._window(rule, name).count if self.on else 1
            most = rule.most if self.on else _NO_LIMIT
            prefix = f"X-Rate-Limit-{rule.field.title()}"
            out.append((f"{prefix}-Interval-Ms", str(rule.window_s * 1000)))
            out.append((f"{prefix}-Max", str(most)))
            out.append((f"{prefix}-Remaining", str(most - used)))
        return out

    def _window(self, rule: Rule, name: str) -> _Window:
        window = self._windows.setdefault((rule.name, name), _Window())
        number = int(self._clock.now() // rule.window_s)
        if window.number != number:
            window.number, window.count = number, 0
        return window


def _buckets(asker: Requester) -> list[tuple[Rule, str]]:
    pairs = ((KEY, asker.key), (TOKEN, asker.token), (MEMBER, asker.member_id))
    return [(rule, name) for rule, name in pairs if name is not None]


def _touched(asker: Requester, segments: tuple[str, ...]) -> list[tuple[Rule, str]]:
    out = _buckets(asker)
    first = segments[0].lower() if segments else ""
    who = asker.token or asker.key or ""
    if first in ("member", "members") and len(segments) == _DIRECT:
        out.append((MEMBERS, who))
    if first in ("search", "memberssearch"):
        out.append((SEARCH, who))
    return out
