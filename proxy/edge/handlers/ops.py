"""What the operator asks: metrics, health, purge."""

import asyncio
import json
from collections.abc import Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from proxy.edge.record import RequestContext
from proxy.edge.rendered import WireResponse
from proxy.errors import MethodNotAllowed
from proxy.flow.health import Health
from proxy.flow.invalidate import Invalidator
from proxy.policy.tags import EVERYTHING
from proxy.policy.wire import serialize

METRICS, PURGE = "/metrics", "/-/purge"
_NO_STORE = ("Cache-Control", "no-store")


class AdminHandler:
    """The proxy's own pages; none of them asks Trello anything."""

    def __init__(
        self, registry: CollectorRegistry, health: Health, invalidator: Invalidator
    ) -> None:
        self._registry = registry
        self._health = health
        self._invalidator = invalidator

    async def metrics(self, request: web.BaseRequest, record: RequestContext) -> WireResponse:
        """All metrics; rendered beside the loop, which goes on answering."""
        record.route = METRICS
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        body = await asyncio.to_thread(encode, self._registry)
        return WireResponse(200, serialize((("Content-Type", content_type), _NO_STORE)), body)

    async def healthz(self, _: web.BaseRequest, record: RequestContext) -> WireResponse:
        """The loop turns."""
        record.route = "/healthz"
        return _json({"status": "ok"})

    async def readyz(self, _: web.BaseRequest, record: RequestContext) -> WireResponse:
        """Requests are answered, though perhaps not as well as they should be; else 503."""
        record.route = "/readyz"
        report = self._health.report()
        status = 503 if report.status == "down" else 200
        return _json({"status": report.status, **report.parts}, status)

    async def purge(self, request: web.BaseRequest, record: RequestContext) -> WireResponse:
        """Forget everything stored."""
        record.route = PURGE
        if request.method != "POST":
            raise MethodNotAllowed("Use POST.", "POST, OPTIONS")
        self._invalidator.invalidate({EVERYTHING}, "purge")
        await self._invalidator.flush()
        return _json({"purged": "everything"})


def _json(value: Mapping[str, str | float | None], status: int = 200) -> WireResponse:
    fields = (("Content-Type", "application/json"), _NO_STORE)
    return WireResponse(status, serialize(fields), json.dumps(value).encode() + b"\n")
