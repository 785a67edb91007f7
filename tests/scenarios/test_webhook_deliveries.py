"""A change made elsewhere is seen on the next GET, and what is not Trello's changes nothing."""

import asyncio
import base64
import hmac
import io
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from aiohttp import web

from proxy.cache.invalidation import Invalidator
from proxy.cache.store.store import MemoryTier, ResponseStore
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.cache.write_through import EchoFilter
from proxy.changes.webhook_receiver import (
    MAX_REMEMBERED_DELIVERIES,
    DeliveryResult,
    WebhookReceiver,
)
from proxy.fake_trello.errors import Refusal
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.request import File
from proxy.fake_trello.server import FakeTrello
from proxy.observability.log import Log
from proxy.observability.metrics import Metrics
from proxy.runtime.clock import FakeClock
from proxy.server.handlers.webhooks import MAX_BODY_BYTES
from proxy.trello.webhook_payload import PATH, Callback
from tests.scenarios.callback_proxy import Arrived, WayIn
from tests.scenarios.conftest import TOKEN, Heard, Proxy, StartProxy, turns, until

DELIVERIES = "trello_proxy_webhook_deliveries_total"
INVALIDATIONS = 'trello_proxy_invalidations_total{cause="webhook"}'


@pytest.fixture
async def told(
    hooked: Proxy, way_in: WayIn, standin: FakeTrello, board: str, other_board: str
) -> Proxy:
    """A proxy whose webhooks for two boards are there."""
    for model in (board, other_board):
        wanted = {"callbackURL": way_in.url, "idModel": model}
        standin.trello.edit("POST", f"/1/tokens/{TOKEN}/webhooks", wanted)
    return hooked


@pytest.fixture
def ids(standin: FakeTrello, board: str, other_board: str, card: str) -> dict[str, str]:
    """What there is on the boards, by name."""
    request, edit = standin.trello.request, standin.trello.edit
    lists = request(f"/1/boards/{board}/lists?fields=id")
    mine = request(f"/1/cards/{card}?fields=idList,shortLink,idLabels")
    sibling = next(c for c in request(f"/1/boards/{board}/cards?fields=id") if c["id"] != card)
    checklist = edit("POST", "/1/checklists", {"idCard": card, "name": "Steps"})["id"]
    item = edit("POST", f"/1/checklists/{checklist}/checkItems", {"name": "One"})["id"]
    labels = [each["id"] for each in request(f"/1/boards/{board}/labels?fields=id")]
    file = File("a.txt", "text/plain", b"a")
    members = request(f"/1/boards/{board}/members?fields=id")
    return {
        "board": board,
        "other_board": other_board,
        "other_list": request(f"/1/boards/{other_board}/lists?fields=id")[0]["id"],
        "card": card,
        "short": mine["shortLink"],
        "sibling": sibling["id"],
        "list": mine["idList"],
        "next_list": next(each["id"] for each in lists if each["id"] != mine["idList"]),
        "label": next(each for each in labels if each not in mine["idLabels"]),
        "checklist": checklist,
        "item": item,
        "comment": edit("POST", f"/1/cards/{card}/actions/comments", {"text": "Hm"})["id"],
        "attachment": standin.trello.upload(card, file)["id"],
        "field": request(f"/1/boards/{board}/customFields")[0]["id"],
        "robin": next(each["id"] for each in members if each["id"] != standin.trello.me["id"]),
    }


READS = """
    /1/boards/{board} /1/boards/{board}/cards /1/boards/{board}/lists?cards=open
    /1/boards/{board}/labels /1/boards/{board}/members /1/boards/{board}/checklists
    /1/boards/{board}/customFields /1/boards/{board}/actions /1/boards/{board}?fields=name&lists=all
    /1/boards/{other_board} /1/boards/{other_board}/cards /1/boards/{other_board}/lists
    /1/lists/{list} /1/lists/{list}/cards /1/lists/{list}/cards?fields=name /1/lists/{list}/actions
    /1/lists/{next_list}/cards /1/lists/{other_list}/cards?fields=name
    /1/cards/{card} /1/cards/{short} /1/cards/{card}/name /1/cards/{card}?list=true&board=true
    /1/cards/{card}/attachments /1/cards/{short}/checklists /1/cards/{card}/actions
    /1/cards/{card}/members /1/cards/{short}/customFieldItems /1/cards/{card}?fields=labels
    /1/cards/{sibling} /1/cards/{sibling}?board=true /1/checklists/{checklist}
    /1/checklists/{checklist}/checkItems /1/labels/{label} /1/customFields/{field}
    /1/actions/{comment} /1/members/me/boards /1/members/me/cards /1/members/{robin}/cards
    /1/search?query=New
"""

