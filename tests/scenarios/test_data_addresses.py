"""JSON addresses (`/b/{board}.json`) give JSON or an error, never a page."""

import pytest

from proxy.fake_trello.server import FakeTrello
from tests.scenarios.conftest import (
    KEY,
    TOKEN,
    Proxy,
    StartProxy,
)
from tests.scenarios.page import BROWSER


@pytest.fixture
async def proxy(start_proxy: StartProxy) -> Proxy:
    return await start_proxy(upstream={"read_timeout_s": 10.0})


@pytest.mark.parametrize("tail", [".json", "/release-4-2.json"])
@pytest.mark.parametrize("headers", [{}, BROWSER], ids=["a client", "a browser"])
async def test_a_boards_json_is_the_whole_board(
    proxy: Proxy, board: str, short_board: str, card: str, tail: str, headers: dict[str, str]
) -> None:
    response = await proxy.get(f"/b/{short_board}{tail}", headers=headers)
    assert response.status == 200
    assert response.fields["Content-Type"].startswith("application/json")
    data = response.json
    assert data["id"] == board
    for name in ("actions", "cards", "checklists", "labels", "lists", "members"):
        assert data[name], name
    found = next(each for each in data["cards"] if each["id"] == card)
    assert found["attachments"][0]["url"].startswith(f"{proxy.url}/1/cards/{card}/attachments/")


@pytest.mark.parametrize("tail", [".json", "/1-a-title.json"])
async def test_a_cards_json_is_the_whole_card(
    proxy: Proxy, card: str, short: str, tail: str
) -> None:
    data = (await proxy.get(f"/c/{short}{tail}")).json
    assert data["id"] == card
    assert data["attachments"][0]["url"].startswith(proxy.url)
    assert {"actions", "checklists", "members"} <= set(data)


async def test_it_is_a_read_like_any_other(
    proxy: Proxy, standin: FakeTrello, card: str, short_board: str
) -> None:
    target = f"/b/{short_board}.json"
    first = await proxy.get(target)
    total = standin.request_log.total
    held = await proxy.get(target, headers={"If-None-Match": first.fields["ETag"]})
    again = await proxy.get(target + "?key=dummy&callback=f&_method=DELETE")
    assert (held.status, again.body, standin.request_log.total) == (304, first.body, total)
    assert again.cache.startswith("hit; ")
    assert (await proxy("HEAD", target)).status == 200
    await proxy("PUT", f"/1/cards/{card}", data={"name": "Changed"})
    assert b"Changed" in (await proxy.get(target)).body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_is_written_there(
    proxy: Proxy, standin: FakeTrello, short_board: str, method: str
) -> None:
    response = await proxy(method, f"/b/{short_board}.json")
    assert (response.status, response.problem) == (405, "method-not-allowed")
    assert standin.request_log.total == 0


@pytest.mark.parametrize("headers", [{}, BROWSER], ids=["a client", "a browser"])
async def test_what_is_not_there_is_no_page_with_200(
    proxy: Proxy, short_board: str, short: str, headers: dict[str, str]
) -> None:
    for path in (f"/b/{short_board}.csv", f"/b/{short_board}/name.csv", f"/c/{short}.csv"):
        response = await proxy.get(path, headers=headers)
        assert response.status == 404
        assert f"/{path[1]}/{path[3:11]}.json".encode() in response.body
    for path in ("/b/none0000.json", "/c/none0000.json"):
        assert (await proxy.get(path, headers=headers)).status in {400, 404}


async def test_where_a_credential_is_required_it_is_required_here(
    start_proxy: StartProxy, short_board: str
) -> None:
    proxy = await start_proxy(clients={"credentials": "require"})
    target = f"/b/{short_board}.json"
    assert (await proxy.get(target)).status == 401
    assert (await proxy.get(f"{target}?key={KEY}&token={TOKEN}")).status == 200


async def test_a_page_elsewhere_cannot_read_it(
    proxy: Proxy, standin: FakeTrello, short_board: str
) -> None:
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    for headers in (embedded, {"Origin": "https://evil.example"}):
        response = await proxy.get(f"/b/{short_board}.json", headers=headers)
        assert (response.status, response.problem) == (403, "cross-origin-denied")
    assert standin.request_log.total == 0
