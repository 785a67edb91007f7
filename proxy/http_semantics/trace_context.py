"""Whose doing a request is: the `traceparent` field (W3C Trace Context §3.2). Pure."""

import re
from collections.abc import Sequence
from typing import NamedTuple

_FIELD = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.S)
_KNOWN_VERSION = "00"
_FORBIDDEN_VERSION = "ff"


class TraceContext(NamedTuple):
    """A trace, and where a request stands in it."""

    trace_id: str
    parent: str
    """The field value to pass on."""


def parse_traceparent(values: Sequence[str]) -> TraceContext | None:
    """What a request says of it; None for no field, for two, and for one that is not valid.

    Of a version to come what is known now is taken, and passed on as version 00 (§3.2.4).
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