EDITS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a card is renamed": ("PUT", "/1/cards/{card}", {"name": "New"}),
    "a card is renamed by its shortLink": ("PUT", "/1/cards/{short}", {"name": "New"}),
    "a card is archived": ("PUT", "/1/cards/{card}", {"closed": True}),
    "a card is put elsewhere in its list": ("PUT", "/1/cards/{card}", {"pos": "bottom"}),
    "a card goes to the next list": ("PUT", "/1/cards/{card}", {"idList": "{next_list}"}),
    "a card goes to another board": (
        "PUT",
        "/1/cards/{card}",
        {"idBoard": "{other_board}", "idList": "{other_list}"},
    ),
    "a card is made": ("POST", "/1/cards", {"idList": "{list}", "name": "New"}),
    "a card is copied": ("POST", "/1/cards", {"idList": "{list}", "idCardSource": "{card}"}),
    "a card is deleted": ("DELETE", "/1/cards/{card}", {}),
    "a member joins a card": ("POST", "/1/cards/{card}/idMembers", {"value": "{robin}"}),
    "a label is put on a card": ("POST", "/1/cards/{card}/idLabels", {"value": "{label}"}),
    "a label is renamed": ("PUT", "/1/labels/{label}", {"name": "New"}),
    "a label is deleted": ("DELETE", "/1/labels/{label}", {}),
    "a label is made": ("POST", "/1/boards/{board}/labels", {"name": "New", "color": "red"}),
    "a checklist is made": ("POST", "/1/checklists", {"idCard": "{card}", "name": "New"}),
    "a checklist is renamed": ("PUT", "/1/checklists/{checklist}", {"name": "New"}),
    "a checklist is deleted": ("DELETE", "/1/checklists/{checklist}", {}),
    "an item is made": ("POST", "/1/checklists/{checklist}/checkItems", {"name": "New"}),
    "an item is ticked": ("PUT", "/1/cards/{card}/checkItem/{item}", {"state": "complete"}),
    "an item is renamed": ("PUT", "/1/cards/{card}/checkItem/{item}", {"name": "New"}),
    "an item is deleted": ("DELETE", "/1/checklists/{checklist}/checkItems/{item}", {}),
    "a comment is made": ("POST", "/1/cards/{card}/actions/comments", {"text": "New"}),
    "a comment is changed": ("PUT", "/1/actions/{comment}", {"text": "New"}),
    "a comment is deleted": ("DELETE", "/1/actions/{comment}", {}),
    "an attachment is deleted": ("DELETE", "/1/cards/{card}/attachments/{attachment}", {}),
    "a list is renamed": ("PUT", "/1/lists/{list}", {"name": "New"}),
    "a list is archived": ("PUT", "/1/lists/{list}", {"closed": True}),
    "a list goes to another board": ("PUT", "/1/lists/{list}", {"idBoard": "{other_board}"}),
    "a list is made": ("POST", "/1/lists", {"idBoard": "{board}", "name": "New"}),
    "a board is renamed": ("PUT", "/1/boards/{board}", {"name": "New"}),
    "a member leaves a board": ("DELETE", "/1/boards/{board}/members/{robin}", {}),
    "a member is made an admin": (
        "PUT",
        "/1/boards/{board}/members/{robin}",
        {"type": "admin"},
    ),
    "a custom field is renamed": ("PUT", "/1/customFields/{field}", {"name": "New"}),
    "a custom field is deleted": ("DELETE", "/1/customFields/{field}", {}),
}


