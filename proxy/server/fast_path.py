"""A hit, worked out once: what the same header gets again while the stored response stays fresh."""

from collections.abc import Callable
from dataclasses import dataclass
from weakref import ref

from proxy.cache.store.store import ResponseStore
from proxy.cache.verification import HitVerifier
from proxy.cache.watched_boards import WatchedBoards
from proxy.model import StoredResponse
from proxy.observability.client_stats import ClientStats
from proxy.observability.log import Log, RequestLine
from proxy.observability.metrics import RequestCounter
from proxy.runtime.clock import Clock
from proxy.runtime.memory_budget import MemoryBudget
from proxy.server.request_context import Counter, RequestIdGenerator

MAX_FAST_PATH_BODY_BYTES = 256 * 1024
"""A longer body is written in slices, with the ordinary path's patience."""

_HEAD = b"%b%bAge: %d\r\nCache-Status: trello-proxy; hit; ttl=%d\r\nX-Request-Id: "


@dataclass(frozen=True, slots=True)
class FastPathDeps:
    """What every plan needs and none owns."""

    store: ResponseStore
    watched: WatchedBoards
    clock: Clock
    log: Log
    request_ids: RequestIdGenerator
    redact: Callable[[str], str]
    client_stats: ClientStats
    memory: MemoryBudget


@dataclass(slots=True)
class PreparedHit:
    """What does not change from one second to the next; the stored response itself is not held."""

    deps: FastPathDeps
    stored: "ref[StoredResponse]"
    """Not held: the memory tier decides how long it stays."""
    lifetime_s: float
    is_watched: bool
    """Whether it is fresh for so long only while its boards are watched."""
    status: int
    """The stored one, or 304 when the header's own precondition made it that."""
    is_inflated: bool
    """Whether the client gets the identity form of a gzip body."""
    head: bytes
    """The status line and the fields that are not the stored response's."""
    route: str
    user_agent: str
    client: str
    """The tool's name in metrics."""
    metric: RequestCounter
    usages: tuple[Counter, ...] = ()
    verifier: HitVerifier | None = None
    """Who asks it again now and then; None where that may not be."""
    _seq: int = -1
    _told_s: tuple[int, int] = (-1, -1)
    """The age and the seconds that are left, as they were told last."""
    _header_cache: bytes = b""

    def respond(self, peer: str) -> bytes | None:
        """The whole response; None when what is stored changed or is no longer fresh.

        None as well when a sample is due: the ordinary path has what it takes to ask again.
        """
        tools = self.deps
        if self.verifier is not None and self.verifier.wants_sample:
            return None
        began = tools.clock.monotonic()
        now = tools.clock.now()
        stored = self.stored()
        if stored is None:
            return None
        age_s = now - stored.requested_at
        if not self._is_fresh(age_s, now) or not self._is_usable(stored):
            return None
        told_s = int(age_s), int(self.lifetime_s - age_s)
        if told_s != self._told_s:
            self._log_request(stored, told_s)
        body = self._body(stored)
        if body is None:
            return None
        request_id = tools.request_ids.next()
        duration_s = tools.clock.monotonic() - began
        tools.client_stats.count_request(self.client, now)
        self.metric.add(duration_s, request_id, now)
        for usage in self.usages:
            usage.count_one(now)
        tools.log.request(
            RequestLine(
                request_id, peer, "GET", self.route, self.status, "hit", None, duration_s,
                len(body), self.user_agent,
            )
        )  # fmt: skip
        return b"%b%b\r\n\r\n%b" % (self._header_cache, request_id.encode(), body)

    def _body(self, stored: StoredResponse) -> bytes | None:
        """What is sent; None when the identity form was evicted."""
        if self.status == 304:
            return b""
        return self.deps.store.memory.plain(stored) if self.is_inflated else stored.body

    def _is_fresh(self, age_s: float, now: float) -> bool:
        return 0 <= age_s < self.lifetime_s and (
            not self.is_watched or self.deps.watched.is_current(now)
        )

    def _is_usable(self, stored: StoredResponse) -> bool:
        """Whether it is still the one that the store would hand out, and not outdated."""
        responses = self.deps.store
        if responses.seq == self._seq:
            return responses.memory.get(stored.key) is stored
        if responses.peek(stored.key) is not stored or responses.is_stale_by_tag(stored):
            return False
        self._seq = responses.seq
        return True

    def _log_request(self, stored: StoredResponse, told_s: tuple[int, int]) -> None:
        self._told_s = told_s
        head = b"" if self.status == 304 else stored.head
        self._header_cache = _HEAD % (self.head, head, *told_s)
