"""Our own errors as answers: problem+json with a Proxy-Status field (RFC 9457, RFC 9209; D7)."""

import json

from aiohttp import web

from proxy.edge.rendered import Rendered
from proxy.errors import MethodNotAllowed, NotTrello, ProxyError, UpstreamError
from proxy.policy.accepts import wants_page
from proxy.policy.cache_status import NAME
from proxy.policy.pages.failure import Failure, failure_page, refusal
from proxy.policy.pages.shell import PAGE_FIELDS
from proxy.policy.wire import head_of

TYPE_PREFIX = "urn:trello-proxy:"
RETRY_AFTER_S = 10
_IN_TROUBLE = "Trello is in trouble"
"""What a person needs to know of all the ways in which it can be."""


def render(error: ProxyError, request_id: str, request: web.BaseRequest | None) -> Rendered:
    """The answer that says whose fault it was and what to do; a page for people in a browser.

    No request: what came was none.
    """
    fields = [
        ("Proxy-Status", f"{NAME}; error={error.proxy_error}"),
    ]
    if isinstance(error, UpstreamError):
        fields.append(("Retry-After", str(RETRY_AFTER_S)))
    if isinstance(error, NotTrello):
        fields.append(("WWW-Authenticate", "X-Trello-Webhook"))  # RFC 9110 §15.5.2 wants one
    if isinstance(error, MethodNotAllowed):
        fields.append(("Allow", error.allowed))
    if request is not None and wants_page(request.headers.get("Accept", "")):
        title = _IN_TROUBLE if isinstance(error, UpstreamError) else error.title
        failure = Failure(error.status, title, str(error))
        page = failure_page(failure, request.raw_path, request_id)
        return Rendered(error.status, head_of((*PAGE_FIELDS, *fields)), page)
    body = {
        "type": TYPE_PREFIX + error.slug,
        "title": error.title,
        "status": error.status,
        "detail": str(error),
        "instance": f"urn:trello-proxy:request:{request_id}",
    }
    fields += [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store")]
    return Rendered(error.status, head_of(fields), json.dumps(body).encode())


def refused_file(status: int, request_id: str, request: web.BaseRequest) -> Rendered:
    """Trello's own refusal of a file, told to a person in a browser."""
    page = failure_page(refusal(status), request.raw_path, request_id)
    return Rendered(status, head_of(PAGE_FIELDS), page)