@pytest.mark.parametrize("edit", EDITS)
async def test_a_change_made_elsewhere_is_seen_on_the_next_get(
    told: Proxy, standin: FakeTrello, ids: dict[str, str], edit: str
) -> None:
    await standin.deliveries.settled()
    targets = READS.format(**ids).split()
    before = [await told.get(target) for target in targets]
    method, path, params = EDITS[edit]
    filled = {name: str(value).format(**ids) for name, value in params.items()}
    standin.trello.edit(method, path.format(**ids), filled)
    await standin.deliveries.settled()
    after = [await told.get(target) for target in targets]
    assert [was for was, now in zip(before, after, strict=True) if was.body != now.body]
    for target, heard in zip(targets, after, strict=True):
        if heard.status == 200:
            assert heard.json == standin.trello.request(target), target
    fresh = [now for was, now in zip(before, after, strict=True) if now.cache.startswith("hit")]
    assert fresh or "board" in edit or "list" in edit, "something elsewhere stays stored"


async def rename(fake_trello: FakeTrello, card: str, name: str) -> None:
    """In Trello's own UI."""
    fake_trello.trello.edit("PUT", f"/1/cards/{card}", {"name": name})
    await fake_trello.deliveries.settled()


async def counted(proxy: Proxy, result: str) -> float:
    return await proxy.metric(f'{DELIVERIES}{{result="{result}"}}')


async def test_without_a_delivery_the_lifetime_bounds_what_is_not_seen(
    told: Proxy, way_in: WayIn, standin: FakeTrello, clock: FakeClock, card: str
) -> None:
    target = f"/1/cards/{card}/name"
    before = (await told.get(target)).json
    way_in.is_open = False
    await rename(standin, card, "Lost")
    clock.advance(29)
    assert (await told.get(target)).json == before
    clock.advance(61)
    assert (await told.get(target)).json == {"_value": "Lost"}


async def test_what_changed_is_kept_for_the_time_that_trello_fails(
    told: Proxy, standin: FakeTrello, card: str
) -> None:
    target = f"/1/cards/{card}/name"
    before = (await told.get(target)).body
    await rename(standin, card, "New")
    standin.faults.add(Fault("status", times=None))
    heard = await told.get(target)
    assert (heard.body, heard.cache) == (before, "fwd=stale; fwd-status=503; detail=stale-if-error")


async def test_the_same_delivery_twice_is_the_same_as_once(
    told: Proxy, way_in: WayIn, standin: FakeTrello, card: str
) -> None:
    await rename(standin, card, "New")
    await told.get(f"/1/cards/{card}")
    assert await way_in.deliver(way_in.arrived[-1]) == 200
    assert (await told.get(f"/1/cards/{card}")).cache.startswith("hit")
    assert (await counted(told, "accepted"), await counted(told, "duplicate")) == (1, 1)
    assert await told.metric(INVALIDATIONS) == 1


async def test_deliveries_in_another_order_end_the_same(
    told: Proxy, way_in: WayIn, standin: FakeTrello, card: str
) -> None:
    way_in.holds = True
    for name in ("One", "Two", "Three"):
        await rename(standin, card, name)
    for delivery in reversed(way_in.arrived):
        assert await way_in.deliver(delivery) == 200
        assert (await told.get(f"/1/cards/{card}/name")).json == {"_value": "Three"}
    assert await counted(told, "accepted") == 3


@pytest.mark.seeds(2)
async def test_whatever_is_edited_and_however_it_is_delivered_the_end_is_the_truth(
    told: Proxy, way_in: WayIn, standin: FakeTrello, ids: dict[str, str], seed: int
) -> None:
    chance = Random(seed)  # noqa: S311 - a walk
    way_in.holds = True
    targets = READS.format(**ids).split()
    for _ in range(12):
        for target in chance.sample(targets, 8):
            await told.get(target)
        method, path, params = EDITS[chance.choice(sorted(EDITS))]
        filled = {name: str(value).format(**ids) for name, value in params.items()}
        with suppress(Refusal):  # what it is about was deleted
            standin.trello.edit(method, path.format(**ids), filled)
        await standin.deliveries.settled()
        for _ in range(chance.randrange(3)):
            if way_in.arrived:
                await way_in.deliver(chance.choice(way_in.arrived))
    rest = [*way_in.arrived, *way_in.arrived]
    chance.shuffle(rest)
    for delivery in rest:
        await way_in.deliver(delivery)
    for target in targets:
        heard = await told.get(target)
        if heard.status == 200:
            assert heard.json == standin.trello.request(target), target
    assert set(way_in.statuses) == {200}
    assert await counted(told, "accepted") == await told.metric(INVALIDATIONS) > 3


