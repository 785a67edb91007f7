"""What a batch lists, however it is spelt, and the cutting and composing of its answer."""

import json
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.http_semantics.content import gzipped
from proxy.model import CacheKey, StoredResponse
from proxy.trello.batch_codec import (
    Item,
    batch_target,
    compose_body,
    is_cacheable_part,
    make_item,
    parse_urls,
    split_items,
)
from proxy.trello.routes import RouteTable

LISTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "raw": ("urls=/boards/x,/cards/y", ("/1/boards/x", "/1/cards/y")),
    "raw, with queries": (
        "urls=/boards/x?fields=name,/cards/y?limit=3",
        ("/1/boards/x?fields=name", "/1/cards/y?limit=3"),
    ),
    "encoded": (
        "urls=%2Fboards%2Fx%3Ffields%3Dname%2C%2Fcards%2Fy",
        ("/1/boards/x?fields=name", "/1/cards/y"),
    ),
    "hex digits in lower case": ("urls=%2fboards%2fx%2c%2fy", ("/1/boards/x", "/1/y")),
    "the web client's: values, then the list": (
        "urls=%2FMember%2Fx%2Fdeltas%3Ftags%3Da%252Cb%2C%2FBoard%2Fy%2Fdeltas%3Ftags%3Dc%252Cd",
        ("/1/Member/x/deltas?tags=a%2Cb", "/1/Board/y/deltas?tags=c%2Cd"),
    ),
    "each sub-URL whole, then the list": (
        "urls=%252Fcards%252Fx%253Ffields%253Dname%252Curl%2C%252Fboards%252Fy",
        ("/1/cards/x?fields=name,url", "/1/boards/y"),
    ),
    "raw, a comma inside encoded twice": (
        "urls=/cards/x?fields=name%252Curl,/boards/y",
        ("/1/cards/x?fields=name%2Curl", "/1/boards/y"),
    ),
    "a comma encoded once ends a sub-URL": (
        "urls=/cards/x?fields=name%2Curl",
        ("/1/cards/x?fields=name", "/1/url"),
    ),
    "an & encoded once": ("urls=/x?a=1%26b=2,/y", ("/1/x?a=1&b=2", "/1/y")),
    "an & not encoded": (
        "urls=/boards/x?fields=name,/boards/y/lists?fields=name&cards=open&card_fields=idCard",
        ("/1/boards/x?fields=name", "/1/boards/y/lists?fields=name&cards=open&card_fields=idCard"),
    ),
    "an & not encoded, and more behind it": (
        "urls=/boards/x?fields=name&lists=open,/cards/y?limit=1&since=2,/z",
        ("/1/boards/x?fields=name&lists=open", "/1/cards/y?limit=1&since=2", "/1/z"),
    ),
    "an & in a value": ("urls=/search?query=a%2526b", ("/1/search?query=a%26b",)),
    "no leading slash": (
        "urls=/members/me/,boards/x,cards/y/pluginData",
        ("/1/members/me/", "/1/boards/x", "/1/cards/y/pluginData"),
    ),
    "a version that does not belong there": ("urls=/1/boards/x", ("/1/1/boards/x",)),
    "spaces, both ways": ("urls=/search?query=a+b%20c", ("/1/search?query=a%20b%20c",)),
    "a plus": ("urls=/search?query=a%2Bb", ("/1/search?query=a+b",)),
    "letters beyond ASCII": ("urls=/search?query=%C3%A9,/x", ("/1/search?query=%C3%A9", "/1/x")),
    "bytes that are no text": ("urls=/search?query=%FF", ("/1/search?query=%FF",)),
    "a separator too many": ("&urls=/x&", ("/1/x",)),
    "ten": ("urls=" + ",".join(["/x"] * 10), ("/1/x",) * 10),
}

NO_LISTS = {
    "nothing": "",
    "an empty list": "urls=",
    "no list": "fields=name",
    "eleven": "urls=" + ",".join(["/x"] * 11),
    "an empty item": "urls=/x,,/y",
    "an empty item at the end": "urls=/x,",
    "two lists": "urls=/x&urls=/y",
    "another parameter": "urls=/x&fields=name",
    "another parameter in front": "fields=name&urls=/x",
    "another parameter behind an encoded list": "urls=%2Fx%3Fa%3D1&limit=5",
    "a script's call": "urls=/x?a=1&callback=show",
    "a script's call in front": "callback=show&urls=/x",
    "a tunnelled write": "urls=/x?a=1&_method=DELETE",
    "a list encoded twice, its commas too": "urls=%252Fx%252C%252Fy",
}


