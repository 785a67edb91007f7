"""Results of fetching: stored, not stored or too large; and the responses made of them."""

from dataclasses import dataclass

from proxy.http_semantics.fields import serialize
from proxy.model import CacheKey, Detail, Outcome, StoredResponse
from proxy.trello.message import ApiResponse, missing_key
from proxy.upstream.exchange import BufferedResponse, StreamedResponse


@dataclass(frozen=True, slots=True)
class Stored:
    """A response that is stored now, and may be served to every collapsed request."""

    stored: StoredResponse
    detail: Detail | None = None


@dataclass(frozen=True, slots=True)
class NotStored:
    """A response that is not stored: for the request that fetched it alone, unless an error."""

    response: BufferedResponse
    reason: Detail
    key: CacheKey
    """Of the spelling that was requested."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A response that must be streamed, to each client on its own."""


FetchResult = Stored | NotStored | TooLarge


def is_refusal(result: FetchResult) -> bool:
    """Whether Trello refused the request itself; not throttling, and no upstream failure."""
    match result:
        case Stored(stored):
            return stored.status != 200
        case NotStored(response):
            return 400 <= response.status < 500 and response.status != 429
    return False


def is_refusal_of(result: FetchResult, key: CacheKey) -> bool:
    """Whether it was the spelling with this key that was refused."""
    match result:
        case Stored(stored):
            return stored.key == missing_key(key)
        case NotStored(key=refused):
            return refused == key
    return False


def response_from_buffered(fetched: BufferedResponse, outcome: Outcome) -> ApiResponse:
    """A response that is not stored, in its identity form."""
    return ApiResponse(fetched.status, serialize(fetched.fields), fetched.plain, outcome)


def response_from_stream(streamed: StreamedResponse, outcome: Outcome) -> ApiResponse:
    """A response whose body is still arriving."""
    return ApiResponse(
        streamed.status,
        serialize(streamed.fields),
        streamed.body,
        outcome,
        length=streamed.length,
    )
