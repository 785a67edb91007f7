"""Credentials that tools still send: where, and what such a tool is told (RFC 9745)."""

from collections.abc import Iterator
from typing import Literal

from proxy.policy.credentials import ExtractedCredential, Location

UsageLocation = Literal["query", "body", "header", "path"]

_WHERE: dict[Location, UsageLocation] = {
    "query": "query",
    "batch": "query",
    "form": "body",
    "json": "body",
    "multipart": "body",
    "header": "header",
    "path": "path",
}

DEPRECATION_HEADERS = (
    b'Deprecation: @1795219200\r\nLink: </>; rel="deprecation"; type="text/html"\r\n'
)
"""Since 21 November 2026 nobody needs to send one; `/` says what to do instead."""


def locations_of(
    carried: tuple[ExtractedCredential, ...],
) -> Iterator[tuple[UsageLocation, ExtractedCredential]]:
    """Each place where a request carried a credential, once, with what was found there."""
    merged: dict[UsageLocation, ExtractedCredential] = {}
    for found in carried:
        for place in found.locations:
            where = _WHERE[place]
            merged[where] = merged.get(where, ExtractedCredential()).merge(found)
    yield from merged.items()
