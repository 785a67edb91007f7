"""Middleware: host and origin checks, routing, error mapping, access log and metrics."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.http import HttpVersion10
from multidict import CIMultiDict
from yarl import URL

from proxy.errors import (
    ConnectDenied,
    HostNotAllowed,
    InternalError,
    InvalidTarget,
    LoopDetected,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    ProxyError,
)
from proxy.http_semantics.fields import FetchMetadata, check_fields_size, serialize
from proxy.http_semantics.target import check_target_size, host_name, split_absolute
from proxy.http_semantics.trace_context import TraceContext, parse_traceparent
from proxy.model import TRELLO_API_HOST, Fields
from proxy.observability.log import RequestLine
from proxy.observability.metrics import count
from proxy.server.audit_log import AuditLog
from proxy.server.browser_guard import ISOLATED, POLICY, BrowserGuard, preflight_fields
from proxy.server.connection import Connection
from proxy.server.credential_usage import CredentialUsage
from proxy.server.fast_path import FastPath
from proxy.server.forwarding import Forwarding
from proxy.server.parse_errors import error_of
from proxy.server.problem_details import problem_response
from proxy.server.request_context import RequestContext, ServerDeps
from proxy.server.response import WireResponse

Handler = Callable[[web.BaseRequest, RequestContext], Awaitable[WireResponse]]

CLIENT_CLOSED_REQUEST = 499
"""Logged, as by nginx, for a request whose client left before the response (D35)."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z")
_CREDENTIAL_LIKE = re.compile(r"[0-9A-Fa-f]{32,}|ATTA\w{20,}")
_MAX_USER_AGENT_CHARS = 200
"""Of a User-Agent: each prepared hit holds it."""
_UNCOUNTED_HEADER_BYTES = 8 * 1024
"""A longer header is counted in `limits.memory`."""
_API = "/1/"
_PROBES = frozenset({"/healthz", "/readyz", "/metrics", "/metrics/boards"})
"""Routes that are requested all the time; logged at info only when they fail."""
_ALLOWED = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
_PURGE = "PURGE"
_KNOWN_METHODS = frozenset({*_ALLOWED.split(", "), _PURGE})
_NO_FORWARD_PROXY = (
    "This is no forward proxy: make it the client's base URL in place of https://api.trello.com."
)
_NO_TUNNEL = (
    f"{_NO_FORWARD_PROXY} CONNECT {TRELLO_API_HOST}:443 needs tls in the proxy's proxy.yaml."
)


