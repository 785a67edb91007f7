"""Batch route `/1/batch`: up to ten GETs in one request, responses in the same order."""

import re
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus

from proxy.fake_trello.auth import without_credentials
from proxy.fake_trello.body import expand_brackets
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


def parse_urls(query: str) -> str:
    """The value of `urls`, decoded once; an `&` after a sub-URL's `?` belongs to that sub-URL."""
    match = _LIST.search(query)
    raw = match[1] if match else ""
    return unquote_plus(raw if "?" in raw else raw.partition("&")[0])


def run(state: State, request: Request) -> list[Obj]:
    """For each GET `{"200": body}`, or name, message and statusCode of its error."""
    urls = [url for url in request.text("urls").split(",") if url]
    if not 0 < len(urls) <= _MOST:
        raise invalid("urls")
    return [_one(state, request, url) for url in urls]


def _one(state: State, request: Request, url: str) -> Obj:
    decoded = unquote(url) if url.lower().startswith("%2f") else url
    path, _, query = decoded.partition("?")
    try:
        return {"200": _get(state, request, f"/1/{path.lstrip('/')}", query)}
    except Refusal as refusal:
        name = _NAMES.get(refusal.status, "Error")
        return {"name": name, "message": refusal.text, "statusCode": refusal.status}


def _get(state: State, request: Request, path: str, query: str) -> Any:
    match = find_route("GET", path)
    params = without_credentials(expand_brackets(parse_qsl(query, keep_blank_values=True)))
    value = match.handler(state, Request("GET", match.ids, params, request.requester))
    if isinstance(value, Download | File):
        raise Refusal(400, "invalid route for batch")
    return value
