"""A key that was added is always found; another hardly ever."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.store.disk_tier import BloomFilter
from proxy.model import CacheKey
from proxy.trello.message import key_of
from tests.cache.store.conftest import key


@given(st.lists(st.text("0123456789abcdef", min_size=40, max_size=40).map(CacheKey), max_size=20))
def test_every_key_that_was_added_is_found(keys: list[CacheKey]) -> None:
    known = BloomFilter()
    known.add(keys)
    assert all(known.may_contain(each) for each in keys)


def test_an_empty_filter_has_nothing() -> None:
    assert not BloomFilter().may_contain(key(1))


def test_false_positives_are_few() -> None:
    known = BloomFilter()
    known.add(key_of("p", f"/1/cards/{number}") for number in range(20_000))
    found = sum(known.may_contain(key_of("p", f"/1/boards/{number}")) for number in range(20_000))
    assert found <= 5
