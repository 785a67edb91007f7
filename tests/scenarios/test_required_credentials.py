"""`clients.credentials: require`: nobody is answered in the stored account's name."""

from typing import Any
from urllib.parse import quote

import pytest

from proxy.fake_trello.server import FakeTrello
from tests.scenarios.conftest import (
    DELIBERATE,
    KEY,
    OTHER_KEY,
    OTHER_TOKEN,
    TOKEN,
    Heard,
    Proxy,
    StartProxy,
)

ME = "/1/members/me?fields=username"
PAIR = f"key={OTHER_KEY}&token={OTHER_TOKEN}"
HEADER = {"Authorization": f'OAuth oauth_consumer_key="{OTHER_KEY}", oauth_token="{OTHER_TOKEN}"'}
BROWSER = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Mode": "navigate"}


@pytest.fixture
def sam(standin: FakeTrello, board: str) -> str:
    """The id of another member, of the board too, who has a key and a token."""
    member = standin.trello.add_member("sam", "Sam Stranger")
    standin.trello.add_token(OTHER_TOKEN, member, key=OTHER_KEY)
    standin.trello.edit("PUT", f"/1/boards/{board}/members/{member}", {"type": "normal"})
    return member


@pytest.fixture
async def proxy(start_proxy: StartProxy) -> Proxy:
    return await start_proxy("clients: {credentials: require}")


def is_refused(heard: Heard) -> bool:
    """With 401, in words that clients know and with what to do, and by the proxy itself."""
    return (
        heard.status == 401
        and heard.body.startswith(b"unauthorized permission requested. Send a key and a token")
        and heard.fields["Content-Type"] == "text/plain; charset=utf-8"
        and heard.fields["WWW-Authenticate"].startswith("OAuth ")
        and heard.fields["Proxy-Status"] == "trello-proxy; error=http_request_denied"
    )


WITHOUT: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a read": ("GET", ME, {}),
    "a write": ("PUT", "/1/boards/{b}?name=x", {}),
    "a write in a body": ("PUT", "/1/boards/{b}", {"json": {"name": "x"}}),
    "a tunnelled write": (
        "GET",
        "/1/boards/{b}?_method=PUT&name=x",
        {"headers": DELIBERATE},
    ),
    "a batch": ("GET", "/1/batch?urls=/members/me", {}),
    "an unknown path": ("GET", "/1/inventions", {}),
    "a file": ("GET", "{a}", {}),
    "a script's null": ("GET", ME, {"headers": {"Authorization": "null"}}),
    "a password": ("GET", ME, {"headers": {"Authorization": "Basic c2FtOnNhbQ=="}}),
    "a key alone": ("GET", f"{ME}&key={OTHER_KEY}", {}),
    "a token alone": ("GET", f"{ME}&token={OTHER_TOKEN}", {}),
    "empty ones": ("GET", f"{ME}&key=&token=", {}),
    "a token in the path alone": ("GET", f"/1/tokens/{OTHER_TOKEN}", {}),
    "a dash for the stored token": ("GET", "/1/tokens/-", {}),
}


@pytest.mark.parametrize("case", WITHOUT.values(), ids=WITHOUT.keys())
async def test_without_a_key_and_a_token_nothing_is_answered_and_trello_is_not_asked(
    proxy: Proxy, standin: FakeTrello, board: str, case: tuple[str, str, dict[str, Any]]
) -> None:
    method, target, options = case
    path = target.format(b=board, a=standin.trello.example_attachment_path)
    assert is_refused(await proxy(method, path, **options))
    assert standin.request_log.total == 0
    assert await proxy.metric('trello_proxy_errors_total{type="credential-required"}') == 1


