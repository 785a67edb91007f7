"""Pages in a real Chromium: every state in light and dark, on phone and desktop, and by keyboard.

`pytest --screenshots DIR` keeps a picture of each.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from proxy.fake_trello import pictures
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.request import File
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
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

LONG = "A name that goes on for rather longer than anybody would like (final, really) 2026.png"
AGENTS = ("report-builder/2.1", "sync-bot/1.0", "curl/8.5.0", "Mozilla/5.0")
LOOKS = [(width, dark) for width in (390, 1280) for dark in (False, True)]


@dataclass
class Scene:
    """A proxy with something to show, and what changes it."""

    proxy: Proxy
    standin: FakeTrello
    clock: FakeClock
    card: str
    board: str
    file: str

    def upload(self, file: File) -> None:
        self.standin.trello.upload(self.standin.trello.example_card, file)


@pytest.fixture
async def scene(start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock) -> Scene:
    proxy = await start_proxy(upstream={"read_timeout_s": PATIENCE_S})
    trello = standin.trello
    card = trello.request(f"/1/cards/{trello.example_card}?fields=shortLink")["shortLink"]
    board = trello.request(f"/1/boards/{trello.example_board}?fields=shortLink")["shortLink"]
    made = Scene(proxy, standin, clock, card, board, trello.example_attachment_path)
    made.upload(File(LONG, "image/png", pictures.png(640, 480, (200, 80, 40))))
    made.upload(File("<b>bold</b> & loud.txt", "text/plain", b"x" * 12_345))
    return made


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The debugging port of a browser shared by these tests."""
    with chromium(tmp_path_factory.mktemp("profile")) as port:
        yield port


@pytest.fixture
def screenshots(pytestconfig: pytest.Config) -> Path | None:
    """Where pictures are kept, if they are wanted."""
    if pytestconfig.option.screenshots is None:
        return None
    directory = Path(pytestconfig.option.screenshots)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.fixture
async def tab(browser: int) -> AsyncIterator[Tab]:
    async with new_tab(browser) as opened:
        yield opened


def _home(_: Scene) -> str:
    return "/"


async def _an_hour(scene: Scene) -> None:
    """Requests of several clients, some with a key, and Trello failing for some of the time."""
    for minute in range(50):
        for number in range(1 + minute * 7 % 5):
            agent, key = AGENTS[number % 4], f"&key={'0' * 32}" if number == 1 else ""
            for _ in range(1 + minute % 3):
                target = f"/1/boards/{scene.board}?fields=name&limit={minute // 3 + number}{key}"
                await scene.proxy.get(target, headers={"User-Agent": agent})
        if minute == 40:
            scene.standin.faults.add(Fault("reset", times=12))
        scene.clock.advance(60)
        await scene.proxy.get("/")


async def _busy(scene: Scene) -> str:
    await _an_hour(scene)
    return "/"


async def _client_credentials(scene: Scene) -> str:
    for number, agent in enumerate(AGENTS):
        target = f"/1/boards/{scene.board}?fields=name&limit={number}&key={'0' * 32}"
        await scene.proxy.get(target, headers={"User-Agent": agent})
    return "/-/client-credentials"


async def _explain(scene: Scene) -> str:
    cards = f"/boards/{scene.board}/cards"
    await scene.proxy.get(f"/1{cards}")
    scene.clock.advance(20)
    return f"/-/explain?url={quote(f'/1/batch?urls={cards},/members/me', safe='')}"


def _explain_form(_: Scene) -> str:
    return "/-/explain"


def _authorize(_: Scene) -> str:
    return "/1/authorize"


async def _audit(scene: Scene) -> str:
    path = f"/1/cards/{scene.card}"
    await scene.proxy("PUT", path, json={"name": "New start page, again"})
    return "/-/audit"


def _link(scene: Scene) -> str:
    return f"/?url={quote(f'https://trello.com/c/{scene.card}/1-new-start-page', safe='')}"


def _no_link(_: Scene) -> str:
    return "/?url=https://example.com/something"


def _card(scene: Scene) -> str:
    return f"/c/{scene.card}"


def _empty_card(scene: Scene) -> str:
    trello = scene.standin.trello
    cards = trello.request(f"/1/boards/{scene.board}/cards?attachments=true&fields=shortLink")
    return next(f"/c/{each['shortLink']}" for each in cards if not each["attachments"])


def _malicious(scene: Scene) -> str:
    scene.standin.trello.attachments.get(scene.file.split("/")[5])["isMalicious"] = True
    return f"/c/{scene.card}"


def _board(scene: Scene) -> str:
    return f"/b/{scene.board}/release-4-2"


def _found(scene: Scene) -> str:
    return f"/b/{scene.board}?q=notes"