@dataclass(frozen=True, slots=True)
class Routes:
    """Handlers of one listener: by exact path, by first segment, and for the API."""

    pages: Mapping[str, Handler]
    prefixes: Mapping[str, Handler] = field(default_factory=dict)
    """By first segment, with both its slashes: `/c/`."""
    api: Handler | None = None
    """Serves every other path; None where the API is not served."""
    purge: Handler | None = None
    """Serves the method PURGE, whatever the path; None where the operator's pages are not."""

    def find(self, method: str, raw_path: str) -> Handler:
        """The handler of a request; NotFound, MethodNotAllowed."""
        if method == _PURGE:
            if self.purge is None:
                raise MethodNotAllowed(f"Use one of {_ALLOWED}.", _ALLOWED)
            return self.purge
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
    """Checks, routes, logs and counts every request of one listener."""

    def __init__(
        self,
        deps: ServerDeps,
        *,
        routes: Routes,
        guard: BrowserGuard,
        via: str,
        fast_path: FastPath,
        forwarding: Forwarding,
        credential_usage: CredentialUsage,
        audit: AuditLog,
    ) -> None:
        """`via`: the name that requests to Trello carry in their Via field (RFC 9110 §7.6.3)."""
        self._deps = deps
        self._routes = routes
        self._guard = guard
        self._via = via
        self.fast_path = fast_path
        self._authentication = forwarding.authentication
        self._forwarding = forwarding
        self._credential_usage = credential_usage
        self._audit = audit

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The response to a request; an exception from here is a bug."""
        self.fast_path.hit_log.record()
        if isinstance(request.protocol, Connection):
            request.protocol.response_is_awaited()
        context, problem = self._context_of(request), ""
        try:
            repeated = await self._repeat_file(request, context)
            if repeated is not None:
                return self._finalize(repeated, context)
            context.hold.assign(context.client_id)
            _check_size(request, context)
            request = self._in_origin_form(request)
            self._check_request(request)
            response = await self._route(request, context)
        except ProxyError as error:
            response = self._problem_response(error, context, request)
            problem = error.slug
        except asyncio.CancelledError:
            self._record(context, CLIENT_CLOSED_REQUEST, "")
            self._log_request(context, CLIENT_CLOSED_REQUEST, 0)
            raise
        except BaseException:
            context.hold.release()
            raise
        self._record(context, response.status, problem)
        self._add_fields(request, context, response)
        if isinstance(request.protocol, Connection):
            self._note_response(request.protocol, request, context, response)
        return self._finalize(response, context)

    def _note_response(
        self,
        connection: Connection,
        request: web.BaseRequest,
        context: RequestContext,
        response: WireResponse,
    ) -> None:
        """Note on the connection whose response is ready, and prepare it for the fast path."""
        connection.response_is_ready()
        connection.client = context.client_id
        response.closes = connection.lost_input and "Upgrade" in request.headers
        header = connection.header_of(request)
        if header:
            self.fast_path.remember(header, connection.hasher, request, context, response)

    async def _repeat_file(
        self, request: web.BaseRequest, context: RequestContext
    ) -> WireResponse | None:
        """The file that this header got before; None if the header must be read."""
        connection = request.protocol
        header = connection.header_of(request) if isinstance(connection, Connection) else b""
        if not isinstance(connection, Connection) or not header:
            return None
        response = await self.fast_path.stream_file(request, header, connection.hasher, context)
        if response is not None:
            connection.response_is_ready()
            connection.client = context.client_id
        return response

    def error_response(
        self, client: str, status: int, fault: BaseException | None
    ) -> web.StreamResponse:
        """The response to a request that could not be parsed, or that a bug ended.

        Nothing of the request or the exception is quoted in it.
        """
        deps = self._deps
        context = RequestContext(
            request_id=deps.request_ids.next(),
            client=self._authentication.anonymous,
            client_address=client,
            method="other",
            user_agent="-",
            hold=deps.memory.hold(),
            started_at=deps.clock.monotonic(),
        )
        error: ProxyError = fault if isinstance(fault, ProxyError) else error_of(fault)
        if status >= 500:
            error = InternalError("This is a fault of the proxy; its log has the details.")
            deps.log.event("error", "failed", id=context.request_id, fault=repr(fault))
        response = self._problem_response(error, context)
        response.head += ISOLATED
        return self._finalize(response, context)

    def _context_of(self, request: web.BaseRequest) -> RequestContext:
        deps, headers, peer = self._deps, request.headers, request.remote or ""
        connection = request.protocol
        certificate_name = connection.certificate_name if isinstance(connection, Connection) else ""
        own_id = headers.get("X-Request-Id", "")
        is_usable = _REQUEST_ID.match(own_id) and not self._authentication.keys.find(own_id)
        client = self._forwarding.client(peer, headers, certificate_name)
        return RequestContext(
            request_id=deps.redact(own_id) if is_usable else deps.request_ids.next(),
            client=client,
            user=client.name if client.source == "user" else "",
            client_address=self._forwarding.address(peer, headers),
            is_forwarded=self._forwarding.trusts(peer),
            method=request.method if request.method in _KNOWN_METHODS else "other",
            user_agent=_user_agent(request),
            hold=deps.memory.hold(),
            started_at=deps.clock.monotonic(),
            trace=self._trace_of(request) if "traceparent" in headers else None,
            generation=self.fast_path.generation,
        )

    def _trace_of(self, request: web.BaseRequest) -> TraceContext | None:
        """The trace that the request belongs to, unless its ids contain our secrets."""
        trace = parse_traceparent(request.headers.getall("traceparent", ()))
        return trace if trace and self._deps.redact(trace.parent) == trace.parent else None

    def _in_origin_form(self, request: web.BaseRequest) -> web.BaseRequest:
        """The request in origin-form: a target in absolute-form names the host (RFC 9112 §3.2.2).

        InvalidTarget if that is another host than the proxy's or than the Host field's (§3.2, D55),
        by which a reverse proxy has let it pass; or if the path does not begin with one slash.
        """
        authority, target = split_absolute(request.raw_path)
        if not authority:
            return request
        in_field = request.headers.get("Host", authority)
        if target.startswith("//"):
            raise InvalidTarget("Begin the path with one '/'.")
        fields = CIMultiDict(
            (name, value.encode("utf-8", "replace").decode())
            for name, value in request.headers.items()
        )
        fields["Host"] = authority
        request = request.clone(rel_url=URL(target, encoded=True), headers=fields)
        try:
            self._check_host(request)
        except HostNotAllowed:
            raise InvalidTarget(_NO_FORWARD_PROXY) from None
        if host_name(in_field) != host_name(authority):
            raise InvalidTarget("Name one host, in the target and in the Host field.")
        return request

    def _check_host(self, request: web.BaseRequest) -> None:
        """HostNotAllowed; HTTP/1.0 may omit Host (RFC 9112 §3.2), which no browser does."""
        if "Host" not in request.headers and request.version == HttpVersion10:
            return
        local = request.transport.get_extra_info("sockname") if request.transport else None
        self._guard.check_host(
            request.headers.get("Host", ""),
            str(local[0]) if isinstance(local, tuple) else "",
            request.raw_path,
        )

    def _check_request(self, request: web.BaseRequest) -> None:
        """ConnectDenied, MalformedRequest for two Authorization fields.

        HostNotAllowed, CrossOriginDenied, LoopDetected.
        """
        if request.method == "CONNECT":
            raise ConnectDenied(_NO_TUNNEL)
        if len(request.headers.getall("Authorization", ())) > 1:
            raise MalformedRequest("Send one Authorization field.")
        self._check_host(request)
        sender = FetchMetadata(request.headers)
        self._guard.check_sender(sender, request.method, request.raw_path)
        if self._via in ",".join(request.headers.getall("Via", ())):
            raise LoopDetected("Point upstream.url at Trello, not at this proxy.")

    async def _route(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """The response of the handler for this path; MethodNotAllowed, NotFound."""
        if request.method == "OPTIONS":
            return _options(request.headers)
        if request.method not in _KNOWN_METHODS:
            raise MethodNotAllowed(f"Use one of {_ALLOWED}.", _ALLOWED)
        handler = self._routes.find(request.method, request.raw_path)
        if request.raw_path.startswith(_API) and request.method != _PURGE:
            return await self._serve_api(handler, request, context)
        return await handler(request, context)

    async def _serve_api(
        self, handler: Handler, request: web.BaseRequest, context: RequestContext
    ) -> WireResponse:
        """The API's response; counted afterwards, because the body may name the client."""
        try:
            return await handler(request, context)
        finally:
            if not context.is_relayed:
                self._deps.metrics.client_stats.count_request(
                    context.client_name, self._deps.clock.now()
                )

    def _record(self, context: RequestContext, status: int, problem: str) -> None:
        if not context.is_relayed:
            self._audit.record(context, status, problem)

    def _problem_response(
        self, error: ProxyError, context: RequestContext, request: web.BaseRequest | None = None
    ) -> WireResponse:
        metrics = self._deps.metrics
        count(metrics.errors, error.slug)
        if error.source != "client":
            metrics.recent_failures.append((self._deps.clock.now(), context.route, error.title))
        return problem_response(error, context.request_id, request)

    def _add_fields(
        self, request: web.BaseRequest, context: RequestContext, response: WireResponse
    ) -> None:
        """Add the fields that depend on the sender: CORS, deprecation, isolation.

        A 304 leaves the client's copy the fields it came with (RFC 9110 §15.4.5).
        """
        response.head += serialize(self._guard.cors(request.headers.get("Origin", "")))
        self._add_usage(request, context, response)
        if response.status != 304 and POLICY not in response.head:
            response.head += self._guard.isolation(FetchMetadata(request.headers), request.raw_path)

    def _add_usage(
        self, request: web.BaseRequest, context: RequestContext, response: WireResponse
    ) -> None:
        """Count the credentials that the client sent; add fields if they are deprecated.

        Not of a client that takes the proxy for Trello: it cannot leave them out (D68).
        """
        if not context.credentials_sent:
            for counter in context.credential_counters:
                counter.use(self._deps.clock.now())
        elif host_name(request.headers.get("Host", "")) != TRELLO_API_HOST:
            response.head += self._credential_usage.record(context)

    def _finalize(self, response: WireResponse, context: RequestContext) -> WireResponse:
        """Add the request id and Server-Timing, and log the request when the response is sent."""
        response.dynamic_headers += b"X-Request-Id: %b\r\n" % context.request_id.encode()
        if timing := context.server_timing:
            parts = timing.queue_s * 1000, timing.upstream_s * 1000
            response.dynamic_headers += (
                b"Server-Timing: wait;dur=%.1f, upstream;dur=%.1f\r\n" % parts
            )
        response.on_sent = lambda sent: self._log_request(context, response.status, sent)
        return response

    def _log_request(self, context: RequestContext, status: int, sent_bytes: int) -> None:
        context.hold.release()
        clock, result = self._deps.clock, context.outcome.result
        duration_s, timing = clock.monotonic() - context.started_at, context.server_timing
        counter = self._deps.metrics.request_counter(context.route, context.method, status, result)
        may_show = not _CREDENTIAL_LIKE.search(context.request_id)
        counter.add(duration_s, context.request_id if may_show else "", clock.now())
        self._deps.log.request(
            RequestLine(
                request_id=context.request_id,
                client=context.client_address,
                method=context.method,
                route=context.route,
                status=status,
                cache=result,
                detail=context.outcome.detail,
                duration_s=duration_s,
                sent_bytes=sent_bytes,
                user_agent=context.user_agent,
                timing=(timing.queue_s, timing.upstream_s) if timing else None,
                trace=context.trace.trace_id if context.trace else "",
                name=context.client.name,
                level="debug" if context.route in _PROBES and status < 300 else "info",
            )
        )


def _check_size(request: web.BaseRequest, context: RequestContext) -> None:
    """InvalidTarget or HeaderFieldsTooLarge for a header that would take long to read."""
    header_bytes = check_fields_size(request.raw_headers)
    if header_bytes > _UNCOUNTED_HEADER_BYTES:
        context.hold.take("requests", header_bytes)
    check_target_size(request.raw_path)


def _user_agent(request: web.BaseRequest) -> str:
    """The User-Agent, shortened, and without anything that could be a key or a token."""
    agent = request.headers.get("User-Agent", "-")
    return _CREDENTIAL_LIKE.sub("***", agent)[:_MAX_USER_AGENT_CHARS]


def _options(headers: Mapping[str, str]) -> WireResponse:
    fields: Fields = (("Allow", _ALLOWED),)
    if "Access-Control-Request-Method" in headers:
        fields = preflight_fields(headers.get("Access-Control-Request-Headers", ""))
    return WireResponse(204, serialize(fields))
