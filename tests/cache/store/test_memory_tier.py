"""The memory tier keeps what was used last, within its bound in bytes."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.store.store import MemoryTier
from proxy.model import STORED_OVERHEAD_BYTES, StoredResponse
from tests.cache.store.conftest import answer, key

ROOM = 16 * answer(0).size_bytes


def test_what_was_put_is_found() -> None:
    memory = MemoryTier(ROOM)
    memory.put(answer(1))
    assert memory.get(key(1)) == answer(1)
    assert memory.get(key(2)) is None
    assert (len(memory), memory.used_bytes) == (1, answer(1).size_bytes)


def test_what_was_used_longest_ago_leaves_first() -> None:
    memory = MemoryTier(ROOM)
    for number in range(16):
        memory.put(answer(number))
    memory.get(key(0))
    memory.put(answer(16))
    assert memory.get(key(0)) is not None
    assert memory.get(key(1)) is None
    assert (len(memory), memory.evictions) == (16, 1)


def test_one_put_may_push_out_several() -> None:
    memory = MemoryTier(ROOM)
    for number in range(16):
        memory.put(answer(number))
    memory.put(answer(99, bytes(STORED_OVERHEAD_BYTES // 2)))
    assert memory.evictions == 2
    assert memory.used_bytes <= ROOM


def test_the_same_key_again_replaces_and_evicts_nothing() -> None:
    memory = MemoryTier(ROOM)
    for body in (b"old", b"new"):
        memory.put(answer(1, body))
    stored = memory.get(key(1))
    assert stored is not None
    assert stored.body == b"new"
    assert (memory.used_bytes, memory.evictions) == (stored.size_bytes, 0)


def test_a_giant_is_not_kept_and_pushes_nobody_out() -> None:
    memory = MemoryTier(ROOM)
    memory.put(answer(1))
    memory.put(answer(2, bytes(ROOM // 8)))
    assert memory.get(key(2)) is None
    assert memory.get(key(1)) is not None


def test_a_giant_replaces_what_it_supersedes() -> None:
    memory = MemoryTier(ROOM)
    memory.put(answer(1))
    memory.put(answer(1, bytes(ROOM)))
    assert memory.get(key(1)) is None
    assert memory.used_bytes == 0


def test_what_was_dropped_is_gone_however_often() -> None:
    memory = MemoryTier(ROOM)
    memory.put(answer(1))
    memory.drop(key(1))
    memory.drop(key(1))
    assert (memory.get(key(1)), len(memory), memory.used_bytes) == (None, 0, 0)
    assert memory.evictions == 0


def test_without_room_nothing_is_kept() -> None:
    memory = MemoryTier(0)
    memory.put(answer(1))
    assert len(memory) == 0


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "get", "drop"]), st.integers(0, 9), st.integers(0, 5_000))
)


@given(STEPS)
def test_the_bound_holds_and_the_books_balance(steps: list[tuple[str, int, int]]) -> None:
    memory = MemoryTier(ROOM)
    for step, number, size in steps:
        match step:
            case "put":
                memory.put(answer(number, bytes(size)))
            case "get":
                memory.get(key(number))
            case _:
                memory.drop(key(number))
        kept = [stored for each in range(10) if (stored := memory.get(key(each)))]
        assert memory.used_bytes == sum(stored.size_bytes for stored in kept) <= ROOM
        assert len(kept) == len(memory)


def packed(number: int) -> StoredResponse:
    return replace(answer(number), gzip=True)


def test_the_identity_form_is_kept_with_its_response_and_counts() -> None:
    memory, stored = MemoryTier(ROOM), packed(1)
    memory.put(stored)
    assert memory.plain(stored) is None
    memory.keep_plain(stored, b"plain")
    kept = memory.plain(stored)
    assert kept is not None
    assert kept.body == b"plain"
    assert memory.used_bytes == stored.size_bytes + len(b"plain")
    memory.put(packed(1))
    assert memory.plain(stored) is None
    memory.keep_plain(stored, b"of one that was replaced")
    assert memory.used_bytes == stored.size_bytes
    memory.drop(key(1))
    assert memory.used_bytes == 0


def test_identity_forms_make_the_least_used_leave() -> None:
    memory = MemoryTier(ROOM)
    for number in range(16):
        memory.put(packed(number))
    last = memory.get(key(15))
    assert last is not None
    memory.keep_plain(last, bytes(ROOM // 16))
    assert memory.get(key(0)) is None
    assert memory.plain(last) is not None
    assert memory.used_bytes <= ROOM
