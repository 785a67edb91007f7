"""Parameters, bodies and batches that make a request administrative."""

import json
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials.body_extraction import body_form, parse_form, parse_json
from proxy.errors import BodyTooLarge, CharsetNotUtf8, InvalidTarget, MalformedJson
from proxy.http_semantics.parameters import Parameter
from proxy.server.permission import why_administrative, why_batch
from proxy.trello.batch_contents import read_batch
from proxy.trello.routes import RouteTable
from proxy.trello.tunnel import tunnelled_method

TABLE = RouteTable()


def judged(
    line: str, body: bytes = b"", *, tunnelled: bool = False, streamed: bool = False
) -> bool:
    method, _, target = line.partition(" ")
    path, _, query = target.partition("?")
    match = TABLE.classify(method, [segment for segment in path.split("/") if segment])
    parameters = parameters_of(body) if body else ()
    why = why_administrative(
        method, match, query, parameters, tunnelled=tunnelled, streamed=streamed
    )
    return bool(why)


def parameters_of(body: bytes) -> Sequence[Parameter]:
    parse = parse_json if body_form(None, body) == "json" else parse_form
    return parse(body).parameters


def batch(query: str) -> bool:
    contents = read_batch(query, TABLE.classify)
    return bool(why_batch(contents) or tunnelled_method(contents.parameters))


LINES = {
    "a board is renamed": ("PUT /boards/x?name=y&desc=z&closed=true", False),
    "a label of it is named": ("PUT /boards/x?labelNames/green=z", False),
    "it gets a background": ("PUT /boards/x?prefs/background=blue&prefs_cardCovers=true", False),
    "who may see it": ("PUT /boards/x?prefs/permissionLevel=public", True),
    "the same, as an underscore": ("PUT /boards/x?prefs_permissionLevel=public", True),
    "the same, in brackets": ("PUT /boards/x?prefs[permissionLevel]=public", True),
    "the same, encoded": ("PUT /boards/x?prefs%2Fpermission%4Cevel=public", True),
    "the same, in other letters": ("PUT /boards/x?PREFS/PERMISSIONLEVEL=public", True),
    "the same, made private": ("PUT /boards/x?prefs/permissionLevel=private", True),
    "who may join": ("PUT /boards/x?prefs/selfJoin=true", True),
    "who may invite": ("PUT /boards/x?prefs/invitations=members", True),
    "who may comment": ("PUT /boards/x?prefs/comments=public", True),
    "a calendar for whoever has its address": (
        "PUT /boards/x?prefs/calendarFeedEnabled=true",
        True,
    ),
    "a preference nobody knows": ("PUT /boards/x?prefs/invention=1", True),
    "another workspace": ("PUT /boards/x?idOrganization=y", True),
    "one field of it": ("PUT /boards/x/name?value=y", False),
    "one field that is another workspace": ("PUT /boards/x/idOrganization?value=y", True),
    "one field nobody knows": ("PUT /boards/x/invention?value=y", True),
    "one preference": ("PUT /boards/x/prefs/background?value=blue", False),
    "one preference that opens it": ("PUT /boards/x/prefs/permissionLevel?value=public", True),
    "one preference that opens it, encoded": (
        "PUT /boards/x/prefs/permission%4Cevel?value=public",
        True,
    ),
    "a board is made": ("POST /boards?name=x&idOrganization=y&defaultLists=false", False),
    "a private one is made": ("POST /boards?name=x&prefs_permissionLevel=private", False),
    "a public one is made": ("POST /boards?name=x&prefs_permissionLevel=public", True),
    "a public one behind a private one": (
        "POST /boards?prefs_permissionLevel=private&prefs_permissionLevel=public",
        True,
    ),
    "a card is moved to another board": ("PUT /cards/x?idBoard=y&members=z", False),
    "a write that names its method again": ("PUT /cards/x?name=y&_method=PUT", True),
    "a write that names another": ("PUT /boards/x?_method=DELETE", True),
    "a write that names another, encoded": ("POST /cards/x/stickers?%5fMethod=delete", True),
    "a write that names a safe one": ("PUT /cards/x?name=y&_method=GET", True),
    "a write that names none": ("PUT /cards/x?name=y&_methods=GET&x[_method]=DELETE", False),
    "a board with Power-Ups": ("POST /boards?name=x&powerUps=all", True),
    "another workspace, numbered": ("PUT /boards/x?idOrganization[0]=y", True),
    "another workspace, deeper": ("PUT /boards/x?a[b][idOrganization][0][c]=y", True),
    "a background, numbered": ("PUT /boards/x?prefs[background][0]=blue", False),
    "a background, deeper": ("PUT /boards/x?prefs[background][x]=blue", True),
    "a private board, deeper": ("POST /boards?prefs[permissionLevel][x]=private", True),
    "a board is read": ("GET /boards/x?fields=name,prefs&cards=open", False),
    "with its secret addresses": ("GET /boards/x?myPrefs=true", True),
    "the same, as a field": ("GET /boards/x?fields=name,%6dyPrefs", True),
    "the same, nested": ("GET /members/me?boards=all&board_fields=name,emailKey", True),
    "without them": ("GET /boards/x?myPrefs=false", False),
    "one field of it is its key": ("GET /boards/x/emailKey", True),
    "the same, of the calendar": ("HEAD /boards/x/CALENDARKEY", True),
    "the secret of an invitation": ("GET /boards/x/y/invitationSecret", True),
    "the same, numbered": ("GET /boards/x?fields[0]=myPrefs", True),
    "the same, in a path": ("GET /boards/x?fields=name,myPrefs/emailKey", True),
    "the same, encoded again and again": ("GET /boards/x?fields=my%252550refs", True),
    "a field's value is data": ("GET /search?query=fields%3DmyPrefs", False),
    "a token's webhook": ("GET /tokens/-/webhook", True),
    "a field of a token": ("GET /tokens/-/dateExpires", False),
    "whatever is below a token": ("GET /tokens/-/a/b", True),
    "whatever is below a webhook": ("GET /webhook.json/a", True),
    "a file of that name": ("GET /cards/x/attachments/y/download/webhooks%20emailKey.pdf", False),
    "a list that nobody knows": ("GET /boards/x/y/z", False),
    "a token under a longer name": ("GET /members/me/apiTokens", True),
    "a field of that name": ("GET /members/me?fields=name,accessToken", True),
    "the same, of webhooks": ("GET /boards/x/y/boardWebhook", True),
    "a name that is encoded twice": ("GET /boards/x?%2566ields=myPrefs", True),
    "the same, of what is nested": ("GET /members/me?%2574okens=all", True),
    "the same, of a write": ("PUT /boards/x?%2569dOrganization=y", True),
    "a member with its tokens": ("GET /members/me?tokens=all", True),
    "a token with its webhooks": ("GET /tokens/-?webhooks=true", True),
    "a token": ("GET /tokens/-", False),
    "a search for such words": ("GET /search?query=webhooks%20emailKey", False),
    "a card's own e-mail address": ("GET /cards/x?fields=email", False),
    "a board's export": ("GET /boards/x/exports/y/download", False),
}


