"""JSON arrays are decoded element by element, as json.loads does."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.pages.json_array import elements

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
FRAGMENTS = st.lists(st.sampled_from('[]{},: \n"a1-\\') | st.sampled_from(["[1", "{}", "null"]))


@given(st.lists(VALUES), st.sampled_from([None, 1, "\t"]), st.integers(1, 50))
def test_any_array_is_decoded_by_windows_of_any_size(
    value: list[object], indent: int | str | None, window_bytes: int
) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=False).encode("utf-8", "replace")
    assert list(elements(body, window_bytes)) == json.loads(body)


@given(FRAGMENTS.map("".join), st.integers(1, 9))
@example("[ ]", 1)
@example(" [\n] ", 1)
@example("[12,3]", 2)
@example("[1]1", 3)
def test_what_json_loads_refuses_is_refused_here(text: str, window_bytes: int) -> None:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, list):
        assert list(elements(text.encode(), window_bytes)) == value
    else:
        with pytest.raises(ValueError):  # noqa: PT011 — as json.loads
            list(elements(text.encode(), window_bytes))


MALFORMED = {
    "nothing": b"",
    "no array": b"{}",
    "cut": b"[1,2",
    "cut behind a comma": b"[1,",
    "a comma too many": b"[1,]",
    "more behind it": b"[1] 2",
    "two values without a comma": b"[1 2]",
    "no UTF-8": b'["\xff"]',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 — as json.loads
        list(elements(body))
