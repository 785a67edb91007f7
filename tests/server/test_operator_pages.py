"""What the operator sees: health, figures, a listener of one's own, and purging."""

import asyncio
import socket
import threading
from contextlib import suppress
from itertools import islice, product
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.fake_trello.server import FakeTrello
from proxy.observability.metrics import MAX_CLIENTS, WINDOW_REQUESTS
from tests.server.conftest import MakeProxy, Proxy, Wire
from tests.server.raw_upstream import RawUpstream

ME = "/1/members/me"
EXPLAIN = "/-/explain?url=/1/members/me"


class TestPages:
    async def test_health_and_readiness_are_reported(
        self, proxy: Proxy, standin: FakeTrello
    ) -> None:
        health, ready = await proxy.get("/healthz"), await proxy.get("/readyz")
        assert (health.status, health.json) == (200, {"status": "ok"})
        assert (ready.status, ready.json["status"]) == (200, "ready")
        assert {page.fields["cache-control"] for page in (health, ready)} == {"no-store"}
        assert standin.request_log.total == 0

    async def test_health_does_not_depend_on_trello(
        self, make_proxy: MakeProxy, raw_upstream: RawUpstream
    ) -> None:
        await raw_upstream.stop()
        proxy = await make_proxy(raw_upstream.url)
        assert (await proxy.get(ME)).status == 502
        assert [(await proxy.get(page)).status for page in ("/healthz", "/readyz")] == [200, 200]

    async def test_a_head_of_a_page_has_no_body(self, proxy: Proxy) -> None:
        wire = await proxy.connect()
        for page in ("/", "/healthz", "/readyz", "/metrics", ME):
            wire.send(proxy.request("HEAD", page))
            heard = await wire.hear("HEAD")
            assert (heard.status, heard.body) == (200, b"")
            assert int(heard.fields["content-length"]) > 0

    async def test_the_home_page_shows_the_base_url(self, proxy: Proxy) -> None:
        heard = await proxy.get("/")
        assert f"http://{proxy.host}/1/".encode() in heard.body

    async def test_metrics_name_route_templates_and_never_ids(
        self, proxy: Proxy, standin: FakeTrello
    ) -> None:
        card = standin.trello.example_card
        for target in (f"/1/cards/{card}", f"/1/cards/{card}", f"/1/nowhere/{card}", "/x", "//"):
            await proxy.get(target)
        heard = await proxy.get("/metrics")
        assert heard.fields["content-type"].startswith("text/plain")
        text = heard.body.decode()
        assert 'route="/cards/{id}"' in text
        assert 'cache="hit"' in text
        assert card not in text
        assert "nowhere" not in text

    async def test_openmetrics_are_there_for_who_asks(self, proxy: Proxy) -> None:
        heard = await proxy.get("/metrics", {"Accept": "application/openmetrics-text"})
        assert heard.fields["content-type"].startswith("application/openmetrics-text")
        assert heard.body.endswith(b"# EOF\n")

    async def test_a_slow_request_is_found_by_its_id_unless_that_may_be_a_credential(
        self, proxy: Proxy
    ) -> None:
        wanted = {"Accept": "application/openmetrics-text"}
        await proxy.get(ME, {"X-Request-Id": "from-the-client"})
        await proxy.get("/1/nowhere", {"X-Request-Id": "0123456789abcdef" * 2})
        text = (await proxy.get("/metrics", wanted)).body.decode()
        assert '# {request_id="from-the-client"}' in text
        assert "0123456789abcdef" not in text
        assert "request_id" not in (await proxy.get("/metrics")).body.decode()

    async def test_whatever_clients_send_labels_are_words_of_ours(
        self, proxy: Proxy, standin: FakeTrello
    ) -> None:
        card = standin.trello.example_card
        names = map("".join, product("abcdefghijklmnop", repeat=2))
        for number, name in enumerate(islice(names, MAX_CLIENTS + 2)):
            await proxy.get(f"/1/cards/{card}", {"User-Agent": f"tool-{name}/1 ({card})"})
            await proxy.get(f"/1/nowhere/{number}", {"User-Agent": f"{card}-{number}"})
        families = [*text_string_to_metric_families((await proxy.get("/metrics")).body.decode())]
        values: dict[str, set[str]] = {}
        for sample in (each for family in families for each in family.samples):
            for label, value in sample.labels.items():
                values.setdefault(label, set()).add(value)
        assert {"other", "unclear", "trello-proxy"} <= values["client"]
        assert len(values["client"]) == MAX_CLIENTS + 2
        assert values["route"] == {"/cards/{id}", "/{unknown}"}
        assert not [each for each in set[str]().union(*values.values()) if card in each]

    async def test_requests_upstream_requests_and_savings_are_counted_by_client(
        self, proxy: Proxy, standin: FakeTrello
    ) -> None:
        for _ in range(WINDOW_REQUESTS + 4):
            await proxy.get(ME, {"User-Agent": "curl/8.5"})
        await proxy.get(f"/1/cards/{standin.trello.example_card}", {"User-Agent": "sync/1 (x)"})
        await proxy.get("/healthz", {"User-Agent": "kubelet/1"})
        text = (await proxy.get("/metrics")).body.decode()
        lines = {line for line in text.splitlines() if line.startswith("trello_proxy_")}
        assert standin.request_log.total == 2
        assert {
            'trello_proxy_client_requests_total{client="curl"} 104.0',
            'trello_proxy_client_requests_total{client="sync"} 1.0',
            'trello_proxy_client_upstream_requests_total{client="curl"} 1.0',
            'trello_proxy_client_upstream_requests_total{client="sync"} 1.0',
            "trello_proxy_client_api_requests_total 105.0",
            "trello_proxy_client_api_requests_throttled_without_proxy_total 5.0",
        } <= lines
        assert "kubelet" not in text

    async def test_the_loop_goes_on_while_metrics_are_rendered(self, proxy: Proxy) -> None:
        answered = threading.Event()
        proxy.app._environment.metrics.provide({"aliases": lambda: 7 * answered.wait(timeout=10)})
        rendering = asyncio.ensure_future(proxy.get("/metrics"))
        assert (await proxy.get("/healthz")).status == 200
        answered.set()
        assert b"\ntrello_proxy_aliases 7.0\n" in (await rendering).body

    async def test_a_listener_of_the_operators_own_takes_the_pages_along(
        self, make_proxy: MakeProxy, standin: FakeTrello
    ) -> None:
        proxy = await make_proxy(standin.url, "admin: {listen: 127.0.0.1:0}")
        admin = proxy.app.admin_port
        assert admin not in {None, proxy.app.port}
        for page in ("/metrics", "/healthz", "/readyz"):
            assert (await proxy.get(page)).status == 404
            assert (await proxy.ask("GET", page, port=admin)).status == 200
        assert (await proxy.ask("POST", "/-/purge")).status == 404
        assert (await proxy.ask("POST", "/-/purge", port=admin)).status == 200
        assert (await proxy.get(ME)).status == 200
        assert (await proxy.ask("GET", ME, port=admin)).status == 404
        evil = {"Host": "evil.example"}
        assert (await proxy.ask("GET", "/metrics", evil, port=admin)).status == 421

    async def test_the_page_for_people_leads_to_them_only_where_they_are(
        self, make_proxy: MakeProxy, standin: FakeTrello, proxy: Proxy
    ) -> None:
        apart = await make_proxy(standin.url, "admin: {listen: 127.0.0.1:0}")
        for each, leads in ((proxy, True), (apart, False)):
            page = (await each.get("/", {"Accept": "text/html"})).body
            assert (b'href="/metrics"' in page) is leads
        elsewhere = {"Accept": "text/html", "X-Forwarded-For": "203.0.113.9"}
        assert b'href="/metrics"' not in (await proxy.get("/", elsewhere)).body


