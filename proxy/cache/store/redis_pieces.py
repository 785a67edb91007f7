"""Pieces of a batch for Redis: each small enough that a script runs some milliseconds. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import NamedTuple

from proxy.cache.store.backend import WriteBatch
from proxy.cache.store.codec import dumps
from proxy.model import CacheKey, StoredResponse, Tag

ROW_LIMIT_BYTES = 1024 * 1024
"""A larger response stays in memory only."""
_PIECE_BYTES = 64 * 1024
_PIECE_ROWS = 50
_PIECE_ENTRIES = 500


class PutRow(NamedTuple):
    """A response to store, and for how long."""

    key: CacheKey
    value: bytes
    lifetime_ms: int


@dataclass(frozen=True, slots=True)
class ChangePiece:
    """Arguments of one call of the script BATCH: three lists, flat."""

    deletes: tuple[bytes, ...] = ()
    epochs: tuple[bytes, ...] = ()
    names: tuple[bytes, ...] = ()

    @property
    def arguments(self) -> list[bytes | int]:
        """The lists, each after its length."""
        arguments: list[bytes | int] = []
        for entries in (self.deletes, self.epochs, self.names):
            arguments += [len(entries), *entries]
        return arguments


def changes_of(batch: WriteBatch, dropped: frozenset[CacheKey]) -> Iterator[ChangePiece]:
    """Everything of the batch but responses; `dropped` are those that are not stored."""
    deletes = _pieces(_encoded(key) for key in batch.deletes | dropped)
    epochs = _pieces(_flat(batch.epochs))
    names = _pieces(_flat(batch.aliases))
    for piece in zip_longest(deletes, epochs, names, fillvalue=()):
        yield ChangePiece(*piece)


def rows_of(puts: Mapping[CacheKey, StoredResponse], now: float) -> dict[CacheKey, int]:
    """Lifetime in ms of every response that can be stored; `now` in POSIX seconds."""
    lifetimes = {}
    for key, stored in puts.items():
        left_ms = int(1_000 * (stored.usable_s - max(0.0, now - stored.requested_at)))
        if left_ms > 0 and len(stored.body) + len(stored.head) < ROW_LIMIT_BYTES:
            lifetimes[key] = left_ms
    return lifetimes


def row_pieces(
    puts: Mapping[CacheKey, StoredResponse], lifetimes: Mapping[CacheKey, int], ahead_s: float
) -> Iterator[list[PutRow]]:
    """The responses that have a lifetime, encoded when their piece is due; `ahead_s` as there."""
    piece: list[PutRow] = []
    size = 0
    for key, left_ms in lifetimes.items():
        row = PutRow(key, dumps(puts[key], ahead_s), left_ms)
        if piece and (size + len(row.value) > _PIECE_BYTES or len(piece) == _PIECE_ROWS):
            yield piece
            piece, size = [], 0
        piece.append(row)
        size += len(row.value)
    if piece:
        yield piece


def _flat(pairs: Mapping[Tag, int] | Mapping[str, str]) -> Iterator[bytes]:
    for name, value in pairs.items():
        yield _encoded(name)
        yield _encoded(str(value))


def _pieces(entries: Iterator[bytes]) -> Iterator[tuple[bytes, ...]]:
    while piece := tuple(islice(entries, 2 * _PIECE_ENTRIES)):
        yield piece


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
