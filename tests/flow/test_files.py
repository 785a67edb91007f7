"""An attachment: fetched once, read by anyone at any offset, kept, and never short without a sign."""

import asyncio

from proxy.demo.call import File
from proxy.demo.standin import StandIn
from tests.flow.conftest import Proxy


def attach(standin: StandIn, card: str, name: str, content_type: str, body: bytes) -> str:
    made = standin.trello.upload(card, File(name, content_type, body))
    return str(made["url"]).removeprefix("https://trello.com")


async def test_smoke(proxy: Proxy, standin: StandIn, card: str) -> None:
    path = attach(standin, card, "a.bin", "image/png", bytes(range(256)) * 4000)
    heard = await proxy.get(path)
    print(heard.status, heard.fields, heard.body[:200])
    assert heard.status == 200
    assert heard.body == bytes(range(256)) * 4000
    heard = await proxy.get(path, headers={"Range": "bytes=5-9"})
    print(heard.status, heard.fields, heard.body[:200])
    assert heard.body == bytes([5, 6, 7, 8, 9])
    assert standin.asked.downloads == 1