KEPT = [
    ("POST", "/-/purge"),
    ("PURGE", ME),
    ("GET", "/metrics"),
    ("GET", "/-/client-credentials"),
    ("GET", EXPLAIN),
]
FRONTS = {
    "nginx": {"X-Forwarded-For": "203.0.113.9"},
    "nginx, as some have it": {"X-Real-IP": "203.0.113.9"},
    "one that tells its scheme only": {"x-forwarded-proto": "https"},
    "one as RFC 7239 has it": {"Forwarded": "for=203.0.113.9"},
    "one as RFC 9110 has it": {"Via": "1.1 front"},
    "an empty field": {"X-Forwarded-For": ""},
    "one that passes the name on": {"Host": "trello.internal"},
    "one that passes an address on": {"Host": "192.0.2.7:8080"},
}


class TestBehindAFront:
    """A reverse proxy on the same machine: every client's address is 127.0.0.1."""

    @pytest.mark.parametrize("fields", FRONTS.values(), ids=FRONTS.keys())
    async def test_no_request_is_from_the_machine_itself(
        self, make_proxy: MakeProxy, standin: FakeTrello, fields: dict[str, str]
    ) -> None:
        yaml = "clients: {hosts: [trello.internal, 192.0.2.7]}"
        proxy = await make_proxy(standin.url, yaml)
        await proxy.get(ME)
        for method, page in KEPT:
            heard = await proxy.ask(method, page, fields)
            assert (heard.status, heard.json["type"]) == (403, "urn:trello-proxy:admin-only")
        assert "; hit" in (await proxy.get(ME)).fields["cache-status"]
        for page in ("/healthz", "/readyz", ME):
            assert (await proxy.get(page, fields)).status == 200

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "[::1]:8080", "LOCALHOST:1"])
    async def test_the_machine_itself_may_whatever_it_calls_itself(
        self, proxy: Proxy, host: str
    ) -> None:
        for method, page in KEPT:
            assert (await proxy.ask(method, page, {"Host": host})).status == 200

    async def test_the_token_is_good_from_anywhere(
        self, make_proxy: MakeProxy, standin: FakeTrello
    ) -> None:
        yaml = "clients: {hosts: [trello.internal]}\nadmin: {token: 0perat0rs-t0ken}"
        proxy = await make_proxy(standin.url, yaml)
        front = {"Host": "trello.internal", "X-Forwarded-For": "203.0.113.9"}
        for method, page in KEPT:
            assert (await proxy.ask(method, page, front)).status == 403
            right = {**front, "Authorization": "Bearer 0perat0rs-t0ken"}
            assert (await proxy.ask(method, page, right)).status == 200

    async def test_an_admin_listener_shows_metrics_to_every_client_that_reaches_it(
        self, make_proxy: MakeProxy, standin: FakeTrello
    ) -> None:
        yaml = "clients: {hosts: [proxy]}\nadmin: {listen: 127.0.0.1:0}"
        proxy = await make_proxy(standin.url, yaml)
        prometheus = {"Host": "proxy:8081"}
        for (method, page), status in zip(KEPT, (403, 403, 200, 200, 403), strict=True):
            heard = await proxy.ask(method, page, prometheus, port=proxy.app.admin_port)
            assert heard.status == status


