"""One read, one target upstream: no spelling of it changes what the others are given."""

import asyncio
from contextlib import suppress
from urllib.parse import parse_qsl, quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.access.authentication import Authentication
from proxy.config.clients import Clients
from proxy.credentials.identity import CachePartitions, StoredCredential
from proxy.errors import InvalidTarget
from proxy.http_semantics.cache_control import NONE
from proxy.links.rewrite import LinkRewriter
from proxy.server.request_parser import RequestParser
from proxy.trello.batch_codec import batch_target
from proxy.trello.routes import RESOURCES, RouteTable
from tests.server.conftest import (
    CREDENTIAL,
    MakeProxy,
    Proxy,
)
from tests.server.raw_upstream import (
    FILE,
    RawUpstream,
    answer,
)

ID = "5e93ba403f1ab3603ba81a09"
READ = f"/1/boards/{ID}?cards=open&fields=name,url"
NOT_FOUND = answer(
    b"The requested resource was not found.",
    b"Content-Type: text/plain; charset=utf-8\r\n",
    b"HTTP/1.1 404 Not Found\r\n",
)

SPELLINGS = {
    "an empty segment": f"/1//boards/{ID}?cards=open&fields=name,url",
    "many of them": f"/1///boards///{ID}///?cards=open&fields=name,url",
    "a closing slash": f"/1/boards/{ID}/?cards=open&fields=name,url",
    "another case": f"/1/BOARDS/{ID}?cards=open&fields=name,url",
    "the singular": f"/1/Board/{ID}?cards=open&fields=name,url",
    "an encoded letter of a literal": f"/1/%62oards/{ID}?cards=open&fields=name,url",
    "an encoded letter of an id": f"/1/boards/%35{ID[1:]}?cards=open&fields=name,url",
    "an encoded parameter's name": f"/1/boards/{ID}?c%61rds=open&fields=name,url",
    "another order": f"/1/boards/{ID}?fields=name,url&cards=open",
    "an encoded comma": f"/1/boards/{ID}?cards=open&fields=name%2curl",
    "empty parameters": f"/1/boards/{ID}?&cards=open&&fields=name,url&",
    "a credential": f"/1/boards/{ID}?token=x&cards=open&key=y&fields=name,url",
}


async def strict(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, header: bytes) -> None:
    """A Trello that knows one spelling and calls every other one missing."""
    target = header.split(b" ")[1].decode()
    writer.write(answer(b'{"id":"%b"}' % ID.encode()) if target == READ else NOT_FOUND)


@pytest.fixture
async def proxy(make_proxy: MakeProxy, raw_upstream: RawUpstream) -> Proxy:
    raw_upstream.said = strict
    return await make_proxy(raw_upstream.url)


def targets(upstream: RawUpstream) -> list[str]:
    return [header.split(b" ")[1].decode() for header in upstream.asked]


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
async def test_no_spelling_poisons_what_is_stored(proxy: Proxy, spelling: str) -> None:
    assert (await proxy.get(READ)).status == 200
    assert (await proxy.get(spelling, {"Cache-Control": "no-cache"})).status == 200
    last = await proxy.get(READ)
    assert last.status == 200
    assert "; hit" in last.fields["cache-status"]


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
async def test_every_spelling_is_one_stored_response_and_one_target_upstream(
    proxy: Proxy, raw_upstream: RawUpstream, spelling: str
) -> None:
    first = await proxy.get(spelling)
    second = await proxy.get(READ)
    assert (first.status, second.status) == (200, 200)
    assert "; hit" in second.fields["cache-status"]
    assert targets(raw_upstream) == [READ]


