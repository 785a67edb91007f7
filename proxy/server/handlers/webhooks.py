"""Webhook handler: Trello's probe of the callback URL, and its deliveries."""

from aiohttp import web

from proxy.changes.webhook_receiver import DeliveryResult, WebhookReceiver
from proxy.errors import InvalidWebhookSignature, MethodNotAllowed
from proxy.http_semantics.fields import serialize
from proxy.runtime.memory_budget import Hold
from proxy.server.request_body import read_limited
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse
from proxy.trello.webhook_payload import PATH

MAX_BODY_BYTES = 256 * 1024
"""Of a delivery; Trello's have some kilobytes."""
_OK_FIELDS = (("Cache-Control", "no-store"),)


class WebhookHandler:
    """Handler of the callback URL; requests without Trello's signature have no effect."""

    def __init__(self, webhook_receiver: WebhookReceiver) -> None:
        self._receiver = webhook_receiver

    async def handle(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """200 for a probe and a signed delivery; InvalidWebhookSignature, BodyTooLarge."""
        context.route = PATH
        match request.method:
            case "HEAD":
                pass
            case "POST":
                await self._receive(request, context.hold)
            case _:
                raise MethodNotAllowed("Trello sends HEAD and POST here.", "HEAD, POST, OPTIONS")
        return WireResponse(200, serialize(_OK_FIELDS))

    async def _receive(self, request: web.BaseRequest, hold: Hold) -> None:
        body = await read_limited(request, hold, MAX_BODY_BYTES)
        result = await self._receiver.receive(
            body,
            request.headers.get("X-Trello-Webhook", ""),
            request.headers.get("X-Trello-Client-Identifier", ""),
        )
        if result is DeliveryResult.INVALID_SIGNATURE:
            raise InvalidWebhookSignature(
                "Compare credentials.secret and freshness.webhook_url with Trello's."
            )