def _not_found(scene: Scene) -> str:
    return f"/b/{scene.board}?q=nothing+like+it"


def _full_card(scene: Scene) -> str:
    trello, card = scene.standin.trello, scene.standin.trello.example_card
    text = (
        "# Plan\n\nSee https://example.com/a and **this**:\n\n> quoted\n\n1. one\n2. `two`\n\n"
        f"![draft](https://trello.com{scene.file})\n\n![far](https://example.com/far.png)"
    )
    trello.edit("PUT", f"/1/cards/{card}", {"desc": text, "due": "2020-01-01T12:00:00Z"})
    made = trello.edit("POST", "/1/checklists", {"idCard": card, "name": "Steps"})
    for name, checked in (("Draw", "true"), ("Show", "false")):
        item = {"name": name, "checked": checked}
        trello.edit("POST", f"/1/checklists/{made['id']}/checkItems", item)
    return _card(scene)


def _hostile(scene: Scene) -> str:
    trello, card = scene.standin.trello, scene.standin.trello.example_card
    name = "\u202e<b>evil</b>" + "W" * 1500 + " \u05d0\u05d1"
    trello.edit("PUT", f"/1/cards/{card}", {"name": name, "desc": name})
    trello.edit("POST", f"/1/cards/{card}/actions/comments", {"text": name})
    made = trello.edit("POST", "/1/checklists", {"idCard": card, "name": name})
    trello.edit("POST", f"/1/checklists/{made['id']}/checkItems", {"name": name})
    trello.edit("POST", f"/1/cards/{card}/labels", {"name": name, "color": "red"})
    scene.upload(File(name[:200], "text/plain", b"x"))
    return _card(scene)


def _hostile_board(scene: Scene) -> str:
    _hostile(scene)
    return _board(scene)


def _docs_index(_: Scene) -> str:
    return "/-/docs/"


def _docs(_: Scene) -> str:
    return "/-/docs/metrics"


def _no_card(_: Scene) -> str:
    return "/c/ZZZZZZZZ"


def _deleted(scene: Scene) -> str:
    return scene.file.replace(scene.file.split("/")[5], "0" * 24)


def _down(scene: Scene) -> str:
    scene.standin.faults.add(Fault("status", times=None))
    return f"/c/{scene.card}"


def _refused(scene: Scene) -> str:
    scene.standin.faults.add(Fault("status", status=401, body="unauthorized", times=None))
    return scene.file


def _nowhere(_: Scene) -> str:
    return "/somewhere/else"


STATES: dict[str, Callable[[Scene], str | Awaitable[str]]] = {
    "home": _home,
    "home after a busy hour": _busy,
    "clients that send a key": _client_credentials,
    "explain": _explain,
    "explain nothing": _explain_form,
    "authorize": _authorize,
    "audit": _audit,
    "home with a link": _link,
    "home with a fault": _no_link,
    "card": _card,
    "card without files": _empty_card,
    "card with a malicious file": _malicious,
    "board": _board,
    "board with a search": _found,
    "board with nothing found": _not_found,
    "card with everything": _full_card,
    "hostile card": _hostile,
    "hostile card on its board": _hostile_board,
    "documentation": _docs_index,
    "documentation page": _docs,
    "no such card": _no_card,
    "deleted file": _deleted,
    "Trello is down": _down,
    "refused file": _refused,
    "no such page": _nowhere,
}


@pytest.mark.parametrize("state", STATES)
async def test_every_state_is_pleasant_everywhere(
    scene: Scene, tab: Tab, screenshots: Path | None, state: str
) -> None:
    target = STATES[state](scene)
    if not isinstance(target, str):
        target = await target
    await _shown(tab, scene, target, state, screenshots)


async def test_stale_copy_is_marked(scene: Scene, tab: Tab, screenshots: Path | None) -> None:
    await scene.proxy.get(f"/c/{scene.card}")
    scene.standin.faults.add(Fault("status", "/1/*", times=None))
    scene.clock.advance(3600)
    await _shown(tab, scene, f"/c/{scene.card}", "stale copy", screenshots)
    assert "Trello is not answering" in await tab.run("document.body.innerText")


async def _shown(tab: Tab, scene: Scene, target: str, state: str, screenshots: Path | None) -> None:
    for width, dark in LOOKS:
        await tab.look(width=width, dark=dark)
        if not dark:  # colours change without a load
            await tab.open(scene.proxy.url + target)
        if screenshots is not None:
            look = "dark" if dark else "light"
            await tab.screenshot(screenshots / f"{state}, {width}, {look}.png")
        size = await tab.send("Page.getLayoutMetrics")
        assert size["cssContentSize"]["width"] <= width
        assert await tab.run("document.documentElement.scrollWidth") <= width
        assert await tab.run(_LEAST_CONTRAST) >= 4.5
    await _has_one_heading_and_names_everything(tab)
    # An error page's own status is the only thing the console may mention.
    assert not [each for each in tab.complaints if "the server responded with" not in each]


