"""Trace context of a request: the `traceparent` field (W3C Trace Context §3.2). Pure.

It is logged and forwarded; the proxy exports no span of its own (D81).
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

_FIELD = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.S)
_KNOWN_VERSION = "00"
_FORBIDDEN_VERSION = "ff"


class TraceContext(NamedTuple):
    """A trace, and the parent of a request in it."""

    trace_id: str
    parent: str
    """The field value to pass on."""


def parse_traceparent(values: Sequence[str]) -> TraceContext | None:
    """The trace context of a request; None for no field, several, or an invalid one.

    A later version is read and forwarded as version 00 (§3.2.4).
    """
    match = _FIELD.fullmatch(values[0].strip()) if len(values) == 1 else None
    if match is None:
        return None
    version, trace_id, parent_id, flags, more = match.groups()
    if version == _FORBIDDEN_VERSION or (version == _KNOWN_VERSION and more is not None):
        return None
    if not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    return TraceContext(trace_id, f"{_KNOWN_VERSION}-{trace_id}-{parent_id}-{flags}")
