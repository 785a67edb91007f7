"""Reading JSON step by step finds what reading it at once does."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.pages.board_data import value_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
SPELT = st.lists(st.sampled_from('[]{},: \n"a1-\\') | st.sampled_from(["[1", "{}", "null"]))


@given(VALUES, st.sampled_from([None, 1, "\t"]))
def test_any_value_is_found(value: object, indent: int | str | None) -> None:
    assert value_of(json.dumps(value, indent=indent).encode()) == value


@given(SPELT.map("".join))
@example("[ ]")
@example(" [\n] ")
def test_what_is_no_json_is_none_here_either(text: str) -> None:
    try:
        value = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 — as json.loads
            value_of(text.encode())
    else:
        assert value_of(text.encode()) == value


WRONG = {
    "nothing": b"",
    "cut": b"[1,2",
    "cut behind a comma": b"[1,",
    "a comma too many": b"[1,]",
    "more behind it": b"[1] 2",
    "two values without a comma": b"[1 2]",
    "no UTF-8": b'["\xff"]',
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 — as json.loads
        value_of(body)
