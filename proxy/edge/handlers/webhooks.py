"""Trello's probe of the callback, and its deliveries."""

from aiohttp import web

from proxy.edge.bodies import receive_raw
from proxy.edge.record import Record
from proxy.edge.rendered import Rendered
from proxy.errors import MethodNotAllowed, NotTrello
from proxy.flow.deliveries import Deliveries, Result
from proxy.memory_budget import Hold
from proxy.policy.webhooks import PATH
from proxy.policy.wire import head_of

BODY_BYTES = 256 * 1024
"""Above it nothing is taken in; Trello's deliveries are some kilobytes."""
_OK_FIELDS = (("Cache-Control", "no-store"),)


class Webhooks:
    """Answers Trello alone: whoever else asks learns that something is here, and no more."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries

    async def handle(self, request: web.BaseRequest, record: Record) -> Rendered:
        """200 for a probe and for what Trello signed; NotTrello, BodyTooLarge otherwise."""
        record.route = PATH
        match request.method:
            case "HEAD":
                pass
            case "POST":
                await self._receive(request, record.hold)
            case _:
                raise MethodNotAllowed("Trello sends HEAD and POST here.", "HEAD, POST, OPTIONS")
        return Rendered(200, head_of(_OK_FIELDS))

    async def _receive(self, request: web.BaseRequest, hold: Hold) -> None:
        body = await receive_raw(request, hold, BODY_BYTES)
        result = await self._deliveries.receive(
            body,
            request.headers.get("X-Trello-Webhook", ""),
            request.headers.get("X-Trello-Client-Identifier", ""),
        )
        if result is Result.FORGED:
            raise NotTrello("Compare credentials.secret and freshness.webhook_url with Trello's.")
