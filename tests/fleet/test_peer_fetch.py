"""Bytes of a file from another node."""

import asyncio
from functools import partial

import pytest

from proxy.attachments.store.shared_file import FileOffer
from proxy.observability.metrics import Metrics
from proxy.server.fleet.peer_client import PeerClient
from proxy.server.fleet.peer_fetch import PeerFetch

BODY = b"0123456789"


@pytest.mark.parametrize("start", [0, 4])
async def test_the_length_that_the_leader_said_holds_for_a_response_without_one(start: int) -> None:
    """Such a response ends with its connection, be that cut or not."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 %d OK\r\n\r\n" % (206 if start else 200) + BODY[start:-1])
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    client = PeerClient(lambda: b"key", bytes)
    offer = FileOffer("id", len(BODY), "image/png", 0, len(BODY))
    bound = partial(asyncio.timeout, 5)
    fetch = PeerFetch(client, f"{host}:{port}", offer, start, bound=bound, metrics=Metrics())
    try:
        assert (await fetch.open()).length == len(BODY)
    finally:
        await fetch.aclose()
        await client.close()
        server.close()
