"""Model: values that all folders share, with the names of RFC 9110, 9111 and 9211."""

import re
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from ipaddress import IPv6Address, ip_address
from typing import Literal, NamedTuple, NewType, TypeGuard

Limit = Literal["key", "token", "members", "search"]


Tag = NewType("Tag", str)
"""Surrogate key of stored responses: `card:{id}`, `board:{id}`, `spanning` …"""

CacheKey = NewType("CacheKey", str)
"""Cache key (RFC 9111 §2); a digest, so it contains no credential."""

Fields = tuple[tuple[str, str], ...]
"""Header fields in their order on the wire (RFC 9110 §5)."""

TRELLO_API_HOST = "api.trello.com"
"""The host of clients whose base URL cannot be changed."""

_ID = re.compile(r"[0-9a-f]{24}")


def is_id(text: object) -> TypeGuard[str]:
    """Whether this is a full id, not a shortLink, a name or `me`."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Credential:
    """A Trello key and token. It cannot be printed."""

    key: str = field(repr=False)
    token: str = field(repr=False)

    def __repr__(self) -> str:
        return "Credential(***)"

    __str__ = __repr__


class Secret:
    """A text that is in no log, error or repr; `reveal` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to accept connections. An IPv6 host has no brackets; port 0 is any free one."""

    host: str
    port: int
    path: str = ""
    """Of a Unix socket; its host is `localhost`, its port 0."""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_wildcard(self) -> bool:
        """Whether it is every address: `0.0.0.0`, `::` (RFC 4291 §2.5.2, §2.5.5.2)."""
        try:
            address = ip_address(self.host)
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return (mapped or address).is_unspecified

    def origin(self, scheme: Literal["http", "https"]) -> str:
        """The origin by which this machine reaches it, without the scheme's own port."""
        if self.path:
            return f"{scheme}://{self.host}"
        authority = f"localhost:{self.port}" if self.is_wildcard else str(self)
        return f"{scheme}://{authority}".removesuffix(":80" if scheme == "http" else ":443")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` requests in any `window_s` seconds."""

    count: int
    window_s: float


class Kind(StrEnum):
    """Kind of a route's response; it decides which service handles the request."""

    READ = "read"
    """A safe request for JSON; may be stored."""
    WRITE = "write"
    """An unsafe request (RFC 9110 §9.2.1): forwarded once, invalidates."""
    FILE = "file"
    """The bytes of an attachment, a preview or an export."""
    BATCH = "batch"
    """`GET /1/batch`: up to ten reads in one."""
    SCRIPT = "script"
    """`/1/client.js`."""
    AUTHORIZATION_PAGE = "grant"
    """Trello's token-granting pages; no token is needed here."""


class Priority(IntEnum):
    """Priority in the rate limit queue; the lowest number is served first."""

    INTERACTIVE = 0
    """A page, or a link opened in a browser."""
    POLLER = 1
    """The board poller, within its share of the limit (D24)."""
    API = 2
    BACKGROUND = 3
    """Background refresh; no client is waiting."""
    PREFETCH = 4

    @property
    def label(self) -> str:
        """Label in metrics."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Lifetimes of a response, in seconds (RFC 9111 §4.2; RFC 5861 §3, §4)."""

    lifetime_s: float
    stale_while_revalidate_s: float = 0.0
    stale_if_error_s: float = 0.0
    lifetime_watched_s: float | None = None
    """Used instead of `lifetime_s` while the boards of the response are watched."""

    @property
    def usable_s(self) -> float:
        """Seconds after the request from which no lifetime allows its use."""
        longest_s = max(self.lifetime_s, self.lifetime_watched_s or 0.0)
        return longest_s + max(self.stale_while_revalidate_s, self.stale_if_error_s)


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the route table; `template` is its name in metrics and logs."""

    template: str
    kind: Kind
    lifetimes: Lifetimes = Lifetimes(0.0)
    administrative: str = ""
    """What it administers, as a noun phrase; empty for work on boards."""


class Fwd(StrEnum):
    """Why a request was forwarded (RFC 9211 §2.2)."""

    BYPASS = "bypass"
    METHOD = "method"
    URI_MISS = "uri-miss"
    STALE = "stale"
    REQUEST = "request"


class Detail(StrEnum):
    """Why a response was not stored, or how it was made: `detail` of RFC 9211 §2.8."""

    APART = "apart"
    """Requested by a node of a fleet that reaches no leader; not stored (D65)."""
    CREDENTIAL_IN_RESPONSE = "credential-in-response"
    """Not stored: it repeats the client's own key or token (D1)."""
    INSUFFICIENT_SPACE = "insufficient-space"
    """Not stored: the disk, or `attachments.disk`, is full."""
    INVALIDATED = "invalidated-during-fetch"
    """Not stored: one of its tags was invalidated after it was requested."""
    PROJECTED = "projected"
    """Projected from a stored response that contains it."""
    REFUSED = "refused"
    """Not stored: the download in progress was refused to another credential."""
    REQUEST_NO_STORE = "request-no-store"
    """Not stored: the request has `no-store`."""
    ROUTE_NOT_STORED = "route-not-stored"
    """Not stored: no response on this route is, or `routes` says so."""
    STALE_IF_ERROR = "stale-if-error"
    """A stale response, served because of an upstream failure (RFC 5861 §4)."""
    STATUS_NOT_STORED = "status-not-stored"
    """Not stored: its status is neither 200 nor 404."""
    TOO_LARGE = "too-large"
    """Not stored: longer than the proxy buffers, or than `attachments.max_file`."""


class FetchedParts(NamedTuple):
    """Number of fetched parts of a batch, of all its parts; a `detail` as well."""

    fetched: int
    parts: int

    def __str__(self) -> str:
        return f"fetched-{self.fetched}-of-{self.parts}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request was handled and why, for Cache-Status, the log and the metrics."""

    hit: bool = False
    fwd: Fwd | None = None
    fwd_status: int | None = None
    ttl_s: int | None = None
    """Seconds of freshness left; negative if stale (RFC 9211 §2.4)."""
    stored: bool = False
    collapsed: bool = False
    detail: Detail | FetchedParts | None = None

    @property
    def result(self) -> str:
        """Label in metrics: hit, stale, collapsed, miss, pass or none."""
        if self.hit:
            return "stale" if self.ttl_s is not None and self.ttl_s < 0 else "hit"
        if self.collapsed:
            return "collapsed"
        if self.fwd in (Fwd.METHOD, Fwd.BYPASS):
            return "pass"
        return "none" if self.fwd is None else "miss"


class RequestTime(NamedTuple):
    """When a request is sent to Trello, in an order that a clock set back does not reverse."""

    seq: int
    """The store's `seq`, which advances with every invalidation."""
    at: float
    """POSIX seconds."""


NEVER_EXPIRES = float("inf")


class AliasEntry(NamedTuple):
    """Alias learned from a response: the ids that a name means, or the owners of an object."""

    name: str
    """`kind:name`, or `kind:id` of an object."""
    target_ids: tuple[str, ...]
    """The object that the name means; or its owners, in the order of their kind."""
    requested_at: float
    """POSIX seconds when the response was requested."""
    requested_seq: int
    """The store's `seq` then."""
    expires_at: float
    """POSIX seconds; NEVER_EXPIRES for permanent names."""


USABLE_S = 86_400.0
"""Of a stored response whose route is not known."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class StoredResponse:
    """A stored response of Trello's (RFC 9111 §3); contains no credential and no cookie."""

    key: CacheKey
    status: int
    head: bytes
    """Trello's end-to-end fields, serialized as `Name: value CRLF` lines."""
    body: bytes
    """As received: gzip if `gzip`, else identity."""
    gzip: bool
    etag: str
    """Digest of the identity bytes, unquoted."""
    requested_at: float
    """POSIX seconds when the request was sent; the age counts from here."""
    requested_seq: int
    """The store's `seq` when the request was sent; compared with invalidations."""
    tags: tuple[Tag, ...]
    missing_since: float | None = None
    """POSIX seconds of the first 404 after it; stale since then (D45)."""
    usable_s: float = USABLE_S
    """Seconds after `requested_at` from which no lifetime allows its use."""

    @property
    def requested(self) -> RequestTime:
        """When its request was sent."""
        return RequestTime(self.requested_seq, self.requested_at)

    @property
    def size_bytes(self) -> int:
        """Size in memory, including overhead."""
        return len(self.body) + len(self.head) + STORED_OVERHEAD_BYTES


STORED_OVERHEAD_BYTES = 1_500
"""Of key, tags and Python objects; measured: 740 with 3 tags, 1 800 with 17."""
