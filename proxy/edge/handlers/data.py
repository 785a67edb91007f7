"""`/b/{board}.json` and `/c/{card}.json`: the whole object as JSON, else the page of that address.

The API's handler serves it, like any read of that target: from the store, with its ETag.
"""

from aiohttp import web
from yarl import URL

from proxy.edge.door import Handler
from proxy.edge.record import Record
from proxy.edge.rendered import Rendered
from proxy.errors import MethodNotAllowed
from proxy.policy.pages.data import data_target


class Data:
    """Tells addresses of data from addresses of pages."""

    def __init__(self, page: Handler, api: Handler) -> None:
        self._page = page
        self._api = api

    async def handle(self, request: web.BaseRequest, record: Record) -> Rendered:
        """The data or the page."""
        target = data_target(request.raw_path)
        if target is None:
            return await self._page(request, record)
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed("Data are read with GET.", "GET, HEAD, OPTIONS")
        return await self._api(request.clone(rel_url=URL(target, encoded=True)), record)
