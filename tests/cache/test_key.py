"""A key is one partition's and one target's, and reveals neither."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.key import key_of

TARGETS = st.text(max_size=12)


def test_nothing_runs_together() -> None:
    keys = {
        key_of("p", "/1/ab/c"),
        key_of("p", "/1/a/bc"),
        key_of("p/1", "/ab/c"),
        key_of("", "p/1/ab/c"),
        key_of("", "1:p/1/ab/c"),
        key_of("1:p", "/1/ab/c"),
        key_of("p", "/1/ab?c"),
    }
    assert len(keys) == 7


@given(st.tuples(TARGETS, TARGETS), st.tuples(TARGETS, TARGETS))
def test_two_keys_where_partition_or_target_differ(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert (key_of(*one) == key_of(*other)) is (one == other)


def test_another_partition_never_shares_a_key() -> None:
    assert key_of("mine", "/1/boards/x?a=1") != key_of("theirs", "/1/boards/x?a=1")


def test_a_key_reveals_nothing() -> None:
    key = key_of("partition", "/1/cards/secretname?query=secretname")
    assert len(key) == 40
    assert set(key) <= set("0123456789abcdef")
