"""What Trello's answers say of its buckets: `x-rate-limit-{name}-{interval-ms,max,remaining}`."""

from dataclasses import dataclass

from proxy.model import Fields

_PREFIX = "x-rate-limit-"
_FIRST = ("X-", "x-")
_FIGURES = ("-interval-ms", "-max", "-remaining")
MAX_NAMES = 16
"""Trello has five; further ones of one answer are not looked at."""


@dataclass(frozen=True, slots=True)
class RateLimitHeader:
    """One bucket as Trello saw it when it took the request."""

    interval_s: float
    limit: int
    remaining: int


def parse_rate_limit_headers(fields: Fields) -> dict[str, RateLimitHeader]:
    """By the bucket's name, as `api-token`; those of which all three figures are there."""
    found = {
        name[13:].lower(): int(value)
        for name, value in fields
        if name[:2] in _FIRST and name[:13].lower() == _PREFIX
        if value.isdecimal() and len(value) < 16
    }
    out: dict[str, RateLimitHeader] = {}
    for field in found:
        if not field.endswith("-max"):
            continue
        name = field[:-4]
        interval_ms, most, remaining = (found.get(name + figure) for figure in _FIGURES)
        if not interval_ms or not most or remaining is None or len(out) == MAX_NAMES:
            continue
        out[name] = RateLimitHeader(interval_ms / 1000, most, remaining)
    return out
