"""An address inside is not connected to, whatever name it hides behind."""

import aiohttp
import pytest
from aiohttp import web

from proxy.errors import InvalidResponse
from proxy.upstream.transport import Transport, UpstreamRequest


async def _answer(_: web.BaseRequest) -> web.Response:
    return web.Response(text="inside")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_address_is_judged_when_connecting(host: str) -> None:
    asked: list[tuple[str, int]] = []

    def never(address: str, port: int) -> bool:
        asked.append((address, port))
        return False

    runner = web.ServerRunner(web.Server(_answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    upstream = Transport(connect_timeout_s=5, read_timeout_s=5, may_connect=never)
    try:
        with pytest.raises(InvalidResponse):
            await upstream.send(UpstreamRequest("GET", f"http://{host}:{port}/", ()))
    finally:
        await upstream.close()
        await runner.cleanup()
    assert asked
    assert {each[1] for each in asked} == {port}
    assert all(aiohttp.helpers.is_ip_address(address) for address, _ in asked)
