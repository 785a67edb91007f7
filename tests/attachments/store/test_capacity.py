"""The disk budget is never exceeded, and no open file is evicted."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.attachments.store.capacity import (
    BLOCK_BYTES,
    Blob,
    DiskBudget,
    blocks_for,
)


def blob(name: str, length: int = 1) -> Blob:
    return Blob(name, length, 0, 0.0)


def names(room: DiskBudget) -> list[str]:
    return [each.digest for each in room]


def nobody(_: str) -> bool:
    return False


def filled(*blobs: str, blocks: int) -> DiskBudget:
    room = DiskBudget(blocks * BLOCK_BYTES)
    for name in blobs:
        room.add(blob(name))
    return room


def test_the_least_recently_used_blob_is_evicted() -> None:
    room = filled("a", "b", "c", blocks=3)
    used = room.get("a")
    assert used is not None
    room.touch(used, 1.0)
    left = room.reserve(BLOCK_BYTES, nobody)
    assert left is not None
    assert [each.digest for each in left] == ["b"]
    assert names(room) == ["c", "a"]


def test_an_open_blob_stays_and_another_is_evicted() -> None:
    room = filled("a", "b", blocks=2)
    left = room.reserve(BLOCK_BYTES, lambda name: name == "a")
    assert left is not None
    assert [each.digest for each in left] == ["b"]


def test_nothing_is_evicted_in_vain() -> None:
    room = filled("a", "b", blocks=2)
    assert room.reserve(3 * BLOCK_BYTES, nobody) is None
    assert room.reserve(2 * BLOCK_BYTES, lambda name: name == "a") is None
    assert names(room) == ["a", "b"]
    assert (room.used_bytes, room.reserved_bytes, room.evictions) == (2 * BLOCK_BYTES, 0, 0)


def test_a_reservation_counts_until_it_is_released() -> None:
    room = DiskBudget(BLOCK_BYTES)
    assert room.reserve(BLOCK_BYTES, nobody) == []
    assert room.reserve(BLOCK_BYTES, nobody) is None
    room.release(BLOCK_BYTES)
    assert room.reserve(BLOCK_BYTES, nobody) == []


def test_the_number_of_blobs_is_bounded() -> None:
    room = DiskBudget(100 * BLOCK_BYTES, max_blobs=3)
    for name in "abcdef":
        room.reserve(0, nobody)
        room.add(blob(name))
    assert names(room) == ["d", "e", "f"]


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 5 * BLOCK_BYTES))),
    st.sets(st.sampled_from("abcdefgh")),
)
def test_the_limit_is_never_exceeded(wanted: list[tuple[str, int]], read: set[str]) -> None:
    room = DiskBudget(8 * BLOCK_BYTES)
    for name, length in wanted:
        before = {each.digest for each in room}
        room_wanted = blocks_for(length)
        left = room.reserve(room_wanted, read.__contains__)
        if left is not None:
            assert not {each.digest for each in left} & read
            room.release(room_wanted)
            room.add(blob(name, length))
        else:
            assert {each.digest for each in room} == before
        assert room.used_bytes + room.reserved_bytes <= room.limit_bytes
        assert room.used_bytes == sum(blocks_for(each.length) for each in room)
