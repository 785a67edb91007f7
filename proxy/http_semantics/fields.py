"""Which header fields cross the proxy, each way (RFC 9110 §7.6)."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proxy.model import (
    Fields,
    Limit,
)


def serialize(fields: Iterable[tuple[str, str]]) -> bytes:
    """`Name: value CRLF` lines. Control characters, which could end a line, are blanked."""
    return "".join(f"{name}: {_line(value)}\r\n" for name, value in fields).encode(
        "latin-1", "replace"
    )


def _line(value: str) -> str:
    if value.isprintable():
        return value
    return "".join(" " if char < " " and char != "\t" else char for char in value)


@dataclass(frozen=True, slots=True)
class RateLimitQuota:
    """One limit: `most` requests in any `window_s` seconds; times are rounded up."""

    limit: int
    window_s: int
    remaining: int
    """Requests that are left to tools."""
    reset_after_s: int
    """Until all of it is there again, should nothing more be sent."""


_TRELLO_NAMES: dict[Limit, str] = {"key": "api-key", "token": "api-token"}
"""Trello tells of these two in every answer; clients pace themselves by them."""


def quota_fields(quotas: Mapping[Limit, RateLimitQuota]) -> Fields:
    """`RateLimit-Policy` and `RateLimit`, and the figures of key and token by Trello's names."""
    policies = [f'"{name}";q={each.limit};w={each.window_s}' for name, each in quotas.items()]
    now = [f'"{name}";r={each.remaining};t={each.reset_after_s}' for name, each in quotas.items()]
    standard = (("RateLimit-Policy", ", ".join(policies)), ("RateLimit", ", ".join(now)))
    known = [(_TRELLO_NAMES[name], each) for name, each in quotas.items() if name in _TRELLO_NAMES]
    return (*standard, *(field for name, each in known for field in _trello_fields(name, each)))


def _trello_fields(name: str, quota: RateLimitQuota) -> Fields:
    prefix = f"X-Rate-Limit-{name.title()}"
    return (
        (f"{prefix}-Interval-Ms", str(quota.window_s * 1000)),
        (f"{prefix}-Max", str(quota.limit)),
        (f"{prefix}-Remaining", str(quota.remaining)),
    )


HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-authentication-info",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""About one connection, not the message (RFC 9110 §7.6.1)."""

EXTENSION = "x-trello-user-agent-extension"
"""Names the program that asks. Trello counts requests by it, and a browser extension that leaves it
out shares one limit with all others that do (`UNKNOWN_EXTENSION_LIMIT_EXCEEDED`)."""

TO_UPSTREAM = frozenset(
    {"accept", "content-type", "user-agent", "via", "x-trello-client-identifier", EXTENSION}
)
"""All that a write takes along."""

TO_UPSTREAM_WITH_READS = frozenset({"via", EXTENSION})
"""Of those what a read takes along: nothing unkeyed that could shape a stored response."""

MAX_FIELD_CHARS = 1024
"""Of one field that goes along, its values together: no client lengthens what Trello is sent."""

_EXTENSION_NAME = re.compile(r"[\x20-\x7e]{1,200}")
"""Longer or other names are dropped: no client has Trello refuse what others ask for too."""

NEVER_TO_CLIENT = frozenset(
    {
        "set-cookie",
        "set-cookie2",
        "content-length",
        "alt-svc",
        "strict-transport-security",
        "public-key-pins",
        "clear-site-data",
        "nel",
        "report-to",
        "server",
        "via",
        "age",
        "cache-status",
        "proxy-status",
        "location",
        "content-location",
        "refresh",
        "link",
        "www-authenticate",
        "x-request-id",
        "etag",
        "content-md5",
        "digest",
        "content-digest",
        "repr-digest",
        "x-content-type-options",
        "content-security-policy",
        "content-security-policy-report-only",
    }
)
"""Trello's cookies, its promises about its own host, addresses that may be signed, what we write
ourselves, and validators and digests of bytes that may leave here as others (RFC 9110 §7.7)."""

NEVER_STORED = frozenset(
    {"cache-control", "expires", "pragma", "surrogate-control", "vary", "last-modified"}
)
"""Trello's orders to caches: replaced by ours on what we store (D2)."""


def to_upstream(fields: Iterable[tuple[str, str]]) -> Fields:
    """The fields of a write that Trello needs to see, and the way it came (RFC 9110 §7.6.3).

    Those of a name that are longer than MAX_FIELD_CHARS, together, stay here.
    """
    sent = [(name, value) for name, value in fields if _may_be_sent(name.lower(), value)]
    lengths = Counter[str]()
    for name, value in sent:
        lengths[name.lower()] += len(value)
    return tuple(field for field in sent if lengths[field[0].lower()] <= MAX_FIELD_CHARS)


def _may_be_sent(lower: str, value: str) -> bool:
    return lower in TO_UPSTREAM and (lower != EXTENSION or bool(_EXTENSION_NAME.fullmatch(value)))


def to_client(fields: Fields) -> Fields:
    """The fields of Trello's answer that may reach a client: not hop-by-hop, no cookie, no CORS.

    What Trello says is left of the key and the token is not for one client: we tell our own.
    """
    listed = _named_by_connection(fields)
    return tuple(
        (name, value)
        for name, value in fields
        if (lower := name.lower()) not in HOP_BY_HOP
        and lower not in NEVER_TO_CLIENT
        and lower not in listed
        and not lower.startswith(
            ("access-control-", "cross-origin-", "proxy-", "x-rate-limit-api-")
        )
    )


def to_store(fields: Fields) -> Fields:
    """Of those, the ones that stay true when the answer is used again; rate limits do not."""
    return tuple(
        (name, value)
        for name, value in fields
        if (lower := name.lower()) not in NEVER_STORED and not lower.startswith("x-rate-limit-")
    )


def _named_by_connection(fields: Fields) -> frozenset[str]:
    return frozenset(
        token.strip().lower()
        for name, value in fields
        if name.lower() == "connection"
        for token in value.split(",")
    )