@pytest.mark.parametrize(
    ("spelling", "sent"),
    [
        (f"/1/%2562oards/{ID}?cards=open&fields=name,url", f"/1/%2562oards/{ID}"),
        (f"/1/boards/%2535{ID[1:]}?cards=open&fields=name,url", f"/1/boards/%2535{ID[1:]}"),
        (f"/1/boards/{ID}?c%2561rds=open&fields=name,url", f"/1/boards/{ID}"),
    ],
    ids=["of a literal", "of an id", "of a name"],
)
async def test_text_that_was_encoded_twice_is_another_text(
    proxy: Proxy, raw_upstream: RawUpstream, spelling: str, sent: str
) -> None:
    assert (await proxy.get(READ)).status == 200
    assert (await proxy.get(spelling)).status == 404
    last = await proxy.get(READ)
    assert (last.status, "; hit" in last.fields["cache-status"]) == (200, True)
    assert targets(raw_upstream)[1].startswith(f"{sent}?")
    assert "%25" in targets(raw_upstream)[1]


async def test_a_write_is_sent_by_its_canonical_path_with_its_parameters_in_order(
    proxy: Proxy, raw_upstream: RawUpstream
) -> None:
    await proxy.ask("PUT", f"/1//Card/{ID}/?name=x+y&desc=a;b&%6bey=k&desc=c%2Cd")
    assert targets(raw_upstream) == [f"/1/cards/{ID}?name=x%20y&desc=a%3Bb&desc=c,d"]


async def test_a_batch_asks_for_its_parts_by_their_canonical_targets(
    proxy: Proxy, raw_upstream: RawUpstream
) -> None:
    heard = await proxy.get(f"/1/batch/?urls=/Board//{ID}/%3Ffields%3Dname%252Curl%26cards=open")
    assert heard.json == [{"200": {"id": ID}}]
    assert targets(raw_upstream) == [READ]
    assert "; hit" in (await proxy.get(READ)).fields["cache-status"]


INTAKE = RequestParser(
    table=RouteTable(),
    stored=StoredCredential(CREDENTIAL, CachePartitions(b"k" * 32, "")),
    clients=Clients(),
    links=LinkRewriter("http://127.0.0.1:8080"),
    authentication=Authentication(Clients()),
)
ROUTES = st.sampled_from([
    "boards/*", "customFields/*/options", "cards/*/checklists", "members/*/boards", "search",
    "boards/*/cards/open", "cards/*/nowhere/*",
])  # fmt: skip
IDS = st.text("abcXYZ019_-~,;!@+ é", min_size=1, max_size=6)
PAIRS = st.lists(
    st.tuples(
        st.sampled_from(["fields", "cards", "a b", "x[]", "q;"]),
        st.text("abcXYZ019_-~,;!@+ é&=%/", max_size=5),
    ),
    max_size=4,
)


def encoded(draw: st.DrawFn, text: str, always: str, space: str = "%20") -> str:
    """The text with some letters percent-encoded, in hex digits of either case, and these all."""
    spelled = ""
    for char in text:
        if char == " ":
            spelled += draw(st.sampled_from(["%20", space]))
        elif char in always or draw(st.integers(0, 3)) == 0:
            hexed = "".join(f"%{octet:02x}" for octet in char.encode())
            spelled += draw(st.sampled_from([hexed, hexed.upper()]))
        else:
            spelled += char
    return spelled


def path_of(draw: st.DrawFn, route: str, segments: list[str]) -> str:
    path = "/1"
    for word, segment in zip(route.split("/"), segments, strict=True):
        text = segment
        if word in RESOURCES and path == "/1":
            text = draw(st.sampled_from([word, word.removesuffix("s")]))
        is_username = word == "*" and route.startswith("members/") and segment.isascii()
        if word not in {"*", "nowhere", "open"} or is_username:
            text = draw(st.sampled_from([text, text.upper(), text.lower(), text.title()]))
        path += "/" * draw(st.integers(1, 3)) + encoded(draw, text, "/?#%é")
    return path + "/" * draw(st.integers(0, 2))


