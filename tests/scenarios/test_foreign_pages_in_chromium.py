"""A page of another site in a real Chromium, and the proxy at plain http under a name.

There a browser sends no Sec-Fetch-* fields, and with a no-cors GET no Origin either.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from aiohttp import web

from proxy.fake_trello import pictures
from proxy.fake_trello.request import File
from proxy.fake_trello.server import FakeTrello
from tests.scenarios.chromium import (
    PATIENCE_S,
    PROGRAM,
    Tab,
    chromium,
    new_tab,
)
from tests.scenarios.conftest import Proxy, StartProxy

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="chromium is not installed (Debian: apt-get install chromium)"
)

OURS, EVIL, APP = "trello.internal", "evil.example", "app.example"
RULES = ", ".join(f"MAP {name} 127.0.0.1" for name in (OURS, EVIL, APP))
SILENT = '<meta name="referrer" content="no-referrer">'
REFERRERS = pytest.mark.parametrize("head", ["", SILENT], ids=["a Referer", "no Referer"])
LISTEN = "<script>var given = null; function steal(value) { given = value; }</script>"


@dataclass
class Sites:
    """Every site but the proxy's: whatever is asked, the same page."""

    port: int = 0
    page: str = ""

    async def serve(self, _: web.BaseRequest) -> web.Response:
        return web.Response(text=f"<!doctype html>{self.page}", content_type="text/html")

    def url(self, name: str) -> str:
        return f"http://{name}:{self.port}"


@pytest.fixture
async def sites() -> AsyncIterator[Sites]:
    made = Sites()
    runner = web.ServerRunner(web.Server(made.serve))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


@pytest.fixture
async def proxy(start_proxy: StartProxy, sites: Sites) -> Proxy:
    yaml = f"public_url: http://{OURS}:0\nclients: {{origins: ['{sites.url(APP)}'], jsonp: allow}}"
    return await start_proxy(yaml, upstream={"read_timeout_s": PATIENCE_S})


@pytest.fixture
async def strict(start_proxy: StartProxy, sites: Sites) -> Proxy:
    """As `proxy`, with the default for JSONP."""
    yaml = f"public_url: http://{OURS}:0\nclients: {{origins: ['{sites.url(APP)}']}}"
    return await start_proxy(yaml, upstream={"read_timeout_s": PATIENCE_S})


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with chromium(tmp_path_factory.mktemp("profile"), f"--host-resolver-rules={RULES}") as port:
        yield port


@pytest.fixture
async def tab(browser: int) -> AsyncIterator[Tab]:
    async with new_tab(browser) as opened:
        yield opened


async def shows(tab: Tab, sites: Sites, name: str, page: str) -> None:
    """Open this page of that site, and wait until all of it has loaded or failed."""
    sites.page = page
    await tab.open(sites.url(name))


@REFERRERS
async def test_a_scripts_call_gives_a_page_elsewhere_nothing(
    tab: Tab, sites: Sites, proxy: Proxy, strict: Proxy, head: str
) -> None:
    for each in (proxy, strict):
        call = f'<script src="{each.url}/1/members/me/boards?callback=steal"></script>'
        await shows(tab, sites, EVIL, head + LISTEN + call)
        assert await tab.run("given") is None


async def test_a_scripts_call_serves_a_listed_page_where_the_operator_allows_it(
    tab: Tab, sites: Sites, proxy: Proxy, strict: Proxy
) -> None:
    for each, is_given in ((proxy, True), (strict, False)):
        call = f'<script src="{each.url}/1/members/me/boards?callback=steal"></script>'
        await shows(tab, sites, APP, LISTEN + call)
        assert await tab.run("Array.isArray(given)") is is_given


@REFERRERS
async def test_nothing_is_written_by_an_image_or_a_link(
    tab: Tab, sites: Sites, proxy: Proxy, standin: FakeTrello, card: str, head: str
) -> None:
    target = f"{proxy.url}/1/cards/{card}?_method=DELETE"
    for name in (EVIL, APP):
        await shows(tab, sites, name, f'{head}<img src="{target}"><a href="{target}">x</a>')
        await tab.click("a", loads=True)
        assert "A GET may not write here" in await tab.run("document.body.innerText")
    await tab.open(target)
    assert "DELETE" not in {seen.method for seen in standin.request_log.requests}
    assert standin.trello.request(f"/1/cards/{card}?fields=id") == {"id": card}


