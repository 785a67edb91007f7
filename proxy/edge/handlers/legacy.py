"""`/-/legacy`: the census of tools that still send a key or a token."""

from functools import partial

from aiohttp import web

from proxy.edge.census import CredentialUsage
from proxy.edge.door import Handler
from proxy.edge.readable import negotiated_response
from proxy.edge.record import RequestContext
from proxy.edge.rendered import WireResponse
from proxy.policy.pages.legacy import (
    Row,
    credential_usage_json,
    credential_usage_page,
    credential_usage_text,
)

CLIENT_CREDENTIALS = "/-/legacy"


def credential_usage_handler(credential_usage: CredentialUsage) -> Handler:
    """What answers there."""

    async def handle(request: web.BaseRequest, record: RequestContext) -> WireResponse:
        record.route = CLIENT_CREDENTIALS
        rows = [
            Row(
                each.client,
                each.location,
                each.owner,
                each.count,
                each.first_seen_at,
                each.last_seen_at,
            )
            for each in credential_usage.usages
        ]
        return negotiated_response(
            request,
            page=partial(credential_usage_page, rows),
            json=partial(credential_usage_json, rows),
            text=partial(credential_usage_text, rows),
        )

    return handle
