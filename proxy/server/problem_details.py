"""Problem details: errors as problem+json with a Proxy-Status field (RFC 9457, RFC 9209; D7)."""

import json

from aiohttp import web

from proxy.credentials.extraction import strip_url
from proxy.errors import (
    ClientKeyRequired,
    CredentialRequired,
    InvalidWebhookSignature,
    MethodNotAllowed,
    ProxyError,
    RateLimited,
)
from proxy.http_semantics.cache_control import NAME
from proxy.http_semantics.fields import serialize
from proxy.pages.error import UPSTREAM_FAILURE_TITLE, Failure, error_page, refusal_of
from proxy.pages.layout import PAGE_FIELDS
from proxy.server.negotiation import wants_page
from proxy.server.request_parser import NoSuchAddress
from proxy.server.response import WireResponse

TYPE_PREFIX = "urn:trello-proxy:"
TRELLO_REFUSAL = "unauthorized permission requested"
"""How Trello refuses a request without a credential."""
_CHALLENGES: dict[type[ProxyError], str] = {
    ClientKeyRequired: 'Bearer realm="trello-proxy", Basic realm="trello-proxy", charset="UTF-8"',
    CredentialRequired: 'OAuth realm="https://api.trello.com"',
    InvalidWebhookSignature: "X-Trello-Webhook",
}
"""WWW-Authenticate of a 401 (RFC 9110 §11.6.1)."""


def problem_response(
    error: ProxyError, request_id: str, request: web.BaseRequest | None
) -> WireResponse:
    """The response that says whose fault it was and what to do; a page in a browser.

    `request` is None if what was received could not be parsed.
    """
    fields = [("Proxy-Status", f"{NAME}; error={error.proxy_error}")]
    if error.retry_after_s is not None:
        fields.append(("Retry-After", str(error.retry_after_s)))
    if challenge := _CHALLENGES.get(type(error)):
        fields.append(("WWW-Authenticate", challenge))
    if isinstance(error, MethodNotAllowed):
        fields.append(("Allow", error.allowed))
    if request is not None and wants_page(request):
        has_form = isinstance(error, NoSuchAddress)
        failure = Failure(error.status, _title(error), _remedy(error), has_form=has_form)
        page = error_page(failure, strip_url(request.raw_path), request_id)
        return WireResponse(error.status, serialize((*PAGE_FIELDS, *fields)), page)
    if isinstance(error, RateLimited):
        # In Trello's format, so that a client retries as it does for Trello's own 429s.
        body = {"error": error.code, "message": str(error)}
        fields += [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        return WireResponse(error.status, serialize(fields), json.dumps(body).encode())
    if isinstance(error, CredentialRequired):
        # Trello's own text comes first: clients search for it in the body of a 401.
        fields += [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]
        return WireResponse(error.status, serialize(fields), f"{TRELLO_REFUSAL}. {error}".encode())
    problem = {
        "type": TYPE_PREFIX + error.slug,
        "title": error.title,
        "status": error.status,
        "detail": str(error),
        "instance": f"urn:trello-proxy:request:{request_id}",
    }
    fields += [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store")]
    return WireResponse(error.status, serialize(fields), json.dumps(problem).encode())


def _title(error: ProxyError) -> str:
    if error.source == "upstream":
        return UPSTREAM_FAILURE_TITLE
    return error.title


def _remedy(error: ProxyError) -> str:
    if isinstance(error, RateLimited):
        return f"Try again in {error.retry_after_s} s; nothing is wrong with the link."
    if isinstance(error, NoSuchAddress):
        return "No page has this address. Paste one from Trello to get the link to it here."
    return str(error)


def file_refused_page(status: int, request_id: str, request: web.BaseRequest) -> WireResponse:
    """A page for Trello's refusal of a file, in a browser."""
    page = error_page(refusal_of(status), strip_url(request.raw_path), request_id)
    return WireResponse(status, serialize(PAGE_FIELDS), page)
