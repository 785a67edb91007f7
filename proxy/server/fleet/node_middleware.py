"""Node middleware: what other nodes send to `fleet.listen`, relayed requests and sessions.

The node that the client connected to has checked host, origin and limits; it counts and logs the
request, and adds the fields that depend on the client. All else is done here, as for a request of
this node's own clients.
"""

from collections.abc import Callable

from aiohttp import web
from multidict import CIMultiDict

from proxy.access.client import Client
from proxy.cache.store.codec import VERSION as STORED_FORM
from proxy.errors import LoopDetected, ProxyError
from proxy.fleet.channel import ChannelClosed
from proxy.fleet.errors import NoLeader, NotANode
from proxy.fleet.node import Node
from proxy.server.fleet.channel import WebSocketChannel, server_socket
from proxy.server.fleet.envelope import (
    REQUEST_FIELD,
    SESSION,
    Envelope,
    Result,
    proof,
    result_line,
    unseal,
)
from proxy.server.middleware import Middleware
from proxy.server.problem_details import problem_response
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse

_ENVELOPE = web.RequestKey("envelope", Envelope)


def envelope_of(request: web.BaseRequest) -> Envelope:
    """The envelope of a request that another node relayed."""
    return request[_ENVELOPE]


class RelayedMiddleware(Middleware):
    """Middleware of relayed requests: without what the other node has done."""

    def _context_of(self, request: web.BaseRequest) -> RequestContext:
        envelope = envelope_of(request)
        context = super()._context_of(request)
        context.request_id = self._deps.redact(envelope.request_id)
        context.client = self._client(envelope)
        context.user = envelope.name if envelope.source == "user" else ""
        context.client_address = envelope.address
        context.is_forwarded = envelope.is_forwarded
        is_of_api = request.raw_path.startswith("/1/")
        context.wants_file = envelope.takes_file and is_of_api
        context.wants_offer = envelope.takes_offer and is_of_api
        context.wants_copy = envelope.lacks_file
        context.wants_stored = envelope.stored_form == STORED_FORM
        return context

    def _client(self, envelope: Envelope) -> Client:
        if envelope.source == "user":
            return self._authentication.user(envelope.name)
        return self._authentication.by_certificate(envelope.name)

    def _in_origin_form(self, request: web.BaseRequest) -> web.BaseRequest:
        return request

    def _check_request(self, request: web.BaseRequest) -> None:
        """LoopDetected if this proxy sent it, by way of the other node."""
        if self._via in ",".join(request.headers.getall("Via", ())):
            raise LoopDetected("Point upstream.url at Trello, not at this proxy.")

    def _problem_response(
        self, error: ProxyError, context: RequestContext, request: web.BaseRequest | None = None
    ) -> WireResponse:
        if isinstance(error, NoLeader):
            context.is_moved = True
            return problem_response(error, context.request_id, request)
        return super()._problem_response(error, context, request)

    def _add_fields(
        self,
        request: web.BaseRequest,
        context: RequestContext,
        response: WireResponse,
    ) -> None:
        """Count credentials; the other node adds what else depends on the request."""
        self._add_usage(request, context, response)

    def _finalize(self, response: WireResponse, context: RequestContext) -> WireResponse:
        """Add what the other node needs for its log, its metrics and Server-Timing."""
        is_named_by_key = context.client.source == "key"
        timing = context.server_timing
        result = Result(
            route=context.route,
            outcome=context.outcome,
            client=context.client.name if is_named_by_key else "",
            queue_s=timing.queue_s if timing else 0.0,
            upstream_s=timing.upstream_s if timing else 0.0,
            was_sent=timing is not None,
            is_moved=context.is_moved,
            given=context.given,
            file=context.file,
            offer=context.offer,
        )
        response.dynamic_headers += result_line(result)
        response.on_sent = lambda _: context.hold.release()
        return response

    def _log_request(self, context: RequestContext, *_: int) -> None:
        context.hold.release()


class NodeHandler:
    """Handler of the listener for other nodes; without the fleet's key there is only a 403."""

    def __init__(self, node: Node, middleware: RelayedMiddleware, key: Callable[[], bytes]) -> None:
        """`key`: ChannelClosed while it is not known."""
        self._node = node
        self._middleware = middleware
        self._key = key

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The response; an exception from here is a bug."""
        sealed = request.headers.get(REQUEST_FIELD, "")
        try:
            key = self._key()
            envelope = unseal(sealed, key, request.method, request.raw_path)
        except (ChannelClosed, ValueError):
            return self._refusal(request)
        if envelope is None:
            return self._refusal(request)
        if request.raw_path == SESSION and "Upgrade" in request.headers:  # never in a client's
            return await self._serve_session(request, proof(key, sealed))
        fields = CIMultiDict(request.headers)
        del fields[REQUEST_FIELD]
        request = request.clone(headers=fields, remote=envelope.peer)
        request[_ENVELOPE] = envelope
        return await self._middleware.handle(request)

    def _refusal(self, request: web.BaseRequest) -> web.StreamResponse:
        error = NotANode("This address is for the other nodes of the fleet.")
        return self._middleware.error_response(request.remote or "", error.status, error)

    async def _serve_session(self, request: web.BaseRequest, accepted: bytes) -> web.StreamResponse:
        socket = server_socket()
        try:
            await socket.prepare(request)
            await socket.send_bytes(accepted)
        except ConnectionError:
            return socket
        await self._node.serve(WebSocketChannel(socket))
        return socket
