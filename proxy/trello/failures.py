"""Upstream failures: responses that are worse than a stale one (RFC 5861 §4)."""

import re

from proxy.http_semantics.media_type import media_type_of

PAGE_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_PAGE = re.compile(rb"\s*<(?:!doctype html|html)\b", re.IGNORECASE)
_BAD_CREDENTIAL = (b"invalid key", b"invalid token", b"invalid app key", b"expired token")


def is_upstream_failure(status: int, body: bytes, *, own: bool) -> bool:
    """Whether a stale response is better than this one.

    Server errors and throttling always are failures; of the refusals only those that say the
    *stored* credential is broken (`own`). That a member may no longer see something is Trello's
    decision.
    """
    if status >= 500 or status == 429:
        return True
    return own and is_credential_rejected(status, body)


def is_credential_rejected(status: int, body: bytes) -> bool:
    """Whether Trello says that the key or the token is invalid, whatever it is used for."""
    return status == 401 and any(sentence in body for sentence in _BAD_CREDENTIAL)


def is_gateway_failure(status: int) -> bool:
    """Whether a gateway says that Trello cannot be reached or is overloaded.

    A 500 may be about one request, and comes fast; a 429 is throttling.
    """
    return status >= 502


def is_gateway_page(status: int, content_type: str, plain: bytes) -> bool:
    """Whether a refusal is an HTML page, and so a gateway's and not Trello's (D7).

    Trello refuses in a sentence or in JSON. A 429 and a 5xx are failures whatever their form.
    """
    is_refusal = 400 <= status < 500 and status != 429
    return is_refusal and (media_type_of(content_type) in PAGE_TYPES or bool(_PAGE.match(plain)))