@pytest.mark.parametrize(("query", "targets"), LISTS.values(), ids=LISTS.keys())
def test_listed(query: str, targets: tuple[str, ...]) -> None:
    assert parse_urls(query) == targets


@pytest.mark.parametrize("query", NO_LISTS.values(), ids=NO_LISTS.keys())
def test_what_is_not_plainly_a_list_of_one_to_ten_is_none(query: str) -> None:
    assert parse_urls(query) == ()


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
WORDS = st.text("abz019", min_size=1, max_size=4)
PARAMETERS = st.lists(st.tuples(WORDS, TEXTS), max_size=3)


@st.composite
def sub_urls(draw: st.DrawFn) -> str:
    """A sub-URL whose values are percent-encoded, as any client's library does it."""
    path = "/" + "/".join(draw(st.lists(WORDS, min_size=1, max_size=5)))
    query = "&".join(f"{name}={quote(text, safe='')}" for name, text in draw(PARAMETERS))
    return f"{path}?{query}" if query else path


URLS = st.lists(sub_urls(), min_size=1, max_size=10)


def as_values_and_list(urls: list[str]) -> str:
    return quote(",".join(urls), safe="")


def as_each_and_list(urls: list[str]) -> str:
    return quote(",".join(quote(url, safe="") for url in urls), safe="")


def as_raw_list(urls: list[str]) -> str:
    """Nothing encoded but what must survive the one decoding."""
    return ",".join(url.replace("%", "%25") for url in urls)


@given(urls=URLS)
@example(urls=["/a?x=%2C%26%2B%25", "/b?y=%20&z=%2F%3F"])
def test_any_list_comes_back_whichever_way_it_is_encoded(urls: list[str]) -> None:
    for spelt in (as_values_and_list, as_each_and_list, as_raw_list):
        found = parse_urls(f"urls={spelt(urls)}")
        assert [unquote(target) for target in found] == [unquote(f"/1{url}") for url in urls]
        assert len(found) == len(urls)


@given(urls=URLS)
def test_what_is_asked_for_lists_what_was_listed(urls: list[str]) -> None:
    targets = [f"/1{url}" for url in urls]
    asked = batch_target(targets)
    assert asked.startswith("/1/batch?urls=%2F")
    assert parse_urls(asked.partition("?")[2]) == tuple(targets)


def test_a_comma_that_is_not_encoded_in_a_part_does_not_end_it() -> None:
    assert batch_target(["/1/cards/x?fields=a,b", "/1/y?q=a&r=b"]) == (
        "/1/batch?urls=%2Fcards%2Fx%3Ffields%3Da%252Cb%2C%2Fy%3Fq%3Da%26r%3Db"
    )


PARTS = {
    "a board": ("/boards/x", (), True),
    "a board in the singular": ("/board/x", ("fields",), True),
    "a read that is never stored": ("/boards/x/deltas", (), True),
    "a script's call": ("/boards/x", ("Callback",), False),
    "a tunnelled write": ("/boards/x", ("_method",), False),
    "a file": ("/cards/x/attachments/y/download/z", (), False),
    "a token's": ("/tokens/x/member", (), False),
    "an unknown path": ("/nowhere/x", (), False),
    "a batch": ("/batch", ("urls",), False),
    "a script": ("/client.js", (), False),
    "a version that does not belong there": ("/1/boards/x", (), False),
    "a segment with a query": ("/boards/x?_method=DELETE", (), False),
    "a segment that is encoded": ("/boards/x%3fa", (), False),
    "a name that is encoded": ("/boards/x", ("_meth%6fd",), False),
    "a name in brackets": ("/boards/x", ("fields[]",), False),
    "a preference's name": ("/boards/x", ("prefs/x",), True),
}


@pytest.mark.parametrize(("path", "names", "expected"), PARTS.values(), ids=PARTS.keys())
def test_may_be_part(path: str, names: tuple[str, ...], expected: bool) -> None:  # noqa: FBT001
    match = RouteTable().classify("GET", path.strip("/").split("/"))
    assert is_cacheable_part(match, names) is expected


