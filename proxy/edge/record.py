"""What is told of one request, gathered on its way."""

from dataclasses import dataclass, field
from typing import Protocol

from proxy.flow.ask import Timing
from proxy.memory_budget import Hold
from proxy.model import Outcome
from proxy.policy.credentials import Found
from proxy.policy.trace import Trace

NO_ROUTE = "-"


class Counted(Protocol):
    """What counts a request besides the metrics of all."""

    def add(self, now: float) -> None: ...


@dataclass(slots=True)
class Record:
    """Becomes the log line and the metrics of one request."""

    request_id: str
    client: str
    """The address it came from."""
    method: str
    tool: str
    """The client's name for itself."""
    hold: Hold
    """What the request has of the memory that is held for clients; until its response was sent."""
    began: float
    """On the clock that never runs backwards, in seconds."""
    route: str = NO_ROUTE
    """The route template: bounded, and free of ids."""
    outcome: Outcome = field(default_factory=Outcome)
    timing: Timing = field(default_factory=Timing)
    trace: Trace | None = None
    carried: tuple[Found, ...] = ()
    """The credentials that it came with."""
    sightings: tuple[Counted, ...] = ()
    """What counted them; the same header counts again."""

    @property
    def told_timing(self) -> Timing | None:
        """Its parts, where Trello was asked; what is asked in the background keeps nobody."""
        return self.timing if self.timing.asked and not self.outcome.hit else None


class RequestIds:
    """Ids that are unique to this process and cheap: a random prefix and a count."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0

    def next(self) -> str:
        self._count += 1
        return f"{self._prefix}-{self._count:x}"
