"""A hit, worked out once: what the same header gets again while the stored response stays fresh."""

from collections.abc import Callable
from dataclasses import dataclass
from weakref import ref

from proxy.clock import Clock
from proxy.edge.record import Counted, RequestIds
from proxy.flow.proof import Proof
from proxy.flow.watch import Watch
from proxy.log import Log, RequestLine
from proxy.metrics import Cell
from proxy.model import StoredResponse
from proxy.store.responses import Responses
from proxy.tally import Tally

PLANNED_BODY_BYTES = 256 * 1024
"""A longer body is written in slices, with the ordinary path's patience."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What every plan needs and none owns."""

    responses: Responses
    watch: Watch
    clock: Clock
    log: Log
    ids: RequestIds
    scrub: Callable[[str], str]
    tally: Tally


@dataclass(slots=True)
class HitPlan:
    """What does not change from one second to the next; the stored response itself is not held."""

    tools: Tools
    stored: "ref[StoredResponse]"
    """Not held: the memory tier decides how long it stays."""
    fresh_until: float
    """POSIX seconds."""
    is_watched: bool
    """Whether it is fresh for so long only while its boards are watched."""
    status: int
    """The stored one, or 304 when the header's own precondition made it that."""
    start: bytes
    """The status line and the fields that are not the stored response's."""
    route: str
    tool: str
    asker: str
    """The tool's name in metrics."""
    cell: Cell
    sightings: tuple[Counted, ...] = ()
    proof: Proof | None = None
    """Who asks it again now and then; None where that may not be."""
    _seq: int = -1
    _age_s: int = -1
    _told: bytes = b""

    def answer(self, peer: str) -> bytes | None:
        """The whole response; None when what is stored changed or is no longer fresh.

        None as well when a sample is due: the ordinary path has what it takes to ask again.
        """
        tools = self.tools
        if self.proof is not None and self.proof.is_due:
            return None
        began = tools.clock.monotonic()
        now = tools.clock.now()
        stored = self.stored()
        if stored is None or not self._is_fresh(stored, now) or not self._is_usable(stored):
            return None
        age_s = int(now - stored.asked_at)
        if age_s != self._age_s:
            self._tell(stored, age_s, now)
        body = b"" if self.status == 304 else stored.body
        request_id = tools.ids.next()
        duration_s = tools.clock.monotonic() - began
        tools.tally.ask(self.asker, now)
        self.cell.add(duration_s, request_id, now)
        for sighting in self.sightings:
            sighting.add(now)
        tools.log.request(
            RequestLine(
                request_id, peer, "GET", self.route, self.status, "hit", None, duration_s,
                len(body), self.tool,
            )
        )  # fmt: skip
        return b"%b%b\r\n\r\n%b" % (self._told, request_id.encode(), body)

    def _is_fresh(self, stored: StoredResponse, now: float) -> bool:
        return stored.asked_at <= now < self.fresh_until and (
            not self.is_watched or self.tools.watch.is_young(now)
        )

    def _is_usable(self, stored: StoredResponse) -> bool:
        """Whether it is still the one that the store would hand out, and not outdated."""
        responses = self.tools.responses
        if responses.seq == self._seq:
            return responses.memory.get(stored.key) is stored
        if responses.peek(stored.key) is not stored or responses.is_outdated(stored):
            return False
        self._seq = responses.seq
        return True

    def _tell(self, stored: StoredResponse, age_s: int, now: float) -> None:
        self._age_s = age_s
        head = b"" if self.status == 304 else stored.head
        ttl_s = int(self.fresh_until - now)
        self._told = b"%b%bAge: %d\r\nCache-Status: trello-proxy; hit; ttl=%d\r\nX-Request-Id: " % (
            self.start, head, age_s, ttl_s,
        )  # fmt: skip