@pytest.mark.parametrize(("line", "expected"), LINES.values(), ids=LINES)
def test_path_and_query(line: str, *, expected: bool) -> None:
    assert judged(line) is expected


BODIES = {
    "a form": (b"name=y&desc=public", False),
    "a form that opens it": (b"name=y&prefs/permissionLevel=public", True),
    "the same behind a hundred others": (b"a=b&" * 100 + b"prefs%2FselfJoin=true", True),
    "the same, very long": (b"prefs/permissionLevel=" + b"x" * 10_000, True),
    "JSON": (b'{"name": "permissionLevel", "desc": "prefs/selfJoin"}', False),
    "JSON that opens it": (b'{"prefs/permissionLevel": "public"}', True),
    "JSON in JSON": (b'{"prefs": {"permissionLevel": "public"}}', True),
    "JSON in JSON that paints it": (b'{"prefs": {"background": "blue"}}', False),
    "JSON in JSON, deeper": (b'{"prefs": {"boardVisibilityRestrict": {"org": 1}}}', True),
    "preferences that are no object": (b'{"prefs": ["permissionLevel"]}', True),
    "a name in escapes": (b'{"prefs\\u002fpermissionLevel": "public"}', True),
    "a byte order mark": (b'\xef\xbb\xbf{"prefs_selfJoin": true}', True),
    "members": (b'{"members": {"x": "admin"}}', True),
    "JSON with an integer of thousands of digits": (
        b'{"prefs": {"permissionLevel": "public"}, "pos": %b}' % (b"9" * 5_000),
        True,
    ),
    "a second method": (b"name=y&_method=DELETE", True),
    "a second method in escapes": (b'{"\\u005fmethod": "DELETE"}', True),
}


@pytest.mark.parametrize(("body", "expected"), BODIES.values(), ids=BODIES)
def test_bodies(body: bytes, *, expected: bool) -> None:
    assert judged("PUT /boards/x", body) is expected


def test_a_boards_settings_are_refused_where_they_cannot_be_read() -> None:
    assert judged("PUT /boards/x", streamed=True)
    assert judged("POST /boards", streamed=True)
    assert not judged("POST /cards/x/attachments", streamed=True)


def test_a_get_that_tunnels_a_write_names_one_method() -> None:
    assert not judged("PUT /cards/x?_method=PUT&name=y", tunnelled=True)
    assert judged("PUT /cards/x?_method=PUT&_method=GET&name=y", tunnelled=True)
    assert judged("PUT /cards/x?_method=PUT&_method=DELETE", tunnelled=True)


