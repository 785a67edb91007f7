"""Documentation handlers: `/-/docs/` and its pages, HTML for browsers, else Markdown."""

import asyncio
from functools import partial

from aiohttp import web

from proxy.http_semantics.fields import serialize
from proxy.pages.docs import (
    NAMES,
    RUNBOOK,
    URL,
    docs_index_page,
    docs_index_text,
    docs_page,
    markdown,
)
from proxy.pages.layout import PAGE_FIELDS
from proxy.server.handlers.pages import check_read
from proxy.server.middleware import Handler
from proxy.server.negotiation import TEXT_FIELDS, negotiated_response, wants_page
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse


def docs_handlers() -> dict[str, Handler]:
    """Handlers by path; a page also under its file's name, as Markdown for every client."""
    handlers: dict[str, Handler] = {URL: _index, URL.rstrip("/"): _index}
    handlers[RUNBOOK] = partial(_page, "alerts")
    for name in NAMES:
        handlers[URL + name] = partial(_page, name)
        handlers[f"{URL}{name}.md"] = partial(_source, name)
    return handlers


async def _index(request: web.BaseRequest, context: RequestContext) -> WireResponse:
    _begin(request, context)
    return negotiated_response(
        request, page=docs_index_page, text=lambda: docs_index_text().encode()
    )


async def _page(name: str, request: web.BaseRequest, context: RequestContext) -> WireResponse:
    if not wants_page(request):
        return await _source(name, request, context)
    _begin(request, context)
    return WireResponse(200, serialize(PAGE_FIELDS), await asyncio.to_thread(docs_page, name))


async def _source(name: str, request: web.BaseRequest, context: RequestContext) -> WireResponse:
    _begin(request, context)
    return WireResponse(200, serialize(TEXT_FIELDS), markdown(name).encode())


def _begin(request: web.BaseRequest, context: RequestContext) -> None:
    """MethodNotAllowed for anything but GET and HEAD."""
    context.route = URL
    check_read(request)
