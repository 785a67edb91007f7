"""Our own errors as answers: problem+json with a Proxy-Status field (RFC 9457, RFC 9209; D7)."""

import json

from aiohttp import web

from proxy.edge.readable import wants_page
from proxy.edge.rendered import Rendered
from proxy.errors import (
    CredentialRequired,
    MethodNotAllowed,
    NotTrello,
    ProxyError,
    TurnTooLate,
)
from proxy.policy.cache_status import NAME
from proxy.policy.credentials import strip_address
from proxy.policy.pages.failure import Failure, failure_page, refusal
from proxy.policy.pages.shell import PAGE_FIELDS
from proxy.policy.wire import head_of

TYPE_PREFIX = "urn:trello-proxy:"
TRELLO_REFUSAL = "unauthorized permission requested"
"""What Trello says to a request without a credential."""
_CHALLENGES: dict[type[ProxyError], str] = {
    CredentialRequired: 'OAuth realm="https://api.trello.com"',
    NotTrello: "X-Trello-Webhook",
}
"""What goes with a 401 (RFC 9110 §11.6.1)."""
_IN_TROUBLE = "Trello is in trouble"
"""What a person needs to know of all the ways in which it can be."""


def render(error: ProxyError, request_id: str, request: web.BaseRequest | None) -> Rendered:
    """The answer that says whose fault it was and what to do; a page for people in a browser.

    No request: what came was none.
    """
    fields = [
        ("Proxy-Status", f"{NAME}; error={error.proxy_error}"),
    ]
    if error.retry_after_s is not None:
        fields.append(("Retry-After", str(error.retry_after_s)))
    if challenge := _CHALLENGES.get(type(error)):
        fields.append(("WWW-Authenticate", challenge))
    if isinstance(error, MethodNotAllowed):
        fields.append(("Allow", error.allowed))
    if request is not None and wants_page(request):
        failure = Failure(error.status, _title(error), _cure(error))
        page = failure_page(failure, strip_address(request.raw_path), request_id)
        return Rendered(error.status, head_of((*PAGE_FIELDS, *fields)), page)
    if isinstance(error, TurnTooLate):
        # As Trello has it, so that a client's own way to wait works; Proxy-Status says it is ours.
        said = {"error": error.code, "message": str(error)}
        fields += [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        return Rendered(error.status, head_of(fields), json.dumps(said).encode())
    if isinstance(error, CredentialRequired):
        # Trello's own words come first: clients look for them in the text of a 401.
        fields += [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]
        return Rendered(error.status, head_of(fields), f"{TRELLO_REFUSAL}. {error}".encode())
    body = {
        "type": TYPE_PREFIX + error.slug,
        "title": error.title,
        "status": error.status,
        "detail": str(error),
        "instance": f"urn:trello-proxy:request:{request_id}",
    }
    fields += [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store")]
    return Rendered(error.status, head_of(fields), json.dumps(body).encode())


def _title(error: ProxyError) -> str:
    if error.source == "upstream":
        return _IN_TROUBLE
    return error.title


def _cure(error: ProxyError) -> str:
    if isinstance(error, TurnTooLate):
        return f"Try again in {error.retry_after_s} s; nothing is wrong with the link."
    return str(error)


def refused_file(status: int, request_id: str, request: web.BaseRequest) -> Rendered:
    """Trello's own refusal of a file, told to a person in a browser."""
    page = failure_page(refusal(status), strip_address(request.raw_path), request_id)
    return Rendered(status, head_of(PAGE_FIELDS), page)
