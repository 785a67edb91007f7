"""Data addresses: `/b/{board}.json` and `/c/{card}.json`, API reads under other paths, and CSV.

The API handler serves JSON, so it is cached, conditional and authorised like any read.
"""

from aiohttp import web
from yarl import URL

from proxy.pages.json_addresses import api_target, board_of_csv
from proxy.server.handlers.pages import check_read
from proxy.server.middleware import Handler
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse


class JsonAddressHandler:
    """Handler that passes data addresses to the handlers of the API and CSV, others to a page's."""

    def __init__(self, page: Handler, api: Handler, csv: Handler) -> None:
        self._page = page
        self._api = api
        self._csv = csv

    async def handle(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """The data or the page; MethodNotAllowed for a write to a data address."""
        if board_of_csv(request.raw_path):
            return await self._csv(request, context)
        target = api_target(request.raw_path)
        if target is None:
            return await self._page(request, context)
        check_read(request)
        return await self._api(request.clone(rel_url=URL(target, encoded=True)), context)
