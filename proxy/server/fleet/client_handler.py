"""Client handler of a node: serves a request here if this node leads, or relays it to the leader.

While there is no leader a request waits, for `limits.wait` at most. A read is sent again when its
leader is lost; a write only if nothing of it was sent.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web

from proxy.fleet.errors import Apart, LeaderLost, NoLeader
from proxy.fleet.node import Leader, Node, Role
from proxy.model import CacheKey
from proxy.runtime.clock import BootClock
from proxy.server.fleet.leader_service import LeaderService
from proxy.server.fleet.near_handler import NearHandler
from proxy.server.fleet.peer_client import PeerLost, PeerUnreachable
from proxy.server.fleet.relay import RETRY_S, Relay
from proxy.server.fleet.relayed_message import REPEATABLE_BYTES, RelayedMessage, relayed_message
from proxy.server.middleware import Handler
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse
from proxy.trello.tunnel import tunnelled_method_in

_SAFE = frozenset({"GET", "HEAD"})


@dataclass(slots=True)
class _Attempt:
    """A client's request, until it has a response."""

    request: web.BaseRequest
    context: RequestContext
    is_admin: bool
    near_key: CacheKey | None = None
    message: RelayedMessage | None = None
    """Once it was relayed."""

    @property
    def is_body_received(self) -> bool:
        """Whether the body, if there is one, is in `message` only."""
        return self.message is not None and self.request.body_exists


class ClientHandler:
    """Handler of every path that is not this node's own."""

    def __init__(
        self,
        node: Node,
        service: LeaderService,
        relay: Relay,
        near: NearHandler,
        *,
        apart: Callable[[], Awaitable[Handler]],
        wait_s: Callable[[], float],
        clock: BootClock,
    ) -> None:
        """`apart`: what serves reads while this node is apart."""
        self._node = node
        self._service = service
        self._relay = relay
        self._near = near
        self._apart = apart
        self._wait_s = wait_s
        self._clock = clock

    async def serve_client(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """The response to a request that came to `listen`."""
        response, near_key = await self._near.serve(request, context)
        if response is not None:
            return response
        return await self._serve(_Attempt(request, context, is_admin=False, near_key=near_key))

    async def serve_admin(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """The response to a request that came to `admin.listen`."""
        return await self._serve(_Attempt(request, context, is_admin=True))

    async def _serve(self, attempt: _Attempt) -> WireResponse:
        deadline = self._clock.boottime() + self._wait_s()
        while True:
            try:
                leader = await self._node.wait_for_leader(deadline)
            except NoLeader:
                if self._node.role is not Role.APART or attempt.is_body_received:
                    raise
                response = await self._serve_apart(attempt.request, attempt.context)
            else:
                response = await self._try(leader, attempt)
            if response is not None:
                return response
            if self._clock.boottime() + RETRY_S >= deadline:
                raise NoLeader
            await self._clock.sleep(RETRY_S)

    async def _try(self, leader: Leader, attempt: _Attempt) -> WireResponse | None:
        """The leader's response; None: send the request again. NoLeader, LeaderLost.

        A write whose body is short is relayed to this node too, so that it can be sent to the next
        leader if this one hands over before its turn.
        """
        request, context = attempt.request, attempt.context
        if not leader.is_self or attempt.is_body_received or _is_short_write(request):
            if attempt.message is None:
                attempt.message = await relayed_message(
                    request, context, is_admin=attempt.is_admin, near_key=attempt.near_key
                )
            return await self._try_relay(leader, attempt.message, context)
        context.is_relayed = False
        try:
            return await self._service.serve(request, context, is_admin=attempt.is_admin)
        except NoLeader:
            if request.body_exists:
                raise  # its body may have been received
        return None

    async def _try_relay(
        self, leader: Leader, message: RelayedMessage, context: RequestContext
    ) -> WireResponse | None:
        """The leader's response; None: send the request again. NoLeader, LeaderLost."""
        try:
            return await self._relay.send(leader, message, context)
        except PeerLost:
            if not message.is_safe:
                raise LeaderLost from None
        except (NoLeader, PeerUnreachable):
            if not message.is_repeatable:
                raise NoLeader from None
        return None

    async def _serve_apart(
        self, request: web.BaseRequest, context: RequestContext
    ) -> WireResponse | None:
        """A read, requested from Trello by this node; None: serve it again. Apart for a write."""
        query = request.raw_path.partition("?")[2]
        if request.method not in _SAFE or tunnelled_method_in(query):
            raise Apart
        handler, context.is_relayed = await self._apart(), False
        with suppress(NoLeader):
            return await handler(request, context)
        return None


def _is_short_write(request: web.BaseRequest) -> bool:
    length = request.content_length or 0
    return request.method not in _SAFE and 0 < length <= REPEATABLE_BYTES
