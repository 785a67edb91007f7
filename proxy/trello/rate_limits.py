"""Rate limits of Trello: the limit of a request, and the limit that a 429 names."""

from collections.abc import Sequence
from typing import Literal

from proxy.model import Limit

RouteLimit = Literal["members", "search"]

PREFETCH_USER_AGENT = "trello-proxy-warm/"
"""Prefix of the User-Agent of `trello-proxy warm`."""
_DIRECT = 2
_SEARCHES = frozenset({"search", "memberssearch"})
_BY_MESSAGE = (
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
    """The limit of this path in addition to token and key; nested member routes have none."""
    first = segments[0].lower() if segments else ""
    if first == "members" and len(segments) == _DIRECT:
        return "members"
    return "search" if first in _SEARCHES else None


def throttled(sentence: bytes) -> str:
    """The limit that a 429 names, `token` by default; "" if it is not about a rate limit.

    `API_TOO_MANY_CARDS_REQUESTED` means that the response is too large: a retry is in vain.
    """
    for word, name in _BY_MESSAGE:
        if word in sentence:
            return name
    return "token"


def refusal(limit: Limit) -> tuple[str, str]:
    """Code and message of Trello's refusal."""
    return _CODES[limit]
