"""Message: request and response of the API between handlers, cache and upstream."""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from proxy.access.client import ANONYMOUS, Client
from proxy.http_semantics.cache_control import Directives
from proxy.http_semantics.parameters import Parameter
from proxy.http_semantics.target import names_in
from proxy.model import CacheKey, Credential, Fields, Outcome, Priority, StoredResponse
from proxy.observability.metrics import OWN
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
    """Seconds that a request spends outside the proxy, over all its upstream requests."""

    was_sent: bool = False
    """Whether an upstream request was sent, or queued, for it."""
    queue_s: float = 0.0
    """In the rate limit queue."""
    upstream_s: float = 0.0
    """From sending the upstream request to the header of its response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """A client's request, parsed and without its credentials."""

    effective_method: str
    """GET for a HEAD; the tunnelled method of a GET with `_method`."""
    method: str
    """The method of the upstream request."""
    target: str = field(repr=False)
    """Path and query to forward; below /1/tokens it contains a token."""
    match: Match
    query_names: frozenset[str]
    """Decoded names of the query's parameters."""
    key: CacheKey
    spelled_key: CacheKey | None = None
    """The key of this spelling, if `key` is that of the object's id."""
    partition: str = ""
    """The cache partition that serves it."""
    credential: Credential
    uses_stored_credential: bool
    """Whether `credential` is the stored one."""
    client: Client = ANONYMOUS
    """Its client, with what that may see and do."""
    client_name: str = OWN
    """The client's name in metrics."""
    directives: Directives
    fields: Fields = ()
    """The client's fields to forward."""
    body: Body = field(default=None, repr=False)
    body_parameters: Sequence[Parameter] = field(default=(), repr=False)
    """All parameters that a form or JSON body may set."""
    priority: Priority = Priority.API
    """In the rate limit queue."""
    queue_key: str = ""
    """The client in the rate limit queue, as far as known: fair among those of one priority."""
    client_id: str = ""
    """Whose quota of queue slots it takes; empty for the proxy's own."""
    params: Callable[[], Mapping[str, str]] = field(default=_no_parameters, repr=False)
    """The parameters of a write; complete once the body has been sent."""
    timing: UpstreamTiming = field(default_factory=UpstreamTiming, repr=False, compare=False)

    @property
    def spelling_key(self) -> CacheKey:
        """The key of the spelling that the client used."""
        return self.spelled_key or self.key

    def derive(self, *, target: str, match: Match | None = None) -> "ApiRequest":
        """The request for another target, with that target's key and query names.

        `target` is canonical and contains no credential; without `match` the route is the same.
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
        """The same request at background priority or below; no client waits for it."""
        return replace(self, priority=max(self.priority, Priority.BACKGROUND))


class BodyStream(Protocol):
    """A body in chunks; it must be closed, even if it was never read."""

    def __aiter__(self) -> AsyncIterator[bytes | bytearray]: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response, before the client's preconditions and content coding are applied."""

    status: int
    head: bytes
    """End-to-end fields as `Name: value CRLF` lines."""
    body: bytes | BodyStream = field(repr=False)
    outcome: Outcome
    stored: StoredResponse | None = None
    """The stored response that it is; it has an ETag and an age then."""
    gzip: bool = False
    length: int | None = None
    """Of a streamed body, if known."""
    whole: StoredResponse | None = None
    """What `stored` was filtered from, for the scope of the client; None without a scope."""

    @classmethod
    def from_stored(cls, stored: StoredResponse, outcome: Outcome) -> "ApiResponse":
        """A stored response, for whatever reason it is served."""
        return cls(stored.status, stored.head, stored.body, outcome, stored, stored.gzip)
