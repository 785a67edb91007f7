"""Prepared hits: the responses to a repeated request header while the stored response is fresh.

A prepared hit is validated at least once a second, and whenever the store has changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from weakref import ref

from proxy.access.client import Client
from proxy.attachments.body import SMALL_BYTES
from proxy.cache.boards import Watch
from proxy.cache.store.store import IdentityForm, ResponseStore
from proxy.cache.verification import Sampler
from proxy.fleet.near import Near
from proxy.fleet.trust import Trust
from proxy.http_semantics.conditional import Unsatisfiable, Whole
from proxy.model import StoredResponse
from proxy.runtime.clock import Clock
from proxy.server.aiohttp_connection import HEADER_END, ResponseParts
from proxy.server.hit_log import HitLabels, HitLog
from proxy.server.request_context import Counter, RequestIdGenerator
from proxy.server.response import CachedFile, WireResponse, file_response, range_line

_WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n"
_PART = b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\n"
_LAST = b"Cache-Status: trello-proxy; hit\r\nX-Request-Id: %b\r\n\r\n"
_HEAD = b"%b%bAge: %d\r\nCache-Status: trello-proxy; hit; ttl=%d\r\nX-Request-Id: "


class HitSource:
    """The store whose hits one listener repeats, and whether it may repeat them now."""

    def __init__(self, clock: Clock, store: ResponseStore, watched: Watch) -> None:
        self.store = store
        self.watched = watched
        self.trust = self._always = Trust(until=inf)
        """For how long hits may be repeated at all, by `timer`; an earlier end needs `clear`."""
        self.now = clock.now
        self.timer = self._monotonic = clock.monotonic
        self.may_serve: Callable[[], bool] | None = None
        """Whether this node may give responses now; None: always."""

    def use(
        self, store: ResponseStore, watched: Watch, may_serve: Callable[[], bool] | None
    ) -> None:
        """Repeat hits of another store, while `may_serve` is true."""
        self.store, self.watched, self.may_serve = store, watched, may_serve
        self.timer, self.trust = self._monotonic, self._always

    def use_near(self, near: Near) -> None:
        """Repeat hits of a near cache, while it may be used."""
        self.use(near.store, near.watch, None)
        self.timer, self.trust = near.timer, near.trust


@dataclass(slots=True, kw_only=True, eq=False)
class Prepared:
    """What may be repeated while a stored response is fresh and unchanged."""

    source: HitSource
    stored: "ref[StoredResponse]"
    """Weak: the memory tier decides how long the stored response stays in memory."""
    lifetime_s: float
    is_watched: bool
    """Whether `lifetime_s` holds only while its boards are watched."""
    _seq: int = -1
    """The store's `seq` when it was last validated."""
    _turn: int = -1
    """The memory tier's `turn` then."""
    validated_at: float = inf
    """POSIX seconds of the last validation: a clock set back shows an earlier time."""
    _valid_until: float = -inf
    """POSIX seconds up to which its age in whole seconds is the same."""
    _trusted_until: float = -inf
    """Seconds of the source's timer up to which it was trusted then."""

    def is_valid(self, started_at: float, now: float) -> bool:
        """Whether it may be repeated at `started_at`, on the source's timer; `now`: POSIX seconds.

        What may change without the store's notice is looked at each time, all else in `_validate`.
        """
        source = self.source
        if source.may_serve is not None and not source.may_serve():
            return False
        store = source.store
        return (
            self._seq == store.epochs.seq
            and self._turn == store.memory.turn
            and self.validated_at <= now < self._valid_until
            and started_at < self._trusted_until
        ) or self._validate(now)

    def _validate(self, now: float) -> bool:
        """Whether the store would still serve this very response; notes how long that holds."""
        store, watched, stored = self.source.store, self.source.watched, self.stored()
        if stored is None or store.peek(stored.key) is not stored or store.is_stale_by_tag(stored):
            return False
        self._trusted_until = self.source.trust.until
        if self.source.timer() >= self._trusted_until:
            return False
        age_s = now - stored.requested_at
        ttl_s = self.lifetime_s - age_s
        if age_s < 0 or ttl_s <= 0 or (self.is_watched and not watched.is_current(now)):
            return False
        until = now + min(1 - age_s % 1, ttl_s % 1)
        self.validated_at = now
        self._valid_until = min(until, watched.current_until) if self.is_watched else until
        self._seq, self._turn = store.epochs.seq, store.memory.turn
        self._on_valid(stored, int(age_s), int(ttl_s))
        return True

    def _on_valid(self, stored: StoredResponse, age_s: int, ttl_s: int) -> None:
        """Called with the stored response and its age whenever it has been validated."""


