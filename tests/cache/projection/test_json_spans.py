"""Members are found where they lie, and their texts copied as they stand."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.projection.json_spans import object_at, objects_at

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=8)


def compact(value: Any, *, ascii_only: bool) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_only)


@pytest.mark.parametrize("ascii_only", [True, False])
@given(made=OBJECTS)
def test_the_slices_of_an_object_are_its_members(made: dict[str, Any], *, ascii_only: bool) -> None:
    text = compact(made, ascii_only=ascii_only)
    found = object_at(text, 0)
    assert (found.start, found.end) == (0, len(text))
    assert list(found.members) == list(made)
    for name, member in found.members.items():
        assert json.loads(text[member.value : member.end]) == made[name]
        assert json.loads(f"{{{text[member.start : member.end]}}}") == {name: made[name]}


@given(st.lists(OBJECTS, max_size=5))
def test_the_slices_of_an_array_are_its_objects(made: list[dict[str, Any]]) -> None:
    text = compact(made, ascii_only=True)
    found = list(objects_at(text, 0))
    assert [json.loads(text[each.start : each.end]) for each in found] == made


@given(OBJECTS.filter(bool), st.data())
def test_an_object_that_names_a_member_twice_is_refused(
    made: dict[str, Any], data: st.DataObject
) -> None:
    again = data.draw(st.sampled_from(sorted(made)))
    text = f"{compact(made, ascii_only=True)[:-1]},{json.dumps(again)}:1}}"
    with pytest.raises(ValueError, match="twice"):
        object_at(text, 0)


@given(OBJECTS.filter(bool), st.data())
def test_an_object_that_was_cut_is_refused(made: dict[str, Any], data: st.DataObject) -> None:
    text = compact(made, ascii_only=True)
    with pytest.raises((ValueError, IndexError)):
        object_at(text[: data.draw(st.integers(0, len(text) - 1))], 0)


def test_the_text_of_a_number_or_a_string_is_not_touched() -> None:
    text = r'{"a":1.50e+3,"b":"\u00e9\/","c":-0,"d":' + "9" * 5_000 + "}"
    members = object_at(text, 0).members
    values = [text[member.value : member.end] for member in members.values()]
    assert values == ["1.50e+3", r'"\u00e9\/"', "-0", "9" * 5_000]


NOT_COMPACT_JSON = {
    "a space after a colon": '{"a": 1}',
    "a space after a comma": '{"a":1, "b":2}',
    "a space at the beginning": ' {"a":1}',
    "a comma at the end": '{"a":1,}',
    "no comma": '{"a":1"b":2}',
    "a name without quotes": "{a:1}",
    "a constant that is no JSON": '{"a":NaN}',
    "an array": "[1]",
    "nothing": "",
}


@pytest.mark.parametrize("text", NOT_COMPACT_JSON.values(), ids=NOT_COMPACT_JSON.keys())
def test_anything_but_a_compact_object_is_refused(text: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        object_at(text, 0)


@pytest.mark.parametrize("text", ["[1]", '[{"a":1},]', '[{"a":1}', '[{"a":1}{"b":2}]', "{}"])
def test_anything_but_an_array_of_objects_is_refused(text: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        list(objects_at(text, 0))
