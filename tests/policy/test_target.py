"""A target is decided on and forwarded as the same bytes, or refused."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from proxy.errors import BadTarget
from proxy.policy.target import parse

SEGMENTS = {
    "the root": ("/", ()),
    "a plain path": ("/1/boards/abc", ("1", "boards", "abc")),
    "empty segments are seen through": ("/1//boards/abc/", ("1", "boards", "abc")),
    "percent-encoding is decoded": ("/1/%62oards/caf%C3%A9", ("1", "boards", "café")),
    "decoding happens once": ("/1/%252e%252e", ("1", "%2e%2e")),
    "a percent sign that encodes nothing stays": ("/1/%zz", ("1", "%zz")),
    "three dots are a name": ("/1/.../x", ("1", "...", "x")),
    "a semicolon is a character": ("/1/cards/a;b=c", ("1", "cards", "a;b=c")),
    "an encoded question mark is no query": ("/1/a%3Fkey=b", ("1", "a?key=b")),
}

REFUSED = {
    "nothing": "",
    "a whole URL": "http://evil.example/1/boards",
    "another scheme": "file:///etc/passwd",
    "an asterisk": "*",
    "a host": "evil.example:443",
    "a network path": "//evil.example/1/boards",
    "a dot segment": "/1/./boards",
    "two dots": "/1/boards/../members",
    "two dots at the end": "/1/boards/..",
    "two dots, encoded": "/1/%2e%2E/x",
    "two dots, half encoded": "/1/.%2e/x",
    "an encoded slash": "/1/boards%2Fabc",
    "an encoded slash in lower case": "/1/boards%2fabc",
    "an encoded backslash": "/1/boards%5cabc",
    "a backslash": "/1/boards\\abc",
    "a NUL": "/1/boards/a%00b",
    "a line feed": "/1/boards/a%0ab",
    "a delete": "/1/boards/a%7Fb",
    "bytes that are not UTF-8": "/1/boards/%ff",
    "two dots, overlong": "/1/%c0%ae%c0%ae/x",
    "a raw letter outside ASCII": "/1/boards/café",
    "a space": "/1/boards/a b",
    "a space in the query": "/1/boards?a=b c",
    "a raw control character": "/1/boards/a\x01",
    "a fragment": "/1/boards#x",
    "a fragment in the query": "/1/boards?a=1#&_method=DELETE",
}


@pytest.mark.parametrize(("raw", "segments"), SEGMENTS.values(), ids=SEGMENTS.keys())
def test_a_route_is_found_by_decoded_segments(raw: str, segments: tuple[str, ...]) -> None:
    assert parse(raw).segments == segments


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_what_two_readers_could_read_differently_is_refused(raw: str) -> None:
    with pytest.raises(BadTarget) as refused:
        parse(raw)
    assert refused.value.status == 400


def test_path_and_query_stay_as_sent() -> None:
    target = parse("/1//Boards/%41bc/?fields=a%2Cb,c&q=x+y%20z&&empty=")
    assert target.path == "/1//Boards/%41bc/"
    assert target.query == "fields=a%2Cb,c&q=x+y%20z&&empty="


def test_dots_and_slashes_mean_nothing_in_a_query() -> None:
    assert parse("/1/search?query=../..//%2F%00").query == "query=../..//%2F%00"


PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)


@given(PRINTABLE, PRINTABLE)
def test_what_is_accepted_is_forwarded_byte_for_byte(path: str, query: str) -> None:
    try:
        target = parse(f"/1/{path}?{query}")
    except BadTarget:
        return
    sent = URL(f"http://trello.test{target.raw}", encoded=True)
    assert sent.raw_path_qs == target.raw
    assert sent.host == "trello.test"


@given(st.lists(st.text(min_size=1, max_size=8), max_size=4))
def test_any_spelling_of_a_name_comes_back_as_the_name(names: list[str]) -> None:
    try:
        target = parse("/" + "/".join(quote(name, safe="", errors="replace") for name in names))
    except BadTarget:
        return
    assert target.segments == tuple(name.encode("utf-8", "replace").decode() for name in names)


@given(st.text(max_size=40))
def test_any_text_is_a_target_or_refused(raw: str) -> None:
    try:
        target = parse(raw)
    except BadTarget:
        return
    assert target.raw.startswith("/")
    assert not {".", ".."} & set(target.segments)
