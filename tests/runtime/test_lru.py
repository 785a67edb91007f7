"""A map of bounded size keeps what was used last."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.runtime.lru import LruDict


def test_the_least_recently_used_entry_is_evicted() -> None:
    lru = LruDict[str, int](2)
    lru["a"], lru["b"] = 1, 2
    assert lru.use("a") == 1
    lru["c"] = 3
    assert list(lru.items()) == [("a", 1), ("c", 3)]
    assert lru.evictions == 1


def test_reading_is_not_a_use_and_what_is_absent_is_none() -> None:
    lru = LruDict[str, int](2)
    lru["a"], lru["b"] = 1, 2
    assert (lru["a"], lru.get("a"), lru.use("x")) == (1, 1, None)
    lru["c"] = 3
    assert list(lru) == ["b", "c"]


@given(st.integers(1, 5), st.lists(st.integers(0, 9)))
def test_it_holds_the_last_distinct_keys_that_were_set(limit: int, keys: list[int]) -> None:
    lru = LruDict[int, int](limit)
    for key in keys:
        lru[key] = key
    distinct = list(dict.fromkeys(reversed(keys)))[:limit]
    assert list(lru) == distinct[::-1]
