"""What travels through every flow: the Ask on the way in, the Answer on the way out."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from proxy.http_semantics.cache_control import Directives
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
    client_name: str = OWN
    """The tool for which Trello is asked, by its name in metrics."""
    directives: Directives
    fields: Fields = ()
    """Fields of the client's that go along."""
    body: Body = field(default=None, repr=False)
    priority: Priority = Priority.API
    """Who goes first where Trello's limits leave no room for all."""
    queue_key: str = ""
    """Who asks, as far as it can be told: those of one urgency take turns."""
    params: Callable[[], Mapping[str, str]] = field(default=_no_parameters, repr=False)
    """A write's own parameters; complete once the body has been sent."""
    timing: UpstreamTiming = field(default_factory=UpstreamTiming, repr=False, compare=False)

    def in_background(self) -> "ApiRequest":
        """The same, with nobody who waits for the answer."""
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
