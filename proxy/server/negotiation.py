"""Content negotiation by Accept: HTML for browsers, JSON where named, else text (RFC 9110 §12)."""

from collections.abc import Callable

from aiohttp import web

from proxy.http_semantics import content
from proxy.http_semantics.fields import serialize
from proxy.model import Fields
from proxy.pages.layout import PAGE_FIELDS
from proxy.server.response import WireResponse

_ALWAYS = (("Cache-Control", "no-store"), ("Vary", "Accept, Sec-Fetch-Mode"))

TEXT_FIELDS: Fields = (("Content-Type", "text/plain; charset=utf-8"), *_ALWAYS)
JSON_FIELDS: Fields = (("Content-Type", "application/json"), *_ALWAYS)

Render = Callable[[], bytes]


def negotiated_response(
    request: web.BaseRequest,
    *,
    page: Render,
    text: Render,
    json: Render | None = None,
    status: int = 200,
) -> WireResponse:
    """The response in the format that the request prefers; text if there is no JSON."""
    if wants_page(request):
        return WireResponse(status, serialize(PAGE_FIELDS), page())
    if json is not None and content.wants_json(request.headers.get("Accept", "")):
        return WireResponse(status, serialize(JSON_FIELDS), json())
    return WireResponse(status, serialize(TEXT_FIELDS), text())


def wants_page(request: web.BaseRequest) -> bool:
    """Whether a browser shows the response to a person."""
    headers = request.headers
    return content.prefers_html(headers.get("Accept", ""), headers.get("Sec-Fetch-Mode", ""))
