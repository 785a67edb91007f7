"""`/-/explain?url=`: what would become of a read, for the operator."""

from functools import partial

from aiohttp import web

from proxy.edge.door import Handler
from proxy.edge.intake import RequestParser
from proxy.edge.readable import negotiated_response
from proxy.edge.record import RequestContext
from proxy.edge.rendered import WireResponse
from proxy.errors import InvalidTarget
from proxy.flow.explain import Explainer
from proxy.model import Priority
from proxy.policy.directives import NONE
from proxy.policy.explaining import as_json, as_page, as_text, target_in, url_in

EXPLAIN = "/-/explain"


def explain_handler(explain: Explainer, parser: RequestParser) -> Handler:
    """What answers there; what clients may not do is refused as they would be."""

    async def handle(request: web.BaseRequest, record: RequestContext) -> WireResponse:
        record.route = EXPLAIN
        url = url_in(request.raw_path.partition("?")[2])
        if not url:
            raise InvalidTarget(f"Name a request: {EXPLAIN}?url=/1/boards/…")
        api_request = parser.internal_get(target_in(url), NONE, Priority.API)
        parts = parser.batch_parts(api_request)
        parser.permission.check(api_request, parts)
        explained = await explain.explain(api_request, parts)
        return negotiated_response(
            request,
            page=partial(as_page, explained),
            json=partial(as_json, explained),
            text=partial(as_text, explained),
        )

    return handle
