"""What was found in the store, or what a flight brought, and for whom."""

from dataclasses import dataclass

from proxy.cache.freshness import (
    Absent,
    Fresh,
    Stale,
    Verdict,
)
from proxy.http_semantics.conditional import etag_of
from proxy.http_semantics.fields import serialize, to_store
from proxy.model import (
    CacheKey,
    Detail,
    Fwd,
    Outcome,
    StoredResponse,
    Tag,
)
from proxy.trello.message import ApiRequest, ApiResponse, missing_key
from proxy.upstream.exchange import BufferedResponse, StreamedResponse


def response_from_stored(stored: StoredResponse, outcome: Outcome) -> ApiResponse:
    """A stored response, for whatever reason it is used."""
    return ApiResponse(stored.status, stored.head, stored.body, outcome, stored, stored.gzip)


def response_from_buffered(whole: BufferedResponse, outcome: Outcome) -> ApiResponse:
    """An answer that is not stored, in its identity form."""
    return ApiResponse(whole.status, serialize(whole.fields), whole.plain, outcome)


def response_from_stream(streamed: StreamedResponse, outcome: Outcome) -> ApiResponse:
    """An answer that is still arriving."""
    return ApiResponse(
        streamed.status,
        serialize(streamed.fields),
        streamed.body,
        outcome,
        length=streamed.length,
    )


def make_stored(
    request: ApiRequest,
    whole: BufferedResponse,
    tags: tuple[Tag, ...],
    requested_at: float,
    seq: int,
) -> StoredResponse:
    """What is kept of an answer."""
    return StoredResponse(
        key=request.key,
        status=whole.status,
        head=serialize(to_store(whole.fields)),
        body=whole.body,
        gzip=whole.gzip,
        etag=etag_of(whole.plain),
        requested_at=requested_at,
        requested_seq=seq,
        tags=tags,
    )


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What the store has for an ask, and what may be done with it."""

    stored: StoredResponse | None
    verdict: Verdict
    detail: Detail | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A flight's answer that is now stored: everybody may have it."""

    stored: StoredResponse
    detail: Detail | None = None


@dataclass(frozen=True, slots=True)
class NotStored:
    """A flight's answer that is not stored: its leader's alone, unless it is an error."""

    response: BufferedResponse
    reason: Detail
    key: CacheKey
    """Of the spelling that was asked."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """An answer that must be streamed, to each caller on its own."""


FetchResult = Stored | NotStored | TooLarge


def is_refusal(result: FetchResult) -> bool:
    """Whether Trello said no to what was asked, and not that it is in trouble."""
    match result:
        case Stored(stored):
            return stored.status != 200
        case NotStored(whole):
            return 400 <= whole.status < 500 and whole.status != 429
    return False


def is_refusal_of(result: FetchResult, key: CacheKey) -> bool:
    """Whether it was this very spelling that was refused."""
    match result:
        case Stored(stored):
            return stored.key == missing_key(key)
        case NotStored(key=refused):
            return refused == key
    return False


@dataclass(frozen=True, slots=True)
class Prediction:
    """A read under its key, what is stored for it, and what its Cache-Status would say."""

    request: ApiRequest
    lookup: LookupResult
    outcome: Outcome


def outcome_for(found: LookupResult) -> Outcome:
    """A hit, fresh or stale; or why Trello would be asked."""
    match found.verdict:
        case Fresh(ttl_s):
            return Outcome(hit=True, ttl_s=int(ttl_s), detail=found.detail)
        case Stale(while_revalidate=True) as stale:
            return Outcome(hit=True, ttl_s=stale.ttl_s)
        case Stale() | Absent():
            return Outcome(fwd=forward_reason(found.stored, found.verdict))


def forward_reason(stored: StoredResponse | None, verdict: Verdict) -> Fwd:
    """What is stored and not past its lifetime was the client's own to refuse (RFC 9211 §2.2)."""
    if stored is None:
        return Fwd.URI_MISS
    refused = isinstance(verdict, Stale) and verdict.refused
    return Fwd.REQUEST if refused else Fwd.STALE
