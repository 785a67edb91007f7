"""Around every request: who may ask, which room serves it, and what is told of it afterwards."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from weakref import ref

from aiohttp import web
from aiohttp.http import HttpVersion10, HttpVersion11

from proxy.errors import (
    HostNotAllowed,
    InternalError,
    InvalidTarget,
    LoopDetected,
    MethodNotAllowed,
    NotFound,
    ProxyError,
)
from proxy.http_semantics.fetch_metadata import FetchMetadata
from proxy.http_semantics.fields import serialize
from proxy.http_semantics.trace_context import TraceContext, parse_traceparent
from proxy.http_semantics.user_agent import client_name
from proxy.model import Fields
from proxy.observability.log import RequestLine
from proxy.observability.metrics import Metrics, count
from proxy.server import problem_details
from proxy.server.browser_guard import (
    BrowserGuard,
)
from proxy.server.connection import Connection
from proxy.server.credential_usage import CredentialUsage
from proxy.server.fast_path import (
    MAX_FAST_PATH_BODY_BYTES,
    FastPathDeps,
    PreparedHit,
)
from proxy.server.header_size import check_fields, check_target
from proxy.server.isolation import ISOLATED, POLICY
from proxy.server.parse_errors import of_parse_error
from proxy.server.preflight import preflight
from proxy.server.request_context import RequestContext
from proxy.server.request_target import in_origin_form
from proxy.server.response import WireResponse

Handler = Callable[[web.BaseRequest, RequestContext], Awaitable[WireResponse]]

NOT_MODIFIED = 304
"""What the client has keeps the fields it came with (RFC 9110 §15.4.5)."""
CLIENT_CLOSED_REQUEST = 499
"""As nginx logs a request whose client did not stay for the answer."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z")
_CREDENTIAL_LIKE = re.compile(r"[0-9A-Fa-f]{32,}|ATTA\w{20,}")
_USER_AGENT_CHARS = 200
"""Of a client's name for itself: it is kept with each plan."""
_USUAL_HEADER_BYTES = 8 * 1024
"""More is counted as held for the client."""
_API = "/1/"
_ALLOWED = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
_NO_FORWARD_PROXY = (
    "This is no forward proxy: make it the base URL of the tool, in place of https://api.trello.com"
)
_KNOWN_METHODS = frozenset(_ALLOWED.split(", "))


@dataclass(frozen=True, slots=True)
class Routes:
    """What is served where: exact paths, what begins like one, and the rest, for the API."""

    pages: Mapping[str, Handler]
    prefixes: Mapping[str, Handler] = field(default_factory=dict)
    """By first segment, with both its slashes: `/c/`."""
    api: Handler | None = None

    def find(self, raw_path: str) -> Handler:
        path = raw_path.partition("?")[0]
        if path in self.pages:
            return self.pages[path]
        section = path[: path.find("/", 1) + 1]
        if section in self.prefixes:
            return self.prefixes[section]
        if self.api is None:
            raise NotFound("The operator's pages are /metrics, /healthz and /readyz.")
        return self.api


