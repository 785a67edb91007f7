"""Fast path: the response to a repeated request header, found without parsing it (D12).

There is no second parser. aiohttp and the handlers decide once what a header means; after an
ordinary hit the response is prepared, and found again by a digest of the header's bytes. The digest
is keyed per process: a header may hold a client's credential, which must not be guessable from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from weakref import ref

from aiohttp import web
from aiohttp.http import HttpVersion11

from proxy.cache.boards import WatchedBoards
from proxy.cache.store.store import ResponseStore
from proxy.cache.verification import HitVerifier
from proxy.model import StoredResponse
from proxy.runtime.lru import LruDict
from proxy.server.hit_log import HitLabels, HitLog
from proxy.server.request_context import RequestContext, ServerDeps
from proxy.server.response import WireResponse

MAX_FAST_PATH_BODY_BYTES = 256 * 1024
"""Longer bodies are sent in slices by the ordinary path, which waits for slow clients."""
MAX_ENTRIES = 20_000
"""Prepared hits of one listener; the least recently used are evicted."""

_HEAD = b"%b%bAge: %d\r\nCache-Status: trello-proxy; hit; ttl=%d\r\nX-Request-Id: "


@dataclass(slots=True, kw_only=True)
class PreparedHit:
    """The constant part of the responses to one header while the stored response is fresh."""

    fast_path: "FastPath"
    stored: "ref[StoredResponse]"
    """Weak: the memory tier decides how long the stored response stays in memory."""
    lifetime_s: float
    is_watched: bool
    """Whether `lifetime_s` holds only while its boards are watched."""
    status: int
    """The stored one, or 304 if the header's own precondition is met."""
    is_inflated: bool
    """Whether the client is sent the identity form of a gzip body."""
    head: bytes
    """The status line and the fields that are not the stored response's."""
    labels: HitLabels
    verifier: HitVerifier | None = None
    """Takes samples of hits; None if this one may not be verified."""
    shown: "ref[StoredResponse] | None" = None
    """What the client's scope leaves of the stored response; None for all."""
    _seq: int = -1
    """The store's `seq` when the stored response was last found valid."""
    _age_and_ttl_s: tuple[int, int] = (-1, -1)
    """Those in `_header_cache`."""
    _header_cache: bytes = b""

    def respond(self, peer: str) -> bytes | None:
        """The whole response; None if the stored response changed or is no longer fresh.

        Also None if a sample is due: only the ordinary path can verify the hit.
        """
        path = self.fast_path
        if path.may_serve is not None and not path.may_serve():
            return None
        if self.verifier is not None and self.verifier.wants_sample:
            return None
        started_at = path.clock.monotonic()
        now = path.clock.now()
        stored = self.stored()
        if stored is None:
            return None
        age_s = now - stored.requested_at
        if not self._is_fresh(age_s, now) or not self._is_valid(stored):
            return None
        age_and_ttl_s = int(age_s), int(self.lifetime_s - age_s)
        if age_and_ttl_s != self._age_and_ttl_s:
            self._age_and_ttl_s = age_and_ttl_s
            head = b"" if self.status == 304 else stored.head
            self._header_cache = _HEAD % (self.head, head, *age_and_ttl_s)
        body = self._body(stored)
        if body is None:
            return None
        request_id = path.request_ids.next()
        duration_s = path.clock.monotonic() - started_at
        path.hit_log.add(self.labels, peer, request_id, duration_s, now)
        return b"%b%b\r\n\r\n%b" % (self._header_cache, request_id.encode(), body)

    def _body(self, stored: StoredResponse) -> bytes | None:
        """The body to send; None if its identity form, or what is left of it, was evicted."""
        if self.status == 304:
            return b""
        if self.shown is not None:
            shown = self.shown()
            return shown.body if shown is not None else None
        return self.fast_path.store.memory.plain(stored) if self.is_inflated else stored.body

    def _is_fresh(self, age_s: float, now: float) -> bool:
        return 0 <= age_s < self.lifetime_s and (
            not self.is_watched or self.fast_path.watched.is_current(now)
        )

    def _is_valid(self, stored: StoredResponse) -> bool:
        """Whether the store would still serve this very response, and it is not marked stale."""
        store = self.fast_path.store
        if store.seq == self._seq:
            return store.memory.get(stored.key) is stored
        if store.peek(stored.key) is not stored or store.is_stale_by_tag(stored):
            return False
        self._seq = store.seq
        return True


