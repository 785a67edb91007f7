"""Request and response of the API, as handlers, cache and upstream pass them on."""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from proxy.access.client import ANONYMOUS, Client
from proxy.http_semantics.cache_control import Directives
from proxy.http_semantics.parameters import Parameter
from proxy.http_semantics.target import names_in
from proxy.model import (
    CacheKey,
    Credential,
    Fields,
    Outcome,
    Priority,
    StoredResponse,
)
from proxy.observability.client_stats import OWN
from proxy.trello.routes import Match

Body = bytes | AsyncIterator[bytes] | None


def key_of(partition: str, target: str) -> CacheKey:
    """The cache key of a canonical target: one key is one upstream target, byte for byte (D5).

    A digest, so that a key can be logged, stored and shared without revealing an id or a name. The
    partition is framed by its length: no two pairs run together (RFC 9111 §2).
    """
    framed = b"%d:%b%b" % (len(partition.encode()), partition.encode(), target.encode())
    return CacheKey(hashlib.blake2b(framed, digest_size=20).hexdigest())


def missing_key(key: CacheKey) -> CacheKey:
    """The cache key of a 404 for the same target: it must not replace a stored 200."""
    return CacheKey(f"{key}-404")


def _no_parameters() -> Mapping[str, str]:
    return {}


@dataclass(slots=True)
class UpstreamTiming:
    """Where a request's time goes besides here, in seconds; it grows with each question asked."""

    was_sent: bool = False
    """Whether Trello was, or was to be, asked for this request's sake."""
    queue_s: float = 0.0
    """For a turn within Trello's limits."""
    upstream_s: float = 0.0
    """From asking Trello to the header of its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request of a client's, understood and free of its credentials."""

    effective_method: str
    """The method that is meant: GET for a HEAD, and what a GET with `_method` tunnels."""
    method: str
    """The method that Trello is sent."""
    target: str = field(repr=False)
    """The path and query to forward; below /1/tokens it holds a token."""
    match: Match
    query_names: frozenset[str]
    """Decoded names of the query's parameters."""
    key: CacheKey
    spelled_key: CacheKey | None = None
    """The key of this very spelling, where `key` is that of the object's id."""
    partition: str = ""
    """Whose share of the cache it is served from."""
    credential: Credential
    uses_stored_credential: bool
    """Whether `credential` is the stored one."""
    client: Client = ANONYMOUS
    """Who sent it, and what it may see and do."""
    client_name: str = OWN
    """The tool for which Trello is asked, by its name in metrics."""
    directives: Directives
    fields: Fields = ()
    """Fields of the client's that go along."""
    body: Body = field(default=None, repr=False)
    body_parameters: Sequence[Parameter] = field(default=(), repr=False)
    """All that a form or JSON body may set."""
    priority: Priority = Priority.API
    """Who goes first where Trello's limits leave no room for all."""
    queue_key: str = ""
    """Who asks, as far as it can be told: those of one urgency take turns."""
    params: Callable[[], Mapping[str, str]] = field(default=_no_parameters, repr=False)
    """A write's own parameters; complete once the body has been sent."""
    timing: UpstreamTiming = field(default_factory=UpstreamTiming, repr=False, compare=False)

    @property
    def spelling_key(self) -> CacheKey:
        """The key of the spelling that the client used."""
        return self.spelled_key or self.key

    def derive(self, *, target: str, match: Match | None = None) -> "ApiRequest":
        """The same request for another target: the key and the query's names are that target's.

        `target` is canonical and holds no credential; without `match` it keeps its route.
        """
        return replace(
            self,
            target=target,
            match=match or self.match,
            query_names=names_in(target.partition("?")[2]),
            key=key_of(self.partition, target),
            spelled_key=None,
        )

    def in_background(self) -> "ApiRequest":
        """The same request at background priority or below; no client is waiting for it."""
        return replace(self, priority=max(self.priority, Priority.BACKGROUND))


class BodyStream(Protocol):
    """A body that comes bit by bit; it is closed, whether or not it was begun."""

    def __aiter__(self) -> AsyncIterator[bytes | bytearray]: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What a client gets, before its own preconditions and codings."""

    status: int
    head: bytes
    """Fields as `Name: value CRLF` lines; none of them about the connection."""
    body: bytes | BodyStream = field(repr=False)
    outcome: Outcome
    stored: StoredResponse | None = None
    """Where the answer came from, or was put: it has an ETag and an age then."""
    gzip: bool = False
    length: int | None = None
    """Of a streamed body, where it is known."""
