"""A stand-in with samples on a fake clock, and someone to ask it."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from yarl import URL

from proxy.fake_trello.samples import fill
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock

KEY = "0" * 32
TOKEN = "1" * 64
OTHER_TOKEN = "2" * 64


def oauth(token: str = TOKEN, key: str = KEY) -> dict[str, str]:
    """The header field that shows credentials."""
    return {"Authorization": f'OAuth oauth_consumer_key="{key}", oauth_token="{token}"'}


@dataclass
class Heard:
    """An answer, read to its end."""

    status: int
    fields: Any
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Asks:
    """Asks a stand-in; with the primary credentials in the header unless told otherwise."""

    def __init__(self, fake_trello: FakeTrello, session: aiohttp.ClientSession) -> None:
        self.standin = fake_trello
        self.session = session
        self.trello = fake_trello.trello

    async def __call__(self, method: str, target: str, **options: Any) -> Heard:
        options.setdefault("headers", oauth())
        url = target if target.startswith("http") else self.standin.url + target
        async with self.session.request(
            method, URL(url, encoded=True), allow_redirects=False, **options
        ) as response:
            return Heard(response.status, response.headers, await response.read())

    async def get(self, target: str, **options: Any) -> Heard:
        return await self("GET", target, **options)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def standin(clock: FakeClock) -> AsyncIterator[FakeTrello]:
    made = FakeTrello(clock, key=KEY, token=TOKEN)
    fill(made.trello)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def ask(standin: FakeTrello) -> AsyncIterator[Asks]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Asks(standin, session)
