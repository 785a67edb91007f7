"""A hit, worked out once: what the same header gets again while the stored response stays fresh."""

from dataclasses import dataclass

from proxy.clock import Clock
from proxy.edge.record import RequestIds
from proxy.log import Log, RequestLine
from proxy.metrics import Cell
from proxy.model import CacheKey, StoredResponse
from proxy.store.responses import Responses

PLANNED_BODY_BYTES = 256 * 1024
"""A longer body is written in slices, with the ordinary path's patience."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What every plan needs and none owns."""

    responses: Responses
    clock: Clock
    log: Log
    ids: RequestIds


@dataclass(slots=True)
class HitPlan:
    """What does not change from one second to the next; the stored response itself is not held."""

    tools: Tools
    key: CacheKey
    asked_at: float
    fresh_until: float
    """POSIX seconds, as `asked_at`, which tells one stored response under the key from the next."""
    status: int
    """200, or 304 when the header's own precondition made it one."""
    start: bytes
    """The status line and the fields that are not the stored response's."""
    route: str
    tool: str
    cell: Cell
    _seq: int = -1
    _age_s: int = -1
    _told: bytes = b""

    def answer(self, peer: str) -> bytes | None:
        """The whole response; None when what is stored changed or is no longer fresh."""
        tools = self.tools
        began = tools.clock.monotonic()
        now = tools.clock.now()
        stored = self._current()
        if stored is None or now >= self.fresh_until:
            return None
        age_s = int(max(0.0, now - self.asked_at))
        if age_s != self._age_s:
            self._tell(stored, age_s, now)
        body = stored.body if self.status == 200 else b""
        request_id = tools.ids.next()
        duration_s = tools.clock.monotonic() - began
        self.cell.add(duration_s)
        tools.log.request(
            RequestLine(
                request_id, peer, "GET", self.route, self.status, "hit", None, duration_s,
                len(body), self.tool,
            )
        )  # fmt: skip
        return b"%b%b\r\n\r\n%b" % (self._told, request_id.encode(), body)

    def _current(self) -> StoredResponse | None:
        """The stored response this was worked out for, if it is still the one."""
        responses = self.tools.responses
        if responses.seq == self._seq:
            stored = responses.memory.get(self.key)
        else:
            stored = responses.peek(self.key)
            self._seq = responses.seq
        return stored if stored is not None and stored.asked_at == self.asked_at else None

    def _tell(self, stored: StoredResponse, age_s: int, now: float) -> None:
        self._age_s = age_s
        head = stored.head if self.status == 200 else b""
        ttl_s = int(self.fresh_until - now)
        self._told = b"%b%bAge: %d\r\nCache-Status: trello-proxy; hit; ttl=%d\r\nX-Request-Id: " % (
            self.start, head, age_s, ttl_s,
        )  # fmt: skip
