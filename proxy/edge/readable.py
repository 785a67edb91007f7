"""One answer in three forms: a page for a browser, JSON for who names it, else plain text."""

from collections.abc import Callable

from aiohttp import web

from proxy.edge.rendered import WireResponse
from proxy.model import Fields
from proxy.policy import accepts
from proxy.policy.pages.shell import PAGE_FIELDS
from proxy.policy.wire import serialize

_ALWAYS = (("Cache-Control", "no-store"), ("Vary", "Accept, Sec-Fetch-Mode"))
TEXT_FIELDS: Fields = (("Content-Type", "text/plain; charset=utf-8"), *_ALWAYS)
JSON_FIELDS: Fields = (("Content-Type", "application/json"), *_ALWAYS)

Make = Callable[[], bytes]


def negotiated_response(
    request: web.BaseRequest, *, page: Make, json: Make, text: Make
) -> WireResponse:
    """200, in the form that the request asks for."""
    if wants_page(request):
        return WireResponse(200, serialize(PAGE_FIELDS), page())
    if accepts.wants_json(request.headers.get("Accept", "")):
        return WireResponse(200, serialize(JSON_FIELDS), json())
    return WireResponse(200, serialize(TEXT_FIELDS), text())


def wants_page(request: web.BaseRequest) -> bool:
    """Whether a person in a browser reads the response."""
    headers = request.headers
    return accepts.wants_page(headers.get("Accept", ""), headers.get("Sec-Fetch-Mode", ""))
