"""Pieces of a batch: everything once, none too large, and nothing stored past its lifetime."""

from dataclasses import replace

from proxy.cache.store.backend import WriteBatch
from proxy.cache.store.redis_pieces import (
    ROW_LIMIT_BYTES,
    ChangePiece,
    changes_of,
    row_pieces,
    rows_of,
)
from proxy.model import Tag
from tests.cache.store.conftest import answer, key

NOW = 1_800_000_000.0


def test_every_change_is_in_one_piece() -> None:
    batch = WriteBatch(
        deletes={key(number) for number in range(700)},
        epochs={Tag(f"card:{number}"): number for number in range(1_200)},
        aliases={f"card:{number}": "id" for number in range(10)},
    )
    pieces = list(changes_of(batch, frozenset({key(900)})))
    assert all(len(piece.arguments) <= 3 + 3 * 1_000 for piece in pieces)
    assert sum(len(piece.deletes) for piece in pieces) == 701
    epochs = [each for piece in pieces for each in piece.epochs]
    pairs = list(zip(epochs[::2], epochs[1::2], strict=True))
    assert pairs == [(tag.encode(), str(seq).encode()) for tag, seq in batch.epochs.items()]
    assert pieces[0].names[:2] == (b"card:0", b"id")


def test_a_name_that_is_no_unicode_is_kept() -> None:
    (piece,) = changes_of(WriteBatch(aliases={"card:\udcff": "x"}), frozenset())
    assert piece == ChangePiece(names=("card:\udcff".encode("utf-8", "surrogatepass"), b"x"))


def test_nothing_to_change_is_no_piece() -> None:
    assert not list(changes_of(WriteBatch({key(1): answer(1)}), frozenset()))


def test_a_response_lives_as_long_as_it_may_be_used() -> None:
    stored = replace(answer(1), usable_s=90.0, requested_at=NOW - 60)
    over = replace(answer(2), usable_s=60.0, requested_at=NOW - 60)
    ahead = replace(answer(3), usable_s=90.0, requested_at=NOW + 60)
    puts = {each.key: each for each in (stored, over, ahead)}
    assert rows_of(puts, NOW) == {key(1): 30_000, key(3): 90_000}


def test_a_response_that_is_too_large_is_not_stored() -> None:
    puts = {key(1): answer(1, bytes(ROW_LIMIT_BYTES)), key(2): answer(2)}
    assert set(rows_of(puts, NOW)) == {key(2)}


def test_pieces_of_responses_are_small() -> None:
    puts = {key(number): answer(number, bytes(10_000)) for number in range(20)}
    puts |= {key(number): answer(number) for number in range(20, 150)}
    puts |= {key(150): answer(150, bytes(500_000))}
    pieces = list(row_pieces(puts, rows_of(puts, NOW), 0.0))
    assert [row.key for piece in pieces for row in piece] == list(puts)
    for piece in pieces:
        assert len(piece) <= 50
        assert len(piece) == 1 or sum(len(row.value) for row in piece) <= 65_536
