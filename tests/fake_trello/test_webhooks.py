"""Webhooks are probed when created, signed, and receive every action on their model."""

import base64
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

TOKEN = "1" * 64


@dataclass
class Receiver:
    """Someone to call back."""

    url: str = ""
    probe_status: int = 200
    post_status: int = 200
    response: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        if request.method == "HEAD":
            return web.Response(status=self.probe_status)
        self.response.append((dict(request.headers), await request.read()))
        return web.Response(status=self.post_status)

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["action"]["type"] for _, body in self.response]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_route("*", "/hook", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield made
    await runner.cleanup()


async def subscribe(request: Any, receiver: Receiver, model: str) -> Any:
    body = {"callbackURL": receiver.url, "idModel": model, "description": "test"}
    return await request("POST", "/1/webhooks", json=body)


async def test_a_webhook_receives_actions_that_feeds_do_not_list(
    client: Any, receiver: Receiver
) -> None:
    board = client.trello.example_board
    assert (await subscribe(client, receiver, board)).json["idModel"] == board
    label = client.trello.request(f"/1/boards/{board}/labels")[0]["id"]
    client.trello.edit("PUT", f"/1/labels/{label}", {"name": "renamed"})
    client.trello.edit("PUT", f"/1/cards/{client.trello.example_card}", {"pos": 7, "name": "x"})
    await client.fake_trello.deliveries.settled()
    assert receiver.types == ["updateLabel", "updateCard", "updateCard"]


async def test_a_delivery_is_signed_over_body_and_callback(client: Any, receiver: Receiver) -> None:
    await subscribe(client, receiver, client.trello.example_card)
    fields = {"X-Trello-Client-Identifier": "someone", "Authorization": credential()}
    target = f"/1/cards/{client.trello.example_card}"
    await client("PUT", target, json={"desc": "new"}, headers=fields)
    await client.fake_trello.deliveries.settled()
    response, body = receiver.response[0]
    digest = hmac.digest(b"demo-secret", body + receiver.url.encode(), "sha1")
    assert response["X-Trello-Webhook"] == base64.b64encode(digest).decode()
    assert response["X-Trello-Client-Identifier"] == "someone"
    said = json.loads(body)
    assert set(said) == {"action", "model", "webhook"}
    assert said["action"]["data"]["old"] == {"desc": "The picture is the agreed draft."}
    assert said["model"]["desc"] == "new"
    assert TOKEN not in body.decode()


def credential() -> str:
    return f'OAuth oauth_consumer_key="{"0" * 32}", oauth_token="{TOKEN}"'


async def test_a_webhook_receives_actions_on_its_own_model_only(
    client: Any, receiver: Receiver
) -> None:
    await subscribe(client, receiver, client.trello.example_card)
    other = next(c for c in client.trello.cards.all() if c["id"] != client.trello.example_card)
    client.trello.edit("PUT", f"/1/cards/{other['id']}", {"name": "x"})
    await client.fake_trello.deliveries.settled()
    assert receiver.response == []


async def test_a_callback_that_does_not_say_200_is_refused(client: Any, receiver: Receiver) -> None:
    receiver.probe_status = 404
    response = await subscribe(client, receiver, client.trello.example_board)
    assert response.status == 400
    message = f"URL ({receiver.url}) did not return 200 status code, got 404"
    assert response.json == {"error": "ERROR", "message": message}


async def test_the_same_webhook_twice_is_refused(client: Any, receiver: Receiver) -> None:
    assert (await subscribe(client, receiver, client.trello.example_board)).status == 200
    assert (await subscribe(client, receiver, client.trello.example_board)).status == 400


async def test_failures_are_counted_and_success_resets_them(
    client: Any, receiver: Receiver
) -> None:
    made = (await subscribe(client, receiver, client.trello.example_board)).json
    counts: list[int] = []
    for status in (500, 500, 200):
        receiver.post_status = status
        client.trello.edit(
            "PUT", f"/1/cards/{client.trello.example_card}", {"name": f"x{len(counts)}"}
        )
        await client.fake_trello.deliveries.settled()
        counts.append((await client.get(f"/1/webhooks/{made['id']}")).json["consecutiveFailures"])
    assert counts == [1, 2, 0]


async def test_410_ends_a_webhook(client: Any, receiver: Receiver) -> None:
    made = (await subscribe(client, receiver, client.trello.example_board)).json
    receiver.post_status = 410
    client.trello.edit("PUT", f"/1/cards/{client.trello.example_card}", {"name": "x"})
    await client.fake_trello.deliveries.settled()
    assert (await client.get(f"/1/webhooks/{made['id']}")).status == 404


async def test_webhooks_are_listed_by_their_token_and_die_with_it(
    client: Any, receiver: Receiver
) -> None:
    made = (await subscribe(client, receiver, client.trello.example_board)).json
    assert (await client.get(f"/1/tokens/{TOKEN}/webhooks")).json[0]["id"] == made["id"]
    assert (await client("PUT", f"/1/webhooks/{made['id']}", json={"active": False})).status == 200
    client.trello.revoke(TOKEN)
    assert len(client.trello.webhooks) == 0
