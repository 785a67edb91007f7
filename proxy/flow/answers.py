"""From what is stored, or has just arrived, to an Answer."""

from proxy.flow.ask import ApiRequest, ApiResponse
from proxy.flow.exchange import BufferedResponse, StreamedResponse
from proxy.model import Outcome, StoredResponse, Tag
from proxy.policy.fields import to_store
from proxy.policy.validation import etag_of
from proxy.policy.wire import serialize


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
        streamed.chunks,
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
