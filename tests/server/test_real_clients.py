"""Real client libraries: junk credentials, another base URL, and nothing else changed."""

import asyncio
import io
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from proxy.app.app import App, SystemPorts
from proxy.config.schema import load
from proxy.fake_trello.samples import fill
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.server.conftest import (
    CREDENTIAL,
    ENDLESS,
    KEY,
    TOKEN,
)

JUNK_KEY = "0123456789abcdef" * 2
JUNK_TOKEN = "ATTA" + "fedcba9876543210" * 4
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\1\2\xff" * 5000
NPM_S = 60


class Running:
    """A proxy and a fake Trello on their own event loop; a client knows the `url` only."""

    def __init__(self, directory: Path, yaml: str = "") -> None:
        self.url = ""
        self._directory = directory
        self._yaml = yaml or "clients: {writes: all}"
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self.standin = FakeTrello(FakeClock(), key=KEY, token=TOKEN)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        fill(self.standin.trello)
        await self.standin.start()
        config = load(f"listen: 127.0.0.1:0\n{self._yaml}", "proxy.yaml", {}, str)
        hosts = (self.standin.storage_host,)
        config = replace(
            config,
            upstream=replace(config.upstream, url=self.standin.url, storage_hosts=hosts),
            cache=replace(config.cache, directory=str(self._directory)),
            freshness=replace(config.freshness, watch_s="off"),
            limits=ENDLESS,
        )
        app = App(
            config,
            CREDENTIAL,
            SystemPorts(clock=FakeClock(), write_log=lambda _: None, random=bytes),
        )
        await app.start()
        self.url = f"http://127.0.0.1:{app.port}"
        self._ready.set()
        await self._stop.wait()
        await app.stop()
        await self.standin.stop()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path / "cache")
    made.start()
    yield made
    made.stop()