async def _has_one_heading_and_names_everything(tab: Tab) -> None:
    assert await tab.run("document.querySelectorAll('h1').length") == 1
    nodes = await tab.accessible()
    assert [role for role, _ in nodes if role in {"main", "banner"}] == ["banner", "main"]
    named = {"link", "button", "textbox", "searchbox", "heading", "dialog", "meter"}
    assert not [role for role, name in nodes if role in named and not name.strip()]


_LEAST_CONTRAST = """(() => {
  const light = (text) => {
    const [r, g, b] = text.match(/[0-9.]+/g).slice(0, 3).map((each) => {
      const c = each / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  let least = 21;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    const pair = [light(getComputedStyle(element).color), light(ground(element))].sort();
    const [low, high] = pair[0] < pair[1] ? pair : [pair[1], pair[0]];
    least = Math.min(least, (high + 0.05) / (low + 0.05));
  }
  return least;
})()"""


async def test_typing_narrows_the_list_at_once(scene: Scene, tab: Tab) -> None:
    await tab.open(f"{scene.proxy.url}/b/{scene.board}")
    shown = "[...document.querySelectorAll('.card')].filter((f) => f.checkVisibility()).length"
    assert await tab.run(shown) == 10
    await tab.run("document.querySelector('#q').focus()")
    await tab.send("Input.insertText", text="NOTES txt")
    assert await tab.run(shown) == 1
    assert await tab.run("document.querySelector('.count').textContent") == "1 of 10 cards"
    await tab.send("Input.insertText", text="zzz")
    assert await tab.run(shown) == 0
    assert await tab.run("document.querySelector('#no-match').checkVisibility()")


async def test_the_button_copies_the_internal_link(scene: Scene, tab: Tab) -> None:
    await tab.send(
        "Browser.grantPermissions",
        permissions=["clipboardReadWrite", "clipboardSanitizedWrite"],
        origin=scene.proxy.url,
    )
    await tab.open(f"{scene.proxy.url}/c/{scene.card}")
    await tab.click("[data-copy]")
    await tab.until("document.querySelector('#live-region').textContent === 'Copied'")
    assert await tab.run("navigator.clipboard.readText()") == scene.proxy.url + scene.file


async def test_without_https_the_button_copies_all_the_same(scene: Scene, tab: Tab) -> None:
    await tab.open(f"{scene.proxy.url}/c/{scene.card}")
    await tab.run(
        "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
        "document.execCommand = () => {"
        "  window.copied = document.activeElement.value; return true; }"
    )
    await tab.click("[data-copy]")
    await tab.until("document.querySelector('#live-region').textContent === 'Copied'")
    assert await tab.run("window.copied") == scene.proxy.url + scene.file


async def test_it_can_be_used_by_keyboard_and_is_read_out_in_full(scene: Scene, tab: Tab) -> None:
    await tab.open(f"{scene.proxy.url}/b/{scene.board}")
    reached = []
    for _ in range(16):
        await tab.tab_key()
        reached.append(await tab.run("document.activeElement.textContent.trim()"))
    assert reached[0] == "Skip to the content"
    assert reached[1:4] == ["trello-proxy", "Open in Trello", "As JSON"]
    assert "start page draft.png" in reached
    nodes = await tab.accessible()
    assert ("searchbox", "Find a card by its name, label or files") in nodes
    assert ("heading", "Release 4.2") in nodes
    assert ("link", "New start page") in nodes
    assert ("link", "Download start page draft.png") in nodes
    assert ("button", "Copy link to start page draft.png") in nodes
    assert not [
        role for role, name in nodes if role in {"link", "button", "searchbox"} and not name
    ]
    assert len([role for role, _ in nodes if role == "main"]) == 1


async def test_without_a_script_everything_is_there_but_the_buttons(scene: Scene, tab: Tab) -> None:
    await tab.send("Emulation.setScriptExecutionDisabled", value=True)
    await tab.open(f"{scene.proxy.url}/b/{scene.board}?q=notes")
    names = [name for role, name in await tab.accessible() if role == "link"]
    assert "release-notes.txt" in names
    assert "start page draft.png" not in names
    assert not [name for role, name in await tab.accessible() if name.startswith("Copy link")]


async def test_a_thumbnail_is_a_picture(scene: Scene, tab: Tab) -> None:
    await tab.open(f"{scene.proxy.url}/c/{scene.card}")
    await tab.until("[...document.images].every((image) => image.complete)")
    assert await tab.run("document.images.length") == 2
    assert await tab.run("[...document.images].every((image) => image.naturalWidth > 0)")


