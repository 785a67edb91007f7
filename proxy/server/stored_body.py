"""The body of a stored response, in the coding that the client takes.

A response is stored once, as Trello sent it: with gzip, as a rule. Its identity form is kept beside
it where it is short, and inflated while it is sent where it is not.
"""

from proxy.cache.store.memory_tier import MemoryTier
from proxy.http_semantics.content import (
    PIECE_BYTES,
    Gunzip,
    gunzip,
    identity_length,
)
from proxy.model import StoredResponse
from proxy.runtime.memory_budget import Hold
from proxy.server.fast_path import MAX_FAST_PATH_BODY_BYTES
from proxy.trello.message import BodyStream
from proxy.upstream.inflate import inflated

INFLATING_BYTES = 2 * PIECE_BYTES
"""A piece, the next one, and zlib's window."""


def body_of(
    stored: StoredResponse, memory: MemoryTier, hold: Hold, *, gzip: bool
) -> tuple[bytes | BodyStream, int]:
    """The body to send and its length; MemoryFull where the client's share of memory is too much.

    Bytes that `memory` has are everybody's; others are held for this client alone.
    """
    length = identity_length(stored.body) if stored.gzip and not gzip else len(stored.body)
    is_own = len(stored.body) > MAX_FAST_PATH_BODY_BYTES and memory.get(stored.key) is not stored
    if is_own:
        hold.take("responses", len(stored.body))
    if gzip or not stored.gzip:
        return stored.body, length
    if length > MAX_FAST_PATH_BODY_BYTES:
        hold.take("responses", INFLATING_BYTES)
        return inflated(Gunzip(), stored.body), length
    plain = memory.plain(stored)
    if plain is None:
        plain = gunzip(stored.body)
        memory.keep_plain(stored, plain)
    return plain, length