class Middleware:
    """The one handler of a listener."""

    def __init__(
        self,
        routes: Routes,
        guard: BrowserGuard,
        via: str,
        tools: FastPathDeps,
        metrics: Metrics,
        credential_usage: CredentialUsage,
    ) -> None:
        self._routes = routes
        self._guard = guard
        self._via = via
        self._deps = tools
        self._metrics = metrics
        self._credential_usage = credential_usage

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """An answer to anything; what is raised here is a fault of the program's own."""
        theirs = request.headers.get("X-Request-Id", "")
        record = RequestContext(
            self._deps.redact(theirs)
            if _REQUEST_ID.match(theirs)
            else self._deps.request_ids.next(),
            client_address=request.remote or "",
            method=request.method if request.method in _KNOWN_METHODS else "other",
            user_agent=_user_agent(request),
            hold=self._deps.memory.hold(),
            started_at=self._deps.clock.monotonic(),
            trace=self._parse_traceparent(request),
        )
        try:
            _check_size(request, record)
            request = self._in_origin_form(request)
            response = await self._dispatch(request, record)
        except ProxyError as error:
            response = self._problem_response(error, record, request)
        except asyncio.CancelledError:
            self._log_request(record, CLIENT_CLOSED_REQUEST, 0)
            raise
        except BaseException:
            record.hold.release()
            raise
        if isinstance(request.protocol, Connection):
            request.protocol.keep_half_open()
        response.head += serialize(self._guard.cors(request.headers.get("Origin", "")))
        response.head += self._credential_usage.record(record)
        if response.status != NOT_MODIFIED and POLICY not in response.head:
            response.head += self._guard.isolation(FetchMetadata(request.headers), request.raw_path)
        self._remember_fast_path(request, record, response)
        return self._finalize(response, record)

    def error_response(
        self, client: str, status: int, fault: BaseException | None
    ) -> web.StreamResponse:
        """The answer to what is no HTTP, or what we failed at; of either nothing is quoted."""
        hold, began = self._deps.memory.hold(), self._deps.clock.monotonic()
        record = RequestContext(self._deps.request_ids.next(), client, "other", "-", hold, began)
        error: ProxyError = fault if isinstance(fault, ProxyError) else of_parse_error(fault)
        if status >= 500:
            error = InternalError("This is a fault of the proxy's; its log says more.")
            self._deps.log.event("error", "failed", id=record.request_id, fault=repr(fault))
        response = self._problem_response(error, record)
        response.head += ISOLATED
        return self._finalize(response, record)

    def _problem_response(
        self, error: ProxyError, record: RequestContext, request: web.BaseRequest | None = None
    ) -> WireResponse:
        count(self._metrics.errors, error.slug)
        if error.source != "client":
            self._metrics.recent_failures.append(
                (self._deps.clock.now(), record.route, error.title)
            )
        return problem_details.problem_response(error, record.request_id, request)

    def _finalize(self, response: WireResponse, record: RequestContext) -> WireResponse:
        """The response with its request's id, and what it takes to tell of it when it was sent."""
        response.dynamic_headers += b"X-Request-Id: %b\r\n" % record.request_id.encode()
        if timing := record.server_timing:
            parts = timing.queue_s * 1000, timing.upstream_s * 1000
            response.dynamic_headers += (
                b"Server-Timing: wait;dur=%.1f, upstream;dur=%.1f\r\n" % parts
            )
        response.on_sent = lambda sent: self._log_request(record, response.status, sent)
        return response

    def _in_origin_form(self, request: web.BaseRequest) -> web.BaseRequest:
        """The request as one in origin-form; BadTarget where its target names another server."""
        own = in_origin_form(request)
        if own is not request:
            try:
                self._check_host(own)
            except HostNotAllowed:
                raise InvalidTarget(_NO_FORWARD_PROXY) from None
        return own

    def _check_host(self, request: web.BaseRequest) -> None:
        """HostNotAllowed; HTTP/1.0 may leave Host out (RFC 9112 §3.2), and no browser does."""
        if "Host" not in request.headers and request.version == HttpVersion10:
            return
        local = request.transport.get_extra_info("sockname") if request.transport else None
        self._guard.check_host(
            request.headers.get("Host", ""),
            str(local[0]) if isinstance(local, tuple) else "",
            request.raw_path,
        )

    async def _dispatch(self, request: web.BaseRequest, record: RequestContext) -> WireResponse:
        headers = request.headers
        if request.method == "CONNECT":
            raise MethodNotAllowed(_NO_FORWARD_PROXY, _ALLOWED)
        self._check_host(request)
        self._guard.check_sender(FetchMetadata(headers), request.method, request.raw_path)
        if self._via in ",".join(headers.getall("Via", ())):
            raise LoopDetected("Point upstream.url at Trello, not at this proxy.")
        if request.method == "OPTIONS":
            return _options(headers)
        if request.method not in _KNOWN_METHODS:
            raise MethodNotAllowed(f"Use one of {_ALLOWED}.", _ALLOWED)
        handler = self._routes.find(request.raw_path)
        if request.raw_path.startswith(_API):
            self._deps.client_stats.count_request(
                client_name(record.user_agent), self._deps.clock.now()
            )
        return await handler(request, record)

    def _remember_fast_path(
        self, request: web.BaseRequest, record: RequestContext, response: WireResponse
    ) -> None:
        """Have the same header answered without being parsed again, where nothing else matters."""
        protocol = request.protocol
        if response.fast_path_entry is None or not isinstance(protocol, Connection):
            return
        stored, lifetime_s, is_watched = response.fast_path_entry
        body = response.content
        is_inflated = stored.gzip and body is self._deps.store.memory.plain(stored)
        whole = is_inflated or (
            body is stored.body and len(stored.body) <= MAX_FAST_PATH_BODY_BYTES
        )
        if not (whole or response.status == 304) or not _is_fast_path_eligible(request):
            return
        own = response.head.removeprefix(stored.head) if whole else response.head
        protocol.remember_fast_path(
            PreparedHit(
                deps=self._deps,
                stored=ref(stored),
                lifetime_s=lifetime_s,
                is_watched=is_watched,
                status=response.status,
                is_inflated=is_inflated,
                head=response.status_line() + own,
                route=record.route,
                user_agent=record.user_agent,
                client=client_name(record.user_agent),
                metric=self._metrics.request_counter(record.route, "GET", response.status, "hit"),
                usages=record.credential_counters,
                verifier=response.verifier,
            )
        )

    def _log_request(self, record: RequestContext, status: int, sent: int) -> None:
        record.hold.release()
        clock, result = self._deps.clock, record.outcome.result
        duration_s, timing = clock.monotonic() - record.started_at, record.server_timing
        cell = self._metrics.request_counter(record.route, record.method, status, result)
        may_show = not _CREDENTIAL_LIKE.search(record.request_id)
        cell.add(duration_s, record.request_id if may_show else "", clock.now())
        self._deps.log.request(
            RequestLine(
                request_id=record.request_id,
                client=record.client_address,
                method=record.method,
                route=record.route,
                status=status,
                cache=result,
                detail=record.outcome.detail,
                duration_s=duration_s,
                sent_bytes=sent,
                user_agent=record.user_agent,
                timing=(timing.queue_s, timing.upstream_s) if timing else None,
                trace=record.trace.trace_id if record.trace else "",
            )
        )

    def _parse_traceparent(self, request: web.BaseRequest) -> TraceContext | None:
        """The trace that a request belongs to, if it says so in other words than our secrets."""
        trace = parse_traceparent(request.headers.getall("traceparent", ()))
        return trace if trace and self._deps.redact(trace.parent) == trace.parent else None


def _check_size(request: web.BaseRequest, record: RequestContext) -> None:
    """BadTarget or HeaderFieldsTooLarge for a header that would take long to be read."""
    header_bytes = check_fields(request.raw_headers)
    if header_bytes > _USUAL_HEADER_BYTES:
        record.hold.take("requests", header_bytes)
    check_target(request.raw_path)


def _is_fast_path_eligible(request: web.BaseRequest) -> bool:
    return (
        request.method == "GET"
        and request.version == HttpVersion11
        and request.keep_alive
        and not request.body_exists
        and "X-Request-Id" not in request.headers
        and "traceparent" not in request.headers
        and "Expect" not in request.headers
    )


def _user_agent(request: web.BaseRequest) -> str:
    """The client's name for itself, without anything that could be a key or a token."""
    return _CREDENTIAL_LIKE.sub("***", request.headers.get("User-Agent", "-"))[:_USER_AGENT_CHARS]


def _options(headers: Mapping[str, str]) -> WireResponse:
    fields: Fields = (("Allow", _ALLOWED),)
    if "Access-Control-Request-Method" in headers:
        fields = preflight(headers.get("Access-Control-Request-Headers", ""))
    return WireResponse(204, serialize(fields))