async def test_what_the_stored_account_was_told_is_for_nobody_either(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    before = await start_proxy()
    for target in (ME, f"/1/boards/{board}", standin.trello.example_attachment_path):
        assert (await before.get(target)).status == 200
    await before.app.stop()
    proxy = await start_proxy("clients: {credentials: require}")
    for target in (ME, f"/1/boards/{board}", standin.trello.example_attachment_path):
        assert is_refused(await proxy.get(target))


async def test_with_ones_own_pair_all_is_as_in_forward_mode(
    proxy: Proxy, standin: FakeTrello, board: str, sam: str
) -> None:
    for options, target in (({}, f"{ME}&{PAIR}"), ({"headers": HEADER}, ME)):
        assert (await proxy.get(target, **options)).json["username"] == "sam"
    assert (await proxy.get(ME, headers=HEADER)).cache == "hit; ttl=300"
    assert (await proxy("PUT", f"/1/boards/{board}?name=Sams&{PAIR}")).status == 200
    file = await proxy.get(standin.trello.example_attachment_path, headers=HEADER)
    assert file.status == 200
    assert (await proxy.get(ME.replace("me", "me/tokens"), headers=HEADER)).problem == ""
    refused = await proxy.get(f"{ME}&key={'0' * 32}&token={'1' * 64}")
    assert (refused.status, refused.body) == (401, b"invalid key")


async def test_whoever_knows_the_stored_pair_may_use_it(proxy: Proxy) -> None:
    heard = await proxy.get(f"{ME}&key={KEY}&token={TOKEN}")
    assert (heard.status, heard.json["username"]) == (200, "demo")


@pytest.mark.parametrize("target", ["/c/{card}", "/b/{board}", "{file}", "/c/{card}/files.zip"])
async def test_pages_and_links_open_for_nobody_and_say_why(
    proxy: Proxy, standin: FakeTrello, board: str, card: str, target: str
) -> None:
    path = target.format(board=board, card=card, file=standin.trello.example_attachment_path)
    heard = await proxy.get(path, headers=BROWSER)
    assert heard.status == 401
    assert b"Send your own key and token" in heard.body
    assert standin.request_log.total == 0


async def test_a_signed_link_is_no_credential(start_proxy: StartProxy, standin: FakeTrello) -> None:
    proxy = await start_proxy(
        "clients: {credentials: require}\nlinks: {sign: true, keys: [0123456789abcdef]}"
    )
    url = quote(f"https://trello.com{standin.trello.example_attachment_path}", safe="")
    link = await proxy.get(f"/?url={url}")
    path = link.body.decode().strip().removeprefix(proxy.url)
    assert "?" in path
    assert is_refused(await proxy.get(path))


async def test_what_needs_no_credential_is_there(proxy: Proxy, standin: FakeTrello) -> None:
    assert (await proxy.get("/1/client.js")).status == 200
    assert b"send your own key and token" in (await proxy.get("/1/authorize")).body
    asked = await proxy.get("/1/OAuthGetRequestToken")
    assert (asked.status, asked.problem) == (403, "no-token-given")
    assert asked.json["detail"].startswith("Get one from https://trello.com/1/authorize")
    assert (await proxy.get("/healthz")).status == 200
    assert b"with your own key and token" in (await proxy.get("/")).body
    home = (await proxy.get("/", headers=BROWSER)).body
    assert b"with your own key and token" in home
    assert b"leave the key" not in home
    assert b"Paste an address" not in home


async def test_nobody_is_told_to_leave_out_what_is_needed(proxy: Proxy, sam: str) -> None:
    heard = await proxy.get(ME, headers=HEADER)
    assert heard.status == 200
    assert "Deprecation" not in heard.fields


BEARERS = ["Bearer abc.def", "bearer  abc", "Bearer", f"Bearer {OTHER_TOKEN}"]


@pytest.mark.parametrize("value", BEARERS)
@pytest.mark.parametrize("credentials", ["forward", "require"])
async def test_an_oauth_2_client_is_never_served_as_the_stored_account(
    start_proxy: StartProxy, standin: FakeTrello, board: str, credentials: str, value: str
) -> None:
    proxy = await start_proxy(f"clients: {{credentials: {credentials}}}")
    assert (await proxy.get("/healthz")).status == 200
    before = standin.request_log.total
    bearer = {"Authorization": value}
    for method, target in (
        ("GET", ME),
        ("HEAD", ME),
        ("PUT", f"/1/boards/{board}?name=x"),
        ("GET", "/1/batch?urls=/members/me"),
        ("GET", standin.trello.example_attachment_path),
    ):
        heard = await proxy(method, target, headers=bearer)
        assert heard.status == 401
        assert heard.fields["WWW-Authenticate"].startswith("OAuth ")
    assert b"a Bearer token is not forwarded" in (await proxy.get(ME, headers=bearer)).body
    assert standin.request_log.total == before


async def test_a_key_and_a_token_beside_a_bearer_of_somebody_elses_count(
    start_proxy: StartProxy, sam: str
) -> None:
    proxy = await start_proxy("clients: {credentials: forward}")
    heard = await proxy.get(f"{ME}&{PAIR}", headers={"Authorization": "Bearer of.a.login"})
    assert heard.json["username"] == "sam"