class TestPurge:
    async def test_the_machine_itself_may_purge(self, proxy: Proxy, standin: FakeTrello) -> None:
        await proxy.get(ME)
        purged = await proxy.ask("POST", "/-/purge")
        assert (purged.status, purged.json) == (200, {"purged": "everything"})
        assert "fwd=" in (await proxy.get(ME)).fields["cache-status"]
        assert standin.request_log.total == 2

    async def test_only_a_post_purges(self, proxy: Proxy, standin: FakeTrello) -> None:
        await proxy.get(ME)
        heard = await proxy.get("/-/purge")
        assert (heard.status, heard.fields["allow"]) == (405, "POST, OPTIONS")
        assert heard.json["type"] == "urn:trello-proxy:method-not-allowed"
        await proxy.get(ME)
        assert standin.request_log.total == 1

    async def test_a_purge_of_one_board_leaves_the_others(
        self, proxy: Proxy, standin: FakeTrello
    ) -> None:
        board, other = standin.trello.example_board, await _another_board(proxy)
        addresses = [
            f"url=https://api.trello.com/1/boards/{board}%3Ffields=name",
            f"url=https://trello.com/b/{board}/title",
            f"board={board}",
            f"tag=board:{board}",
        ]
        for address in addresses:
            await proxy.get(f"/1/boards/{board}/lists")
            await proxy.get(f"/1/boards/{other}/lists")
            purged = await proxy.ask("POST", f"/-/purge?{address}")
            assert purged.status == 200
            assert f"board:{board}" in purged.json["purged"]
            again = await proxy.get(f"/1/boards/{board}/lists")
            assert "fwd=uri-miss" in again.fields["cache-status"]
            assert "; hit" in (await proxy.get(f"/1/boards/{other}/lists")).fields["cache-status"]

    @pytest.mark.parametrize("path", ["/1/cards/{}", "/1/cards/{}/name", "/c/{}/12-title"])
    async def test_the_method_purge_purges_what_shows_the_object_at_its_target(
        self, proxy: Proxy, standin: FakeTrello, path: str
    ) -> None:
        card, board = standin.trello.example_card, standin.trello.example_board
        other = await _another_board(proxy)
        reads = (f"/1/cards/{card}", f"/1/boards/{board}/cards", f"/1/boards/{other}/cards")
        for read in reads:
            await proxy.get(read)
        purged = await proxy.ask("PURGE", path.format(card))
        assert purged.status == 200
        assert {f"card:{card}", f"board:{board}"} <= set(purged.json["purged"])
        states = [(await proxy.get(read)).fields["cache-status"] for read in reads]
        assert ["; hit" in state for state in states] == [False, False, True]

    @pytest.mark.parametrize(
        "query",
        [
            "uri=/1/boards/x", "url=", "url", "board=a/b", "card=", "tag=nothing", "tag=token:a-b",
            "url=/1/search", "url=/nowhere", "url=/1/boards/x&everything=1", "url=/1/tokens/x",
        ],
    )  # fmt: skip
    async def test_a_purge_that_names_nothing_known_purges_nothing(
        self, proxy: Proxy, query: str
    ) -> None:
        await proxy.get(ME)
        refused = await proxy.ask("POST", f"/-/purge?{query}")
        assert refused.status in {400, 404}
        assert "/-/purge?url=" in refused.json["detail"]
        assert (await proxy.ask("PURGE", "/")).status == 404
        assert (await proxy.ask("PURGE", "/metrics")).status == 404
        assert (await proxy.ask("POST", "/-/purge", body=b"url=/1/boards/x")).status == 400
        assert "; hit" in (await proxy.get(ME)).fields["cache-status"]

    async def test_where_the_operator_has_an_address_only_that_one_knows_the_method_purge(
        self, make_proxy: MakeProxy, standin: FakeTrello
    ) -> None:
        proxy = await make_proxy(standin.url, "admin: {listen: 127.0.0.1:0}")
        assert (await proxy.ask("PURGE", ME)).status == 405
        assert (await proxy.ask("PURGE", ME, port=proxy.app.admin_port)).status == 200

    async def test_where_there_is_a_token_nothing_else_will_do(
        self, make_proxy: MakeProxy, standin: FakeTrello
    ) -> None:
        proxy = await make_proxy(standin.url, "admin: {token: 0perat0rs-t0ken}")
        for given in ("", "Bearer", "Bearer x", "Basic 0perat0rs-t0ken", "Bearer 0perat0rs-t0kenx"):
            heard = await proxy.ask("POST", "/-/purge", {"Authorization": given})
            assert heard.status == 403
            assert heard.json["type"] == "urn:trello-proxy:admin-only"
        right = {"Authorization": "Bearer 0perat0rs-t0ken"}
        assert (await proxy.ask("POST", "/-/purge", right)).status == 200
        await proxy.stop()
        assert b"0perat0rs" not in proxy.log

    async def test_another_machine_may_not(
        self, make_proxy: MakeProxy, standin: FakeTrello
    ) -> None:
        address = _address_of_this_machine()
        if address is None:
            pytest.skip("this machine has no address but the loopback")
        proxy = await make_proxy(standin.url, host=address)
        reader, writer = await asyncio.open_connection(address, proxy.app.port)
        wire = Wire(reader, writer)
        wire.send(proxy.request("POST", "/-/purge", {"Host": address}))
        assert (await wire.hear()).status == 403
        await wire.close()


async def _another_board(proxy: Proxy) -> str:
    heard = await proxy.ask("POST", "/1/boards?name=Another")
    return str(heard.json["id"])


def _address_of_this_machine() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, suppress(OSError):
        sock.connect(("192.0.2.1", 9))  # sends nothing
        address = str(sock.getsockname()[0])
        return None if address.startswith("127.") else address
    return None


async def test_a_store_that_fails_degrades_readiness_and_nothing_else(
    make_proxy: MakeProxy, standin: FakeTrello, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    proxy = await make_proxy(standin.url, directory=tmp_path / "file" / "cache")
    assert (await proxy.get(ME)).status == 200
    assert "; hit" in (await proxy.get(ME)).fields["cache-status"]
    ready = await proxy.get("/readyz")
    assert (ready.status, ready.json["status"]) == (200, "degraded")
    assert (await proxy.get("/healthz")).status == 200
