"""One line a request, whole and harmless."""

import asyncio
import logging

from proxy.fake_trello.server import FakeTrello
from tests.server.conftest import TOKEN, MakeProxy, Proxy
from tests.server.raw_upstream import RawUpstream

ME = "/1/members/me"


class TestLog:
    async def test_every_request_is_one_line(self, proxy: Proxy, standin: FakeTrello) -> None:
        card = f"/1/cards/{standin.trello.example_card}"
        asked = [
            ("GET", f"{card}?fields=name", 200, "miss", "/cards/{id}"),
            ("GET", f"{card}?fields=name", 200, "hit", "/cards/{id}"),
            ("GET", f"{card}?fields=name", 200, "hit", "/cards/{id}"),
            ("HEAD", f"{card}?fields=name", 200, "hit", "/cards/{id}"),
            ("PUT", card, 200, "pass", "/cards/{id}"),
            ("GET", standin.trello.example_attachment_path, 200, "pass", None),
            ("GET", "/1/nowhere/at/all", 404, "miss", None),
            ("GET", "/nowhere", 404, "none", "-"),
            ("GET", "//x", 400, "none", "-"),
            ("TRACE", ME, 405, "none", "-"),
            ("OPTIONS", ME, 204, "none", "-"),
        ]
        heard = [await proxy.ask(method, target) for method, target, *_ in asked]
        await proxy.stop()
        lines = proxy.requests
        assert [line["status"] for line in lines] == [status for *_, status, _, _ in asked]
        assert [line["cache"] for line in lines[:6]] == [cache for *_, cache, _ in asked[:6]]
        for line, (method, _, _, _, route), response in zip(lines, asked, heard, strict=True):
            assert line["method"] == (method if method != "TRACE" else "other")
            assert route in {None, line["route"]}
            assert line["id"] == response.fields["x-request-id"]
            assert line["client"] == "127.0.0.1"
            assert line["bytes"] == len(response.body)
            assert line["level"] == "info"
        assert len({line["id"] for line in lines}) == len(lines)

    async def test_what_is_no_http_is_one_line_too(self, proxy: Proxy) -> None:
        heard = await proxy.say(b"s3arched\r\n\r\n")
        assert heard.status == 400
        await proxy.stop()
        (line,) = proxy.requests
        assert (line["id"], line["status"]) == (heard.fields["x-request-id"], 400)
        assert (line["method"], line["client"]) == ("other", "127.0.0.1")
        assert b"s3arched" not in proxy.log

    async def test_no_query_value_id_or_body_is_logged(
        self, proxy: Proxy, standin: FakeTrello
    ) -> None:
        card = f"/1/cards/{standin.trello.example_card}"
        await proxy.get(
            f"{card}?fields=s3arched&x=s3arched", {"Referer": f"http://{proxy.host}/?s3arched"}
        )
        await proxy.get("/1/search?query=s3arched")
        await proxy.ask("PUT", f"{card}?desc=s3arched", {}, b"name=s3arched")
        await proxy.get("/s3arched?s3arched")
        await proxy.get("//s3arched")
        await proxy.stop()
        assert b"s3arched" not in proxy.log
        assert standin.trello.example_card.encode() not in proxy.log

    async def test_plain_http_under_a_name_is_logged_at_the_start(
        self, make_proxy: MakeProxy, standin: FakeTrello
    ) -> None:
        for url, is_told in (("http://trello.internal", True), ("https://trello.internal", False)):
            proxy = await make_proxy(standin.url, f"public_url: {url}")
            await proxy.stop()
            assert (b"reached by plain http" in proxy.log) is is_told

    async def test_nothing_a_client_sends_breaks_a_line(self, proxy: Proxy) -> None:
        tools = ['"},{"level":"error', "a\\", "caf\xe9", "x" * 5000, "\t", "{}"]
        for tool in tools:
            await proxy.get(ME, {"User-Agent": tool, "X-Request-Id": f'"{tool}'})
            await proxy.get(ME, {"User-Agent": tool})
        await proxy.stop()
        assert len(proxy.requests) == 2 * len(tools)
        assert {line["level"] for line in proxy.requests} == {"info"}
        assert max(map(len, proxy.log.splitlines())) < 1000

    async def test_a_clients_own_request_id_is_kept(self, proxy: Proxy) -> None:
        heard = await proxy.get(ME, {"X-Request-Id": "tool-7:a.b_c"})
        assert heard.fields["x-request-id"] == "tool-7:a.b_c"
        await proxy.stop()
        assert [line["id"] for line in proxy.requests] == ["tool-7:a.b_c"]

    async def test_a_client_who_leaves_is_logged_too(
        self, make_proxy: MakeProxy, raw_upstream: RawUpstream
    ) -> None:
        asked, left = asyncio.Event(), asyncio.Event()

        async def wait(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes) -> None:
            asked.set()
            await left.wait()
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

        raw_upstream.said = wait
        proxy = await make_proxy(raw_upstream.url)
        wire = await proxy.connect()
        wire.send(proxy.request("GET", ME))
        await asked.wait()
        await wire.close()
        left.set()
        assert (await proxy.get("/healthz")).status == 200
        await proxy.stop()
        assert sorted(line["route"] for line in proxy.requests) == ["/members/{id}"]

    async def test_a_client_who_leaves_in_mid_body_is_no_fault_of_ours(
        self, proxy: Proxy, standin: FakeTrello
    ) -> None:
        for fields in ({}, {"Content-Type": "multipart/form-data; boundary=b"}):
            wire = await proxy.connect()
            said = {**fields, "Content-Length": "90"}
            wire.send(proxy.request("POST", "/1/cards", said) + b"name=")
            await wire.close()
        assert (await proxy.get("/healthz")).status == 200
        await proxy.stop()
        assert b"unexpected" not in proxy.log
        assert [line["status"] for line in proxy.requests if line["method"] == "POST"] == [499] * 2

    async def test_text_lines_are_one_a_request_too(
        self, make_proxy: MakeProxy, standin: FakeTrello
    ) -> None:
        proxy = await make_proxy(standin.url, "log: {format: text}")
        for _ in range(3):
            await proxy.get(f"{ME}?fields=username")
        await proxy.stop()
        lines = [line for line in proxy.log.splitlines() if b" GET /members/{id} 200 " in line]
        assert len(lines) == 3


async def test_probes_are_logged_at_info_only_when_they_fail(
    make_proxy: MakeProxy, standin: FakeTrello
) -> None:
    board = standin.trello.example_board
    proxy = await make_proxy(standin.url, f"metrics: {{boards: [{board}]}}")
    for path in ("/healthz", "/readyz", "/metrics", "/metrics/boards"):
        assert (await proxy.get(path)).status == 200
        assert (await proxy.get(path, {"Host": "evil.example"})).status == 421
    await proxy.stop()
    logged = [line for line in proxy.log.splitlines() if b'"message":"request"' in line]
    assert len(logged) == 4
    assert all(b'"status":421' in line for line in logged)


async def test_what_a_library_reports_is_an_event_without_secrets(
    proxy: Proxy, standin: FakeTrello
) -> None:
    logging.getLogger("aiohttp.server").warning("odd %s", TOKEN)
    await proxy.get("/healthz")
    await proxy.stop()
    logging.getLogger("aiohttp.server").warning("not seen")
    line = next(line for line in proxy.log.splitlines() if b'"message":"library"' in line)
    assert b'"logger":"aiohttp.server"' in line
    assert b'"text":"odd ' in line
    assert TOKEN.encode() not in proxy.log
    assert b"not seen" not in proxy.log
