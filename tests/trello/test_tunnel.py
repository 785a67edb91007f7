"""`_method` and `callback`, however they are spelled."""

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import JsonpDenied, TunnelDenied
from proxy.http_semantics.fields import FetchMetadata
from proxy.model import Kind
from proxy.trello.tunnel import (
    check_call,
    check_tunnel,
    is_call_in,
    is_plain,
    tunnelled_method,
    tunnelled_method_in,
)

NAMES = ("_method", "callback")


@st.composite
def spelled(draw: st.DrawFn, name: str) -> str:
    """The name in any letter case, any of it percent-encoded, with or without brackets."""
    cased = "".join(draw(st.sampled_from((char.lower(), char.upper()))) for char in name)
    coded = [
        draw(st.sampled_from((char, f"%{ord(char):02x}", f"%{ord(char):02X}"))) for char in cased
    ]
    brackets = draw(st.sampled_from(("", "[]", "%5B0%5D", "[x][y]")))
    return "".join(coded) + brackets


rest = st.lists(st.tuples(st.text("abk_%&=", max_size=5), st.text(max_size=5)), max_size=3)


@given(spelled("_method"), st.sampled_from(("PUT", "put", "DeLeTe", " POST ", "x")), rest, rest)
def test_a_tunnel_is_found_in_any_spelling(
    name: str, method: str, before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    around = [
        "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in p) for p in (before, after)
    ]
    query = f"{around[0]}&{name}={quote(method)}&{around[1]}"
    assert tunnelled_method_in(query) == method.strip().upper()


@given(spelled("callback"))
def test_a_call_is_found_in_any_spelling(name: str) -> None:
    for query in (f"{name}=f", f"a=b&{name}", f"{name}=&c=d"):
        assert is_call_in(query)
    with pytest.raises(JsonpDenied):
        check_call(["fields", unquote(name)])


@pytest.mark.parametrize(
    "query",
    [
        "",
        "_method=GET",
        "_method=head",
        "_method=",
        "_method",
        "method=PUT",
        "_methods=PUT",
        "x_method=PUT",
        "a=_method%3DPUT",
        "a=%26_method=PUT",
        "%255fmethod=PUT",
        "callbackURL=http://x/",
        "a=callback",
    ],
)
def test_what_is_no_tunnel_and_no_call(query: str) -> None:
    assert tunnelled_method_in(query) is None
    assert not is_call_in(query)


def test_of_several_the_first_that_writes_counts() -> None:
    assert tunnelled_method([("_method", "GET"), ("_METHOD", "put"), ("_method", "x")]) == "PUT"


def test_a_plain_read_names_neither() -> None:
    check_call(["fields", "callbackURL"])
    assert is_plain(["fields", "callbackURL", "method"])
    assert not [
        name for name in ("Callback", "_METHOD", "_method[]", " callback") if is_plain([name])
    ]


PREFLIGHTED = {"X-Requested-With": "XMLHttpRequest"}


@pytest.mark.parametrize("fields", [PREFLIGHTED, {"Origin": "https://tools.internal"}])
def test_a_program_and_a_page_with_an_origin_may_tunnel(fields: dict[str, str]) -> None:
    check_tunnel("GET", Kind.READ, FetchMetadata(fields))
    for opened in (
        {"Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "none"},
        {"Accept": "text/html,application/xhtml+xml"},
    ):
        with pytest.raises(TunnelDenied):
            check_tunnel("GET", Kind.READ, FetchMetadata({**fields, **opened}))


def test_a_head_never_writes() -> None:
    with pytest.raises(TunnelDenied):
        check_tunnel("HEAD", Kind.READ, FetchMetadata(PREFLIGHTED))


def test_a_batch_never_writes() -> None:
    with pytest.raises(TunnelDenied):
        check_tunnel("GET", Kind.BATCH, FetchMetadata(PREFLIGHTED))


def test_a_request_that_any_page_can_send_may_not() -> None:
    for fields in ({}, {"Referer": "https://tools.internal/"}, {"Sec-Fetch-Site": "same-origin"}):
        with pytest.raises(TunnelDenied):
            check_tunnel("GET", Kind.READ, FetchMetadata(fields))
