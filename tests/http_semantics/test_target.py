"""Targets: each is decoded once and has one canonical spelling, or is refused."""

from urllib.parse import quote, quote_plus, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from proxy.errors import InvalidTarget
from proxy.http_semantics.target import (
    canonical_query,
    parse,
    target_of,
    with_parameters,
)

SEGMENTS = {
    "the root": ("/", ()),
    "a plain path": ("/1/boards/abc", ("1", "boards", "abc")),
    "empty segments are seen through": ("/1//boards/abc/", ("1", "boards", "abc")),
    "percent-encoding is decoded": ("/1/%62oards/caf%C3%A9", ("1", "boards", "café")),
    "decoding happens once": ("/1/%252e%252e", ("1", "%2e%2e")),
    "a percent sign that encodes nothing stays": ("/1/%zz", ("1", "%zz")),
    "three dots are a name": ("/1/.../x", ("1", "...", "x")),
    "a semicolon is a character": ("/1/cards/a;b=c", ("1", "cards", "a;b=c")),
    "a plus is a character": ("/1/cards/a+b", ("1", "cards", "a+b")),
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
    "an encoded slash at the end": "/1/boards/abc%2F",
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
def test_an_ambiguous_target_is_refused(raw: str) -> None:
    with pytest.raises(InvalidTarget) as refused:
        parse(raw)
    assert refused.value.status == 400


FILE = "/1/cards/C/attachments/A/download/"
PREVIEW = "/1//Card/C/attachments/A/%70reviews/P/Download/"
NAMES = ["Bill%2012%2F24.pdf", "a%5Cb", "a\\b", "%E4.png", "%00", "a%0d%0ab", "%ff%fe", "%zz"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", [FILE, PREVIEW])
def test_a_files_name_may_be_anything(path: str, name: str) -> None:
    segments = parse(path + name).segments
    assert len(segments) == len(parse(path).segments) + 1


NO_NAMES = {
    "of a board": "/1/boards/C/attachments/A/download/a%2Fb",
    "of an id": "/1/cards/C%2FD/attachments/A/download/a",
    "of something behind the name": "/1/cards/C/attachments/A/download/a/b%2Fc",
    "of something before it": "/1/cards/C/attachments/A/a%2Fdownload",
    "of an export": "/1/boards/C/exports/E/download/a%2Fb",
    "dots for a name": FILE + "..",
    "encoded dots for a name": FILE + "%2e%2E",
}


@pytest.mark.parametrize("raw", NO_NAMES.values(), ids=NO_NAMES.keys())
def test_and_nothing_else_may(raw: str) -> None:
    with pytest.raises(InvalidTarget):
        parse(raw)


QUERIES = {
    "nothing": ("", ""),
    "what is canonical": ("a=1&b=x,y", "a=1&b=x,y"),
    "the order of names": ("b=2&a=1", "a=1&b=2"),
    "the order of one name's values": ("a=2&b=3&a=1", "a=2&a=1&b=3"),
    "a plus and %20": ("q=x+y%20z", "q=x%20y%20z"),
    "an encoded plus": ("q=x%2by", "q=x%2By"),
    "raw and encoded commas": ("fields=a%2Cb%2cc,d", "fields=a,b,c,d"),
    "hex digits in lower case": ("q=%c3%a9", "q=%C3%A9"),
    "letters that need no encoding": ("q=%41%7E", "q=A~"),
    "letters that need it": ("q=a/b:c@d!e*f", "q=a%2Fb%3Ac%40d%21e%2Af"),
    "an encoded name": ("f%69elds=a", "fields=a"),
    "empty parameters": ("&a=1&&", "a=1"),
    "no value": ("open", "open="),
    "no name": ("=x", "=x"),
    "brackets": ("a[]=1&a%5B%5D=2", "a%5B%5D=1&a%5B%5D=2"),
    "an equals sign in a value": ("a=b=c", "a=b%3Dc"),
    "a semicolon": ("query=key;token=5", "query=key%3Btoken%3D5"),
    "an encoded ampersand": ("a=1%26b=2", "a=1%26b%3D2"),
    "text encoded twice": ("q=%252C", "q=%252C"),
    "a percent sign that encodes nothing": ("q=%zz%", "q=%25zz%25"),
    "octets that are no text": ("q=%ff", "q=%FF"),
    "names that begin alike": ("a.b=1&a=2&a-b=3", "a=2&a-b=3&a.b=1"),
}


@pytest.mark.parametrize(("raw", "canonical"), QUERIES.values(), ids=QUERIES.keys())
def test_canonical_query(raw: str, canonical: str) -> None:
    assert canonical_query(raw) == canonical
    assert canonical_query(canonical) == canonical


def test_an_ordered_query_keeps_its_order() -> None:
    assert canonical_query("b=x+y&a=%2C&&b", ordered=True) == "b=x%20y&a=,&b="


JOINED = {
    "nothing to nothing": ("", "", ""),
    "to nothing": ("", "a=1&b=2", "a=1&b=2"),
    "nothing": ("a=1", "", "a=1"),
    "another name": ("a=1", "b=2", "a=1&b=2"),
    "a name that is there": ("a=1", "a=2&b=3", "a=1&b=3"),
    "a name that is there, encoded": ("%61=1", "a=2", "%61=1"),
    "one name twice": ("", "a=1&a=2", "a=1&a=2"),
}


@pytest.mark.parametrize(("query", "others", "joined"), JOINED.values(), ids=JOINED.keys())
def test_with_parameters(query: str, others: str, joined: str) -> None:
    assert with_parameters(query, others) == joined


PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)
PAIRS = st.lists(st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=5)), max_size=5)


def canonical(raw: str) -> str | None:
    try:
        target = parse(raw)
    except InvalidTarget:
        return None
    return target_of(target.segments[1:], canonical_query(target.query))


@given(PRINTABLE, PRINTABLE)
def test_the_canonical_target_means_the_same_and_is_stable(path: str, query: str) -> None:
    sent = canonical(f"/1/{path}?{query}")
    if sent is None:
        return
    assert canonical(sent) == sent
    url = URL(f"http://trello.test{sent}", encoded=True)
    assert (url.raw_path_qs, url.host) == (sent, "trello.test")
    assert parse(sent).segments == parse(f"/1/{path}").segments


@given(PRINTABLE)
def test_no_parameter_is_lost_or_changed(query: str) -> None:
    def meant(raw: str) -> list[tuple[bytes, bytes]]:
        parts = [part.replace("+", " ").partition("=") for part in raw.split("&") if part]
        return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in parts]

    assert meant(canonical_query(query, ordered=True)) == meant(query)
    assert sorted(meant(canonical_query(query))) == sorted(meant(query))


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


@given(st.lists(st.text(min_size=1, max_size=8), max_size=4))
def test_any_spelling_of_a_name_comes_back_as_the_name(names: list[str]) -> None:
    try:
        target = parse("/" + "/".join(quote(name, safe="", errors="replace") for name in names))
    except InvalidTarget:
        return
    assert target.segments == tuple(name.encode("utf-8", "replace").decode() for name in names)


@given(st.text(max_size=40))
def test_any_text_is_a_target_or_refused(raw: str) -> None:
    try:
        target = parse(raw)
    except InvalidTarget:
        return
    assert not {".", ".."} & set(target.segments)
