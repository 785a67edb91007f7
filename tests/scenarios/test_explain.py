"""Explanations predict the next response and send no upstream request."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    OTHER_KEY,
    OTHER_TOKEN,
    Heard,
    Proxy,
    StartProxy,
    until,
)
from tests.scenarios.page import BROWSER, page_of

ADMIN = {"Accept": "application/json"}


async def explained(proxy: Proxy, url: str) -> dict[str, Any]:
    response = await proxy.get(f"/-/explain?url={quote(url, safe='')}", headers=ADMIN)
    assert response.status == 200, response.body
    return dict(response.json)


def outcome_of(cache_status: str | None) -> tuple[str, str]:
    """Hit, stale or the forward reason, and a ttl; without what depends on Trello's response."""
    parts = (cache_status or "none").removeprefix("trello-proxy; ").split("; ")
    if parts[0] == "hit":
        ttl = next((part for part in parts if part.startswith("ttl=")), "")
        return ("stale" if ttl.startswith("ttl=-") else "hit"), ttl
    return parts[0], ""


@dataclass
class Session:
    """A proxy, a fake Trello and the targets to compare."""

    proxy: Proxy
    standin: FakeTrello
    clock: FakeClock
    targets: list[str] = field(default_factory=list)

    async def compare(self, target: str) -> None:
        """Explain a target, request it, compare; explaining sends nothing upstream."""
        before = self.standin.request_log.total
        explanation = await explained(self.proxy, target)
        assert self.standin.request_log.total == before
        response = await self.proxy.get(target)
        actual = outcome_of(response.fields.get("Cache-Status"))
        assert outcome_of(explanation["cache_status"]) == actual, (target, explanation)
        await self.settled()

    async def settled(self) -> None:
        """Wait until no upstream request is under way."""
        services = self.proxy.app.components.services
        reads, batches = services.reads, services.batches
        await until(lambda: not reads._flights and not batches._flights)


@pytest.fixture
async def session(start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock) -> Session:
    proxy = await start_proxy("freshness: {watch: off}\nclients: {jsonp: allow}")
    await proxy.app.components.services.verifier.stop()  # it sends upstream requests at random
    board, card = standin.trello.example_board, standin.trello.example_card
    lists = standin.trello.request(f"/1/boards/{board}/lists")
    return Session(
        proxy,
        standin,
        clock,
        [
            f"/1/boards/{board}",
            f"/1/boards/{board}?fields=name",
            f"/1/boards/{board}/cards",
            f"/1/cards/{card}",
            f"/1/cards/{card}/name",
            f"/1/lists/{lists[0]['id']}",
            "/1/members/me",
            f"/1/members/me?key={'0' * 32}",
            "/1/search?query=x",
            "/1/tokens/-",
            f"/1/cards/{'0' * 24}",
            f"/1/batch?urls=/cards/{card},/boards/{board}",
            f"/1/batch?urls=/members/me,/cards/{card}/actions",
            f"/1/cards/{card}?callback=x",
            "/1/nowhere",
            standin.trello.example_attachment_path,
        ],
    )


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("request"), st.integers(0, 15)),
        st.tuples(st.just("wait"), st.sampled_from([0.4, 1, 4, 6, 29, 31, 61, 95, 400, 100_000])),
        st.tuples(st.just("write"), st.integers(0, 2)),
        st.tuples(st.just("purge"), st.just(0)),
    ),
    min_size=5,
    max_size=25,
)


async def _step(session: Session, step: str, value: float) -> None:
    proxy, trello = session.proxy, session.standin.trello
    match step:
        case "request":
            await session.compare(session.targets[int(value)])
        case "wait":
            session.clock.advance(value)
        case "write":
            target = (f"/1/cards/{trello.example_card}", f"/1/boards/{trello.example_board}")
            await proxy("PUT", f"{target[int(value) % 2]}?name=n{value}")
        case _:
            await proxy("POST", "/-/purge")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
async def test_it_predicts_the_next_response(
    session: Session, steps: list[tuple[str, float]]
) -> None:
    for step, value in steps:
        await _step(session, step, value)


async def test_every_kind_of_request_is_predicted_cold_fresh_stale_and_expired(
    session: Session,
) -> None:
    for _ in range(2):
        for pause in (0, 0, 1, 35, 100_000):
            session.clock.advance(pause)
            for target in session.targets:
                await session.compare(target)


