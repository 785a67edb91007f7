"""`/-/explain?url=`: what would become of a read, for the operator."""

from functools import partial

from aiohttp import web

from proxy.edge.door import Handler
from proxy.edge.intake import Intake
from proxy.edge.readable import readable
from proxy.edge.record import Record
from proxy.edge.rendered import Rendered
from proxy.errors import BadTarget
from proxy.flow.explain import Explain
from proxy.model import Urgency
from proxy.policy.directives import NONE
from proxy.policy.explaining import as_json, as_page, as_text, target_in, url_in

EXPLAIN = "/-/explain"


def explain_handler(explain: Explain, intake: Intake) -> Handler:
    """What answers there; what clients may not do is refused as they would be."""

    async def handle(request: web.BaseRequest, record: Record) -> Rendered:
        record.route = EXPLAIN
        url = url_in(request.raw_path.partition("?")[2])
        if not url:
            raise BadTarget(f"Name a request: {EXPLAIN}?url=/1/boards/…")
        ask = intake.own(target_in(url), NONE, Urgency.TOOL)
        parts = intake.parts(ask)
        intake.permission.check(ask, parts)
        explained = await explain.of(ask, parts)
        return readable(
            request,
            page=partial(as_page, explained),
            json=partial(as_json, explained),
            text=partial(as_text, explained),
        )

    return handle
