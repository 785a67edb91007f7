"""API handler: from the HTTP request to an ApiRequest, from the ApiResponse to HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import inf

from aiohttp import web

from proxy.access.visible import NotVisible, Visible
from proxy.access.write_references import upload_parts
from proxy.attachments.board_export import BoardExport
from proxy.cache.batch import BatchService
from proxy.cache.lookup import StoredLookup
from proxy.cache.policy import (
    age_of,
    may_verify,
)
from proxy.cache.read_through import ReadThrough
from proxy.cache.scoping.scoped_service import refused
from proxy.cache.scoping.scoping import Scoping
from proxy.cache.store.codec import dumps
from proxy.cache.store.store import MemoryTier
from proxy.cache.verification import HitVerifier
from proxy.cache.write_through import WriteThrough
from proxy.errors import NoTokenGiven, OutsideScope, UpstreamError
from proxy.fleet.giver import Giver
from proxy.http_semantics.cache_control import cache_status
from proxy.http_semantics.conditional import etag_for_encoding, not_modified
from proxy.http_semantics.content import PIECE_BYTES, Gunzip, accepts_gzip, gunzip, identity_length
from proxy.http_semantics.fields import quota_fields, serialize
from proxy.links.rewrite import file_in_route
from proxy.links.signing import LinkSigner, strip_signature
from proxy.model import Detail, Kind, StoredResponse
from proxy.pages.authorize import authorize_page, authorize_text
from proxy.ratelimit.limiter import RateLimiter
from proxy.runtime.clock import Clock
from proxy.runtime.memory_budget import Hold
from proxy.runtime.tasks import run_for_client
from proxy.server.audit_log import AuditLog
from proxy.server.fast_path import MAX_FAST_PATH_BODY_BYTES
from proxy.server.handlers.attachments import AttachmentHandler
from proxy.server.negotiation import negotiated_response, wants_page
from proxy.server.problem_details import file_refused_page
from proxy.server.request_body import RequestBody
from proxy.server.request_context import RequestContext
from proxy.server.request_parser import RequestParser
from proxy.server.response import SLICE_BYTES, WireResponse, cached_hit
from proxy.trello.message import ApiRequest, ApiResponse, BodyStream
from proxy.trello.routes import Handling, handling_of
from proxy.upstream.response_body import inflate

INFLATING_BYTES = 2 * PIECE_BYTES
"""Memory for inflating a body while it is sent: the current piece, the next, and zlib's window."""
_FOR_PROGRAMS = frozenset({"/OAuthGetAccessToken", "/OAuthGetRequestToken"})
"""Routes of OAuth libraries, which stop at a status of 400 and more (RFC 5849 §2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiHandler:
    """Handler of /1/…: parses a request, checks permission, and calls the service for its route."""

    parser: RequestParser
    reads: ReadThrough
    lookup: StoredLookup
    memory: MemoryTier
    writes: WriteThrough
    batches: BatchService
    attachments: AttachmentHandler
    exports: BoardExport
    scoping: Scoping
    audit: AuditLog
    verifier: HitVerifier
    limiter: RateLimiter
    clock: Clock
    signer: LinkSigner | None
    """Checks attachment links; None if they need no signature."""
    giver: Giver
    """At the leader of a fleet: what its followers may keep."""
    detail: Detail | None = None
    """In each Cache-Status."""

    async def handle(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """The response; ProxyError if there is none."""
        api_request, body = await self.parser.parse(request, context)
        route = api_request.match.route
        if route.kind is Kind.AUTHORIZATION_PAGE:
            keyless = self.parser.permission.is_keyless
            return authorize_notice(route.template, api_request.method, request, keyless=keyless)
        parts = self.parser.batch_parts(api_request)
        await self._check_permission(api_request, parts)
        api_request, expires_at = self._check_signature(api_request)
        visible = await self.scoping.visible_to(api_request)
        if visible is None:
            response = await self._call_service(request, context, api_request, parts, body)
        else:
            response = await self._call_scoped(
                request, context, api_request, (parts, body), visible
            )
        if isinstance(response, ApiResponse):
            context.outcome = response.outcome
            if self.detail is not None:
                context.outcome = replace(response.outcome, detail=self.detail)
            if route.kind is Kind.FILE and response.status >= 400 and wants_page(request):
                if not isinstance(response.body, bytes):
                    await response.body.aclose()
                return file_refused_page(response.status, context.request_id, request)
            response = self._render(request, context, api_request, response)
        if response.file is not None and response.hit is not None:
            response.hit = response.hit.until(expires_at)
        self._add_fields(context, api_request, response)
        return response

    def _add_fields(
        self, context: RequestContext, request: ApiRequest, response: WireResponse
    ) -> None:
        response.dynamic_headers += b"Cache-Status: %b\r\n" % cache_status(context.outcome).encode()
        if context.outcome.fwd is not None:
            response.dynamic_headers += serialize(quota_fields(self.limiter.quotas(request)))

    async def _check_permission(self, request: ApiRequest, parts: tuple[ApiRequest, ...]) -> None:
        """ClientError if the client may not do this; long requests are checked in a thread."""
        body_bytes = len(request.body) if isinstance(request.body, bytes) else 0
        size_bytes = len(request.target) + body_bytes
        await run_for_client(size_bytes, self.parser.permission.check, request, parts)

    def _check_signature(self, request: ApiRequest) -> tuple[ApiRequest, float]:
        """The request without its link signature, which is not for Trello, and when that expires.

        ClientError if links must be signed and this one is not.
        """
        file, expires_at = file_in_route(request.match), inf
        if file is None:
            return request, expires_at
        path, _, query = request.target.partition("?")
        if self.signer:
            expires_at = self.signer.check(file, query, self.clock.now())
        unsigned = strip_signature(query)
        return request.derive(target=f"{path}?{unsigned}" if unsigned else path), expires_at

    async def _call_service(
        self,
        request: web.BaseRequest,
        context: RequestContext,
        api_request: ApiRequest,
        parts: tuple[ApiRequest, ...],
        body: RequestBody,
    ) -> ApiResponse | WireResponse:
        """The response of the service for this route; `parts` are those of a batch."""
        match handling_of(api_request.match, api_request.query_names):
            case Handling.ATTACHMENT:
                return await self.attachments.handle(request, api_request, context)
            case Handling.WRITE:
                return await self._write(api_request, body, context)
            case Handling.EXPORT:
                return await self.exports.serve(api_request)
            case Handling.BATCH if parts:
                return await self.batches.serve(api_request, parts)
            case Handling.CACHED_READ:
                return await self.reads.serve(api_request)
            case _:
                return await self.reads.bypass(api_request)

    async def _call_scoped(
        self,
        request: web.BaseRequest,
        context: RequestContext,
        api_request: ApiRequest,
        received: tuple[tuple[ApiRequest, ...], RequestBody],
        visible: Visible,
    ) -> ApiResponse | WireResponse:
        """The same for a client that may see some boards only."""
        (parts, body), reads = received, self.scoping.reads
        match handling_of(api_request.match, api_request.query_names):
            case Handling.ATTACHMENT:
                metadata_request = self.attachments.metadata_request(api_request)
                try:
                    metadata = await reads.read_visible(metadata_request, visible)
                except NotVisible as refusal:
                    return refused(refusal)
                return await self.attachments.handle(request, api_request, context, metadata)
            case Handling.WRITE:
                return await self._write_scoped(api_request, body, context, visible)
            case Handling.BATCH:
                return await self.scoping.batches.serve(api_request, parts, visible)
            case _:
                return await reads.read(api_request, visible)

    async def _write_scoped(
        self, request: ApiRequest, body: RequestBody, context: RequestContext, visible: Visible
    ) -> ApiResponse:
        if body.parts is not None:
            body.parts.allow_only(upload_parts(request.match))
        elif not isinstance(request.body, bytes | None):
            raise OutsideScope("Send a form or JSON: no other body can be read before it is sent.")
        try:
            await self.scoping.reads.admit_write(request, visible)
        except NotVisible as refusal:
            return refused(refusal)
        response = await self._write(request, body, context)
        return await self.scoping.reads.filter_write(response, visible)

    async def _write(
        self, request: ApiRequest, body: RequestBody, context: RequestContext
    ) -> ApiResponse:
        self.audit.before_write(context)
        try:
            return await self.writes.serve(request)
        except UpstreamError:
            if body.failure is not None:
                raise body.failure from None
            raise

    def _render(
        self,
        request: web.BaseRequest,
        context: RequestContext,
        api_request: ApiRequest,
        served: ApiResponse,
    ) -> WireResponse:
        given = self.giver.give(api_request, served) if context.wants_stored else None
        if given is not None:
            stored, context.given = given
            if served.outcome.hit:
                self._verifier_for(api_request, stored)
            return WireResponse(200, b"", dumps(stored))
        hold = context.hold
        if served.stored is not None:
            return self._render_stored(request, hold, api_request, served, served.stored)
        # A write has been done: its response is sent even if `limits.memory` is full.
        is_read = api_request.match.route.kind is not Kind.WRITE
        if is_read and isinstance(served.body, bytes) and len(served.body) > SLICE_BYTES:
            hold.take("responses", len(served.body))
        return WireResponse(served.status, served.head, served.body, served.length)

    def _render_stored(
        self,
        request: web.BaseRequest,
        hold: Hold,
        api_request: ApiRequest,
        served: ApiResponse,
        stored: StoredResponse,
    ) -> WireResponse:
        now = self.clock.now()
        response = render_stored(request.headers, hold, stored, self.memory, now)
        response.hit = cached_hit(self.lookup, api_request, served)
        if response.hit is not None and served.whole is None:
            response.hit = replace(response.hit, verifier=self._verifier_for(api_request, stored))
        return response

    def _verifier_for(self, request: ApiRequest, stored: StoredResponse) -> HitVerifier | None:
        """The verifier, which gets this hit if a sample is due; None if it may not be verified."""
        if not may_verify(request.match, stored, own=request.uses_stored_credential):
            return None
        if self.verifier.wants_sample:
            self.verifier.offer_sample(request, stored)
        return self.verifier


def render_stored(
    headers: Mapping[str, str], hold: Hold, stored: StoredResponse, memory: MemoryTier, now: float
) -> WireResponse:
    """A stored response by the client's precondition and codings, and its age at `now`."""
    gzip = stored.gzip and accepts_gzip(headers.get("Accept-Encoding", ""))
    etag = etag_for_encoding(stored.etag, gzip=gzip)
    fields = _cache_fields(stored, etag, gzip=gzip)
    if stored.status == 200 and not_modified(headers.get("If-None-Match", ""), etag):
        response = WireResponse(304, fields)
    else:
        body, length = _body_of(stored, memory, hold, gzip=gzip)
        response = WireResponse(stored.status, stored.head + fields, body, length)
    response.dynamic_headers = b"Age: %d\r\n" % int(age_of(stored.requested_at, now))
    return response