@dataclass(slots=True, kw_only=True, eq=False)
class PreparedHit(Prepared):
    """The whole response to one header, but for age and request id."""

    body: "ref[StoredResponse | IdentityForm]"
    """What holds the body: the stored response, its identity form, or what the client's scope
    leaves of it."""
    status: int
    """The stored one, or 304 if the header's own precondition is met."""
    head: bytes
    """The status line and the fields that are not the stored response's."""
    labels: HitLabels
    sent_bytes: int
    """Of the body."""
    request_ids: RequestIdGenerator
    hit_log: HitLog
    verifier: Sampler | None = None
    """Takes samples of hits; None if this one may not be verified."""
    _prefix: bytes = b""
    """The response up to the request id."""

    def respond(self, peer: str) -> ResponseParts | None:
        """The whole response; None if the stored response changed or is no longer fresh.

        Also None if a sample is due: only the ordinary path can verify the hit.
        """
        if self.verifier is not None and self.verifier.wants_sample:
            return None
        source = self.source
        started_at, now = source.timer(), source.now()
        if not self.is_valid(started_at, now):
            return None
        holder = self.body()
        if holder is None:
            return None
        request_id = self.request_ids.next()
        duration_s = source.timer() - started_at
        self.hit_log.add(self.labels, peer, request_id, duration_s, now, self.sent_bytes)
        return self._prefix + request_id.encode() + HEADER_END, holder.body

    def _on_valid(self, stored: StoredResponse, age_s: int, ttl_s: int) -> None:
        head = b"" if self.status == 304 else stored.head
        self._prefix = _HEAD % (self.head, head, age_s, ttl_s)


@dataclass(slots=True, kw_only=True, eq=False)
class PreparedFile(Prepared):
    """The response to one header but for its Range: the file of an attachment (D83).

    `stored` is the metadata by which the client may read it.
    """

    file: CachedFile
    head: bytes
    """All fields but Content-Range, Content-Length and those of each response."""
    client: Client
    route: str
    labels: Mapping[int, HitLabels]
    """By status: 200 and 206."""
    request_ids: RequestIdGenerator
    hit_log: HitLog

    def respond(self, range_: str, peer: str) -> ResponseParts | None:
        """The whole response with a Range field value, if that is short and can be read now.

        None if it must be sent in pieces, or the header must be parsed.
        """
        source, file = self.source, self.file
        started_at, now = source.timer(), source.now()
        part = file.part(range_)
        if isinstance(part, Unsatisfiable) or not self.is_valid(started_at, now):
            return None
        start, end = (0, file.length) if isinstance(part, Whole) else (part.start, part.end)
        data = file.read(start, end) if end - start <= SMALL_BYTES else None
        if data is None:
            return None
        request_id = self.request_ids.next()
        head = (_WHOLE if isinstance(part, Whole) else _PART) % len(data)
        ranged = b"" if isinstance(part, Whole) else range_line(part, file.length)
        last = _LAST % request_id.encode()
        duration_s = source.timer() - started_at
        labels = self.labels[200 if isinstance(part, Whole) else 206]
        self.hit_log.add(labels, peer, request_id, duration_s, now, len(data))
        return b"".join((head, self.head, ranged, last)), data

    @property
    def usages(self) -> tuple[Counter, ...]:
        """Counters of the client key or the credentials that the header carries."""
        return self.labels[200].usages

    async def stream(self, range_: str) -> WireResponse | None:
        """The response with a Range field value; None if the header's meaning must be decided."""
        part = self.file.part(range_)
        if isinstance(part, Unsatisfiable):
            return None
        is_valid = self.is_valid(self.source.timer(), self.source.now())
        body = self.file.open() if is_valid else None
        if body is None:
            return None
        return file_response(self.head, body, part, self.file.length)