class AtProxy(requests.Session):
    """What py-trello takes for `requests`, at another address."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.asked = 0

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        self.asked += 1
        path = str(url).partition("trello.com")[2]
        return super().request(method, self._url + path if path else url, *args, **kwargs)


@pytest.fixture
def http(running: Running) -> Iterator[AtProxy]:
    with AtProxy(running.url) as session:
        yield session


def py_trello(http: AtProxy, signed: bool) -> Any:  # noqa: FBT001 — which of its two ways
    trello = pytest.importorskip("trello")
    if signed:
        return trello.TrelloClient(
            JUNK_KEY, "secret", JUNK_TOKEN, "token secret", http_service=http
        )
    return trello.TrelloClient(JUNK_KEY, JUNK_TOKEN, http_service=http)


@pytest.mark.parametrize("signed", [False, True], ids=["key and token in the query", "OAuth 1.0a"])
def test_py_trello_works_unchanged(running: Running, http: AtProxy, signed: bool) -> None:  # noqa: FBT001
    client = py_trello(http, signed)
    board = _reads(client, running)
    card = _creates(client, board)
    _adorns(client, board, card)
    _attaches(client, http, card)
    card.set_name("Renamed")
    assert client.get_card(card.id).name == "Renamed"
    assert [found.id for found in client.search("Renamed", models=["cards"])] == [card.id]
    card.delete()
    trello = pytest.importorskip("trello")
    with pytest.raises(trello.ResourceUnavailable):
        client.get_card(card.id)
    assert {
        seen.credential for seen in running.standin.request_log.requests if seen.host == "api"
    } == {"header"}


def _reads(client: Any, running: Running) -> Any:
    boards = client.list_boards()
    before = running.standin.request_log.total
    assert [board.id for board in client.list_boards()] == [board.id for board in boards]
    assert running.standin.request_log.total == before
    (board,) = [each for each in boards if each.id == running.standin.trello.example_board]
    assert len(board.list_lists()) == 4
    assert len(board.all_cards()) >= 8
    assert board.get_labels()
    assert board.get_members()
    assert client.get_member("me").username == "demo"
    assert client.list_organizations()
    assert [found.name for found in client.search("Release", models=["boards"])]
    return board


def _creates(client: Any, board: Any) -> Any:
    made = board.add_list("Made by py-trello")
    card = made.add_card("A card & its name", "größer", labels=board.get_labels()[:1])
    assert card.id in [each.id for each in made.list_cards()]
    assert card.id in [each.id for each in board.open_cards()]
    fetched = client.get_card(card.id)
    assert (fetched.name, fetched.description) == ("A card & its name", "größer")
    card.change_list(board.list_lists("open")[-1].id)
    assert made.list_cards() == []
    return card


def _adorns(client: Any, board: Any, card: Any) -> None:
    card.comment("said by py-trello")
    assert [each["data"]["text"] for each in card.get_comments()] == ["said by py-trello"]
    card.add_label(board.get_labels()[1])
    assert len(client.get_card(card.id).labels) == 2
    checklist = card.add_checklist("Steps", ["one", "two"], [True, False])
    checklist.set_checklist_item("two", checked=True)
    (fetched,) = client.get_card(card.id).fetch_checklists()
    assert [item["state"] for item in fetched.items] == ["complete", "complete"]
    assert board.add_custom_field_definition("Note", "text").name == "Note"
    (definition,) = board.get_custom_field_definitions()[:1]
    card.set_custom_field("7", definition)
    assert [(each.name, each.value) for each in card.fetch_custom_fields()] == [("Effort", 7)]
    card.set_closed(True)
    assert card.id not in [each.id for each in board.open_cards()]
    card.set_closed(False)


def _attaches(client: Any, http: AtProxy, card: Any) -> None:
    card.attach(name="ü.png", mimeType="image/png", file=io.BytesIO(PNG))
    card.attach(name="a link", url="https://example.com/")
    uploaded, link = card.get_attachments()
    assert (uploaded.name, uploaded.bytes, link.url) == ("ü.png", len(PNG), "https://example.com/")
    response = http.get(uploaded.url)
    assert (response.status_code, response.content) == (200, PNG)
    card.remove_attachment(link.id)
    assert [each.id for each in card.get_attachments()] == [uploaded.id]


def test_py_trello_makes_and_deletes_webhooks(running: Running, http: AtProxy) -> None:
    client = py_trello(http, signed=False)
    board = running.standin.trello.example_board
    hook = client.create_hook(f"{running.url}/", board, "of a test")
    assert [each.id for each in client.list_hooks()] == [hook.id]
    hook.delete()
    assert client.list_hooks() == []


TRELLO_JS = """
const { TrelloClient } = require('trello.js');
const [base, board, key, token] = process.argv.slice(2);
const client = new TrelloClient({ key, token });
client.instance.defaults.baseURL = base + '/1';
(async () => {
  const told = {};
  told.me = (await client.members.getMember({ id: 'me' })).username;
  told.board = (await client.boards.getBoard({ id: board, lists: 'open' })).name;
  const lists = await client.boards.getBoardLists({ id: board });
  told.lists = lists.length;
  const card = await client.cards.createCard({ name: 'made & by trello.js', idList: lists[0].id });
  const cards = () => client.boards.getBoardCards({ id: board });
  told.found = (await cards()).some((each) => each.id === card.id);
  await client.cards.addCardComment({ id: card.id, text: 'said, by trello.js' });
  const actions = await client.cards.getCardActions({ id: card.id, filter: 'commentCard' });
  told.comments = actions.map((each) => each.data.text);
  await client.cards.createCardLabel({ id: card.id, name: 'js', color: 'lime' });
  await client.cards.createCardChecklist({ id: card.id, name: 'Steps' });
  await client.cards.createCardAttachment({ id: card.id, url: 'https://example.com/', name: 'x' });
  const seen = await client.cards.getCard({ id: card.id, checklists: 'all', attachments: true });
  told.labels = seen.labels.map((each) => each.name);
  told.checklists = seen.checklists.length;
  told.attachments = seen.attachments.map((each) => each.name);
  const search = await client.search.getSearch({ query: 'made', modelTypes: ['cards'] });
  told.search = search.cards.map((each) => each.name);
  await client.cards.deleteCard({ id: card.id });
  told.gone = !(await cards()).some((each) => each.id === card.id);
  try {
    await client.cards.getCard({ id: card.id });
  } catch (error) {
    told.status = error.response.status;
    told.sentence = error.response.data;
  }
  console.log(JSON.stringify(told));
})().catch((error) => { console.error(error.message, error.response?.data); process.exit(1); });
"""


def install(package: str, directory: Path) -> None:
    """Have `require` find an npm package in the directory; the test is skipped if it cannot."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", package]
    try:
        done = subprocess.run(
            command, cwd=directory, capture_output=True, timeout=NPM_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install {package} within {NPM_S} s")
    if done.returncode != 0:
        pytest.skip(f"npm cannot install {package} here")


@pytest.fixture
def with_trello_js(tmp_path: Path) -> Path:
    """A directory where `require('trello.js')` works."""
    install("trello.js@1", tmp_path)
    return tmp_path


def test_trello_js_works_unchanged(running: Running, with_trello_js: Path) -> None:
    script = with_trello_js / "tool.cjs"
    script.write_text(TRELLO_JS, encoding="utf-8")
    board = running.standin.trello.example_board
    done = subprocess.run(
        ["node", str(script), running.url, board, JUNK_KEY, JUNK_TOKEN],
        cwd=with_trello_js,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == {
        "me": "demo",
        "board": "Release 4.2",
        "lists": 4,
        "found": True,
        "comments": ["said, by trello.js"],
        "labels": ["js"],
        "checklists": 1,
        "attachments": ["x"],
        "search": ["made & by trello.js"],
        "gone": True,
        "status": 404,
        "sentence": "The requested resource was not found.",
    }


def test_an_oauth_library_stops_and_says_why(running: Running) -> None:
    oauth = pytest.importorskip("requests_oauthlib")
    session = oauth.OAuth1Session(JUNK_KEY, "secret", callback_uri="oob")
    with pytest.raises(ValueError, match=r"403.*None is needed: call the API without OAuth"):
        session.fetch_request_token(f"{running.url}/1/OAuthGetRequestToken")