async def test_it_shows_what_is_stored_and_what_would_invalidate_it(
    proxy: Proxy, clock: FakeClock, card: str, board: str
) -> None:
    target = f"https://api.trello.com/1/cards/{card}"
    cold = await explained(proxy, target)
    assert (cold["route"], cold["stored"]) == ("/cards/{id}", None)
    assert cold["cache_status"] == "trello-proxy; fwd=uri-miss"
    assert f"card:{card}" in cold["tags"]
    await proxy.get(f"/1/cards/{card}")
    requested_at = clock.now()
    clock.advance(10)
    warm = await explained(proxy, target)
    assert warm["cache_status"] == "trello-proxy; hit; ttl=20"
    assert warm["key"] == cold["key"]
    assert warm["stored"]["requested_at"] == requested_at
    assert (warm["stored"]["age_s"], warm["stored"]["remaining_s"]) == (10, 20)
    assert f"a change of card {card}" in warm["invalidated_by"]
    assert f"a change of data shown on all cards of board {board}" in warm["invalidated_by"]


async def test_two_spellings_of_one_read_have_one_key(proxy: Proxy, card: str, short: str) -> None:
    await proxy.get(f"/1/cards/{short}")
    by_id, by_name = [await explained(proxy, f"/1/card/{each}/") for each in (card, short)]
    assert by_id["key"] == by_name["key"]
    assert by_id["cache_status"] == by_name["cache_status"] == "trello-proxy; hit; ttl=30"


async def test_a_write_and_a_page_of_ours_are_named_as_such(proxy: Proxy, card: str) -> None:
    write = await explained(proxy, f"/1/cards/{card}?_method=PUT&name=x")
    assert (write["handling"], write["cache_status"]) == ("write", "trello-proxy; fwd=method")
    notice = await explained(proxy, "/1/authorize")
    assert (notice["handling"], notice["cache_status"]) == ("grant", None)


async def test_what_cannot_be_a_request_is_refused(proxy: Proxy) -> None:
    refused = {"": 400, "//x": 404, "/c/abc": 404, "/1/%00": 400, "/1/boards/x?callback=f": 403}
    for url, status in refused.items():
        response: Heard = await proxy.get(f"/-/explain?url={quote(url, safe='')}")
        assert (response.status, bool(response.problem)) == (status, True), url


async def test_only_the_operator_gets_an_explanation(
    start_proxy: StartProxy, standin: FakeTrello
) -> None:
    proxy = await start_proxy("admin: {token: 0perat0rs-t0ken}")
    assert (await proxy.get("/-/explain?url=/1/members/me")).problem == "admin-only"
    right = {"Authorization": "Bearer 0perat0rs-t0ken"}
    response = await proxy.get("/-/explain?url=/1/members/me?fields=id&x=y", headers=right)
    assert response.status == 200
    assert b"\nGET /1/members/me\n" in response.body
    assert standin.request_log.total == 0


async def test_with_forwarded_credentials_it_explains_the_clients_own(
    start_proxy: StartProxy, standin: FakeTrello
) -> None:
    proxy = await start_proxy("clients: {credentials: forward}")
    standin.trello.add_token(OTHER_TOKEN, standin.trello.me["id"], key=OTHER_KEY)
    theirs = f"/1/members/me?key={OTHER_KEY}&token={OTHER_TOKEN}"
    await proxy.get(theirs)
    assert (await explained(proxy, theirs))["stored"] is not None
    assert (await explained(proxy, "/1/members/me"))["stored"] is None


async def test_a_person_gets_a_form_and_a_program_an_error(proxy: Proxy) -> None:
    page = page_of(await proxy.get("/-/explain", headers=BROWSER))
    assert page.all("form", action="/-/explain")
    assert (await proxy.get("/-/explain")).problem == "invalid-target"
    asked = page_of(await proxy.get("/-/explain?url=%2F1%2Fmembers%2Fme", headers=BROWSER))
    assert "Trello would be asked: nothing is stored" in asked.text
    assert asked.all("input", value="/1/members/me")
    assert page_of(await proxy.get("/", headers=BROWSER)).all("a", href="/-/explain")