class FastPath:
    """Prepared hits of one listener, by the digest of the request header."""

    def __init__(
        self,
        deps: ServerDeps,
        hit_log: HitLog,
        *,
        store: ResponseStore,
        watched: WatchedBoards,
        digest_key: bytes,
        max_entries: int = MAX_ENTRIES,
    ) -> None:
        self.store = store
        self.watched = watched
        self.clock = deps.clock
        self.request_ids = deps.request_ids
        self.hit_log = hit_log
        self._digest_key = digest_key
        self._entries = LruDict[bytes, PreparedHit](max_entries)
        self.may_serve: Callable[[], bool] | None = None
        """Whether this node may give responses now; None: always."""
        self.generation = 0
        """Grows with each `clear`: what was decided before is not prepared after it."""

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Drop every prepared hit, as after a change of the routes or client keys."""
        self._entries.clear()
        self.generation += 1

    def digest_key(self, address: str, certificate_name: str) -> bytes:
        """The key for headers of one connection: what else decides the response is part of it.

        `address`: of a trusted proxy, `certificate_name`: of the client's certificate; or empty.
        Bytes behind a header are the client's choice, so none of this may be written there.
        """
        if not address and not certificate_name:
            return self._digest_key
        sender = f"{address}\0{certificate_name}".encode()
        return blake2b(sender, key=self._digest_key, digest_size=32).digest()

    def use(self, store: ResponseStore, watched: WatchedBoards) -> None:
        """Repeat hits of another store."""
        self.store, self.watched = store, watched
        self.clear()

    def respond(self, header: bytes, peer: str, digest_key: bytes) -> tuple[bytes, bytes | None]:
        """The header's digest, and the response, which is counted and logged.

        The response is None if the header must be parsed.
        """
        digest = blake2b(header, digest_size=16, key=digest_key).digest()
        prepared = self._entries.get(digest)
        if prepared is None:
            return digest, None
        self._entries.move_to_end(digest)
        response = prepared.respond(peer)
        if response is None:
            self._entries.pop(digest, None)
        return digest, response

    def remember(
        self,
        digest: bytes,
        request: web.BaseRequest,
        context: RequestContext,
        response: WireResponse,
    ) -> None:
        """Prepare the hit for the header with this digest, if the header alone decides it."""
        hit = response.hit
        is_current = context.generation == self.generation
        if hit is None or not is_current or not _is_eligible(request):
            return
        stored, body = hit.shown, response.content
        is_inflated = stored.gzip and body is self.store.memory.plain(stored)
        is_whole = is_inflated or (
            body is stored.body and len(stored.body) <= MAX_FAST_PATH_BODY_BYTES
        )
        if not is_whole and response.status != 304:
            return
        own = response.head.removeprefix(stored.head) if is_whole else response.head
        sent_bytes = 0 if response.status == 304 else response.content_length_bytes or 0
        self._entries[digest] = PreparedHit(
            fast_path=self,
            stored=ref(hit.stored),
            shown=None if stored is hit.stored else ref(stored),
            lifetime_s=hit.lifetime_s,
            is_watched=hit.is_watched,
            status=response.status,
            is_inflated=is_inflated,
            head=response.status_line() + own,
            labels=self.hit_log.labels(context, response.status, sent_bytes),
            verifier=hit.verifier,
        )


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
