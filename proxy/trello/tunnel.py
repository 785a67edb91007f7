"""Tunnel parameters, for pages without XMLHttpRequest: `_method` and `callback`.

`_method` makes a GET the write that it names; `callback` makes JSON a call of the page's function
(JSONP). A script or image element of any page can send both. Names count however a receiver may
spell them (`http_semantics/parameters.py`), repeated, wherever they stand.
"""

import re
from collections.abc import Collection, Iterable

from proxy.errors import JsonpDenied, TunnelDenied
from proxy.http_semantics.fields import FetchMetadata
from proxy.http_semantics.parameters import METHOD_PARAMETER, read_form, root_of
from proxy.model import Kind

READS_ONLY = "Send a write by itself; a batch is a list of reads."
_CALLBACK = "callback"
_MAY_NAME_ONE = re.compile("method|callback|%", re.I)
_SAFE = frozenset({"GET", "HEAD", ""})


def tunnelled_method(parameters: Iterable[tuple[str, str]]) -> str | None:
    """The first method in upper case that decoded parameters ask for and that is not safe."""
    for name, value in parameters:
        method = value.strip().upper()
        if root_of(name) == METHOD_PARAMETER and method not in _SAFE:
            return method
    return None


def tunnelled_method_in(query: str) -> str | None:
    """As `tunnelled_method`, of a raw query without its `?`."""
    return tunnelled_method(read_form(query)) if _MAY_NAME_ONE.search(query) else None


def is_call(query_names: Collection[str]) -> bool:
    """Whether one of these decoded names is `callback`."""
    return any(root_of(name) == _CALLBACK for name in query_names)


def is_call_in(query: str) -> bool:
    """As `is_call`, of a raw query."""
    if not _MAY_NAME_ONE.search(query):
        return False
    return is_call([name for name, _ in read_form(query)])


def is_plain(query_names: Collection[str]) -> bool:
    """Whether none of these decoded names is one of both."""
    return not any(root_of(name) in {METHOD_PARAMETER, _CALLBACK} for name in query_names)


def check_call(query_names: Collection[str]) -> None:
    """JsonpDenied where JSONP is asked for."""
    if is_call(query_names):
        raise JsonpDenied(
            "Leave `callback` out and use fetch(); the operator lists your page's origin in "
            "clients.origins, or sets clients.jsonp."
        )


def check_tunnel(method: str, kind: Kind, sender: FetchMetadata) -> None:
    """TunnelDenied unless a program or a listed page sends the GET that writes.

    An Origin, where there is one, is an allowed one (`BrowserGuard`). Never from a navigation: a
    link in a mail or a chat is enough for one. Never by a HEAD, which is to change nothing, nor by
    a batch: `kind` is what the path is without `_method`.
    """
    if method != "GET":
        raise TunnelDenied("Send the method itself instead of `_method`; a HEAD writes nothing.")
    if kind is Kind.BATCH:
        raise TunnelDenied(READS_ONLY)
    is_opened = sender.is_navigation or sender.site == "none"
    if is_opened or not (sender.origin or sender.is_preflighted):
        raise TunnelDenied(
            "Send the method itself instead of `_method`; "
            "or add `X-Requested-With: XMLHttpRequest`, which no link and no image can."
        )
