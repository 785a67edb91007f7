"""Who is the machine itself, and who only seems to be."""

import pytest

from proxy.server.loopback import is_local, is_loopback

PLAIN = (
    "Host",
    "User-Agent",
    "Accept",
    "Authorization",
    "Sec-Fetch-Site",
    "X-Request-Id",
    "X-Requested-With",
    "X-Trello-Client-Identifier",
    "X-Trello-User-Agent-Extension",
    "traceparent",
)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_the_machine_itself(peer: str, host: str) -> None:
    assert is_local(peer, host, PLAIN)


@pytest.mark.parametrize("peer", ["", "192.0.2.1", "10.0.0.1", "::ffff:10.0.0.1", "localhost.x"])
def test_another_machine(peer: str) -> None:
    assert not is_local(peer, "localhost", PLAIN)


@pytest.mark.parametrize("host", [None, "", "trello.internal", "192.0.2.1", "localhost.evil", "0"])
def test_a_name_that_others_use(host: str | None) -> None:
    assert not is_local("127.0.0.1", host, PLAIN)


@pytest.mark.parametrize(
    "name",
    [
        "Akamai-Origin-Hop",
        "CDN-Loop",
        "CF-Connecting-IP",
        "CF-Ray",
        "CloudFront-Viewer-Address",
        "Do-Connecting-IP",
        "Fastly-Client-IP",
        "Fly-Client-IP",
        "Forwarded",
        "Tailscale-User-Login",
        "True-Client-IP",
        "VIA",
        "X-Amzn-Trace-Id",
        "X-Azure-ClientIP",
        "X-Client-Ip",
        "X-Cluster-Client-Ip",
        "X-Envoy-External-Address",
        "X-Forwarded",
        "X-Forwarded-For",
        "X-Original-Host",
        "X-Original-URL",
        "X-ProxyUser-Ip",
        "X-Real-Ip",
        "X-Remote-Addr",
        "X-Varnish",
        "X-Vercel-Id",
        "x-forwarded-anything",
    ],
)
def test_a_field_that_says_it_was_forwarded(name: str) -> None:
    assert not is_local("127.0.0.1", "localhost", (*PLAIN, name))


def test_the_loopback_has_many_addresses_and_one_name() -> None:
    assert [is_loopback(name) for name in ("Localhost", "127.255.0.1", "::1")] == [True] * 3
    assert [is_loopback(name) for name in ("localhost.", "128.0.0.1", "::2", "x")] == [False] * 4
