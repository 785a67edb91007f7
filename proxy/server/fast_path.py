"""Fast path: the response to a repeated request header, found without parsing it (D12).

There is no second parser. aiohttp and the handlers decide once what a header means; after an
ordinary hit the response is prepared, and found again by the header's bytes (`hit_table.py`).
"""

import re
from collections.abc import Callable
from hashlib import blake2b
from weakref import ref

from aiohttp import web
from aiohttp.http import HttpVersion11

from proxy.cache.boards import Watch
from proxy.cache.store.store import IdentityForm, ResponseStore
from proxy.fleet.near import Near
from proxy.model import Outcome, StoredResponse
from proxy.server.aiohttp_connection import ResponseParts
from proxy.server.hit_log import HitLog
from proxy.server.hit_table import (
    MAX_ENTRIES,
    MAX_FILES,
    MAX_KEY_BYTES,
    HitTable,
    has_no_secret,
)
from proxy.server.prepared_hit import HitSource, PreparedFile, PreparedHit
from proxy.server.request_context import RequestContext, ServerDeps
from proxy.server.response import CachedFile, CachedHit, WireResponse

MAX_FAST_PATH_BODY_BYTES = 256 * 1024
"""Longer bodies are sent in slices by the ordinary path, which waits for slow clients."""

_PREFIX = b"GET /1/"
_MAX_HEADER_BYTES = 4096
_NO_BODY = IdentityForm(b"")
_RANGE = re.compile(rb"\r\nRange:([\t\x20-\x7e\x80-\xff]*)(?=\r\n[^ \t])", re.IGNORECASE)
"""One whole field line as RFC 9110 §5.5 allows it: none that the next one continues, and none with
a control character, which the parser refuses."""


def may_repeat(header: bytes) -> bool:
    """Whether the fast path knows such headers."""
    return len(header) <= _MAX_HEADER_BYTES and header.startswith(_PREFIX)


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
        self.source = HitSource(deps.clock, store, watched)
        self.hit_log = hit_log
        self._request_ids = deps.request_ids
        self._client_stats = deps.metrics.client_stats
        self._digest_key = digest_key
        self._hasher = _hasher(digest_key)
        self._hits = HitTable[PreparedHit](MAX_ENTRIES, MAX_KEY_BYTES)
        self._files = HitTable[PreparedFile](MAX_FILES, MAX_KEY_BYTES)
        self.generation = 0
        """Grows with each `clear`: what was decided before is not prepared after it."""

    def __len__(self) -> int:
        return len(self._hits) + len(self._files)

    def clear(self) -> None:
        """Drop every prepared hit, as after a change of the routes or client keys."""
        self._hits.clear()
        self._files.clear()
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
        """As HitSource.use."""
        self.source.use(store, watched, may_serve)
        self.clear()

    def use_near(self, near: Near) -> None:
        """As HitSource.use_near."""
        self.source.use_near(near)
        self.clear()

    def respond(self, header: bytes, peer: str, hasher: blake2b) -> ResponseParts | None:
        """The response, which is counted and logged; None if the header must be parsed."""
        key, hit = header, None
        if hasher is self._hasher:
            hit = self._hits.get(header)
        if hit is None:
            if not may_repeat(header):
                return None
            key = _digest(header, hasher)
            hit = self._hits.get(key)
            if hit is None:
                file = self._find_file(header, hasher)
                return None if file is None else file.respond(_range_of(header), peer)
        validated_at = hit.validated_at
        response = hit.respond(peer)
        if response is None:
            self._hits.drop(key)
        elif hit.validated_at != validated_at:
            self._hits.use(key)  # about once a second: an order to the second is enough
        return response

    async def stream_file(
        self,
        request: web.BaseRequest,
        header: bytes,
        hasher: blake2b,
        context: RequestContext,
    ) -> WireResponse | None:
        """The file for this header; `context` gets client, route and outcome. ClientBusy."""
        file = self._find_file(header, hasher)
        if file is None:
            return None
        context.client, context.route = file.client, file.route
        context.hold.assign(context.client_id)
        response = await file.stream(request.headers.get("Range", ""))
        if response is None:
            return None
        now, context.outcome = self.source.now(), Outcome(hit=True)
        for usage in file.usages:
            usage.use(now)
        self._client_stats.count_request(context.client_name, now)
        response.dynamic_headers += b"Cache-Status: trello-proxy; hit\r\n"
        return response

    def _find_file(self, header: bytes, hasher: blake2b) -> PreparedFile | None:
        """The prepared file for this header, whatever range of it is asked for."""
        if b"/attachments/" not in header:
            return None
        key = _digest(_without_range(header), hasher)
        found = self._files.get(key)
        if found is not None:
            self._files.use(key)
        return found

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
        if response.file is not None:
            file = self._prepare_file(hit, response.file, context, response)
            self._files.put(_digest(_without_range(header), hasher), file)
            return
        body = self._body_of(response, hit.shown)
        if body is None:
            return
        own = response.head.removeprefix(hit.shown.head)
        sent_bytes = 0 if response.status == 304 else response.content_length_bytes or 0
        prepared = PreparedHit(
            source=self.source,
            stored=ref(hit.stored),
            lifetime_s=hit.lifetime_s,
            is_watched=hit.is_watched,
            body=ref(body),
            status=response.status,
            head=response.status_line() + own,
            labels=self.hit_log.labels(context, response.status),
            sent_bytes=sent_bytes,
            request_ids=self._request_ids,
            hit_log=self.hit_log,
            verifier=hit.verifier,
        )
        is_plain = hasher is self._hasher and _is_secretless(header, request, context)
        self._hits.put(header if is_plain else _digest(header, hasher), prepared)

    def _prepare_file(
        self, hit: CachedHit, file: CachedFile, context: RequestContext, response: WireResponse
    ) -> PreparedFile:
        return PreparedFile(
            source=self.source,
            stored=ref(hit.stored),
            lifetime_s=hit.lifetime_s,
            is_watched=hit.is_watched,
            file=file,
            head=response.head,
            client=context.client,
            route=context.route,
            labels={status: self.hit_log.labels(context, status) for status in (200, 206)},
            request_ids=self._request_ids,
            hit_log=self.hit_log,
        )

    def _body_of(
        self, response: WireResponse, shown: StoredResponse
    ) -> StoredResponse | IdentityForm | None:
        """What holds the body of a response made from `shown`; None if it is sent in slices."""
        if response.status == 304:
            return _NO_BODY
        plain = self.source.store.memory.plain(shown)
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


def _range_of(header: bytes) -> str:
    """The value of the field line that `_without_range` leaves out."""
    found = _RANGE.search(header)
    return found[1].decode("latin-1") if found else ""


def _without_range(header: bytes) -> bytes:
    """A whole header without its first Range field line."""
    return _RANGE.sub(b"", header, count=1)


def _digest(header: bytes, hasher: blake2b) -> bytes:
    hashing = hasher.copy()
    hashing.update(header)
    return hashing.digest()
