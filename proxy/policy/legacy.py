"""Credentials that tools still send: where, and what such a tool is told (RFC 9745)."""

from collections.abc import Iterator
from typing import Literal

from proxy.policy.credentials import Found, Place

Where = Literal["query", "body", "header", "path"]

_WHERE: dict[Place, Where] = {
    "query": "query",
    "batch": "query",
    "form": "body",
    "json": "body",
    "multipart": "body",
    "header": "header",
    "path": "path",
}

DEPRECATED = b'Deprecation: @1795219200\r\nLink: </>; rel="deprecation"; type="text/html"\r\n'
"""Since 21 November 2026 nobody needs to send one; `/` says what to do instead."""


def places_of(carried: tuple[Found, ...]) -> Iterator[tuple[Where, Found]]:
    """Each place where a request carried a credential, once, with what was found there."""
    merged: dict[Where, Found] = {}
    for found in carried:
        for place in found.places:
            where = _WHERE[place]
            merged[where] = merged.get(where, Found()).merge(found)
    yield from merged.items()
