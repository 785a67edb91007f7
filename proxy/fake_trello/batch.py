"""/1/batch: up to ten GETs in one; the answer keeps their order."""

import re
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus

from proxy.fake_trello.auth import without
from proxy.fake_trello.body import nested
from proxy.fake_trello.errors import Refusal, invalid
from proxy.fake_trello.request import (
    Download,
    File,
    Obj,
    Request,
)
from proxy.fake_trello.service import find_route
from proxy.fake_trello.state import State

_MOST = 10
_LIST = re.compile(r"(?:^|&)urls=(.*?)(?=&(?:key|token|callback|_method|_)=|&?$)", re.S)
_NAMES = {400: "BadRequest", 401: "Unauthorized", 404: "NotFound"}


def urls_of(query: str) -> str:
    """`urls`, decoded once; an `&` behind a sub-URL's `?` is that sub-URL's own."""
    found = _LIST.search(query)
    raw = found[1] if found else ""
    return unquote_plus(raw if "?" in raw else raw.partition("&")[0])


def run(state: State, call: Request) -> list[Obj]:
    """`{"200": body}` for what went well, name, message and statusCode for what did not."""
    urls = [url for url in call.text("urls").split(",") if url]
    if not 0 < len(urls) <= _MOST:
        raise invalid("urls")
    return [_one(state, call, url) for url in urls]


def _one(state: State, call: Request, url: str) -> Obj:
    whole = unquote(url) if url.lower().startswith("%2f") else url
    path, _, query = whole.partition("?")
    try:
        return {"200": _get(state, call, f"/1/{path.lstrip('/')}", query)}
    except Refusal as refusal:
        name = _NAMES.get(refusal.status, "Error")
        return {"name": name, "message": refusal.sentence, "statusCode": refusal.status}


def _get(state: State, call: Request, path: str, query: str) -> Any:
    found = find_route("GET", path)
    params = without(nested(parse_qsl(query, keep_blank_values=True)))
    value = found.handler(state, Request("GET", found.ids, params, call.asker))
    if isinstance(value, Download | File):
        raise Refusal(400, "invalid route for batch")
    return value
