"""Every spelling of one read has one key, and no two reads share one."""

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.cache_key import canonical_query, key_of

SAME = {
    "the order of names": ("a=1&b=2", "b=2&a=1"),
    "a plus and %20": ("q=x+y", "q=x%20y"),
    "a raw and an encoded comma": ("fields=a,b", "fields=a%2Cb"),
    "hex digits in either case": ("q=%c3%a9", "q=%C3%A9"),
    "an encoded name": ("f%69elds=a", "fields=a"),
    "empty parameters": ("&a=1&&", "a=1"),
    "a name without a value, and with an empty one": ("open", "open="),
}

DIFFERENT = {
    "values": ("a=1", "a=2"),
    "names": ("a=1", "b=1"),
    "letter case": ("fields=Name", "fields=name"),
    "the order of one name's values": ("a=1&a=2", "a=2&a=1"),
    "a repetition": ("a=1", "a=1&a=1"),
    "a parameter, and an encoded ampersand": ("a=1&b=2", "a=1%26b=2"),
    "an equals sign in name or value": ("a%3Db=c", "a=b=c"),
    "a plus sign": ("q=x%2By", "q=x+y"),
    "where a name ends": ("ab=c", "a=bc"),
    "where a value ends": ("a=b&c=d", "a=bc&=d"),
    "something, and nothing": ("", "a="),
    "text that was encoded twice": ("q=%252C", "q=%2C"),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME.keys())
def test_one_key_whatever_the_spelling_in(one: str, other: str) -> None:
    assert key_of("p", ["boards"], one) == key_of("p", ["boards"], other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_two_keys_where_a_read_differs_in(one: str, other: str) -> None:
    assert key_of("p", ["boards"], one) != key_of("p", ["boards"], other)


def test_nothing_runs_together() -> None:
    keys = {
        key_of("p", ["ab", "c"], ""),
        key_of("p", ["a", "bc"], ""),
        key_of("p", ["abc"], ""),
        key_of("pa", ["bc"], ""),
        key_of("p", ["abc", ""], ""),
        key_of("p", [], "abc"),
        key_of("p", [], "abc="[:-1], b"x"),
        key_of("p", ["abc"], "", b"x"),
        key_of("p", ["abc"], "x"),
    }
    assert len(keys) == 9


def test_another_partition_never_shares_a_key() -> None:
    assert key_of("mine", ["boards"], "a=1") != key_of("theirs", ["boards"], "a=1")


def test_a_key_reveals_nothing() -> None:
    key = key_of("partition", ["cards", "secretname"], "query=secretname")
    assert len(key) == 40
    assert set(key) <= set("0123456789abcdef")


PAIRS = st.lists(st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=5)), max_size=5)


def spelled(pairs: list[tuple[str, str]], *, plus: bool) -> str:
    encode = quote_plus if plus else quote
    return "&".join(
        f"{encode(name, safe='', errors='replace')}={encode(value, safe='', errors='replace')}"
        for name, value in pairs
    )


@given(PAIRS, st.randoms())
def test_parameters_of_different_names_may_be_shuffled(pairs, random) -> None:  # type: ignore[no-untyped-def]
    unique = list(dict(pairs).items())
    shuffled = random.sample(unique, len(unique))
    assert canonical_query(spelled(unique, plus=True)) == canonical_query(
        spelled(shuffled, plus=False)
    )


@given(PAIRS, PAIRS)
def test_different_parameters_are_different_bytes(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    def meant(pairs: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
        encoded = [(n.encode("utf-8", "replace"), v.encode("utf-8", "replace")) for n, v in pairs]
        return sorted(encoded, key=lambda pair: pair[0])

    same = canonical_query(spelled(one, plus=True)) == canonical_query(spelled(other, plus=True))
    assert same == (meant(one) == meant(other))


@given(st.text(max_size=40))
def test_any_query_has_a_key(query: str) -> None:
    assert len(key_of("p", ["boards"], query)) == 40
