"""The same bytes asked again: answered without being parsed, and never otherwise than if parsed."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import pytest

from proxy.config.clients import ClientKey
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.model import Secret
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    Proxy,
    Raw,
    StartProxy,
    turns,
)

Connect = Callable[[], Awaitable[Raw]]
_OWN = (b"Age:", b"Cache-Status:", b"X-Request-Id:")


def _header(proxy: Proxy, target: str, *fields: str, method: str = "GET") -> bytes:
    lines = (f"{method} {target} HTTP/1.1", f"Host: {proxy.host}", *fields, "", "")
    return "\r\n".join(lines).encode()


def _lasting(fields: list[bytes]) -> list[bytes]:
    return [field for field in fields if not field.startswith(_OWN)]


REPEATED = {
    "identity": ("/1/boards/{board}", (), 200),
    "gzip": ("/1/boards/{board}", ("Accept-Encoding: gzip",), 200),
    "never coded": ("/1/boards/{board}?fields=id", ("Accept-Encoding: gzip",), 200),
    "304": ("/1/boards/{board}?fields=id", ("If-None-Match: *",), 304),
    "304 of gzip": ("/1/boards/{board}", ("If-None-Match: *", "Accept-Encoding: gzip"), 304),
    "404": ("/1/boards/ffffffffffffffffffffffff", (), 404),
    "a credential": ("/1/boards/{board}?key=a&token=b", ("Authorization: Bearer x",), 200),
    "a page": ("/1/boards/{board}", ("Origin: http://tool.internal",), 200),
}


@pytest.mark.parametrize(("target", "fields", "status"), REPEATED.values(), ids=REPEATED.keys())
async def test_the_second_identical_request_carries_the_same_fields_as_the_first_hit(
    start_proxy: StartProxy,
    clock: FakeClock,
    board: str,
    target: str,
    fields: tuple[str, ...],
    status: int,
) -> None:
    proxy = await start_proxy(clients={"origins": ("http://tool.internal",)})
    raw = Raw(*await asyncio.open_connection("127.0.0.1", proxy.app.port))
    header = _header(proxy, target.format(board=board), *fields)
    heard = []
    for _ in range(5):
        await raw.send(header)
        heard.append(await raw.answer())
        clock.advance(1)
    await raw.close()
    _, first, *others = heard
    assert {each[0] for each in heard} == {status}
    for seconds, other in enumerate(others, start=2):
        assert _lasting(other[1]) == _lasting(first[1])
        assert other[2] == first[2]
        ttl_s = (5 if status == 404 else 30) - seconds
        assert b"Age: %d" % seconds in other[1]
        assert b"Cache-Status: trello-proxy; hit; ttl=%d" % ttl_s in other[1]
    ids = [[f for f in fields if f.startswith(b"X-Request-Id:")] for _, fields, _ in heard]
    assert len({tuple(each) for each in ids}) == len(heard)


async def test_requests_that_are_planned_are_counted_and_logged_like_the_others(
    proxy: Proxy, board: str
) -> None:
    for _ in range(6):
        await proxy.get(f"/1/boards/{board}", headers={"User-Agent": "a-tool/1"})
    sample = (
        'trello_proxy_requests_total{cache="hit",method="GET",route="/boards/{id}",status="200"}'
    )
    assert await proxy.metric(sample) == 5
    await proxy.app.stop()
    lines = [line for line in proxy.logged("request") if line["route"] == "/boards/{id}"]
    assert [line["cache"] for line in lines] == ["miss", *["hit"] * 5]
    assert len({line["bytes"] for line in lines}) == 1
    assert {line["tool"] for line in lines} == {"a-tool/1"}
    assert {line["client"] for line in lines} == {"127.0.0.1"}


async def _learnt(raw: Raw, header: bytes) -> tuple[int, list[bytes], bytes]:
    """The answer to a header that has been answered three times."""
    for _ in range(2):
        await raw.send(header)
        await raw.answer()
    await raw.send(header)
    return await raw.answer()


async def test_pipelined_identical_requests_are_all_answered_in_order(
    proxy: Proxy, connect: Connect, board: str
) -> None:
    raw = await connect()
    header, other = (_header(proxy, f"/1/boards/{board}{x}") for x in ("", "?fields=id"))
    whole = (await _learnt(raw, header))[2]
    short = (await _learnt(raw, other))[2]
    await raw.send(header * 5)
    assert [(await raw.answer())[2] for _ in range(5)] == [whole] * 5
    await raw.send(header + other + header + other)
    assert [(await raw.answer())[2] for _ in range(4)] == [whole, short, whole, short]
    for each in (header, other, header):
        await raw.send(each)
    assert [(await raw.answer())[2] for _ in range(3)] == [whole, short, whole]


async def test_a_request_split_over_two_writes_is_one_request(
    proxy: Proxy, connect: Connect, board: str
) -> None:
    raw = await connect()
    header = _header(proxy, f"/1/boards/{board}?fields=id", "Accept: */*")
    _, fields, body = await _learnt(raw, header)
    for at in range(1, len(header), 5):
        await raw.send(header[:at])
        await turns(3)
        await raw.send(header[at:])
        heard = await raw.answer()
        assert (_lasting(heard[1]), heard[2]) == (_lasting(fields), body), at
        await raw.send(header + header[:at])
        await turns(3)
        await raw.send(header[at:] + header)
        assert [(await raw.answer())[2] for _ in range(3)] == [body] * 3, at


async def test_a_field_that_ends_like_a_planned_get_is_a_field(
    proxy: Proxy, connect: Connect, board: str
) -> None:
    raw = await connect()
    planned = _header(proxy, f"/1/boards/{board}?fields=id")
    await _learnt(raw, planned)
    await raw.send(f"GET /1/boards/{board}?fields=name HTTP/1.1\r\nX-Filler: ".encode())
    await turns(20)
    await raw.send(planned)
    assert b'"name"' in (await raw.answer())[2]
    await raw.send(planned)
    assert b'"name"' not in (await raw.answer())[2]


async def test_a_planned_answer_does_not_overtake_another(
    proxy: Proxy, connect: Connect, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    raw = await connect()
    planned = _header(proxy, f"/1/boards/{board}?fields=id")
    await _learnt(raw, planned)
    standin.faults.add(Fault("late"))
    await raw.send(_header(proxy, f"/1/boards/{board}?fields=name"))
    await turns(20)
    await raw.send(planned)
    await turns(20)
    clock.advance(1)
    assert b'"name"' in (await raw.answer())[2]
    assert b'"name"' not in (await raw.answer())[2]


async def test_a_body_that_looks_like_a_planned_get_is_a_body(
    proxy: Proxy, connect: Connect, standin: FakeTrello, board: str, card: str
) -> None:
    raw = await connect()
    planned = _header(proxy, f"/1/boards/{board}?fields=id")
    await _learnt(raw, planned)
    path = f"/1/cards/{card}/actions/comments?text=hello"
    frames = {
        "length": (f"Content-Length: {len(planned)}", planned),
        "chunked": (
            "Transfer-Encoding: chunked",
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(planned), planned),
        ),
    }
    count = 0
    for field, body in frames.values():
        post = _header(proxy, path, field, "Content-Type: text/plain", method="POST")
        for writes in ((post + body,), (post, body), (post[:-3], post[-3:], body)):
            for data in writes:
                await raw.send(data)
                await turns(20)
            status, fields, _ = await raw.answer()
            assert (
                status,
                b"Cache-Status: trello-proxy; fwd=method; fwd-status=200" in fields,
            ) == (200, True)
            count += 1
            assert standin.request_log.requests[-1].body_bytes == len(planned)
    assert standin.request_log.count("POST", path.partition("?")[0]) == count
    await raw.send(planned)
    assert (await raw.answer())[0] == 200


async def test_the_body_of_a_refused_request_is_never_a_request(
    proxy: Proxy, connect: Connect, board: str
) -> None:
    planned = _header(proxy, f"/1/boards/{board}?fields=id")
    for writes in (1, 2):
        raw = await connect()
        await _learnt(raw, planned)
        length = f"Content-Length: {len(planned) + 1}"
        refused = _header(proxy, "/elsewhere", length, method="POST")
        for data in [refused + planned] if writes == 1 else [refused, planned]:
            await raw.send(data)
            await turns(20)
        assert (await raw.answer())[0] == 404
        await raw.send(b"x" + planned)
        rest = await raw.answer()
        assert rest[0] == 200
        await raw.close()


async def test_after_a_write_the_plan_is_worth_nothing(
    proxy: Proxy, connect: Connect, board: str
) -> None:
    raw = await connect()
    header = _header(proxy, f"/1/boards/{board}?fields=name")
    assert b"Release 4.2" in (await _learnt(raw, header))[2]
    for name in ("First", "The second one", "3rd"):
        await proxy("PUT", f"/1/boards/{board}", params={"name": name})
        for _ in range(3):
            await raw.send(header)
            _, fields, body = await raw.answer()
            assert b'"name":"%b"' % name.encode() in body
            assert b"Content-Length: %d" % len(body) in fields


async def test_after_its_lifetime_the_plan_is_worth_nothing(
    proxy: Proxy, connect: Connect, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    raw = await connect()
    header = _header(proxy, f"/1/boards/{board}?fields=name")
    await _learnt(raw, header)
    standin.trello.edit("PUT", f"/1/boards/{board}", {"name": "Renamed in Trello"})
    clock.advance(29)
    await raw.send(header)
    assert b"Release 4.2" in (await raw.answer())[2]
    clock.advance(1)
    await raw.send(header)
    _, fields, _ = await raw.answer()
    assert b"Cache-Status: trello-proxy; hit; ttl=-1" in fields
    await turns()
    for _ in range(3):
        await raw.send(header)
        _, fields, body = await raw.answer()
        assert b"Renamed in Trello" in body
        assert b"Cache-Status: trello-proxy; hit; ttl=30" in fields


async def test_a_header_with_a_credential_is_known_by_a_digest_only(
    start_proxy: StartProxy, board: str
) -> None:
    proxy = await start_proxy(clients={"keys": (ClientKey(name="ci", key=Secret("short")),)})
    raw = Raw(*await asyncio.open_connection("127.0.0.1", proxy.app.port))
    target = f"/1/boards/{board}?fields=id"
    for header in (
        _header(proxy, target, "Authorization: Bearer short"),
        _header(proxy, target, "authorization: Basic dTpw"),
        _header(proxy, target, "Cookie: token=x"),
        _header(proxy, target, "X-Api-Key: x"),
        _header(proxy, target, "User-Agent: " + "0f" * 16),
        _header(proxy, f"{target}&key=x&token=y"),
        _header(proxy, f"{target}&tok%65n=y"),
        _header(proxy, f"{target}&token="),
        plain := _header(proxy, target, "User-Agent: tool/1", "Accept: */*"),
    ):
        await _learnt(raw, header)
    (fast_path,) = proxy.app.fast_paths
    *digests, key = fast_path._hits._entries
    assert [len(digest) for digest in digests] == [16] * 8
    assert key == plain
    await raw.close()


def _age_and_ttl(fields: list[bytes]) -> tuple[int, int]:
    (age,) = (int(each[5:]) for each in fields if each.startswith(b"Age: "))
    (ttl,) = (int(each.partition(b"ttl=")[2]) for each in fields if b"ttl=" in each)
    return age, ttl


@pytest.mark.parametrize("offset_s", [0.0, 0.125, 0.75])
async def test_age_and_ttl_are_right_on_both_sides_of_each_second(
    proxy: Proxy, connect: Connect, clock: FakeClock, board: str, offset_s: float
) -> None:
    clock.advance(offset_s)
    raw = await connect()
    header = _header(proxy, f"/1/boards/{board}?fields=name")
    await _learnt(raw, header)
    heard, expected = [], []
    for quarter in range(4 * 30):
        for _ in range(2):
            await raw.send(header)
            heard.append(_age_and_ttl((await raw.answer())[1]))
            expected.append((quarter // 4, int(30 - quarter / 4)))
        clock.advance(0.25)
    assert heard == expected
    await raw.send(header)
    assert _age_and_ttl((await raw.answer())[1]) == (30, -1)


async def test_a_clock_set_back_is_seen_by_the_next_request(
    proxy: Proxy, connect: Connect, clock: FakeClock, board: str
) -> None:
    raw = await connect()
    header = _header(proxy, f"/1/boards/{board}?fields=name")
    await _learnt(raw, header)
    clock.advance(2.25)
    await raw.send(header)
    assert _age_and_ttl((await raw.answer())[1]) == (2, 27)
    clock.set_back(0.5)
    await raw.send(header)
    assert _age_and_ttl((await raw.answer())[1]) == (1, 28)
    clock.set_back(3)
    await raw.send(header)
    assert b"ttl=2" not in b"".join((await raw.answer())[1])


async def test_a_response_stored_again_is_served_by_the_next_request(
    proxy: Proxy, connect: Connect, standin: FakeTrello, board: str
) -> None:
    raw = await connect()
    target = f"/1/boards/{board}?fields=name"
    await _learnt(raw, _header(proxy, target))
    for name in ("First", "Second"):
        standin.trello.edit("PUT", f"/1/boards/{board}", {"name": name})
        await proxy.get(target, headers={"Cache-Control": "no-cache"})
        await raw.send(_header(proxy, target))
        assert name.encode() in (await raw.answer())[2]


async def test_after_a_purge_and_after_a_refusal_the_plan_is_worth_nothing(
    proxy: Proxy, connect: Connect, standin: FakeTrello, board: str
) -> None:
    raw = await connect()
    header = _header(proxy, f"/1/boards/{board}?fields=name")
    await _learnt(raw, header)
    assert (await proxy("POST", "/-/purge")).status == 200
    await raw.send(header)
    assert any(b"fwd=uri-miss" in field for field in (await raw.answer())[1])
    await _learnt(raw, header)
    standin.trello.edit("DELETE", f"/1/boards/{board}")
    fresh = await proxy.get(f"/1/boards/{board}?fields=name", headers={"Cache-Control": "no-cache"})
    assert fresh.status == 404
    await raw.send(header)
    assert (await raw.answer())[0] == 404


@pytest.mark.parametrize("backend", ["memory", "sqlite"])
async def test_after_its_eviction_the_plan_is_worth_nothing(
    start_proxy: StartProxy, standin: FakeTrello, board: str, backend: str
) -> None:
    proxy = await start_proxy(cache={"backend": backend, "memory_bytes": 64 * 1024})
    raw = Raw(*await asyncio.open_connection("127.0.0.1", proxy.app.port))
    header = _header(proxy, f"/1/boards/{board}?fields=name")
    _, _, body = await _learnt(raw, header)
    for number in range(60):
        await proxy.get(f"/1/boards/{board}?fields=id&_={number}")
    assert await proxy.metric('trello_proxy_store_evictions_total{tier="memory"}') > 0
    for result in ("fwd=uri-miss" if backend == "memory" else "hit", "hit", "hit"):
        await raw.send(header)
        _, fields, heard = await raw.answer()
        assert heard == body
        assert any(result.encode() in field for field in fields)
    await raw.close()


async def test_what_another_header_deserves_is_decided_anew(
    proxy: Proxy, connect: Connect, board: str
) -> None:
    raw = await connect()
    target = f"/1/boards/{board}?fields=id"
    await _learnt(raw, _header(proxy, target))
    refused = {
        403: _header(proxy, target, "Origin: http://evil.example"),
        421: _header(proxy, target).replace(proxy.host.encode(), b"evil.example"),
        400: _header(proxy, target).replace(b"/boards/", b"/boards/../"),
    }
    for status, header in refused.items():
        for _ in range(3):
            await raw.send(header)
            assert (await raw.answer())[0] == status
    await raw.send(_header(proxy, target, method="HEAD") + _header(proxy, target))
    assert [(await raw.answer(is_head=head))[0] for head in (True, False)] == [200, 200]


async def test_clients_without_gzip_are_planned_too_and_the_identity_form_counts(
    proxy: Proxy, connect: Connect, board: str
) -> None:
    raw = await connect()
    memory = 'trello_proxy_store_bytes{tier="memory"}'
    coded = _header(proxy, f"/1/boards/{board}", "Accept-Encoding: gzip")
    _, fields, packed = await _learnt(raw, coded)
    assert b"Content-Encoding: gzip" in fields
    before = await proxy.metric(memory)
    (fast_path,) = proxy.app.fast_paths
    planned = len(fast_path)
    plain = (await _learnt(raw, _header(proxy, f"/1/boards/{board}")))[2]
    assert plain == gzip.decompress(packed)
    assert len(fast_path) == planned + 1
    assert await proxy.metric(memory) == before + len(plain)


async def test_an_identity_form_that_was_evicted_is_made_again(
    start_proxy: StartProxy, board: str
) -> None:
    proxy = await start_proxy(cache={"memory_bytes": 64 * 1024})
    raw = Raw(*await asyncio.open_connection("127.0.0.1", proxy.app.port))
    header = _header(proxy, f"/1/boards/{board}")
    _, _, body = await _learnt(raw, header)
    for number in range(60):
        await proxy.get(f"/1/boards/{board}?fields=id&_={number}")
    for _ in range(3):
        await raw.send(header)
        assert (await raw.answer())[2] == body
    await raw.close()
