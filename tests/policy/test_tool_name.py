"""A tool's name: one short word, never an id, a credential or a version."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.tool_name import OTHER, tool_name

CASES = {
    "the product without its version": ("curl/8.5.0", "curl"),
    "the first of several": ("python-requests/2.31 CPython/3.11", "python-requests"),
    "in lower case": ("Mozilla/5.0 (X11; Linux x86_64)", "mozilla"),
    "with space around it": ("  axios/1.7 ", "axios"),
    "alone": ("PowerShell", "powershell"),
    "none": ("", OTHER),
    "none told": ("-", OTHER),
    "a comment": ("(compatible)", OTHER),
    "masked": ("***", OTHER),
    "too long for a name": ("x" * 33, OTHER),
    "the longest": ("x" * 32, "x" * 32),
    "an id": ("a" + "5f1a" * 6, OTHER),
    "a part of a key": ("tool-c0ffee00ee11", OTHER),
    "a number": ("worker12345", OTHER),
    "a short number": ("py3k-2024", "py3k-2024"),
    "other letters": ("caf\xe9/1", OTHER),
    "quotes": ('"},{"', OTHER),
}


@pytest.mark.parametrize(("user_agent", "name"), CASES.values(), ids=CASES.keys())
def test_tool_name(user_agent: str, name: str) -> None:
    assert tool_name(user_agent, (), 10) == name


def test_a_new_name_is_other_when_there_are_enough() -> None:
    assert tool_name("curl/8", {"axios"}, 1) == OTHER
    assert tool_name("axios/1", {"axios"}, 1) == "axios"


@given(st.text(max_size=60))
def test_it_is_one_short_word_whatever_comes(user_agent: str) -> None:
    name = tool_name(user_agent, (), 1)
    assert 0 < len(name) <= 32
    assert name.isascii()
    assert name == name.lower()
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789_.-")
