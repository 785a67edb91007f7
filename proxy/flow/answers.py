"""From what is stored, or has just arrived, to an Answer."""

from proxy.flow.ask import Answer, Ask
from proxy.flow.exchange import Streamed, Whole
from proxy.model import Outcome, StoredResponse, Tag
from proxy.policy.fields import to_store
from proxy.policy.validation import etag_of
from proxy.policy.wire import head_of


def from_store(stored: StoredResponse, outcome: Outcome) -> Answer:
    """A stored response, for whatever reason it is used."""
    return Answer(stored.status, stored.head, stored.body, outcome, stored, stored.gzip)


def from_whole(whole: Whole, outcome: Outcome) -> Answer:
    """An answer that is not stored, in its identity form."""
    return Answer(whole.status, head_of(whole.fields), whole.plain, outcome)


def from_stream(streamed: Streamed, outcome: Outcome) -> Answer:
    """An answer that is still arriving."""
    return Answer(
        streamed.status,
        head_of(streamed.fields),
        streamed.chunks,
        outcome,
        length=streamed.length,
    )


def to_stored(
    ask: Ask, whole: Whole, tags: tuple[Tag, ...], asked_at: float, seq: int
) -> StoredResponse:
    """What is kept of an answer."""
    return StoredResponse(
        key=ask.key,
        status=whole.status,
        head=head_of(to_store(whole.fields)),
        body=whole.body,
        gzip=whole.gzip,
        etag=etag_of(whole.plain),
        asked_at=asked_at,
        asked_seq=seq,
        tags=tags,
    )