BATCHES = {
    "plain reads": ("urls=/boards/x?fields=name,desc,/members/me/cards", False),
    "more than ten": ("urls=" + ",".join(["/members/me"] * 11), False),
    "secret addresses": ("urls=/boards/x/myPrefs", True),
    "behind a version": ("urls=/1/boards/x/myPrefs", True),
    "a parameter that shows them": ("urls=/boards/x?myPrefs=true", True),
    "a field that is one": ("urls=/boards/x?fields=name,emailKey", True),
    "webhooks": ("urls=/members/me,/tokens/x/webhooks", True),
    "a token": ("urls=/tokens/x", False),
    "a batch in a batch": ("urls=/members/me,/batch?urls=/webhooks/x", True),
    "a tunnelled write": ("urls=/boards/x?_method=DELETE", True),
    "a safe method": ("urls=/members/me&_method=GET&callback=f", False),
    "a numbered list": ("urls[0]=/webhooks/x", True),
    "a JSON list": ('urls=["/members/me","/boards/x/myPrefs"]', True),
    "a backslash": ("urls=/boards\\x\\myPrefs", True),
    "a whole address": ("urls=https://api.trello.com/1/webhooks/x", True),
    "a version too many": ("urls=/1/1/webhooks/x", True),
    "a line": ("urls=/boards/x%0a/webhooks/y", True),
    "a field in brackets": ("urls=/boards/x?fields[0]=myPrefs", True),
    "a text of several encodings": ("urls=/search?query=50%252525,/members/me", False),
}

UNREADABLE = {
    "a list without end": "urls=" + "/a," * 2_000,
    "a path without end": "urls=" + "/a" * 17,
    "dot segments": "urls=/boards/../members/me",
    "encoded dot segments": "urls=/boards/%252e%252E/members/me",
    "encoded without end": "urls=/members/%25252525252541",
}


@pytest.mark.parametrize(("query", "expected"), BATCHES.values(), ids=BATCHES)
def test_batches(query: str, *, expected: bool) -> None:
    assert batch(query) is expected


@pytest.mark.parametrize("query", UNREADABLE.values(), ids=UNREADABLE)
def test_a_batch_that_cannot_be_read(query: str) -> None:
    with pytest.raises(InvalidTarget):
        batch(query)


@pytest.mark.parametrize("query", [query for query, expected in BATCHES.values() if expected])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_however_often_a_batch_is_encoded(query: str, times: int) -> None:
    name, _, value = query.partition("=")
    for _ in range(times):
        value = quote(value, safe="")
    assert batch(f"{name}={value}")


@given(st.binary(max_size=60), st.text(max_size=60))
def test_anything_can_be_judged(body: bytes, query: str) -> None:
    with suppress(MalformedJson, CharsetNotUtf8, BodyTooLarge):
        judged(f"PUT /boards/x?{query}", body)
    judged(f"GET /boards/x?{query}")
    with suppress(InvalidTarget):
        batch(query)


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4))
def test_no_surroundings_hide_a_parameter(others: dict[str, str]) -> None:
    named = {**others, "prefs/permissionLevel": "public"}
    assert judged("PUT /boards/x", json.dumps(named).encode())
    form = "&".join(f"{quote(name)}={quote(value)}" for name, value in named.items())
    assert judged("PUT /boards/x", form.encode())
    assert judged(f"PUT /boards/x?{form}")


SHAPES = st.sampled_from(
    ["{}", "[{}]", "{}[]", "{}[0]", "{}[17][2]", "{}[x]", "x[{}]", "{}.x", "{}/x", "{}\0", "\0{}",
     " {} ", "{}\\x", "a[b][{}][c]"]
)  # fmt: skip
CASES = st.sampled_from([str, str.lower, str.upper, str.swapcase])


@given(
    st.sampled_from(["idOrganization", "prefs/selfJoin", "prefs_permissionLevel", "members"]),
    SHAPES,
    CASES,
    st.integers(0, 9),
)
def test_no_shape_hides_a_guarded_parameter(name: str, shape: str, case: object, at: int) -> None:
    assert callable(case)
    spelt = shape.format(case(name))
    coded = "".join(
        f"%{ord(char):02x}" if number % 10 == at else quote(char, safe="")
        for number, char in enumerate(spelt)
    )
    assert judged(f"PUT /boards/x?{coded}=y")
    assert judged("PUT /boards/x", f"name=x&{coded}=y".encode())
    assert judged("PUT /boards/x", json.dumps({"name": "x", spelt: "y"}).encode())


@given(SHAPES, CASES, st.sampled_from(["myPrefs", "name,emailKey", "x.calendarKey", "a myPrefs"]))
def test_no_shape_hides_a_secret_field(shape: str, case: object, value: str) -> None:
    assert callable(case)
    name = quote(shape.format(case("board_fields")), safe="")
    assert judged(f"GET /members/me?boards=all&{name}={quote(value, safe='')}")
    assert judged(f"GET /boards/x?{quote(shape.format(case('myPrefs')), safe='')}=true")
