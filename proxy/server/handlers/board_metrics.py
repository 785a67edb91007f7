"""Board metrics handler: `/metrics/boards`, for Prometheus."""

import asyncio
from dataclasses import dataclass

from aiohttp import web

from proxy.http_semantics.fields import serialize
from proxy.server.handlers.pages import check_read
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse
from proxy.status.board_metrics import BoardMetrics

BOARD_METRICS = "/metrics/boards"


@dataclass(frozen=True, slots=True)
class BoardMetricsHandler:
    """Handler of the metrics of boards."""

    metrics: BoardMetrics

    async def show(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """The metrics, rendered in a thread."""
        from proxy.observability.exposition import (  # noqa: PLC0415 — delays the start
            render_readings,
        )

        context.route = BOARD_METRICS
        check_read(request)
        readings, accept = await self.metrics.collect(), request.headers.get("Accept", "")
        media_type, body = await asyncio.to_thread(render_readings, readings, accept)
        fields = (("Content-Type", media_type), ("Cache-Control", "no-store"))
        return WireResponse(200, serialize(fields), body)
