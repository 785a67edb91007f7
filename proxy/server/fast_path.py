"""Fast path: the response to a repeated request header, found without parsing it (D12).

There is no second parser. aiohttp and the handlers decide once what a header means; after an
ordinary hit the response is prepared, and found again by the header's bytes (`hit_table.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from math import inf
from weakref import ref

from aiohttp import web
from aiohttp.http import HttpVersion11

from proxy.cache.boards import Watch
from proxy.cache.store.store import IdentityForm, ResponseStore
from proxy.cache.verification import Sampler
from proxy.fleet.near import Near
from proxy.fleet.trust import Trust
from proxy.model import StoredResponse
from proxy.server.hit_log import HitLabels, HitLog
from proxy.server.hit_table import MAX_ENTRIES, MAX_KEY_BYTES, HitTable, has_no_secret
from proxy.server.request_context import RequestContext, ServerDeps
from proxy.server.response import WireResponse

MAX_FAST_PATH_BODY_BYTES = 256 * 1024
"""Longer bodies are sent in slices by the ordinary path, which waits for slow clients."""

_HEAD = b"%b%bAge: %d\r\nCache-Status: trello-proxy; hit; ttl=%d\r\nX-Request-Id: "
_NO_BODY = IdentityForm(b"")


@dataclass(slots=True, kw_only=True, eq=False)
class PreparedHit:
    """The responses to one header while the stored response is fresh.

    It is validated at least once a second: what may change without that stands in `respond`.
    """

    fast_path: "FastPath"
    stored: "ref[StoredResponse]"
    """Weak: the memory tier decides how long the stored response stays in memory."""
    source: "ref[StoredResponse | IdentityForm]"
    """What holds the body: the stored response, its identity form, or what the client's scope
    leaves of it."""
    lifetime_s: float
    is_watched: bool
    """Whether `lifetime_s` holds only while its boards are watched."""
    status: int
    """The stored one, or 304 if the header's own precondition is met."""
    head: bytes
    """The status line and the fields that are not the stored response's."""
    labels: HitLabels
    verifier: Sampler | None = None
    """Takes samples of hits; None if this one may not be verified."""
    _seq: int = -1
    """The store's `seq` when it was last validated."""
    _turn: int = -1
    """The memory tier's `turn` then."""
    _valid_from: float = inf
    """POSIX seconds when it was last validated: a clock set back shows an earlier time."""
    _valid_until: float = -inf
    """POSIX seconds up to which `_prefix` is right."""
    _trusted_until: float = -inf
    """Seconds of the fast path's timer up to which it was trusted then."""
    _prefix: bytes = b""
    """The response up to the request id."""

    def respond(self, peer: str) -> bytes | None:
        """The whole response; None if the stored response changed or is no longer fresh.

        Also None if a sample is due: only the ordinary path can verify the hit.
        """
        path = self.fast_path
        if path.may_serve is not None and not path.may_serve():
            return None
        if self.verifier is not None and self.verifier.wants_sample:
            return None
        started_at, now = path.timer(), path.now()
        store = path.store
        is_valid = (
            self._seq == store.epochs.seq
            and self._turn == store.memory.turn
            and self._valid_from <= now < self._valid_until
            and started_at < self._trusted_until
        )
        if not is_valid and not self._validate(now):
            return None
        source = self.source()
        if source is None:
            return None
        request_id = path.request_ids.next()
        duration_s = path.timer() - started_at
        path.hit_log.add(self.labels, peer, request_id, duration_s, now)
        return b"%b%b\r\n\r\n%b" % (self._prefix, request_id.encode(), source.body)

    def _validate(self, now: float) -> bool:
        """Whether the store would still serve this very response; notes how long that holds."""
        store, watched, stored = self.fast_path.store, self.fast_path.watched, self.stored()
        if stored is None or store.peek(stored.key) is not stored or store.is_stale_by_tag(stored):
            return False
        self._trusted_until = self.fast_path.trust.until
        if self.fast_path.timer() >= self._trusted_until:
            return False
        age_s = now - stored.requested_at
        ttl_s = self.lifetime_s - age_s
        if age_s < 0 or ttl_s <= 0 or (self.is_watched and not watched.is_current(now)):
            return False
        head = b"" if self.status == 304 else stored.head
        self._prefix = _HEAD % (self.head, head, int(age_s), int(ttl_s))
        until = now + min(1 - age_s % 1, ttl_s % 1)
        self._valid_from = now
        self._valid_until = min(until, watched.current_until) if self.is_watched else until
        self._seq, self._turn = store.epochs.seq, store.memory.turn
        return True


