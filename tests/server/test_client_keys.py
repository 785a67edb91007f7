"""A client is known by its key, wherever it sends one; the key goes nowhere else."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.access.client_keys import digest_of
from proxy.cli.main import run
from proxy.fake_trello.server import FakeTrello
from proxy.server.middleware import Middleware
from proxy.server.request_context import RequestContext
from tests.server.canary import nothing_stays
from tests.server.conftest import KEY, TOKEN, MakeProxy, Proxy, says
from tests.server.raw_upstream import RawUpstream

OLD = "tpk_" + "01d" * 21 + "0"
NEW = "tpk_" + "4e3" * 21 + "4"
READER = "tpk_" + "7ead" * 16
REVOKED = "tpk_" + "dead" * 16
YAML = f"""\
clients:
  access: keys
  keys:
    - {{name: ci, digest: '{digest_of(OLD)}'}}
    - {{name: ci, digest: '{digest_of(NEW)}'}}
    - {{name: reader, key: {READER}, writes: deny}}
"""
ME = "/1/members/me?fields=id"
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def part(name: str, value: str) -> str:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'


def places(key: str) -> dict[str, tuple[str, dict[str, str], str]]:
    """Query, fields and body of a write with the key in each place that a client may use."""
    form = f"name=x&key={'0' * 32}&token={key}"
    return {
        "Bearer": ("", {"Authorization": f"bearer {key}"}, ""),
        "Basic": ("", basic("anybody", key), ""),
        "OAuth": ("", {"Authorization": f'OAuth oauth_consumer_key="k", oauth_token="{key}"'}, ""),
        "query": (f"?token={key}", {}, ""),
        "query of a tool": (f"?key={'0' * 32}&token={key}", {}, ""),
        "form": ("", FORM, form),
        "JSON": ("", JSON, json.dumps({"name": "x", "token": key})),
        "multipart": ("", MULTIPART, part("token", key) + part("name", "x") + "--b--\r\n"),
    }


@pytest.fixture
async def closed(make_proxy: MakeProxy, standin: FakeTrello, tmp_path: Path) -> Proxy:
    """A proxy that wants client keys."""
    return await make_proxy(standin.url, YAML, directory=tmp_path / "kept")


@pytest.fixture
async def reloading(make_proxy: MakeProxy, standin: FakeTrello) -> Proxy:
    """The same, to be reloaded."""
    return await make_proxy(standin.url, YAML, reloads=True)


async def test_a_key_is_accepted_in_every_place(closed: Proxy, standin: FakeTrello) -> None:
    for key in (OLD, NEW):
        for place, (query, fields, body) in places(key).items():
            card = f"/1/cards/{standin.trello.example_card}"
            heard = await closed.ask("PUT", card + query, fields, body.encode())
            assert heard.status == 200, place
    assert {seen.credential for seen in standin.request_log.requests} == {"header"}


async def test_without_a_valid_key_nothing_is_sent(closed: Proxy, standin: FakeTrello) -> None:
    card = f"/1/cards/{standin.trello.example_card}"
    for key in (REVOKED, "ATTA" + "0cafe" * 12, "-"):
        for place, (query, fields, body) in places(key).items():
            heard = await closed.ask("PUT", card + query, fields, body.encode())
            assert says(heard, 401, "client-key-required"), place
            assert heard.fields["www-authenticate"].startswith('Bearer realm="trello-proxy", Ba')
    assert list(standin.request_log.requests) == []


async def test_a_key_in_a_path_is_one(closed: Proxy) -> None:
    assert (await closed.get(f"/1/tokens/{OLD}/member?fields=id")).status == 200
    assert says(await closed.get(f"/1/tokens/{REVOKED}/member"), 401, "client-key-required")
    assert says(await closed.get("/1/tokens/-/member"), 401, "client-key-required")


@pytest.mark.parametrize("target", ["/", "/c/abc", "/b/abc.json", "/-/docs/", "/1/client.js"])
async def test_a_page_wants_a_key_too(closed: Proxy, target: str) -> None:
    assert (await closed.get(target)).status == 401
    assert (await closed.get(target, basic("", OLD))).status != 401


@pytest.mark.parametrize("target", ["/healthz", "/readyz", "/-/style.css", "/metrics"])
async def test_probes_assets_and_the_operators_pages_want_none(closed: Proxy, target: str) -> None:
    assert (await closed.get(target)).status == 200


async def test_a_preflight_wants_none(closed: Proxy) -> None:
    fields = {"Origin": "http://x", "Access-Control-Request-Method": "GET"}
    assert (await closed.ask("OPTIONS", ME, fields)).status != 401


@pytest.mark.parametrize("mode", ["replace", "forward", "require", "reject"])
async def test_with_a_key_the_stored_account_answers_in_every_mode(
    make_proxy: MakeProxy, raw_upstream: RawUpstream, mode: str
) -> None:
    raw_upstream.said = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    proxy = await make_proxy(raw_upstream.url, f"{YAML}  credentials: {mode}")
    for target in (f"{ME}&key={'0' * 32}&token={OLD}", f"/1/tokens/{OLD}?x=1"):
        assert (await proxy.get(target)).status == 200
    sent = b"".join(raw_upstream.asked)
    assert sent.count(TOKEN.encode()) == 3  # in a path once
    assert OLD.encode() not in sent


@pytest.mark.parametrize("mode", ["replace", "forward", "reject"])
async def test_a_revoked_key_is_refused_where_access_is_open(
    make_proxy: MakeProxy, standin: FakeTrello, mode: str
) -> None:
    proxy = await make_proxy(standin.url, f"clients: {{credentials: {mode}}}")
    for query, fields, _ in list(places(REVOKED).values())[:5]:
        assert says(await proxy.get(f"/1/members/me{query}", fields), 401, "client-key-required")
    assert list(standin.request_log.requests) == []


async def test_what_a_client_may_write_is_said_with_its_key(
    reloading: Proxy, standin: FakeTrello
) -> None:
    card = f"/1/cards/{standin.trello.example_card}"
    assert says(await reloading.ask("PUT", f"{card}?name=x&token={READER}"), 403, "writes-denied")
    assert (await reloading.get(f"{card}?token={READER}")).status == 200
    webhooks = f"/1/tokens/-/webhooks?token={OLD}"
    assert says(await reloading.get(webhooks), 403, "administrative")
    await reloading.reload(YAML.replace("writes: deny", "writes: all"))
    assert (await reloading.ask("PUT", f"{card}?name=x&token={READER}")).status == 200
    assert (await reloading.get(f"/1/tokens/-/webhooks?token={READER}")).status == 200


async def test_responses_are_shared_by_all_clients(closed: Proxy, standin: FakeTrello) -> None:
    for fields in ({"Authorization": f"Bearer {OLD}"}, basic("", READER)):
        await closed.get(ME, fields)
    heard = await closed.get(f"{ME}&token={NEW}")
    assert "; hit" in heard.fields["cache-status"]
    assert "deprecation" not in heard.fields
    assert len(standin.request_log.requests) == 1


async def test_a_key_is_revoked_at_once_also_for_a_prepared_hit(reloading: Proxy) -> None:
    request = reloading.request("GET", ME, {"Authorization": f"Bearer {OLD}"})
    wire = await reloading.connect()
    for _ in range(3):
        wire.send(request)
        assert (await wire.hear()).status == 200
    assert len(reloading.app.fast_paths[0]) == 1
    await reloading.reload(YAML.replace(digest_of(OLD), digest_of(REVOKED)))
    wire.send(request)
    assert (await wire.hear()).status == 401
    assert (await reloading.get(f"{ME}&token={REVOKED}")).status == 200


async def test_a_hit_that_was_under_way_is_not_prepared_after_a_revocation(
    closed: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast_path = closed.app.fast_paths[0]
    await closed.get(ME, {"Authorization": f"Bearer {OLD}"})
    context_of = Middleware._context_of  # a reload between the request and its response

    def reload_after(*arguments: Any) -> RequestContext:
        context = context_of(*arguments)
        fast_path.clear()
        return context

    monkeypatch.setattr(Middleware, "_context_of", reload_after)
    await closed.get(ME, {"Authorization": f"Bearer {OLD}"})
    assert len(fast_path) == 0
    monkeypatch.undo()
    await closed.get(ME, {"Authorization": f"Bearer {OLD}"})
    assert len(fast_path) == 1


async def test_keys_are_rotated_under_load(reloading: Proxy) -> None:
    stop, statuses = asyncio.Event(), list[int]()

    async def read(key: str) -> None:
        while not stop.is_set():
            statuses.append((await reloading.get(f"{ME}&token={key}")).status)

    async with asyncio.TaskGroup() as readers:
        for _ in range(2):
            readers.create_task(read(NEW))
        for digest in (REVOKED, OLD, REVOKED):
            await reloading.reload(YAML.replace(digest_of(OLD), digest_of(digest)))
        stop.set()
    assert set(statuses) == {200}


async def test_the_client_is_named_in_metrics_and_the_log(closed: Proxy) -> None:
    for _ in range(3):
        await closed.get(ME, {"Authorization": f"Bearer {OLD}", "User-Agent": "tool/1"})
    await closed.get(ME)
    metrics = (await closed.get("/metrics")).body.decode()
    assert 'trello_proxy_client_requests_total{client="ci"} 3.0' in metrics
    assert 'client_upstream_requests_total{client="ci"} 1.0' in metrics
    key = digest_of(OLD).removeprefix("sha256:")[:8]
    used = f'client_key_last_used_timestamp_seconds{{client="ci",key="{key}"}} '
    found = next(line for line in metrics.splitlines() if used in line)
    assert float(found.rpartition(" ")[2]) == closed.clock.now()
    await closed.stop()
    assert [line.get("name") for line in closed.requests[:4]] == ["ci", "ci", "ci", None]


async def test_a_key_stays_nowhere(
    closed: Proxy, standin: FakeTrello, caplog: pytest.LogCaptureFixture
) -> None:
    for key in (OLD, REVOKED):
        for query, fields, body in places(key).values():
            for method in ("GET", "PUT"):
                target = f"/1/cards/{standin.trello.example_card}{query}"
                await closed.ask(method, target, fields, body.encode())
        await closed.get(ME, {"X-Request-Id": key, "User-Agent": f"tool {key}"})
        await closed.get(f"/1/tokens/{key}")
        await closed.get(f"/1/batch?urls=/members/me?token={key}")
    await nothing_stays(closed, caplog, OLD, REVOKED, KEY, TOKEN)


async def test_a_client_is_told_who_it_is(closed: Proxy) -> None:
    home = (await closed.get("/", {"Authorization": f"Bearer {READER}"})).body.decode()
    assert "You are reader, by your client key. You may read: everything" in home
    explained = (await closed.get(f"/-/explain?url={ME}&token={READER}")).body.decode()
    assert explained.startswith("You are reader, by your client key.")
    assert READER not in explained
    fields = {"Authorization": f"Bearer {OLD}", "Accept": "application/json"}
    explained = (await closed.get(f"/-/explain?url={ME}", fields)).json
    assert explained["client"]["name"] == "ci"


async def test_the_operators_token_is_a_key_too(make_proxy: MakeProxy, standin: FakeTrello) -> None:
    proxy = await make_proxy(standin.url, f"{YAML}admin: {{token: of-the-operator}}")
    bearer = {"Authorization": "Bearer of-the-operator"}
    assert (await proxy.get(ME, bearer)).status == 200
    assert (await proxy.get("/metrics", bearer)).status == 200
    await proxy.stop()
    assert proxy.requests[0]["name"] == "operator"


def test_the_command_makes_a_key_and_its_entry(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["key", "ci"]) == 0
    printed = capsys.readouterr().out
    key = next(line for line in printed.splitlines() if line.startswith("tpk_"))
    assert f"    - name: ci\n      digest: {digest_of(key)}\n" in printed
    assert run(["key", "no name"]) == 2


async def test_the_home_page_shows_how_to_send_the_key(closed: Proxy) -> None:
    sent = {"Authorization": f"Bearer {READER}"}
    text = (await closed.get("/", sent)).body.decode()
    assert "curl -H 'Authorization: Bearer YOUR_KEY' 'http" in text
    page = (await closed.get("/", {**sent, "Accept": "text/html"})).body.decode()
    assert "TrelloClient(&#39;-&#39;, &#39;YOUR_KEY&#39;, http_service" in page
    assert "without a key" not in page
    assert READER not in text + page


async def test_an_explanation_does_not_take_the_operator_for_an_admitted_client(
    closed: Proxy,
) -> None:
    explained = (await closed.get(f"/-/explain?url={ME}")).body.decode()
    assert explained.startswith("You are the operator, without a client key: a client gets 401")
