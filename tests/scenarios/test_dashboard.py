"""The dashboard at `/`: figures of the last hour, and nothing private."""

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import Proxy, StartProxy
from tests.scenarios.page import Browser

ME = "/1/members/me"


async def home_text(proxy: Proxy) -> str:
    return (await proxy.get("/")).body.decode()


async def test_hit_ratio_and_saved_requests_are_shown(start_proxy: StartProxy) -> None:
    proxy = await start_proxy("freshness: {watch: off}")
    for _ in range(4):
        await proxy.get(ME)
    text = await home_text(proxy)
    assert "Last hour: 3 responses from the cache\nTrello:    healthy\n" in text
    for _ in range(96):
        await proxy.get(ME)
    text = await home_text(proxy)
    assert "Last hour: 99% answered without an upstream request, " in text
    assert "1 upstream request, 99 saved\nTrello:    healthy\n" in text


async def test_upstream_requests_are_shown_by_client(proxy: Proxy) -> None:
    for agent, count in (("sync-bot/2", 3), ("curl/8", 1)):
        for number in range(count):
            target = f"{ME}?fields=username&limit={agent[0]}{number}"
            await proxy.get(target, headers={"User-Agent": agent})
    page = await Browser(proxy)("/")
    clients = page.text.partition("Upstream requests by client")[2]
    assert 0 < clients.index("sync-bot") < clients.index("curl")


async def test_an_hour_later_nothing_of_it_is_shown(proxy: Proxy, clock: FakeClock) -> None:
    await proxy.get(ME)
    await proxy.get(ME)
    clock.advance(59 * 60)
    assert "Last hour: 1 response from" in await home_text(proxy)
    clock.advance(2 * 60)
    assert "Last hour: 0 responses from" in await home_text(proxy)
    clock.advance(100_000)
    assert "Last hour: 0 responses from" in await home_text(proxy)


async def test_a_failure_is_shown_for_some_minutes(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock
) -> None:
    standin.faults.add(Fault("reset", path="/1/cards/*", times=None))
    await proxy.get("/1/cards/nowhere")
    page = await Browser(proxy)("/")
    assert "failed lately" in page.text
    assert "Trello ended the connection" in page.text
    assert "/cards/{id}" in page.text
    assert "nowhere" not in page.text
    clock.advance(6 * 60)
    assert "failed lately" not in (await Browser(proxy)("/")).text


async def test_a_clients_error_is_no_failure(proxy: Proxy) -> None:
    await proxy.get("/1//%00")
    await proxy.get("/nowhere")
    assert "Recent failures" not in (await Browser(proxy)("/")).text


async def test_every_client_finds_its_lines(proxy: Proxy) -> None:
    page = await Browser(proxy)("/")
    for client in ("curl", "py-trello", "trello.js", "client.js", "requests"):
        assert client in page.text
    assert page.text.count(proxy.url) >= 6
    assert page.all("button", **{"data-copy": f"{proxy.url}/1/"})


async def test_nothing_of_a_board_is_on_the_page(
    proxy: Proxy, standin: FakeTrello, board: str, card: str
) -> None:
    names = [each["name"] for each in standin.trello.request(f"/1/boards/{board}/cards")]
    for target in (f"/1/cards/{card}", f"/1/boards/{board}/cards", f"/1/search?query={names[0]}"):
        await proxy.get(target.replace(" ", "%20"))
    standin.faults.add(Fault("reset", times=None))
    await proxy.get(f"/1/cards/{card}/actions?s3arched=1")
    for response in (await proxy.get("/"), await proxy.get("/", headers={"Accept": "text/html"})):
        text = response.body.decode()
        for private in (board, card, "s3arched", *names):
            assert private not in text
