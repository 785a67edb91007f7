"""Which header fields cross, each way."""

import pytest

from proxy.http_semantics.fields import (
    MAX_FIELD_CHARS,
    to_client,
    to_store,
    to_upstream,
)
from proxy.model import Fields

KEPT_FROM_CLIENTS = (
    "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
    "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length",
    "Set-Cookie", "SET-COOKIE", "Set-Cookie2", "Alt-Svc", "Strict-Transport-Security",
    "Clear-Site-Data", "NEL", "Report-To", "Server", "Via", "Age", "Cache-Status", "Proxy-Status",
    "Location", "Content-Location", "Refresh", "Link", "WWW-Authenticate",
    "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "access-control-max-age",
    "ETag", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest",
    "X-Rate-Limit-Api-Token-Remaining", "x-rate-limit-api-key-max",
)  # fmt: skip

KEPT_FROM_TRELLO = (
    "Authorization", "Cookie", "Host", "Origin", "Referer", "Connection", "Transfer-Encoding",
    "Content-Length", "Accept-Encoding", "If-None-Match", "If-Modified-Since", "Range",
    "Cache-Control", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded",
    "X-HTTP-Method-Override", "X-Original-URL", "Expect", "TE", "Proxy-Authorization",
    "Sec-Fetch-Site", "X-Request-Id",
)  # fmt: skip

OF_ONE_EXCHANGE = (
    "Cache-Control", "Expires", "Pragma", "Surrogate-Control", "Vary", "Last-Modified",
    "X-Rate-Limit-Member-Remaining",
)  # fmt: skip


@pytest.mark.parametrize("name", KEPT_FROM_CLIENTS)
def test_never_reaches_a_client(name: str) -> None:
    assert to_client(((name, "x"), ("X-Kept", "y"))) == (("X-Kept", "y"),)


@pytest.mark.parametrize("name", KEPT_FROM_TRELLO)
def test_never_reaches_trello(name: str) -> None:
    assert to_upstream([(name, "x"), ("Accept", "y")]) == (("Accept", "y"),)


@pytest.mark.parametrize("name", OF_ONE_EXCHANGE)
def test_reaches_a_client_once_and_is_not_stored(name: str) -> None:
    fields: Fields = ((name, "x"), ("Content-Type", "application/json"))
    assert to_client(fields) == fields
    assert to_store(fields) == (("Content-Type", "application/json"),)


def test_what_connection_names_stays_behind_with_it() -> None:
    fields = (
        ("X-One", "1"),
        ("Connection", "close, X-One"),
        ("connection", "x-two"),
        ("X-Two", "2"),
        ("X-Three", "3"),
    )
    assert to_client(fields) == (("X-Three", "3"),)


def test_order_repetition_and_spelling_stay() -> None:
    fields = (("X-B", "1"), ("x-a", "2"), ("X-B", "3"))
    assert to_client(fields) == to_store(fields) == fields


@pytest.mark.parametrize("name", ["", "x" * 201, "caf\xe9", "a\tb"])
def test_an_extension_by_no_sound_name_is_not_named(name: str) -> None:
    assert to_upstream([("X-Trello-User-Agent-Extension", name)]) == ()


def test_a_write_tells_its_type_its_tool_and_what_it_takes() -> None:
    fields = (
        ("content-type", "application/json"),
        ("User-Agent", "tool/1"),
        ("Accept", "*/*"),
        ("X-Trello-Client-Identifier", "x"),
        ("x-trello-user-agent-extension", "Exporter 1.2"),
    )
    assert to_upstream(fields) == fields


@pytest.mark.parametrize("name", ["Via", "Accept", "Content-Type", "User-Agent"])
def test_what_is_too_long_together_stays_behind(name: str) -> None:
    half = "x" * (MAX_FIELD_CHARS // 2)
    assert to_upstream([(name, half), (name, half)]) == ((name, half), (name, half))
    assert to_upstream([(name, half), (name.lower(), half), (name, "y")]) == ()
    assert to_upstream([(name, "x" * (MAX_FIELD_CHARS + 1))]) == ()
