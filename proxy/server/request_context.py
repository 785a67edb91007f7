"""Request context: data of one request for its log line, metrics and response fields."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from proxy.access.client import Client
from proxy.access.client_keys import ClientKeyEntry
from proxy.attachments.store.shared_file import FileOffer, StoredRange
from proxy.credentials.extraction import ExtractedCredential
from proxy.fleet.near import Given
from proxy.http_semantics.trace_context import TraceContext
from proxy.http_semantics.user_agent import client_name
from proxy.model import Outcome
from proxy.observability.log import Log
from proxy.observability.metrics import Metrics
from proxy.runtime.clock import Clock
from proxy.runtime.memory_budget import Hold, MemoryBudget
from proxy.trello.message import UpstreamTiming

NO_ROUTE = "-"


class Counter(Protocol):
    """A counter of requests besides those in Metrics."""

    def use(self, now: float, times: int = 1) -> None: ...


@dataclass(slots=True)
class RequestContext:
    """Data of one request: its sender, outcome and duration."""

    request_id: str
    client: Client
    """Who sent it, as far as is known."""
    client_address: str
    """Of the client, not of a trusted proxy in between."""
    method: str
    """`other` for a method that the proxy does not know."""
    user_agent: str
    """Shortened, and without anything that looks like a credential."""
    hold: Hold
    """The request's share of `limits.memory`; released when the response has been sent."""
    started_at: float
    """Seconds of the monotonic clock."""
    is_forwarded: bool = False
    """Whether it came from a trusted proxy."""
    generation: int = 0
    """Of the fast path's prepared hits when the request came."""
    user: str = ""
    """The user that a trusted proxy names."""
    is_relayed: bool = False
    """Whether another node serves it, which counts and audits it (D65)."""
    is_moved: bool = False
    """Whether this node did nothing, because it does not lead."""
    wants_stored: bool = False
    """Whether the node that relays it can keep the response in stored form (D72)."""
    wants_file: bool = False
    """Whether the worker that relays it can send a stored file itself (D74)."""
    file: StoredRange | None = None
    """Where the response's body is stored; None: it is the body."""
    wants_offer: bool = False
    """Whether the node that relays it can send the file from a store of its own (D82)."""
    wants_copy: bool = False
    """Whether that store is to be given the whole file with the response."""
    offer: FileOffer | None = None
    """What that node is to send; None: the response has a body."""
    given: Given | None = None
    """What lets that node keep the response; None: the response is for the client alone."""
    is_audited: bool = False
    """Whether it has an entry in the audit log whatever its status."""
    object_ids: tuple[str, ...] = ()
    """Ids of the objects that it names, for the audit log."""
    route: str = NO_ROUTE
    """The route template: bounded in number, and free of ids."""
    outcome: Outcome = field(default_factory=Outcome)
    timing: UpstreamTiming = field(default_factory=UpstreamTiming)
    trace: TraceContext | None = None
    credentials_sent: tuple[ExtractedCredential, ...] = ()
    """The credentials that the client sent, one for each part of the request."""
    credential_counters: tuple[Counter, ...] = ()
    """Count them, or the client key, once more when the fast path repeats the response."""

    def identify(
        self, client_key: ClientKeyEntry | None, credentials: tuple[ExtractedCredential, ...]
    ) -> None:
        """Note the client key that the request carries, or else the credentials found in it.

        ClientBusy if its client has too many requests in progress.
        """
        if client_key is None:
            self.credentials_sent = credentials
        else:
            self.client, self.credential_counters = client_key.client, (client_key,)
        self.hold.assign(self.client_id)

    @property
    def client_id(self) -> str:
        """Whose quotas the request counts towards: those of its client's name, or address."""
        return f"{self.client.source} {self.client.name or self.client_address}"

    @property
    def client_name(self) -> str:
        """The client's name in metrics: its own, else the product in its User-Agent."""
        return self.client.name or client_name(self.user_agent)

    @property
    def server_timing(self) -> UpstreamTiming | None:
        """Time spent in the queue and upstream; None if the client did not wait for Trello."""
        return self.timing if self.timing.was_sent and not self.outcome.hit else None


class RequestIdGenerator:
    """Generator of unique request ids: a prefix per process and a number."""

    def __init__(self, prefix: str) -> None:
        self.next = map(f"{prefix}-%x".__mod__, count(1)).__next__
        """The next id, such as `5f3a09c1-2e`; without a frame of Python, as each hit needs one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDeps:
    """Dependencies that every part of the server has: log, metrics, memory budget."""

    clock: Clock
    log: Log
    metrics: Metrics
    memory: MemoryBudget
    request_ids: RequestIdGenerator
    redact: Callable[[str], str]
    """Masks the stored credential in a client's text."""
