"""May an answer be stored, and is it one at all? (RFC 9111 §3; D2, D7)."""

import json
import re
from dataclasses import dataclass
from enum import StrEnum

from proxy.model import Kind, Lifetimes, Tag

GONE_LIFETIMES = Lifetimes(lifetime_s=5.0)
"""A 404 may turn into a 200 when a member is added: kept for seconds, never past them."""

_SCALAR = re.compile(rb'\s*[\[{"\-0-9tfn]')


class Reason(StrEnum):
    """Why an answer was not stored; the `detail` of Cache-Status."""

    ROUTE = "route-not-stored"
    STATUS = "status-not-stored"
    REQUEST = "request-no-store"
    INVALIDATED = "invalidated-meanwhile"
    TOO_LARGE = "too-large"


@dataclass(frozen=True, slots=True)
class Storable:
    """It may be stored, under these lifetimes, until one of these tags is invalidated."""

    lifetimes: Lifetimes
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class NotStored:
    """It may not, and this is why."""

    reason: Reason


def may_store(
    status: int, lifetimes: Lifetimes, tags: tuple[Tag, ...], *, no_store: bool = False
) -> Storable | NotStored:
    """200 for the route's lifetimes, 404 for seconds, nothing else (D2)."""
    if no_store:
        return NotStored(Reason.REQUEST)
    if lifetimes.lifetime_s <= 0:
        return NotStored(Reason.ROUTE)
    if status == 404:
        return Storable(GONE_LIFETIMES, tags)
    if status != 200:
        return NotStored(Reason.STATUS)
    return Storable(lifetimes, tags)


def lifetimes_for(status: int, route: Lifetimes) -> Lifetimes:
    """What a stored response may be used for, by today's route table."""
    return GONE_LIFETIMES if status == 404 else route


def why_unusable(kind: Kind, content_type: str, plain: bytes, *, length_known: bool) -> str | None:
    """Why a 200 is not what its route gives, or None when it is (D7).

    JSON routes give JSON: a gateway's HTML page is trouble upstream. Where the length was not
    announced a cut body looks complete, so the JSON itself must be whole.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if kind is Kind.SCRIPT:
        return None if "javascript" in media_type else f"{media_type or 'untyped'} for a script"
    if not media_type.endswith(("json", "javascript")):
        return f"{media_type or 'an untyped body'} where JSON belongs"
    if media_type.endswith("json") and not _SCALAR.match(plain):
        return "a body that is not JSON"
    if not length_known and not _is_json(plain):
        return "JSON that was cut short"
    return None


def _is_json(plain: bytes) -> bool:
    try:
        json.loads(plain)
    except (ValueError, RecursionError):
        return False
    return True
