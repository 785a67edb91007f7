"""Any request for Trello's API: aiohttp ⇄ Ask and Answer, and the flow that serves it."""

from aiohttp import web

from proxy.attachments.board_export import BoardExport
from proxy.attachments.service import AttachmentService
from proxy.cache.batch import BatchService
from proxy.cache.freshness import age_of
from proxy.cache.read_through import ReadThrough
from proxy.cache.verification import HitVerifier, may_verify
from proxy.cache.write_through import WriteThrough
from proxy.errors import NoTokenGiven, UpstreamError
from proxy.http_semantics.cache_control import NONE, cache_status
from proxy.http_semantics.conditional import etag_for_encoding, not_modified
from proxy.http_semantics.content import accepts_gzip
from proxy.http_semantics.fields import quota_fields, serialize
from proxy.links.rewrite import file_in_route
from proxy.links.signing import LinkSigner, strip_signature
from proxy.model import Kind, StoredResponse
from proxy.ratelimit.limiter import RateLimiter
from proxy.runtime.clock import Clock
from proxy.runtime.memory_budget import Hold
from proxy.runtime.offload import run_for_client
from proxy.server import problem_details
from proxy.server.handlers.attachments import AttachmentHandler
from proxy.server.negotiation import (
    wants_page,
)
from proxy.server.request_body import RequestBody
from proxy.server.request_context import RequestContext
from proxy.server.request_parser import RequestParser
from proxy.server.response import SLICE_BYTES, WireResponse
from proxy.server.stored_body import body_of
from proxy.trello.message import ApiRequest, ApiResponse
from proxy.trello.routes import Handling, handling_of

_KEYLESS = """\
No token is needed here: this proxy asks Trello in its own name.
Leave the key and token out, or send any; they are removed.
"""
_KEYED = """\
This proxy gives out no token, and needs yours: send your own key and token with each request.
"""
_WHERE = """
Trello's own page for a token is https://trello.com/1/authorize
(keys: https://trello.com/power-ups/admin).
"""


_TO_PROGRAMS = frozenset({"/OAuthGetAccessToken", "/OAuthGetRequestToken"})
"""Routes that OAuth libraries read, which stop at a status of 400 and more (RFC 5849 §2)."""