def query_of(draw: st.DrawFn, pairs: list[tuple[str, str]]) -> str:
    """In another order, but that parameters of one name keep theirs; with credentials."""
    in_order = {name: iter([value for each, value in pairs if each == name]) for name, _ in pairs}
    parts = [
        f"{encoded(draw, name, '&=%+#é', '+')}={encoded(draw, next(in_order[name]), '&=%+#é', '+')}"
        for name, _ in draw(st.permutations(pairs))
    ]
    for extra in draw(st.lists(st.sampled_from(["", "key=k", "t%6Fken=t", "oauth_x="]))):
        parts.insert(draw(st.integers(0, len(parts))), extra)
    return "&".join(parts)


@given(st.data())
def test_any_spelling_of_a_read_is_one_key_and_one_target(data: st.DataObject) -> None:
    route, pairs = data.draw(ROUTES), data.draw(PAIRS)
    segments = [data.draw(IDS) if word == "*" else word for word in route.split("/")]
    if route.startswith("members/") and segments[1].isascii():
        segments[1] = segments[1].lower()

    @st.composite
    def spelling(draw: st.DrawFn) -> str:
        return f"{path_of(draw, route, segments)}?{query_of(draw, pairs)}"

    one, other = (INTAKE.internal_get(data.draw(spelling()), NONE) for _ in range(2))
    assert (one.key, one.target) == (other.key, other.target)
    again = INTAKE.internal_get(one.target, NONE)
    assert (again.key, again.target) == (one.key, one.target)
    (listed,) = INTAKE.batch_parts(INTAKE.internal_get(batch_target([one.target]), NONE)) or (one,)
    assert (listed.key, listed.target) == (one.key, one.target)
    path, _, query = one.target.partition("?")
    assert [unquote(each) for each in path.split("/")[2:]] == segments
    assert parse_qsl(query, keep_blank_values=True) == sorted(
        pairs, key=lambda pair: quote(pair[0])
    )


TARGETS = st.text("/1bo%256A?&=;,+fF", max_size=14).map(lambda text: f"/1/{text}")


@given(TARGETS, TARGETS)
def test_one_key_is_the_same_bytes_upstream(one: str, other: str) -> None:
    with suppress(InvalidTarget):
        first, second = INTAKE.internal_get(one, NONE), INTAKE.internal_get(other, NONE)
        assert (first.key == second.key) is (first.target == second.target)


@given(st.data(), st.integers(0, 30))
def test_what_is_encoded_once_more_is_another_read(data: st.DataObject, at: int) -> None:
    segments = ["boards", data.draw(IDS).replace("é", "e")]
    once = "/1/" + "/".join(
        "".join(f"%{octet:02x}" for octet in each.encode()) for each in segments
    )
    octets = [place for place, char in enumerate(once) if char == "%"]
    place = octets[at % len(octets)]
    twice = f"{once[:place]}%25{once[place + 1 :]}"
    one, other = INTAKE.internal_get(once, NONE), INTAKE.internal_get(twice, NONE)
    assert one.key != other.key
    assert one.match.route.template == "/boards/{id}"
    assert unquote(other.target) != unquote(one.target)


async def test_a_kept_file_is_not_gone_by_a_spelling(
    make_proxy: MakeProxy, raw_upstream: RawUpstream
) -> None:
    file, metadata = FILE, FILE.partition("/download")[0]
    about = b'{"id":"A","isUpload":true,"fileName":"a.png","bytes":1,"mimeType":"image/png"}'

    async def trello(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, header: bytes
    ) -> None:
        known = {file: answer(b"x", b"Content-Type: image/png\r\n"), metadata: answer(about)}
        writer.write(known.get(header.split(b" ")[1].decode(), NOT_FOUND))

    raw_upstream.said = trello
    proxy = await make_proxy(raw_upstream.url)
    anew = {"Cache-Control": "no-cache"}
    assert (await proxy.get(file)).status == 200
    for spelling in (metadata.replace("/cards/", "//Card//"), f"{metadata}/", file.upper()):
        assert (await proxy.get(spelling, anew)).status != 410
    assert (await proxy.get(metadata.replace("attachments", "%2561ttachments"), anew)).status == 404
    assert (await proxy.get(file)).status == 200
