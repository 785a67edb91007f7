"""A request that comes round again is stopped, by whatever way it came."""

import socket

from proxy.fake_trello.server import FakeTrello
from tests.server.conftest import MakeProxy, Proxy
from tests.server.raw_upstream import RawUpstream

CARD = "/1/members/me"


async def test_the_via_field_is_sent_upstream(
    make_proxy: MakeProxy, raw_upstream: RawUpstream
) -> None:
    raw_upstream.said = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    proxy = await make_proxy(raw_upstream.url)
    for method in ("GET", "POST"):
        await proxy.ask(method, CARD, {"Via": "1.0 first, 1.1 second"})
        header = raw_upstream.asked[-1].decode().lower()
        told = [line for line in header.splitlines() if line.startswith("via:")]
        assert told == ["via: 1.0 first, 1.1 second", f"via: 1.1 {told[-1].split()[-1]}"]


async def test_a_request_that_has_been_here_before_is_508(
    proxy: Proxy, standin: FakeTrello
) -> None:
    await proxy.get(CARD)
    (seen,) = standin.request_log.requests
    heard = await proxy.get(f"{CARD}?fields=id", {"Via": f"1.1 a, {seen.fields['via']}, 1.0 b"})
    assert heard.status == 508
    assert heard.fields["proxy-status"] == "trello-proxy; error=proxy_loop_detected"
    assert standin.request_log.total == 1


async def test_a_proxy_pointed_at_itself_says_so(
    make_proxy: MakeProxy, standin: FakeTrello
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    proxy = await make_proxy(f"http://127.0.0.1:{port}", port=port)
    heard = await proxy.get(CARD)
    assert heard.status == 508


async def test_two_proxies_pointed_at_each_other_say_so(make_proxy: MakeProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    there = await make_proxy(f"http://127.0.0.1:{port}")
    here = await make_proxy(f"http://{there.host}", port=port)
    assert (await here.get(CARD)).status == 508