@REFERRERS
async def test_a_form_posted_from_elsewhere_writes_nothing(
    tab: Tab, sites: Sites, proxy: Proxy, standin: FakeTrello, card: str, head: str
) -> None:
    form = f'<form method="post" action="{proxy.url}/1/cards/{card}?_method=PUT">'
    await shows(tab, sites, EVIL, f'{head}{form}<button name="name" value="Stolen">')
    await tab.click("button", loads=True)
    assert standin.trello.request(f"/1/cards/{card}?fields=name")["name"] != "Stolen"
    assert {seen.method for seen in standin.request_log.requests} <= {"GET"}


@REFERRERS
async def test_what_is_fetched_blindly_never_reaches_the_page(
    tab: Tab, sites: Sites, proxy: Proxy, board: str, head: str
) -> None:
    await shows(tab, sites, EVIL, head)
    for target in (f"/1/boards/{board}", f"/b/{board}", "/metrics", "/1/nowhere"):
        for cache in ("default", "reload"):
            options = f"{{mode: 'no-cors', cache: '{cache}'}}"
            blind = f"fetch('{proxy.url}{target}', {options}).then(() => 'here', () => 'blocked')"
            assert await tab.run(blind) == "blocked"


async def test_a_listed_page_reads_as_before(
    tab: Tab, sites: Sites, proxy: Proxy, board: str
) -> None:
    await shows(tab, sites, APP, "")
    fields = "{headers: {'X-Requested-With': 'XMLHttpRequest', baggage: 'a=b'}}"
    read = f"fetch('{proxy.url}/1/boards/{board}', {fields}).then((answer) => answer.json())"
    for _ in range(3):
        assert (await tab.run(read))["id"] == board
    sneaked = f"fetch('{proxy.url}/1/boards/{board}?_method=PUT&name=Tunnelled').then((a) => a.ok)"
    assert await tab.run(sneaked) is True


@REFERRERS
async def test_a_script_among_the_files_does_not_run_elsewhere(
    tab: Tab, sites: Sites, proxy: Proxy, standin: FakeTrello, card: str, head: str
) -> None:
    upload = standin.trello.upload
    script = upload(card, File("conf.js", "text/javascript", b"var ran = true"))
    style = upload(card, File("a.css", "text/css", b"body { color: rgb(1, 2, 3) }"))
    of_js, of_css = (str(each["url"]).partition("trello.com")[2] for each in (script, style))
    page = (
        f'{head}<link rel="stylesheet" href="{proxy.url}{of_css}">'
        f'<script src="{proxy.url}{of_js}"></script>'
    )
    for name in (EVIL, APP):
        await shows(tab, sites, name, page)
        assert await tab.run("typeof ran") == "undefined"
        assert await tab.run("getComputedStyle(document.body).color") != "rgb(1, 2, 3)"


async def test_pictures_and_client_js_show_in_any_page(
    tab: Tab, sites: Sites, proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    drawn = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    svg = standin.trello.upload(card, File("a.svg", "image/svg+xml", drawn))
    png = standin.trello.upload(card, File("a.png", "image/png", pictures.png(9, 9, (1, 2, 3))))
    links = [proxy.url + str(each["url"]).partition("trello.com")[2] for each in (svg, png)]
    images = "".join(f'<img src="{link}">' for link in links)
    script = f'<script src="{proxy.url}/1/client.js"></script>'
    for _ in range(2):  # the second time the browser asks whether it still may show them
        await shows(tab, sites, EVIL, images + script)
        assert await tab.run("[...document.images].map((image) => image.naturalWidth)") == [9, 9]
        assert await tab.run("Trello.version()") == 1


async def test_a_link_from_elsewhere_opens(
    tab: Tab, sites: Sites, proxy: Proxy, short_board: str
) -> None:
    await shows(tab, sites, EVIL, f'<a href="{proxy.url}/b/{short_board}">the board</a>')
    await tab.click("a", loads=True)
    assert "Open in Trello" in await tab.run("document.body.innerText")
