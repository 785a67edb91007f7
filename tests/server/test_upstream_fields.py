"""Which of Trello's header fields reach a client, and how little they can do there."""

import pytest

from tests.server.conftest import Start, says
from tests.server.raw_upstream import (
    BODY,
    JSON,
    READ,
    answer,
)

NEVER = {
    "Set-Cookie": "dsc=5ecret; Path=/; Secure",
    "set-cookie2": "dsc=5ecret",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Allow-Headers": "Authorization",
    "Access-Control-Expose-Headers": "x",
    "Access-Control-Max-Age": "9",
    "Connection": "close, X-Named, x-other",
    "X-Named": "hop",
    "X-Other": "hop",
    "Keep-Alive": "timeout=5",
    "Proxy-Authenticate": "Basic",
    "Proxy-Connection": "keep-alive",
    "Trailer": "X-T",
    "TE": "trailers",
    "Upgrade": "h2c",
    "Strict-Transport-Security": "max-age=15552000; includeSubDomains",
    "Location": "https://evil.example/5igned",
    "Content-Location": "https://evil.example/5igned",
    "Link": "<https://evil.example/>; rel=next",
    "Refresh": "0; url=https://evil.example/",
    "WWW-Authenticate": "OAuth",
    "Clear-Site-Data": '"*"',
    "Alt-Svc": 'h3=":443"',
    "Server": "globaledge-envoy",
    "Via": "1.1 cloudfront",
    "X-Request-Id": "theirs",
}


@pytest.mark.parametrize("target", [READ, "/1/batch?urls=/nowhere/x", "/1/search?query=x"])
async def test_fields_about_one_connection_or_one_host_never_pass(
    before: Start, target: str
) -> None:
    head = JSON + b"X-Trello-Version: 1.2\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in NEVER.items()).encode()
    proxy = await before(answer(b"[]", head))
    for _ in range(2):
        heard = await proxy.get(target)
        assert heard.status == 200
        assert heard.fields["x-trello-version"] == "1.2"
        passed = {name.lower() for name in NEVER} & set(heard.fields)
        assert passed == {"x-request-id"}
        assert heard.fields["x-request-id"] != "theirs"
        names = [name for name, _ in heard.field_list]
        assert len(names) == len(set(names))


async def test_a_field_cannot_end_the_header_early(before: Start) -> None:
    proxy = await before(answer(head=JSON + b"X-A: caf\xe9\x01 \x85 \x0b\x0c b\r\nX-B: \xff\r\n"))
    heard = await proxy.get(READ)
    if heard.status == 200:
        assert heard.fields["x-a"].startswith("caf\xe9")
        assert heard.body == BODY
    else:
        assert says(heard, 502, "invalid-response")


async def test_a_thousand_fields_are_borne(before: Start) -> None:
    many = b"".join(b"X-%d: y\r\n" % number for number in range(1000))
    proxy = await before(answer(head=JSON + many))
    assert (await proxy.get(READ)).status in {200, 502}
    assert (await proxy.get("/healthz")).status == 200
