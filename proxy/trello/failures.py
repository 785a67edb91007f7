"""Failures: responses worse than a stale one (RFC 5861 §4), and Trello's rate limits."""

import re
from collections.abc import Sequence
from typing import Literal

from proxy.http_semantics.content import media_type_of
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


PAGE_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_PAGE = re.compile(rb"\s*<(?:!doctype html|html)\b", re.IGNORECASE)
_BAD_CREDENTIAL = (b"invalid key", b"invalid token", b"invalid app key", b"expired token")


def is_upstream_failure(status: int, body: bytes, *, own: bool) -> bool:
    """Whether a stale response is better than this one.

    Server errors and throttling always are failures; of the refusals only those that say the
    *stored* credential is broken (`own`). That a member may no longer see something is Trello's
    decision.
    """
    if status >= 500 or status == 429:
        return True
    return own and is_credential_refused(status, body)


def is_credential_refused(status: int, body: bytes) -> bool:
    """Whether Trello says that the key or the token is invalid, whatever it is used for."""
    return status == 401 and any(sentence in body for sentence in _BAD_CREDENTIAL)


def is_gateway_failure(status: int) -> bool:
    """Whether a gateway says that Trello cannot be reached or is overloaded.

    A 500 may be about one request, and comes fast; a 429 is throttling.
    """
    return status >= 502


def is_gateway_page(status: int, content_type: str, plain: bytes) -> bool:
    """Whether a refusal is an HTML page, and so a gateway's and not Trello's (D7).

    Trello refuses in a sentence or in JSON. A 429 and a 5xx are failures whatever their form.
    """
    is_refusal = 400 <= status < 500 and status != 429
    return is_refusal and (media_type_of(content_type) in PAGE_TYPES or bool(_PAGE.match(plain)))
