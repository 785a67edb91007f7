"""Parts of a JSON text are its original bytes, or are not cut out at all."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.http_semantics.json_members import (
    PIECE_BYTES,
    array_of,
    elements,
    is_json,
    members,
    object_of,
    only_member,
    value_of,
)

NAMES = st.text(st.characters(codec="utf-8", exclude_characters='"\\', min_codepoint=0x20))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.just("\ud83d"),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
SPACES = st.text(" \t\r\n", max_size=2).map(str.encode)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)


def text_of(value: Any, *, indent: int | None = None, ascii_only: bool = True) -> bytes:
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii_only)
    return text.encode("utf-8", "replace")


@given(VALUES.map(text_of).flatmap(lambda body: st.tuples(st.just(body), SPACES, SPACES)))
def test_a_value_alone_in_an_array_comes_back(spaced: tuple[bytes, bytes, bytes]) -> None:
    body, before, behind = spaced
    assert elements(b"[" + before + body + behind + b"]") == [body]


@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 1]), st.booleans(), SPACES)
@example(made=[[[]], [[]], ",", " "], indent=None, ascii_only=True, space=b"")
@example(made=["\ud83d", "\\ud83d", '"'], indent=None, ascii_only=True, space=b"")
def test_the_elements_of_an_array_come_back_byte_for_byte(
    made: list[Any],
    indent: int | None,
    ascii_only: bool,  # noqa: FBT001
    space: bytes,
) -> None:
    texts = [text_of(each, indent=indent, ascii_only=ascii_only) for each in made]
    assert elements(space + b"[" + (space + b"," + space).join(texts) + b"]" + space) == texts


@given(OBJECTS, st.booleans())
def test_the_members_of_a_compact_object_come_back_byte_for_byte(
    made: dict[str, Any],
    ascii_only: bool,  # noqa: FBT001
) -> None:
    values = {name: text_of(each, ascii_only=ascii_only) for name, each in made.items()}
    body = b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), each) for name, each in values.items())
    try:
        found = members(body)
    except ValueError:
        assert rb"\ud" in body  # half a surrogate pair: refused, not misread
    else:
        assert found == values
        assert list(found) == list(values)


@given(OBJECTS.filter(bool), VALUES, st.data())
def test_an_object_that_names_a_member_twice_is_not_cut(
    made: dict[str, Any], value: Any, data: st.DataObject
) -> None:
    again = data.draw(st.sampled_from(sorted(made)))
    twice = b",%b:%b}" % (text_of(again, ascii_only=False), text_of(value))
    with pytest.raises(ValueError):  # noqa: PT011 — whatever is seen first
        members(text_of(made, ascii_only=False)[:-1] + twice)


@given(OBJECTS.filter(bool), st.data())
def test_an_object_that_was_truncated_is_not_cut(made: dict[str, Any], data: st.DataObject) -> None:
    body = text_of(made)
    with pytest.raises(ValueError):  # noqa: PT011 — whatever is seen first
        members(body[: data.draw(st.integers(0, len(body) - 1))])


@given(st.lists(VALUES), st.data())
def test_an_array_that_was_truncated_is_not_cut(made: list[Any], data: st.DataObject) -> None:
    body = text_of(made)
    with pytest.raises(ValueError):  # noqa: PT011 — whatever is seen first
        elements(body[: data.draw(st.integers(0, len(body) - 1))])


@given(OBJECTS.filter(bool), st.integers(0, 3), st.data())
def test_an_object_with_white_space_between_tokens_is_not_cut(
    made: dict[str, Any], place: int, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(list(made)))
    tokens = [text_of(name, ascii_only=False), b":", text_of(made[name])]
    tokens.insert(place, data.draw(SPACES.filter(bool)))
    with pytest.raises(ValueError):  # noqa: PT011 — whatever is seen first
        members(b"{" + b"".join(tokens) + b"}")


def test_the_text_of_a_number_or_a_string_is_not_touched() -> None:
    texts = [b"1.50e+3", rb'"\u00e9\/"', b"-0", b"9" * 5_000, b"[ 1 ]"]
    names = [b"a", b"b", b"c", b"d", b"e"]
    body = b"{%b}" % b",".join(b'"%b":%b' % pair for pair in zip(names, texts, strict=True))
    assert list(members(body).values()) == texts
    assert elements(b"[%b]" % b",".join(texts)) == texts


NO_COMPACT_OBJECTS = {
    "a comma at the end": b'{"a":1,}',
    "no comma": b'{"a":1"b":2}',
    "a name without quotes": b"{a:1}",
    "an escape in a name": rb'{"\u0061":1}',
    "a constant that is no JSON": b'{"a":NaN}',
    "a constant within a value": b'{"a":[Infinity]}',
    "a number that is no JSON": b'{"a":[01]}',
    "an escape that is no JSON": rb'{"a":["\x"]}',
    "a line break in a string": b'{"a":"\n"}',
    "no UTF-8": b'{"a":"\xff"}',
    "half a surrogate pair": rb'{"a":"\ud83d"}',
    "something behind it": b'{"a":1}x',
    "nested too deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "an array": b"[1]",
    "nothing": b"",
}


@pytest.mark.parametrize("body", NO_COMPACT_OBJECTS.values(), ids=NO_COMPACT_OBJECTS.keys())
def test_anything_but_a_compact_object_is_not_cut(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 — whatever is seen first
        members(body)


NO_ARRAYS = {
    "an object": b"{}",
    "a comma at the end": b"[1,]",
    "no comma": b'[{"a":1}{"b":2}]',
    "no UTF-8": b'["\xff"]',
    "something behind it": b"[1] 2",
    "nested too deep": b"[" * 100_000 + b"]" * 100_000,
    "nothing": b"",
}


@pytest.mark.parametrize("body", NO_ARRAYS.values(), ids=NO_ARRAYS.keys())
def test_anything_but_an_array_is_not_cut(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 — whatever is seen first
        elements(body)


@given(NAMES, VALUES, st.lists(SPACES, min_size=4, max_size=4))
def test_the_only_member_of_an_object_comes_back_byte_for_byte(
    name: str, value: Any, spaces: list[bytes]
) -> None:
    a, b, c, d = spaces
    text = text_of(value)
    assert only_member(b'{%b"%b"%b:%b%b%b}' % (a, name.encode(), b, c, text, d)) == (name, text)


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'"a"', b'{"a":1,"b":2}', b'{"a":1,"a":1}', rb'{"\u0061":1}']
)
def test_an_object_of_more_or_less_than_one_member_has_none(body: bytes) -> None:
    assert only_member(body) is None


@given(VALUES, st.sampled_from([None, 1]))
def test_any_value_is_read(value: Any, indent: int | None) -> None:
    text = text_of(value, indent=indent)
    assert repr(value_of(text)) == repr(json.loads(text))
    assert object_of(text) == (value if isinstance(value, dict) else {})
    assert array_of(text) == (value if isinstance(value, list) else None)


def test_an_integer_of_thousands_of_digits_hides_nothing_beside_it() -> None:
    huge = "9" * 5_000
    assert object_of(f'{{"a":{huge},"b":-{huge},"c":12}}') == {
        "a": math.inf,
        "b": -math.inf,
        "c": 12,
    }


NOT_JSON = {
    "nothing": b"",
    "cut": b"[1,2",
    "no UTF-8": b'["\xff"]',
    "a page": b"<html>",
    "nested too deep": b"[" * 200_000,
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_a_text_that_is_not_json_has_no_members_and_no_elements(body: bytes) -> None:
    assert object_of(body) == {}
    assert array_of(body) is None
    with pytest.raises((ValueError, RecursionError)):
        value_of(body)


@given(VALUES, st.integers(0, 60), st.sampled_from([b" x", b"}", b"]", b",", b'"', b" 1", b"\0"]))
def test_json_to_the_last_byte(value: Any, cut: int, more: bytes) -> None:
    for text in (text_of(value), text_of(value, indent=1, ascii_only=False)):
        assert is_json(text)
        assert is_json(b" \n" + text + b"\r\n")
        assert not is_json(text + more)
        if isinstance(value, list | dict) and cut < len(text):
            assert not is_json(text[:cut])


@pytest.mark.parametrize("text", [b"", b" ", b"NaN", b"'a'", b"{a:1}", b'"\xff"', b"[" * 9999])
def test_what_is_no_json(text: bytes) -> None:
    assert not is_json(text)


def test_a_byte_order_mark_may_precede_json() -> None:
    assert is_json(b"\xef\xbb\xbf{}")
    assert not is_json(b"\xef\xbb\xbf\xef\xbb\xbf{}")


@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_a_long_text_is_utf8_throughout(before: int) -> None:
    filler = b"x" * (PIECE_BYTES - before - 1)
    assert is_json(b'"%b\xf0\x9f\x98\x80%b"' % (filler, filler))
    assert not is_json(b'"%b\xf0\x9f\x98%b"' % (filler, filler))
    assert not is_json(b'"%b\xf0\x9f\x98' % filler)
