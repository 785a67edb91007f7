"""Which of Trello's limits a request falls under, and which of them a refusal means."""

from collections.abc import Sequence
from typing import Literal

from proxy.model import Limit

RouteLimit = Literal["members", "search"]

PREFETCH_USER_AGENT = "trello-proxy-warm/"
"""What the User-Agent of `trello-proxy warm` begins with."""
_DIRECT = 2
_SEARCHES = frozenset({"search", "memberssearch"})
_TELLING = (
    (b"TOO_MANY_CARDS", ""),
    (b"DB_LIMIT", "db-query-time"),
    (b"API_TOKEN_LIMIT", "token"),
    (b"API_KEY_LIMIT", "key"),
    (b"MEMBER_LIMIT", "member"),
    (b"/1/search", "search"),
    (b"/1/member", "members"),
)
_CODES: dict[Limit, tuple[str, str]] = {
    "key": ("API_KEY_LIMIT_EXCEEDED", "Rate limit exceeded"),
    "token": ("API_TOKEN_LIMIT_EXCEEDED", "Rate limit exceeded"),
    "members": ("RATE_LIMIT_EXCEEDED", "Exceeded rate limit to /1/member"),
    "search": ("RATE_LIMIT_EXCEEDED", "Exceeded rate limit to /1/search"),
}


def route_limit(segments: Sequence[str]) -> RouteLimit | None:
    """The limit that Trello has for this path alone; its nested member routes have none."""
    first = segments[0].lower() if segments else ""
    if first == "members" and len(segments) == _DIRECT:
        return "members"
    return "search" if first in _SEARCHES else None


def throttled(sentence: bytes) -> str:
    """The bucket that a 429 names, the token's where it names none; "" when it is no throttle.

    `API_TOO_MANY_CARDS_REQUESTED` says that the question is too large: asking later is in vain.
    """
    for word, name in _TELLING:
        if word in sentence:
            return name
    return "token"


def refusal(limit: Limit) -> tuple[str, str]:
    """The code and the sentence that Trello would refuse with."""
    return _CODES[limit]