_DIALOG = "document.querySelector('dialog').open"
_SHOWN = "document.querySelector('.stage > *').src"


async def test_images_open_in_a_dialog_by_keyboard(scene: Scene, tab: Tab) -> None:
    await tab.look(width=1280, dark=False)
    await tab.open(f"{scene.proxy.url}/c/{scene.card}")
    await tab.run("document.querySelector('a.name').focus()")
    await tab.press("Enter")
    await tab.until(_DIALOG)
    assert await tab.run(_SHOWN) == scene.proxy.url + scene.file
    await tab.until("document.querySelector('.stage img').naturalWidth > 0")
    await tab.press("ArrowRight")
    assert "goes%20on" in await tab.run(_SHOWN)
    assert ("status", "") in await tab.accessible()
    assert await tab.run("document.querySelector('.steps span').textContent") == "2 of 2"
    await tab.press("ArrowRight")
    assert await tab.run(_SHOWN) == scene.proxy.url + scene.file
    nodes = await tab.accessible()
    assert ("dialog", "start page draft.png") in nodes
    assert {("button", "Close"), ("button", "Previous"), ("button", "Next")} <= set(nodes)
    await tab.press("Escape")
    await tab.until(f"!{_DIALOG}")
    assert await tab.run("document.activeElement.textContent") == "start page draft.png"
    await tab.until("document.querySelector('.stage').childElementCount === 0")
    assert not tab.complaints


async def test_a_pdf_opens_in_the_dialog_and_a_text_does_not(
    scene: Scene, tab: Tab, screenshots: Path | None
) -> None:
    scene.upload(File("one page.pdf", "application/pdf", pictures.pdf("One page")))
    for width, dark in LOOKS:
        await tab.look(width=width, dark=dark)
        await tab.open(f"{scene.proxy.url}/c/{scene.card}")
        await tab.click("a[data-viewer=pdf]")
        await tab.until(_DIALOG)
        assert (await tab.run(_SHOWN)).endswith("/one%20page.pdf")
        assert await tab.run("document.documentElement.scrollWidth") <= width
        if screenshots is not None:
            await tab.screenshot(screenshots / f"viewer, {width}, {dark}.png")
    async with asyncio.timeout(PATIENCE_S):
        while await tab.colour(800, 400) != b"\xff\xff\xff":  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)  # the viewer has not drawn the page yet
    assert not tab.complaints
    await tab.run("document.querySelector('dialog').close()")
    await tab.click("a[href$='loud.txt']", loads=True)
    assert await tab.run("document.contentType") == "text/plain"


async def test_on_a_phone_the_box_has_the_focus_and_its_result_is_in_view(
    scene: Scene, tab: Tab
) -> None:
    await tab.look(width=390, dark=False)
    await tab.open(f"{scene.proxy.url}/")
    await tab.until("document.activeElement.id === 'url'")
    await tab.send("Input.insertText", text=f"https://trello.com/c/{scene.card}")
    await tab.click("form button", loads=True)
    assert await tab.run("scrollY") == 0
    assert await tab.run("document.querySelector('.result').getBoundingClientRect().bottom") < 600
    assert await tab.run("document.activeElement.tagName") == "BODY"


async def test_pressing_enter_in_the_box_makes_a_link(scene: Scene, tab: Tab) -> None:
    await tab.open(f"{scene.proxy.url}/")
    address = f"https://trello.com/c/{scene.card}"
    await tab.run(f"document.querySelector('#url').value = '{address}'")
    await tab.click("form button", loads=True)
    assert await tab.run("document.querySelector('.result a').href") == (
        f"{scene.proxy.url}/c/{scene.card}"
    )


@pytest.mark.parametrize("before", [b"", b"<html><script>document.title = 'ran'</script>"])
async def test_a_pdf_shows_and_runs_nothing(scene: Scene, tab: Tab, before: bytes) -> None:
    white = b"\xff\xff\xff"
    script = b"<script>document.title = 'ran'</script>"
    body = before + pictures.pdf("One page") + script
    made = scene.standin.trello.upload(scene.standin.trello.example_card,
                                       File("one page.pdf", "application/pdf", body))  # fmt: skip
    await tab.look(width=1280, dark=False)
    await tab.open(str(made["url"]).replace("https://trello.com", scene.proxy.url))
    async with asyncio.timeout(PATIENCE_S):
        while (  # noqa: ASYNC110 - another process
            await tab.colour(800, 450) != white or await tab.colour(20, 20) == white
        ):
            await asyncio.sleep(0.1)  # the page is not there yet, or the viewer around it
    assert await tab.run("document.contentType") == "application/pdf"
    assert await tab.run("document.title") != "ran"
