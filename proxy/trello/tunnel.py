"""Parameters with which a page without XMLHttpRequest used Trello's API: `_method`, `callback`.

`_method` makes a GET the write that it names; `callback` makes JSON a call of the page's function
(JSONP). A script or image element of any page can send both. Names count in any letter case,
percent-encoded, repeated or with brackets, wherever they stand.
"""

import re
from collections.abc import Collection, Iterable
from urllib.parse import parse_qsl

from proxy.errors import JsonpDenied, TunnelDenied
from proxy.http_semantics.fetch_metadata import FetchMetadata

_NAME = re.compile(r"[\s?\[]*(_method|callback)\s*(?:[\[\]].*)?", re.I | re.A | re.S)
_MAY_NAME_ONE = re.compile("method|callback|%", re.I)
_SAFE = frozenset({"GET", "HEAD", ""})


def tunnelled_method(parameters: Iterable[tuple[str, str]]) -> str | None:
    """The first method in upper case that decoded parameters ask for and that is not safe."""
    for name, value in parameters:
        method = value.strip().upper()
        if _meaning(name) == "_method" and method not in _SAFE:
            return method
    return None


def tunnelled_method_in(query: str) -> str | None:
    """As `tunnelled_method`, of a raw query without its `?`."""
    return tunnelled_method(parse_qsl(query)) if _MAY_NAME_ONE.search(query) else None


def is_call(query_names: Collection[str]) -> bool:
    """Whether one of these decoded names is `callback`."""
    return any(_meaning(name) == "callback" for name in query_names)


def is_call_in(query: str) -> bool:
    """As `is_call`, of a raw query."""
    if not _MAY_NAME_ONE.search(query):
        return False
    return is_call([name for name, _ in parse_qsl(query, keep_blank_values=True)])


def is_plain(query_names: Collection[str]) -> bool:
    """Whether none of these decoded names is one of both."""
    return not any(_meaning(name) for name in query_names)


def check_call(query_names: Collection[str]) -> None:
    """JsonpDenied where JSONP is asked for."""
    if is_call(query_names):
        raise JsonpDenied(
            "Leave `callback` out and use fetch(); the operator lists your page's origin in "
            "clients.origins, or sets clients.jsonp."
        )


def check_tunnel(sender: FetchMetadata) -> None:
    """TunnelDenied unless a program or a listed page sends the GET that writes.

    An Origin, where there is one, is an allowed one (`Guard`). Never from a navigation: a link in
    a mail or a chat is enough for one.
    """
    is_opened = sender.is_navigation or sender.site == "none"
    if is_opened or not (sender.origin or sender.is_preflighted):
        raise TunnelDenied(
            "Send the method itself instead of `_method`; "
            "or add `X-Requested-With: XMLHttpRequest`, which no link and no image can."
        )


def _meaning(name: str) -> str:
    """`_method` or `callback`, whichever a decoded parameter name means; else nothing."""
    found = _NAME.fullmatch(name)
    return found[1].lower() if found else ""
