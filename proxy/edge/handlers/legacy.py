"""`/-/legacy`: the census of tools that still send a key or a token."""

from functools import partial

from aiohttp import web

from proxy.edge.census import Census
from proxy.edge.door import Handler
from proxy.edge.readable import readable
from proxy.edge.record import Record
from proxy.edge.rendered import Rendered
from proxy.policy.pages.legacy import Row, legacy_json, legacy_page, legacy_text

LEGACY = "/-/legacy"


def legacy_handler(census: Census) -> Handler:
    """What answers there."""

    async def handle(request: web.BaseRequest, record: Record) -> Rendered:
        record.route = LEGACY
        rows = [
            Row(each.tool, each.place, each.whose, each.count, each.first_at, each.last_at)
            for each in census.sightings
        ]
        return readable(
            request,
            page=partial(legacy_page, rows),
            json=partial(legacy_json, rows),
            text=partial(legacy_text, rows),
        )

    return handle
