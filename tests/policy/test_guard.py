"""Web pages are kept out; curl and servers notice nothing."""

import pytest

from proxy.errors import CrossSite, HostNotAllowed
from proxy.policy.guard import Guard, host_name, hosts_of

ALLOWED = "https://tools.internal"
GUARD = Guard(hosts_of("trello.internal", "Proxy.Example", extra=["More"]), frozenset({ALLOWED}))
HERE = "192.0.2.7"

ANSWERED = {
    "the public name": "trello.internal",
    "with its port": "trello.internal:8080",
    "in any letter case": "TRELLO.Internal",
    "a name listed in upper case": "proxy.example",
    "a configured name": "more:99",
    "localhost": "localhost:8080",
    "the loopback": "127.0.0.1:8080",
    "the loopback of IPv6": "[::1]:8080",
    "the address that was connected to": "192.0.2.7:8080",
}

NOT_ANSWERED = {
    "nothing": "",
    "another name": "evil.example",
    "a name that ends alike": "evil-trello.internal",
    "a name that begins alike": "trello.internal.evil.example",
    "the name with a dot at the end": "trello.internal.",
    "another address": "192.0.2.8",
    "somebody else's user": "trello.internal@evil.example",
    "a space": "trello.internal evil",
    "two names": "trello.internal,evil.example",
    "a path": "trello.internal/x",
    "a port that is none": "trello.internal:80x",
    "a port too long": "trello.internal:808080",
    "an open bracket": "[::1",
    "a line feed at the end": "trello.internal\n",
}

MAY_ASK = {
    "curl": ("", ""),
    "a page of an allowed origin": (ALLOWED, "cross-site"),
    "a page of our own": ("http://proxy:8080", "same-origin"),
    "an address typed in": ("", "none"),
    "a page of our own that reads": ("", "same-origin"),
}

MAY_NOT_ASK = {
    "a page of another origin": ("https://evil.example", "cross-site"),
    "one that says nothing about the site": ("https://evil.example", ""),
    "a page without an origin of its own": ("null", "cross-site"),
    "the allowed name in another scheme": ("http://tools.internal", "cross-site"),
    "the allowed name on another port": ("https://tools.internal:8443", "cross-site"),
    "our name on another port": ("http://proxy:9090", "same-site"),
    "an origin without a scheme": ("proxy:8080", "cross-site"),
    "an origin nobody can read": ("http://[", "cross-site"),
    "a form or an image of another site": ("", "cross-site"),
    "one of a neighbour": ("", "same-site"),
}


@pytest.mark.parametrize("host", ANSWERED.values(), ids=ANSWERED.keys())
def test_a_host_is_answered(host: str) -> None:
    GUARD.check_host(host, HERE)


@pytest.mark.parametrize("host", NOT_ANSWERED.values(), ids=NOT_ANSWERED.keys())
def test_a_host_is_not_answered(host: str) -> None:
    with pytest.raises(HostNotAllowed):
        GUARD.check_host(host, HERE)


@pytest.mark.parametrize(("origin", "site"), MAY_ASK.values(), ids=MAY_ASK.keys())
def test_may_ask(origin: str, site: str) -> None:
    GUARD.check_origin(origin, site, "proxy:8080", embeddable=False)


@pytest.mark.parametrize(("origin", "site"), MAY_NOT_ASK.values(), ids=MAY_NOT_ASK.keys())
def test_may_not_ask(origin: str, site: str) -> None:
    with pytest.raises(CrossSite):
        GUARD.check_origin(origin, site, "proxy:8080", embeddable=False)


def test_the_callbacks_name_leads_to_the_callback_alone() -> None:
    guard = Guard(frozenset({"proxy"}), frozenset(), "hooks.example")
    for path in ("/-/webhook", "/-/webhook?a=b"):
        guard.check_host("Hooks.example:443", "10.0.0.1", path)
        guard.check_host("proxy", "10.0.0.1", path)
    for path in ("/", "", "/-/webhook/", "/-/webhooks", "//-/webhook", "/1/x?/-/webhook"):
        with pytest.raises(HostNotAllowed):
            guard.check_host("hooks.example", "10.0.0.1", path)
    for host in ("", "evil.example", "hooks.example.evil"):
        with pytest.raises(HostNotAllowed):
            guard.check_host(host, "10.0.0.1", "/-/webhook")
        with pytest.raises(HostNotAllowed):
            Guard(frozenset(), frozenset()).check_host(host, "10.0.0.1", "/-/webhook")


def test_any_page_may_embed_what_is_embeddable_unless_it_names_a_foreign_origin() -> None:
    GUARD.check_origin("", "cross-site", "proxy:8080", embeddable=True)
    with pytest.raises(CrossSite):
        GUARD.check_origin("https://evil.example", "cross-site", "proxy:8080", embeddable=True)


def test_cors_is_for_allowed_origins_alone_and_never_for_all() -> None:
    fields = dict(GUARD.cors(ALLOWED))
    assert fields["Access-Control-Allow-Origin"] == ALLOWED
    assert fields["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in fields
    for origin in ("", "null", "*", "https://evil.example"):
        assert GUARD.cors(origin) == ()


def test_a_host_name_has_no_port_no_brackets_and_one_letter_case() -> None:
    assert [host_name(host) for host in ("A.b:1", "[FE80::1]:2", "[::1]", "a b", "")] == [
        "a.b",
        "fe80::1",
        "::1",
        None,
        None,
    ]