async def test_one_edit_may_be_several_actions(
    told: Proxy, way_in: WayIn, standin: FakeTrello, card: str, ids: dict[str, str]
) -> None:
    await standin.deliveries.settled()
    way_in.arrived.clear()
    standin.trello.edit("POST", f"/1/cards/{card}/idLabels", {"value": ids["label"]})
    await standin.deliveries.settled()
    types = [json.loads(each.body)["action"]["type"] for each in way_in.arrived]
    assert types == ["addLabelToCard", "updateCard"]
    assert set(way_in.statuses) == {200}


FORGERIES = {
    "without a signature": {"X-Trello-Webhook": ""},
    "with another's": {"X-Trello-Webhook": "pSxzoWP07xw2FfFXwR5yhKLL7tQ="},
    "with bytes that are no text": {"X-Trello-Webhook": "\udcff"},
}


@pytest.mark.parametrize("fields", FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_forged_delivery_changes_nothing(
    told: Proxy, way_in: WayIn, standin: FakeTrello, card: str, fields: dict[str, str]
) -> None:
    way_in.holds = True
    await told.get(f"/1/cards/{card}")
    await rename(standin, card, "New")
    real = way_in.arrived[-1]
    heard = await told("POST", PATH, data=real.body, headers={**real.fields, **fields})
    assert (heard.status, heard.problem) == (401, "invalid-webhook-signature")
    assert "WWW-Authenticate" in heard.fields
    assert (await told.get(f"/1/cards/{card}")).cache.startswith("hit")
    assert (await counted(told, "invalid-signature"), await told.metric(INVALIDATIONS)) == (1, 0)
    # It has not used up the action's id either.
    assert await way_in.deliver(real) == 200
    assert (await told.get(f"/1/cards/{card}")).json["name"] == "New"


async def test_another_secret_than_trellos_accepts_nothing(
    start_proxy: StartProxy, way_in: WayIn, standin: FakeTrello, board: str, card: str
) -> None:
    yaml = f"credentials: {{secret: another-secret}}\nfreshness: {{webhook_url: '{way_in.url}'}}"
    way_in.proxy = proxy = await start_proxy(yaml)
    wanted = {"callbackURL": way_in.url, "idModel": board}
    standin.trello.edit("POST", f"/1/tokens/{TOKEN}/webhooks", wanted)
    await rename(standin, card, "New")
    assert (way_in.statuses, await counted(proxy, "invalid-signature")) == ([401], 1)


async def test_a_signed_delivery_that_is_not_understood_may_mean_anything(
    told: Proxy, standin: FakeTrello, way_in: WayIn, card: str
) -> None:
    await told.get(f"/1/cards/{card}")
    garbage = b'{"action":'
    signature = standin.deliveries.signature(garbage, way_in.url)
    delivery = Arrived({"X-Trello-Webhook": signature}, garbage)
    assert await way_in.deliver(delivery) == 200
    assert (await told.get(f"/1/cards/{card}")).cache == "fwd=stale; fwd-status=200; stored"
    assert await way_in.deliver(delivery) == 200
    assert (await told.get(f"/1/cards/{card}")).cache.startswith("hit")
    assert (await counted(told, "malformed"), await counted(told, "duplicate")) == (1, 1)


async def test_a_delivery_during_a_fetch_keeps_it_from_being_stored(
    told: Proxy, standin: FakeTrello, clock: FakeClock, card: str
) -> None:
    target = f"/1/cards/{card}/name"
    standin.faults.add(Fault("late", path=target, delay_s=0.1, applied=True))
    asked = asyncio.ensure_future(told.get(target))
    await until(lambda: standin.request_log.count("GET", target) == 1)
    await turns()
    await rename(standin, card, "New")
    clock.advance(0.1)
    heard = await asked
    assert heard.json != {"_value": "New"}
    assert heard.cache.endswith("detail=invalidated-during-fetch")
    assert (await told.get(target)).json == {"_value": "New"}


class TestOwnWrites:
    async def test_their_deliveries_cost_nothing(
        self, told: Proxy, way_in: WayIn, standin: FakeTrello, card: str
    ) -> None:
        way_in.holds = True
        await told("PUT", f"/1/cards/{card}", json={"name": "Mine"})
        await standin.deliveries.settled()
        await told.get(f"/1/cards/{card}")
        assert await way_in.deliver(way_in.arrived[-1]) == 200
        assert (await told.get(f"/1/cards/{card}")).cache.startswith("hit")
        assert (await counted(told, "echo"), await told.metric(INVALIDATIONS)) == (1, 0)

    async def test_one_that_touched_more_than_the_write_told_is_heeded(
        self, told: Proxy, way_in: WayIn, standin: FakeTrello, ids: dict[str, str]
    ) -> None:
        way_in.holds = True
        await told("PUT", f"/1/cards/{ids['card']}", json={"idList": ids["next_list"]})
        await standin.deliveries.settled()
        left = f"/1/lists/{ids['list']}"
        stays = f"/1/boards/{ids['board']}"
        for target in (left, stays):
            await told.get(target)
        assert await way_in.deliver(way_in.arrived[-1]) == 200
        assert (await told.get(stays)).cache.startswith("hit")
        assert (await told.get(left)).cache.startswith("fwd=stale")

    @pytest.mark.parametrize("kind", ["reset", "status"])
    async def test_one_that_may_have_been_made_after_we_gave_up_is_heeded(
        self, told: Proxy, way_in: WayIn, standin: FakeTrello, card: str, kind: Any
    ) -> None:
        way_in.holds = True
        standin.faults.add(Fault(kind, method="PUT", applied=True))
        assert (await told("PUT", f"/1/cards/{card}", json={"name": "Mine"})).status >= 500
        await standin.deliveries.settled()
        await told.get(f"/1/cards/{card}")
        await way_in.deliver(way_in.arrived[-1])
        assert (await counted(told, "echo"), await counted(told, "accepted")) == (0, 1)
        assert (await told.get(f"/1/cards/{card}")).cache.startswith("fwd=stale")

    async def test_a_clients_own_mark_is_passed_on_and_its_delivery_is_heeded(
        self, told: Proxy, way_in: WayIn, standin: FakeTrello, card: str
    ) -> None:
        marked = {"X-Trello-Client-Identifier": "a-tool"}
        await told("PUT", f"/1/cards/{card}", json={"name": "Mine"}, headers=marked)
        await standin.deliveries.settled()
        assert way_in.arrived[-1].fields["X-Trello-Client-Identifier"] == "a-tool"
        assert (await counted(told, "echo"), await counted(told, "accepted")) == (0, 1)

    async def test_each_has_a_mark_of_its_own_and_reads_have_none(
        self, told: Proxy, standin: FakeTrello, card: str
    ) -> None:
        for name in ("One", "Two"):
            await told("PUT", f"/1/cards/{card}", json={"name": name})
        await told.get(f"/1/cards/{card}")
        marks = [
            (each.method, each.fields.get("x-trello-client-identifier", ""))
            for each in standin.request_log.requests
        ]
        assert len({m for method, m in marks if method == "PUT" and m.startswith("trello-pr")}) == 2
        assert {mark for method, mark in marks if method == "GET"} == {""}

    async def test_a_delivery_before_the_writes_own_answer_is_heeded(
        self, told: Proxy, way_in: WayIn, standin: FakeTrello, clock: FakeClock, card: str
    ) -> None:
        path = f"/1/cards/{card}"
        standin.faults.add(Fault("late", method="PUT", path=path, delay_s=0.1, applied=True))
        written = asyncio.ensure_future(told("PUT", path, json={"name": "Mine"}))
        await until(lambda: bool(way_in.statuses))
        assert not written.done()
        assert (await counted(told, "echo"), await counted(told, "accepted")) == (0, 1)
        clock.advance(0.1)
        assert (await written).status == 200
        assert (await told.get(path)).json["name"] == "Mine"


class TestTheDoor:
    async def test_trellos_probe_is_answered(self, hooked: Proxy) -> None:
        heard = await hooked("HEAD", PATH)
        assert (heard.status, heard.body) == (200, b"")

    async def test_nothing_is_there_where_no_webhook_is_configured(self, proxy: Proxy) -> None:
        for method in ("HEAD", "POST", "GET"):
            assert (await proxy(method, PATH)).status == 404

    async def test_other_methods_are_told_so(self, hooked: Proxy) -> None:
        for method in ("GET", "PUT", "DELETE"):
            heard = await hooked(method, PATH)
            assert (heard.status, heard.fields["Allow"]) == (405, "HEAD, POST, OPTIONS")

    async def test_a_body_that_is_too_large_is_not_read(
        self, hooked: Proxy, standin: FakeTrello, way_in: WayIn
    ) -> None:
        async def parts() -> Any:
            for _ in range(MAX_BODY_BYTES // 65_536 + 1):
                yield b" " * 65_536

        announced, streamed = io.BytesIO(b" " * (MAX_BODY_BYTES + 1)), parts()
        for body in (announced, streamed):
            heard = await hooked("POST", PATH, data=body)
            assert (heard.status, heard.problem) == (413, "body-too-large")
        most = b" " * MAX_BODY_BYTES
        fields = {"X-Trello-Webhook": standin.deliveries.signature(most, way_in.url)}
        heard = await hooked("POST", PATH, data=io.BytesIO(most), headers=fields)
        assert (heard.status, await counted(hooked, "malformed")) == (200, 1)

    async def test_its_public_name_leads_to_it_and_to_nothing_else(
        self, start_proxy: StartProxy
    ) -> None:
        url = "https://Hooks.example.com/behind/a/prefix"
        yaml = f"credentials: {{secret: demo-secret}}\nfreshness: {{webhook_url: '{url}'}}"
        proxy = await start_proxy(yaml)

        async def heard_at(host: str, method: str, target: str) -> Heard:
            return await proxy(method, target, headers={"Host": host})

        for host in ("hooks.example.com", "Hooks.Example.COM:8443"):
            assert (await heard_at(host, "HEAD", PATH)).status == 200
            assert (await heard_at(host, "HEAD", f"{PATH}?x=y")).status == 200
            assert (await heard_at(host, "POST", PATH)).problem == "invalid-webhook-signature"
            for other in ("/", "/1/members/me", "/metrics", "/-/purge", f"{PATH}/", f"{PATH}x"):
                assert (await heard_at(host, "GET", other)).status == 421
        assert (await heard_at("evil.example", "HEAD", PATH)).status == 421

    async def test_no_secret_is_logged_or_shown(
        self, told: Proxy, way_in: WayIn, standin: FakeTrello, card: str
    ) -> None:
        await rename(standin, card, "New")
        lines = json.dumps(told.logged("listening") + told.logged("webhook rejected"))
        metrics = (await told.get("/metrics")).body.decode()
        for text in (lines, metrics):
            assert "demo-secret" not in text
            assert TOKEN not in text


class Receiver:
    """A receiver of its own, and what Trello would send it."""

    def __init__(self) -> None:
        metrics, self.clock = Metrics(), FakeClock()
        lines: list[bytes] = []
        log = Log(lines.append, self.clock, "info", "json", str)
        responses = ResponseStore(MemoryTier(1 << 20), None, TagEpochs(seq=1))
        self._callback = Callback("https://hooks.example/-/webhook", "demo-secret")
        self.receiver = WebhookReceiver(
            callback=self._callback,
            echoes=EchoFilter("x"),
            invalidator=Invalidator(responses, metrics, log),
            on_change=lambda _: None,
            metrics=metrics,
            clock=self.clock,
        )

    async def receive(self, number: int, **action: str) -> DeliveryResult:
        """The result of a delivery for the model with this number."""
        name = f"{number:024x}"
        body = json.dumps({"action": {"id": name, **action}, "model": {"id": name}}).encode()
        signed = body + self._callback.url.encode()
        digest = hmac.digest(self._callback.secret.encode(), signed, "sha1")
        return await self.receiver.receive(body, base64.b64encode(digest).decode(), "")


async def test_what_is_remembered_of_deliveries_is_bounded() -> None:
    made = Receiver()
    for number in range(MAX_REMEMBERED_DELIVERIES + 1):
        assert await made.receive(number) is DeliveryResult.ACCEPTED
    assert await made.receive(1) is DeliveryResult.DUPLICATE
    assert await made.receive(0) is DeliveryResult.ACCEPTED
    models = [
        f"{number:024x}"
        for number in (2, 0, MAX_REMEMBERED_DELIVERIES, MAX_REMEMBERED_DELIVERIES + 1)
    ]
    now = made.clock.now()
    assert [made.receiver.delivered_since(each, now) for each in models] == [
        False,
        True,
        True,
        False,
    ]


async def test_a_board_is_up_to_date_to_the_action_delivered_last_and_by_no_duplicate() -> None:
    made, model = Receiver(), f"{7:024x}"
    receiver, began = made.receiver, made.clock.now()
    assert not receiver.is_up_to_date(model, "2026-11-28T10:00:00.000Z", began)
    await made.receive(7, date="2026-11-28T10:00:00.000Z")
    dates = [f"2026-11-28T10:00:0{second}Z" for second in ("0.000", "0.900", "1.100")]
    assert [receiver.is_up_to_date(model, each, began) for each in dates] == [True, True, False]
    assert not receiver.is_up_to_date(model, "no date", began)
    made.clock.advance(5)
    delivered_at = receiver.delivered_at
    assert await made.receive(7, date="2026-11-28T10:00:00.000Z") is DeliveryResult.DUPLICATE
    assert not receiver.is_up_to_date(model, "2026-11-28T10:00:00.000Z", began + 1)
    assert receiver.delivered_at == delivered_at


class TestAToolsOwnWebhook:
    """Trello tells the tool and the proxy one after the other; the tool reads at once."""

    @pytest.fixture
    async def tool(self, standin: FakeTrello, card: str) -> AsyncIterator["Tool"]:
        made, app = Tool(f"/1/cards/{card}/name"), web.Application()
        app.router.add_route("*", "/", made.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        wanted = {"callbackURL": url, "idModel": card}
        standin.trello.edit("POST", f"/1/tokens/{TOKEN}/webhooks", wanted)
        yield made
        await runner.cleanup()

    @pytest.mark.parametrize("is_told", [True, False], ids=["told", "never told"])
    async def test_with_no_cache_it_reads_what_is_true_and_so_do_the_others(
        self, tool: "Tool", hooked: Proxy, way_in: WayIn, standin: FakeTrello, *, is_told: bool
    ) -> None:
        tool.proxy = hooked
        card = standin.trello.example_card
        if is_told:
            await hook(way_in, standin)
        await hooked.get(tool.target)
        tool.headers = {"Cache-Control": "no-cache"}
        await rename(standin, card, "New")
        assert [heard.json for heard in tool.heard] == [{"_value": "New"}]
        assert (await hooked.get(tool.target)).json == {"_value": "New"}

    async def test_once_the_proxy_is_told_too_it_needs_none(
        self, tool: "Tool", hooked: Proxy, way_in: WayIn, standin: FakeTrello
    ) -> None:
        tool.proxy = hooked
        card = standin.trello.example_card
        await hook(way_in, standin)
        before = await hooked.get(tool.target)
        await rename(standin, card, "New")
        assert [heard.body for heard in tool.heard] == [before.body]  # told before the proxy was
        assert (await hooked.get(tool.target)).json == {"_value": "New"}


class Tool:
    """Reads from the proxy whenever Trello tells it of a change."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.proxy: Proxy | None = None
        self.headers: dict[str, str] = {}
        self.heard: list[Heard] = []

    async def handle(self, request: web.Request) -> web.Response:
        if request.method == "POST" and self.proxy is not None:
            self.heard.append(await self.proxy.get(self.target, headers=self.headers))
        return web.Response()


async def hook(way_in: WayIn, fake_trello: FakeTrello) -> None:
    """Make the proxy's own webhook."""
    wanted = {"callbackURL": way_in.url, "idModel": fake_trello.trello.example_board}
    fake_trello.trello.edit("POST", f"/1/tokens/{TOKEN}/webhooks", wanted)
