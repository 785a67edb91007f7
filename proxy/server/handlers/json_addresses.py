"""JSON addresses (`/b/{board}.json`, `/c/{card}.json`): reads of the API under other paths.

The API handler serves them, so they are cached, conditional and authorised like any read.
"""

from aiohttp import web
from yarl import URL

from proxy.pages.json_addresses import api_target
from proxy.server.handlers.pages import check_read
from proxy.server.middleware import Handler
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse


class JsonAddressHandler:
    """Handler that passes JSON addresses to the API handler, all others to the page's."""

    def __init__(self, page: Handler, api: Handler) -> None:
        self._page = page
        self._api = api

    async def handle(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """The JSON or the page; MethodNotAllowed for a write to a JSON address."""
        target = api_target(request.raw_path)
        if target is None:
            return await self._page(request, context)
        check_read(request)
        return await self._api(request.clone(rel_url=URL(target, encoded=True)), context)
