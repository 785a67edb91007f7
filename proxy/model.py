"""The nouns every room speaks of; values only (names: RFC 9110, 9111, 9211)."""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from ipaddress import IPv6Address, ip_address
from typing import Literal, NamedTuple, NewType

Limit = Literal["key", "token", "members", "search"]


Tag = NewType("Tag", str)
"""What an invalidation names: `card:{id}`, `board:{id}`, `spanning` …"""

CacheKey = NewType("CacheKey", str)
"""What a stored response is found by (RFC 9111 §2): a digest, so it can hold no credential."""

Fields = tuple[tuple[str, str], ...]
"""Header fields in the order they came (RFC 9110 §5)."""


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

    @property
    def url(self) -> str:
        """The origin by which this machine reaches it."""
        if self.path:
            return f"http://{self.host}"
        url = f"http://localhost:{self.port}" if self.is_wildcard else f"http://{self}"
        return url.removesuffix(":80")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` requests in any `window_s` seconds."""

    count: int
    window_s: float


class Kind(StrEnum):
    """What a route gives, and so which flow serves it."""

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
    """Who waits for an answer of Trello's: where there is not room for all, the first go first."""

    INTERACTIVE = 0
    """At a page, or at a link that a browser opens."""
    POLLER = 1
    """The watcher, within its share: while it waits nothing is watched, and tools ask the more."""
    API = 2
    BACKGROUND = 3
    """Nobody: what is stored is being renewed."""
    PREFETCH = 4

    @property
    def label(self) -> str:
        """In metrics."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long an answer may be used, in seconds (RFC 9111 §4.2; RFC 5861 §3, §4)."""

    lifetime_s: float
    stale_while_revalidate_s: float = 0.0
    stale_if_error_s: float = 0.0
    lifetime_watched_s: float | None = None
    """Used instead of `lifetime_s` while changes are known to be noticed."""

    @property
    def usable_s(self) -> float:
        """After this many seconds nothing may use the answer any more."""
        return self.lifetime_s + max(self.stale_while_revalidate_s, self.stale_if_error_s)


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the route table; `template` is its name in metrics and logs."""

    template: str
    kind: Kind
    lifetimes: Lifetimes = Lifetimes(0.0)
    administrative: str = ""
    """What it is about, if that is the account and not work on boards."""


class Fwd(StrEnum):
    """Why a request went forward (RFC 9211 §2.2)."""

    BYPASS = "bypass"
    METHOD = "method"
    URI_MISS = "uri-miss"
    STALE = "stale"
    REQUEST = "request"


class Detail(StrEnum):
    """Why a response was not stored, or what it was made of: `detail` of RFC 9211 §2.8."""

    CREDENTIAL_IN_RESPONSE = "credential-in-response"
    """Not stored: it repeats the client's own key or token (D1)."""
    INSUFFICIENT_SPACE = "insufficient-space"
    """Not stored: the disk, or the share of it that attachments have, is full."""
    INVALIDATED = "invalidated-during-fetch"
    """Not stored: one of its tags was invalidated after it was requested."""
    PROJECTED = "projected"
    """Cut out of a stored response that contains it."""
    REFUSED = "refused"
    """Not stored: the download that it would have joined was refused to another credential."""
    REQUEST_NO_STORE = "request-no-store"
    ROUTE_NOT_STORED = "route-not-stored"
    STALE_IF_ERROR = "stale-if-error"
    """A stored response past its lifetime, because Trello gives none (RFC 5861 §4)."""
    STATUS_NOT_STORED = "status-not-stored"
    TOO_LARGE = "too-large"


class FetchedParts(NamedTuple):
    """How many parts of a batch were fetched, and how many it has; a `detail` as well."""

    fetched: int
    parts: int

    def __str__(self) -> str:
        return f"fetched-{self.fetched}-of-{self.parts}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done with a request and why: feeds Cache-Status, the log line and the metrics."""

    hit: bool = False
    fwd: Fwd | None = None
    fwd_status: int | None = None
    ttl_s: int | None = None
    """Seconds of freshness left; negative: stale for so long (RFC 9211 §2.4)."""
    stored: bool = False
    collapsed: bool = False
    detail: Detail | FetchedParts | None = None

    @property
    def result(self) -> str:
        """One word for the metrics: hit, stale, collapsed, miss, pass or none."""
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
    """What an answer showed of a name, or of an object's owners."""

    name: str
    """`kind:name`, or `kind:id` of an object."""
    target_ids: tuple[str, ...]
    """What the name stands for; or the owners, in the order of their kind."""
    requested_at: float
    """POSIX seconds when Trello was asked."""
    requested_seq: int
    """The store's `seq` then."""
    expires_at: float
    """POSIX seconds from which it is not used; FOR_EVER for what never changes."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class StoredResponse:
    """One answer of Trello's, kept (RFC 9111 §3); holds no credential and no cookie."""

    key: CacheKey
    status: int
    head: bytes
    """Trello's end-to-end fields as `Name: value CRLF` lines, ready to send."""
    body: bytes
    """As it came: gzip when `gzip`, identity otherwise."""
    gzip: bool
    etag: str
    """Digest of the identity bytes, unquoted."""
    requested_at: float
    """POSIX seconds when Trello was asked: age counts from here."""
    requested_seq: int
    """The store's `seq` when Trello was asked: what invalidations are compared with."""
    tags: tuple[Tag, ...]
    missing_since: float | None = None
    """POSIX seconds when Trello first answered 404 after this: stale since then."""

    @property
    def requested(self) -> RequestTime:
        """When its request was sent."""
        return RequestTime(self.requested_seq, self.requested_at)

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, bookkeeping included."""
        return len(self.body) + len(self.head) + STORED_OVERHEAD_BYTES


STORED_OVERHEAD_BYTES = 1_500
"""Of key, tags and the objects around: measured 740 with three tags, 1 800 with seventeen."""
