"""Web pages are kept out; curl and servers notice nothing."""

import pytest

from proxy.errors import CrossOriginDenied, HostNotAllowed
from proxy.http_semantics.fields import FetchMetadata
from proxy.http_semantics.target import host_name
from proxy.server.browser_guard import EMBEDDABLE, ISOLATED, BrowserGuard, hosts_of

ALLOWED = "https://tools.internal"
GUARD = BrowserGuard(
    hosts_of("trello.internal", "Proxy.Example", extra=["More"]), frozenset({ALLOWED})
)
HERE = "192.0.2.7"
READ = "/1/boards/x"

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
    "curl": ("", "", ""),
    "a page of an allowed origin": (ALLOWED, "cross-site", ""),
    "a page of our own": ("http://proxy:8080", "same-origin", ""),
    "an address typed in": ("", "none", ""),
    "a page of our own that reads": ("", "same-origin", ""),
    "one that says so over plain http": ("", "", "http://Proxy:8080/b/x?y"),
    "an image of an allowed origin": ("", "", f"{ALLOWED}/x"),
    "the same over https": ("", "cross-site", f"{ALLOWED}/x"),
    "a referrer that is none": ("", "", "proxy"),
}

MAY_NOT_ASK = {
    "a page of another origin": ("https://evil.example", "cross-site", ""),
    "one that says nothing about the site": ("https://evil.example", "", ""),
    "a page without an origin of its own": ("null", "cross-site", ""),
    "the allowed name in another scheme": ("http://tools.internal", "cross-site", ""),
    "the allowed name on another port": ("https://tools.internal:8443", "cross-site", ""),
    "our name on another port": ("http://proxy:9090", "same-site", ""),
    "an origin without a scheme": ("proxy:8080", "cross-site", ""),
    "an origin nobody can read": ("http://[", "cross-site", ""),
    "a form or an image of another site": ("", "cross-site", ""),
    "one of a neighbour": ("", "same-site", ""),
    "one over plain http": ("", "", "http://evil.example/"),
    "one on another port": ("", "", "http://proxy:8081/"),
    "one that was redirected by us": ("", "cross-site", "http://proxy:8080/"),
}


@pytest.mark.parametrize("host", ANSWERED.values(), ids=ANSWERED.keys())
def test_a_host_is_answered(host: str) -> None:
    GUARD.check_host(host, HERE)


@pytest.mark.parametrize("host", NOT_ANSWERED.values(), ids=NOT_ANSWERED.keys())
def test_a_host_is_not_answered(host: str) -> None:
    with pytest.raises(HostNotAllowed):
        GUARD.check_host(host, HERE)


def sender(origin: str = "", site: str = "", referrer: str = "", **more: str) -> FetchMetadata:
    told = {"Origin": origin, "Sec-Fetch-Site": site, "Referer": referrer}
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return FetchMetadata(
        {"Host": "Proxy:8080", **{name: told[name] for name in told if told[name]}, **named}
    )


@pytest.mark.parametrize(("origin", "site", "referrer"), MAY_ASK.values(), ids=MAY_ASK.keys())
def test_may_ask(origin: str, site: str, referrer: str) -> None:
    GUARD.check_sender(sender(origin, site, referrer), "GET", READ)


@pytest.mark.parametrize(
    ("origin", "site", "referrer"), MAY_NOT_ASK.values(), ids=MAY_NOT_ASK.keys()
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_may_not_ask(method: str, origin: str, site: str, referrer: str) -> None:
    with pytest.raises(CrossOriginDenied):
        GUARD.check_sender(sender(origin, site, referrer), method, READ)


def test_a_referer_names_a_page_that_reads_and_none_that_writes() -> None:
    listed = sender("", "cross-site", f"{ALLOWED}/")
    GUARD.check_sender(listed, "HEAD", READ)
    with pytest.raises(CrossOriginDenied):
        GUARD.check_sender(listed, "POST", READ)


def test_the_callbacks_name_leads_to_the_callback_alone() -> None:
    guard = BrowserGuard(frozenset({"proxy"}), frozenset(), "hooks.example")
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
            BrowserGuard(frozenset(), frozenset()).check_host(host, "10.0.0.1", "/-/webhook")


EMBEDDED = ("/1/client.js", "/1/client.js?key=x", "/1/card/x/attachments/y/download/a?s=1")
NOT_EMBEDDED = ("/1/client.jsx", "/1/boards/x", "/1/cards/x?/attachments/y/download", "/c/x")


def test_any_page_may_embed_files_and_client_js_unless_it_names_a_foreign_origin() -> None:
    for foreign in (sender(site="cross-site"), sender(referrer="http://evil.example/")):
        for raw_path in EMBEDDED:
            GUARD.check_sender(foreign, "GET", raw_path)
            with pytest.raises(CrossOriginDenied):
                GUARD.check_sender(foreign, "POST", raw_path)
        for raw_path in NOT_EMBEDDED:
            with pytest.raises(CrossOriginDenied):
                GUARD.check_sender(foreign, "GET", raw_path)
    with pytest.raises(CrossOriginDenied):
        GUARD.check_sender(sender("https://evil.example"), "GET", EMBEDDED[0])


def test_any_page_may_lead_a_person_here() -> None:
    opened = sender(site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
    GUARD.check_sender(opened, "GET", READ)
    GUARD.check_sender(
        sender(referrer="http://evil.example", Accept="application/xhtml+xml"), "GET", "/"
    )
    with pytest.raises(CrossOriginDenied):
        GUARD.check_sender(opened, "POST", READ)


def test_below_1_nothing_runs_but_client_js_and_calls() -> None:
    for destination in ("script", "style", "sharedworker"):
        runs = sender(site="same-origin", Sec_Fetch_Dest=destination)
        for raw_path in ("/1/client.js", "/-/page.js", "/1/boards/x?callback=f"):
            GUARD.check_sender(runs, "GET", raw_path)
        for raw_path in (READ, EMBEDDED[2], "/1/x/client.js", "/1/client.js/x"):
            with pytest.raises(CrossOriginDenied):
                GUARD.check_sender(runs, "GET", raw_path)
    GUARD.check_sender(sender(site="cross-site", Sec_Fetch_Dest="image"), "GET", EMBEDDED[2])


def test_scripts_of_ours_are_for_any_page_and_calls_for_pages_of_allowed_origins() -> None:
    listed, silent = sender(referrer=f"{ALLOWED}/"), sender()
    call = "/1/boards/x?callback=f"
    assert GUARD.isolation(silent, "/1/client.js?x") == EMBEDDABLE
    assert GUARD.isolation(listed, call) == EMBEDDABLE
    for who, raw_path in ((silent, call), (listed, READ), (sender(referrer="http://x/"), call)):
        assert GUARD.isolation(who, raw_path) == ISOLATED


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
