"""Header fields: forwarding (RFC 9110 §7.6), serialization, Fetch Metadata, rate-limit fields."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from proxy.errors import HeaderFieldsTooLarge
from proxy.http_semantics.content import is_navigation
from proxy.http_semantics.parameters import MAX_MEMBERS
from proxy.model import Fields, Limit

_ORIGIN = re.compile(r"(https?://[^/?#@]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FetchMetadata:
    """Fields by which a browser describes the page that sent a request (D6).

    `fields` must ignore the case of names. No page can forge them. Facts:
    - Over https, and to the loopback, a browser sends Sec-Fetch-* with every request: site, use of
      the response, whether it navigates. Over plain http to a named host it sends none of them.
    - Origin is sent with every request except a GET or HEAD whose response a script may not read:
      an image, a script element, `fetch` with `mode: no-cors` (Fetch §3.2).
    - Referer is sent with all of them, unless the page forbids it.
    - Programs send none of these.
    """

    fields: Mapping[str, str]

    @property
    def host(self) -> str:
        """The host and port of the request, in lower case."""
        return self.fields.get("Host", "").lower()

    @property
    def origin(self) -> str:
        """The page's origin; `null` for an opaque one, empty if absent."""
        return self.fields.get("Origin", "")

    @property
    def referrer(self) -> str:
        """The origin in the Referer field (RFC 9110 §10.1.3); empty if absent."""
        found = _ORIGIN.match(self.fields.get("Referer", ""))
        return found[1].lower() if found else ""

    @property
    def site(self) -> str:
        """`cross-site`, `same-site`, `same-origin` or `none` (a person typed the URL)."""
        return self.fields.get("Sec-Fetch-Site", "")

    @property
    def destination(self) -> str:
        """The use of the response: `image`, `script`, …"""
        return self.fields.get("Sec-Fetch-Dest", "")

    @property
    def is_navigation(self) -> bool:
        """Whether a person opens the URL."""
        return is_navigation(self.fields.get("Sec-Fetch-Mode", ""), self.fields.get("Accept", ""))

    @property
    def is_preflighted(self) -> bool:
        """Whether a page would need a preflight to send this request (Fetch §4.8).

        Only certain values count: a browser adds Authorization itself for Basic, Digest and
        Negotiate, a login in front of the proxy adds Bearer, and Android's WebView adds
        X-Requested-With with the name of its app.
        """
        scheme = self.fields.get("Authorization", "").partition(" ")[0].lower()
        media_type = self.fields.get("Content-Type", "").partition(";")[0].strip().lower()
        requested_with = self.fields.get("X-Requested-With", "").lower()
        return (
            scheme == "oauth"
            or media_type == "application/json"
            or requested_with == "xmlhttprequest"
        )


MAX_HEADER_BYTES = 64 * 1024
"""Names and values of all fields of a request."""


def check_fields_size(fields: Sequence[tuple[bytes, bytes]]) -> int:
    """The bytes of all fields; HeaderFieldsTooLarge for too many, or too many list members."""
    size_bytes = sum([len(name) + len(value) for name, value in fields])
    if size_bytes > MAX_HEADER_BYTES:
        raise HeaderFieldsTooLarge(f"Send a header of at most {MAX_HEADER_BYTES // 1024} KiB.")
    if size_bytes > MAX_MEMBERS:
        members = sum([value.count(b",") + value.count(b";") for _, value in fields])
        if members > MAX_MEMBERS:
            raise HeaderFieldsTooLarge(
                f"Send fields of at most {MAX_MEMBERS:,} list members in all."
            )
    return size_bytes


def serialize(fields: Iterable[tuple[str, str]]) -> bytes:
    """`Name: value CRLF` lines in Latin-1, which leaves obs-text unchanged (RFC 9110 §5.5).

    Control characters, which could end a line, become spaces.
    """
    return "".join(f"{name}: {_line(value)}\r\n" for name, value in fields).encode(
        "latin-1", "replace"
    )


def _line(value: str) -> str:
    if value.isprintable():
        return value
    return "".join(" " if char < " " and char != "\t" else char for char in value)


@dataclass(frozen=True, slots=True)
class RateLimitQuota:
    """A rate limit of `limit` requests per `window_s` seconds; times are rounded up."""

    limit: int
    window_s: int
    remaining: int
    """Requests that API clients may still send."""
    reset_after_s: int
    """Until the full limit is available again, if nothing more is sent."""


_TRELLO_NAMES: dict[Limit, str] = {"key": "api-key", "token": "api-token"}
"""Limits that Trello reports in every response, and clients pace themselves by."""


def quota_fields(quotas: Mapping[Limit, RateLimitQuota]) -> Fields:
    """RateLimit-Policy and RateLimit, and `X-Rate-Limit-Api-{Key,Token}-…` as Trello sends them.

    The format is that of draft-ietf-httpapi-ratelimit-headers-10.
    """
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
"""Name of the client program. Trello counts requests by it; browser extensions that omit it share
one limit (`UNKNOWN_EXTENSION_LIMIT_EXCEEDED`; D36)."""

TO_UPSTREAM = frozenset(
    {"accept", "content-type", "user-agent", "via", "x-trello-client-identifier", EXTENSION}
)
"""Request fields forwarded with a write."""

TO_UPSTREAM_WITH_READS = frozenset({"via", EXTENSION})
"""Request fields forwarded with a read: none that is outside the cache key and could change a
stored response."""

MAX_FIELD_CHARS = 1024
"""Limit for all values of one forwarded field: no client lengthens requests to Trello."""

_EXTENSION_NAME = re.compile(r"[\x20-\x7e]{1,200}")
"""Longer or other names are dropped: a request can be shared (collapsed), and one client's field
must not have Trello refuse it for all."""

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
"""Trello's cookies, policies about its own host, URLs that may be signed, fields that the proxy
writes, and validators and digests of bytes that the proxy may change (RFC 9110 §7.7)."""

NEVER_STORED = frozenset(
    {"cache-control", "expires", "pragma", "surrogate-control", "vary", "last-modified"}
)
"""Trello's cache directives: replaced by the proxy's on stored responses (D2)."""


def to_upstream(fields: Iterable[tuple[str, str]]) -> Fields:
    """The request fields that are forwarded to Trello, Via among them (RFC 9110 §7.6.3).

    A field whose values are together longer than MAX_FIELD_CHARS is dropped.
    """
    forwarded = [(name, value) for name, value in fields if _may_forward(name.lower(), value)]
    lengths = Counter[str]()
    for name, value in forwarded:
        lengths[name.lower()] += len(value)
    return tuple(field for field in forwarded if lengths[field[0].lower()] <= MAX_FIELD_CHARS)


def _may_forward(lower: str, value: str) -> bool:
    return lower in TO_UPSTREAM and (lower != EXTENSION or bool(_EXTENSION_NAME.fullmatch(value)))


def to_client(fields: Fields) -> Fields:
    """The response fields that may reach a client: none that is hop-by-hop, a cookie, or CORS.

    Trello's figures for key and token are dropped: the proxy sends its own (`quota_fields`).
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
    """Of those, the fields to store: those still valid when the response is reused."""
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