FAILED = b'{"name":"NotFound","message":"no } or ] \\" matters","statusCode":404}'
ANSWERS: dict[str, tuple[bytes, list[Item]]] = {
    "one": (b'[{"200":{"a":[1,2]}}]', [Item(200, b'{"200":{"a":[1,2]}}', b'{"a":[1,2]}')]),
    "a failure among others": (
        b'[{"200":[]},%b,{"200":"x"}]' % FAILED,
        [Item(200, b'{"200":[]}', b"[]"), Item(404, FAILED), Item(200, b'{"200":"x"}', b'"x"')],
    ),
    "spaced out": (
        b' [ { "200" : {"a": 1.50 } } , { "200": null } ]\n',
        [
            Item(200, b'{ "200" : {"a": 1.50 } }', b'{"a": 1.50 }'),
            Item(200, b'{ "200": null }', b"null"),
        ],
    ),
    "beyond ASCII": (
        '[{"200":"é\U0001f600\\ud83d"},{"200":"ü"}]'.encode(),
        [
            Item(200, '{"200":"é\U0001f600\\ud83d"}'.encode(), '"é\U0001f600\\ud83d"'.encode()),
            Item(200, '{"200":"ü"}'.encode(), '"ü"'.encode()),
        ],
    ),
    "the other shape of a failure": (b'[{"404":"gone"}]', [Item(404, b'{"404":"gone"}')]),
    "an item of no known shape": (b'[{"a":1},null]', [Item(0, b'{"a":1}'), Item(0, b"null")]),
    "a failure that says 200": (b'[{"statusCode":200}]', [Item(0, b'{"statusCode":200}')]),
}

NO_ANSWERS = {
    "nothing": b"",
    "cut": b'[{"200":{"a":1}},{"200":{"b"',
    "cut between two": b'[{"200":{"a":1}},',
    "no array": b'{"200":1}',
    "too few": b'[{"200":1}]',
    "too many": b'[{"200":1},{"200":2},{"200":3}]',
    "something behind it": b'[{"200":1},{"200":2}]x',
    "two members": b'[{"200":1,"201":2},{"200":2}]',
    "a page": b"<html></html>",
    "no text": b'[{"200":"\xff"},{"200":2}]',
    "too deep": b'[{"200":' + b"[" * 200_000,
}


@pytest.mark.parametrize(("plain", "items"), ANSWERS.values(), ids=ANSWERS.keys())
def test_items_are_cut_out_of_the_bytes_as_they_are(plain: bytes, items: list[Item]) -> None:
    assert split_items(plain, len(items)) == items


@pytest.mark.parametrize("plain", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
def test_what_is_no_array_of_two_items_is_none(plain: bytes) -> None:
    assert split_items(plain, 2) is None


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(bodies=st.lists(JSONS, min_size=1, max_size=10), ascii_only=st.booleans())
def test_what_is_cut_and_composed_again_is_the_same(bodies: list[object], ascii_only: bool) -> None:  # noqa: FBT001
    raw = [json.dumps(body, ensure_ascii=ascii_only).encode("utf-8", "replace") for body in bodies]
    response = b"[%b]" % b",".join(b'{"200":%b}' % body for body in raw)
    items = split_items(response, len(bodies))
    assert items is not None
    assert [item.body for item in items] == raw
    assert compose_body([item.raw for item in items]) == response


def stored(status: int, plain: bytes, *, gzip: bool = False) -> StoredResponse:
    body = gzipped(plain) if gzip else plain
    return StoredResponse(CacheKey("k"), status, b"", body, gzip, "", 0.0, 0, ())


def test_stored_responses_become_items_in_their_order() -> None:
    pieces: list[StoredResponse | bytes] = [
        stored(200, b'{"a":1}', gzip=True),
        FAILED,
        stored(200, b"[ ]"),
        stored(404, b"The requested resource was not found."),
    ]
    assert compose_body(pieces) == (
        b'[{"200":{"a":1}},%b,{"200":[ ]},{"name":"NotFound",'
        b'"message":"The requested resource was not found.","statusCode":404}]' % FAILED
    )


FAILURES = {
    "a bare sentence": (401, b"unauthorized permission requested\n", "Unauthorized"),
    "JSON": (403, b'{"message":"unauthorized permission requested","error":"X"}', "Forbidden"),
    "a status without a name": (449, b"unauthorized permission requested", "Error"),
}


@pytest.mark.parametrize(("status", "body", "name"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failures_item_says_what_trello_said(status: int, body: bytes, name: str) -> None:
    assert json.loads(make_item(status, body)) == {
        "name": name,
        "message": "unauthorized permission requested",
        "statusCode": status,
    }
