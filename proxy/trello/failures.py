"""Is an answer Trello's word on the matter, or a sign that Trello is in trouble? (RFC 5861 §4)."""

import re

_PAGES = frozenset({"text/html", "application/xhtml+xml"})


_PAGE = re.compile(rb"\s*<(?:!doctype html|html)\b", re.IGNORECASE)


_TOO_MANY = 429


def is_page_of_another(status: int, content_type: str, plain: bytes) -> bool:
    """Whether a refusal is an HTML page, so not Trello's word, but a gateway's (D7).

    Trello refuses in a sentence or in JSON. A 429 and a 5xx are trouble whatever their form.
    """
    is_refusal = 400 <= status < 500 and status != _TOO_MANY
    return is_refusal and (_media_type(content_type) in _PAGES or bool(_PAGE.match(plain)))


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


_BAD_CREDENTIAL = (b"invalid key", b"invalid token", b"invalid app key", b"expired token")


def is_upstream_failure(status: int, body: bytes, *, own: bool) -> bool:
    """Whether a stale answer is better than this one.

    Server errors and throttling always; of the refusals only those that say the *stored*
    credential is broken. That a member may no longer see something is Trello's word.
    """
    if status >= 500 or status == 429:
        return True
    return own and is_credential_rejected(status, body)


def is_credential_rejected(status: int, body: bytes) -> bool:
    """Whether Trello says that the key or the token is no good, whatever it is used for."""
    return status == 401 and any(sentence in body for sentence in _BAD_CREDENTIAL)


def is_failure(status: int) -> bool:
    """Whether it is a gateway's word for a Trello that is gone or overrun.

    A 500 may be about one request, and comes fast; a 429 is no failure.
    """
    return status >= 502
