"""One answer in three forms: a page for a browser, JSON for who names it, else plain text."""

from collections.abc import Callable

from proxy.edge.rendered import Rendered
from proxy.model import Fields
from proxy.policy.accepts import wants_json, wants_page
from proxy.policy.pages.shell import PAGE_FIELDS
from proxy.policy.wire import head_of

_ALWAYS = (("Cache-Control", "no-store"), ("Vary", "Accept"))
TEXT_FIELDS: Fields = (("Content-Type", "text/plain; charset=utf-8"), *_ALWAYS)
JSON_FIELDS: Fields = (("Content-Type", "application/json"), *_ALWAYS)

Make = Callable[[], bytes]


def readable(accept: str, *, page: Make, json: Make, text: Make, status: int = 200) -> Rendered:
    """The form that a field value of Accept asks for."""
    if wants_page(accept):
        return Rendered(status, head_of(PAGE_FIELDS), page())
    if wants_json(accept):
        return Rendered(status, head_of(JSON_FIELDS), json())
    return Rendered(status, head_of(TEXT_FIELDS), text())