def authorize_notice(template: str, method: str, *, keyless: bool) -> WireResponse:
    """200, in plain words; NoTokenGiven for a program that asks for a token.

    `keyless`: whoever sends no key and token is answered.
    """
    if template in _TO_PROGRAMS or method != "GET":
        raise NoTokenGiven(
            "None is needed: call the API without OAuth, and without a key and token."
            if keyless
            else "Get one from https://trello.com/1/authorize, and send it with each request."
        )
    fields = (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"))
    return WireResponse(
        200, serialize(fields), ((_KEYLESS if keyless else _KEYED) + _WHERE).encode()
    )


class ApiHandler:
    """Serves /1/…"""

    def __init__(
        self,
        parser: RequestParser,
        services: tuple[
            ReadThrough, WriteThrough, AttachmentService, BoardExport, BatchService, HitVerifier
        ],
        limiter: RateLimiter,
        clock: Clock,
        signing: LinkSigner | None,
    ) -> None:
        """`signing`: what opens files, where links are to be signed."""
        self._parser = parser
        self._reads, self._writes, downloads, self._exports, self._batches, self._verifier = (
            services
        )
        self._limiter = limiter
        self._attachments = AttachmentHandler(downloads, clock)
        self._clock = clock
        self._signer = signing

    async def handle(self, request: web.BaseRequest, record: RequestContext) -> WireResponse:
        """The answer; a ProxyError is the caller's to render."""
        api_request, incoming = await self._parser.parse(request, record)
        if api_request.match.route.kind is Kind.AUTHORIZATION_PAGE:
            return authorize_notice(
                api_request.match.route.template,
                api_request.method,
                keyless=self._parser.permission.keyless,
            )
        parts = self._parser.batch_parts(api_request)
        body = api_request.body if isinstance(api_request.body, bytes) else b""
        await run_for_client(len(body), self._parser.permission.check, api_request, parts)
        api_request = self._check_signature(api_request)
        if handling_of(api_request.match, api_request.query_names) is Handling.ATTACHMENT:
            served = await self._attachments.handle(request, api_request)
        else:
            served = await self._serve(api_request, parts, incoming)
        if isinstance(served, ApiResponse):
            record.outcome = served.outcome
            if _is_refused(api_request, served) and wants_page(request):
                await _close(served)
                return problem_details.file_refused_page(served.status, record.request_id, request)
            rendered = self._rendered(request, record.hold, api_request, served)
        else:
            rendered, record.outcome = served
        rendered.dynamic_headers += b"Cache-Status: %b\r\n" % cache_status(record.outcome).encode()
        if record.outcome.fwd is not None:
            rendered.dynamic_headers += serialize(quota_fields(self._limiter.quotas(api_request)))
        return rendered

    def _rendered(
        self, request: web.BaseRequest, hold: Hold, api_request: ApiRequest, response: ApiResponse
    ) -> WireResponse:
        if response.stored is not None:
            return self._from_stored(request, hold, api_request, response, response.stored)
        is_read = api_request.match.route.kind is not Kind.WRITE  # what was done is told
        if is_read and isinstance(response.body, bytes) and len(response.body) > SLICE_BYTES:
            hold.take("responses", len(response.body))
        return WireResponse(response.status, response.head, response.body, response.length)

    async def _serve(
        self, request: ApiRequest, parts: tuple[ApiRequest, ...], incoming: RequestBody
    ) -> ApiResponse:
        match handling_of(request.match, request.query_names):
            case Handling.WRITE:
                return await self._write(request, incoming)
            case Handling.EXPORT:
                return await self._exports.serve(request)
            case Handling.BATCH if parts:
                return await self._batches.serve(request, parts)
            case Handling.CACHED_READ:
                return await self._reads.serve(request)
            case _:
                return await self._reads.bypass(request)

    def _check_signature(self, request: ApiRequest) -> ApiRequest:
        """The Ask; a file's if its link opens it, without the signature: Trello knows none."""
        path, _, query = request.target.partition("?")
        file = file_in_route(request.match)
        if file is None:
            return request
        if self._signer:
            self._signer.check(file, query, self._clock.now())
        kept = strip_signature(query)
        return request.derive(target=f"{path}?{kept}" if kept else path)

    async def _write(self, request: ApiRequest, incoming: RequestBody) -> ApiResponse:
        try:
            return await self._writes.serve(request)
        except UpstreamError:
            if incoming.failure is not None:
                raise incoming.failure from None
            raise

    def _from_stored(
        self,
        request: web.BaseRequest,
        hold: Hold,
        api_request: ApiRequest,
        response: ApiResponse,
        stored: StoredResponse,
    ) -> WireResponse:
        gzip = stored.gzip and accepts_gzip(request.headers.get("Accept-Encoding", ""))
        etag = etag_for_encoding(stored.etag, gzip=gzip)
        ours = _fields(stored, etag, gzip=gzip)
        if stored.status == 200 and not_modified(request.headers.get("If-None-Match", ""), etag):
            rendered = WireResponse(304, ours)
        else:
            body, length = body_of(stored, self._reads.responses.memory, hold, gzip=gzip)
            rendered = WireResponse(stored.status, stored.head + ours, body, length)
        now = self._clock.now()
        rendered.dynamic_headers = b"Age: %d\r\n" % int(age_of(stored.requested_at, now))
        lifetime_s = self._reads.lifetimes(api_request, stored).lifetime_s
        is_hit = response.outcome.result == "hit" and lifetime_s > 0
        if is_hit and api_request.directives == NONE:
            is_watched = lifetime_s > api_request.match.route.lifetimes.lifetime_s
            rendered.fast_path_entry = (stored, lifetime_s, is_watched)
            rendered.verifier = self._verifier_for(api_request, stored)
        return rendered

    def _verifier_for(self, request: ApiRequest, stored: StoredResponse) -> HitVerifier | None:
        """Who asks this hit again, if one is due; None where that may not be."""
        if not may_verify(request.match, stored, own=request.uses_stored_credential):
            return None
        self._verifier.offer_sample(request, stored)
        return self._verifier


def _is_refused(request: ApiRequest, response: ApiResponse) -> bool:
    return request.match.route.kind is Kind.FILE and response.status >= 400


async def _close(response: ApiResponse) -> None:
    """Have done with an answer that is not sent."""
    if not isinstance(response.body, bytes):
        await response.body.aclose()


def _fields(stored: StoredResponse, etag: str, *, gzip: bool) -> bytes:
    """Ours, in place of Trello's orders to caches."""
    lines = [b"Cache-Control: private, no-cache\r\n"]
    if stored.status == 200:
        lines.append(b"ETag: %b\r\n" % etag.encode())
    if stored.gzip:
        lines.append(b"Vary: Accept-Encoding\r\n")
    if gzip:
        lines.append(b"Content-Encoding: gzip\r\n")
    return b"".join(lines)