def authorize_notice(
    template: str, method: str, request: web.BaseRequest, *, keyless: bool
) -> WireResponse:
    """200 in place of Trello's authorization page; NoTokenGiven for a program that wants a token.

    `keyless`: requests without a key and token are served.
    """
    if template in _FOR_PROGRAMS or method != "GET":
        raise NoTokenGiven(
            "None is needed: call the API without OAuth, and without a key and token."
            if keyless
            else "Get one from https://trello.com/1/authorize, and send it with each request."
        )
    return negotiated_response(
        request,
        page=partial(authorize_page, keyless=keyless),
        text=partial(authorize_text, keyless=keyless),
    )


def _body_of(
    stored: StoredResponse, memory: MemoryTier, hold: Hold, *, gzip: bool
) -> tuple[bytes | BodyStream, int]:
    """The body in the coding that the client accepts, and its length in bytes.

    A response is stored once, in Trello's coding. A short identity form is stored as well, a long
    one is inflated while it is sent. Bytes in the memory tier are shared; others count for this
    client: MemoryFull.
    """
    length = identity_length(stored.body) if stored.gzip and not gzip else len(stored.body)
    is_own = len(stored.body) > MAX_FAST_PATH_BODY_BYTES and memory.get(stored.key) is not stored
    if is_own:
        hold.take("responses", len(stored.body))
    if gzip or not stored.gzip:
        return stored.body, length
    if length > MAX_FAST_PATH_BODY_BYTES:
        hold.take("responses", INFLATING_BYTES)
        return inflate(Gunzip(), stored.body), length
    kept = memory.plain(stored)
    if kept is not None:
        return kept.body, length
    plain = gunzip(stored.body)
    memory.keep_plain(stored, plain)
    return plain, length


def _cache_fields(stored: StoredResponse, etag: str, *, gzip: bool) -> bytes:
    """The fields that replace Trello's own Cache-Control, ETag and Vary."""
    lines = [b"Cache-Control: private, no-cache\r\n"]
    if stored.status == 200:
        lines.append(b"ETag: %b\r\n" % etag.encode())
    if stored.gzip:
        lines.append(b"Vary: Accept-Encoding\r\n")
    if gzip:
        lines.append(b"Content-Encoding: gzip\r\n")
    return b"".join(lines)
