"""What is told of one request, gathered on its way."""

from dataclasses import dataclass, field
from typing import Protocol

from proxy.credentials.extraction import ExtractedCredential
from proxy.http_semantics.trace_context import TraceContext
from proxy.model import Outcome
from proxy.runtime.memory_budget import Hold
from proxy.trello.message import UpstreamTiming

NO_ROUTE = "-"


class Counter(Protocol):
    """What counts a request besides the metrics of all."""

    def count_one(self, now: float) -> None: ...


@dataclass(slots=True)
class RequestContext:
    """Becomes the log line and the metrics of one request."""

    request_id: str
    client_address: str
    """The address it came from."""
    method: str
    user_agent: str
    """The client's name for itself."""
    hold: Hold
    """What the request has of the memory that is held for clients; until its response was sent."""
    started_at: float
    """On the clock that never runs backwards, in seconds."""
    route: str = NO_ROUTE
    """The route template: bounded, and free of ids."""
    outcome: Outcome = field(default_factory=Outcome)
    timing: UpstreamTiming = field(default_factory=UpstreamTiming)
    trace: TraceContext | None = None
    credentials_sent: tuple[ExtractedCredential, ...] = ()
    """The credentials that it came with."""
    credential_counters: tuple[Counter, ...] = ()
    """What counted them; the same header counts again."""

    @property
    def server_timing(self) -> UpstreamTiming | None:
        """Its parts, where Trello was asked; what is asked in the background keeps nobody."""
        return self.timing if self.timing.was_sent and not self.outcome.hit else None


class RequestIdGenerator:
    """Ids that are unique to this process and cheap: a random prefix and a count."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0

    def next(self) -> str:
        self._count += 1
        return f"{self._prefix}-{self._count:x}"
