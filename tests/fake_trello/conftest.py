"""Fixtures: a fake Trello with sample data on a fake clock, and a client of it."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from yarl import URL

from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.samples import fill

KEY = "0" * 32
TOKEN = "1" * 64
OTHER_TOKEN = "2" * 64


def oauth(token: str = TOKEN, key: str = KEY) -> dict[str, str]:
    """The header field with a credential."""
    return {"Authorization": f'OAuth oauth_consumer_key="{key}", oauth_token="{token}"'}


@dataclass
class Response:
    """A response with its whole body."""

    status: int
    fields: Any
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A client of the fake Trello; sends the primary credential in the header by default."""

    def __init__(self, fake_trello: FakeTrello, session: aiohttp.ClientSession) -> None:
        self.fake_trello = fake_trello
        self.session = session
        self.trello = fake_trello.trello

    async def __call__(self, method: str, target: str, **options: Any) -> Response:
        options.setdefault("headers", oauth())
        url = target if target.startswith("http") else self.fake_trello.url + target
        async with self.session.request(
            method, URL(url, encoded=True), allow_redirects=False, **options
        ) as response:
            return Response(response.status, response.headers, await response.read())

    async def get(self, target: str, **options: Any) -> Response:
        return await self("GET", target, **options)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def fake_trello(clock: FakeClock) -> AsyncIterator[FakeTrello]:
    server = FakeTrello(clock, key=KEY, token=TOKEN)
    fill(server.trello)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(fake_trello: FakeTrello) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Client(fake_trello, session)