class FastPath:
    """Prepared hits of one listener, by request header."""

    def __init__(
        self,
        deps: ServerDeps,
        hit_log: HitLog,
        *,
        store: ResponseStore,
        watched: Watch,
        digest_key: bytes,
    ) -> None:
        self.store = store
        self.watched = watched
        self.trust = self._always = Trust(until=inf)
        """For how long hits may be repeated at all, by `timer`; an earlier end needs `clear`."""
        self.now = deps.clock.now
        self.timer = self._monotonic = deps.clock.monotonic
        self.request_ids = deps.request_ids
        self.hit_log = hit_log
        self._digest_key = digest_key
        self._hasher = _hasher(digest_key)
        self._hits = HitTable[PreparedHit](MAX_ENTRIES, MAX_KEY_BYTES)
        self.may_serve: Callable[[], bool] | None = None
        """Whether this node may give responses now; None: always."""
        self.generation = 0
        """Grows with each `clear`: what was decided before is not prepared after it."""

    def __len__(self) -> int:
        return len(self._hits)

    def clear(self) -> None:
        """Drop every prepared hit, as after a change of the routes or client keys."""
        self._hits.clear()
        self.generation += 1

    def hasher(self, address: str, certificate_name: str) -> blake2b:
        """The hash for headers of one connection: what else decides a response is part of its key.

        `address`: of a trusted proxy, `certificate_name`: of the client's certificate; or empty.
        Bytes behind a header are the client's choice, so none of this may be written there.
        """
        if not address and not certificate_name:
            return self._hasher
        sender = f"{address}\0{certificate_name}".encode()
        return _hasher(blake2b(sender, key=self._digest_key, digest_size=32).digest())

    def use(
        self, store: ResponseStore, watched: Watch, may_serve: Callable[[], bool] | None
    ) -> None:
        """Repeat hits of another store, while `may_serve` is true."""
        self.store, self.watched, self.may_serve = store, watched, may_serve
        self.timer, self.trust = self._monotonic, self._always
        self.clear()

    def use_near(self, near: Near) -> None:
        """Repeat hits of a near cache, while it may be used."""
        self.use(near.store, near.watch, None)
        self.timer, self.trust = near.timer, near.trust

    def respond(self, header: bytes, peer: str, hasher: blake2b) -> bytes | None:
        """The response, which is counted and logged; None if the header must be parsed."""
        key, hit = header, None
        if hasher is self._hasher:
            hit = self._hits.get(header)
        if hit is None:
            key = _digest(header, hasher)
            hit = self._hits.get(key)
            if hit is None:
                return None
        self._hits.use(key)
        response = hit.respond(peer)
        if response is None:
            self._hits.drop(key)
        return response

    def remember(
        self,
        header: bytes,
        hasher: blake2b,
        request: web.BaseRequest,
        context: RequestContext,
        response: WireResponse,
    ) -> None:
        """Prepare the hit for this header, if it alone decides the response."""
        hit = response.hit
        is_current = context.generation == self.generation
        if hit is None or not is_current or not _is_eligible(request):
            return
        source = self._source_of(response, hit.shown)
        if source is None:
            return
        own = response.head.removeprefix(hit.shown.head)
        sent_bytes = 0 if response.status == 304 else response.content_length_bytes or 0
        prepared = PreparedHit(
            fast_path=self,
            stored=ref(hit.stored),
            source=ref(source),
            lifetime_s=hit.lifetime_s,
            is_watched=hit.is_watched,
            status=response.status,
            head=response.status_line() + own,
            labels=self.hit_log.labels(context, response.status, sent_bytes),
            verifier=hit.verifier,
        )
        is_plain = hasher is self._hasher and _is_secretless(header, request, context)
        self._hits.put(header if is_plain else _digest(header, hasher), prepared)

    def _source_of(
        self, response: WireResponse, shown: StoredResponse
    ) -> StoredResponse | IdentityForm | None:
        """What holds the body of a response made from `shown`; None if it is sent in slices."""
        if response.status == 304:
            return _NO_BODY
        plain = self.store.memory.plain(shown)
        if plain is not None and response.content is plain.body:
            return plain
        is_short = len(shown.body) <= MAX_FAST_PATH_BODY_BYTES
        return shown if response.content is shown.body and is_short else None


def _is_eligible(request: web.BaseRequest) -> bool:
    """Whether equal headers get equal responses, except for age and request id."""
    return (
        request.method == "GET"
        and request.version == HttpVersion11
        and request.keep_alive
        and not request.body_exists
        and "X-Request-Id" not in request.headers
        and "traceparent" not in request.headers
        and "Expect" not in request.headers
    )


def _is_secretless(header: bytes, request: web.BaseRequest, context: RequestContext) -> bool:
    """Whether the header, of an anonymous client, holds no credential."""
    is_anonymous = context.client.source == "anonymous"
    is_anonymous = is_anonymous and not any(each.locations for each in context.credentials_sent)
    return is_anonymous and has_no_secret(header, (name for name, _ in request.raw_headers))


def _hasher(key: bytes) -> blake2b:
    return blake2b(digest_size=16, key=key)


def _digest(header: bytes, hasher: blake2b) -> bytes:
    hashing = hasher.copy()
    hashing.update(header)
    return hashing.digest()
