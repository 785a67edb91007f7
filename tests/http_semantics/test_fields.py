"""Header fields that are forwarded, their serialization, and rate-limit fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http_semantics.fields import (
    MAX_FIELD_CHARS,
    RateLimitQuota,
    quota_fields,
    serialize,
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


def test_fields_named_by_connection_are_dropped_with_it() -> None:
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
def test_an_invalid_extension_name_is_dropped(name: str) -> None:
    assert to_upstream([("X-Trello-User-Agent-Extension", name)]) == ()


def test_a_write_forwards_content_type_user_agent_and_accept() -> None:
    fields = (
        ("content-type", "application/json"),
        ("User-Agent", "tool/1"),
        ("Accept", "*/*"),
        ("X-Trello-Client-Identifier", "x"),
        ("x-trello-user-agent-extension", "Exporter 1.2"),
    )
    assert to_upstream(fields) == fields


@pytest.mark.parametrize("name", ["Via", "Accept", "Content-Type", "User-Agent"])
def test_values_too_long_together_are_dropped(name: str) -> None:
    half = "x" * (MAX_FIELD_CHARS // 2)
    assert to_upstream([(name, half), (name, half)]) == ((name, half), (name, half))
    assert to_upstream([(name, half), (name.lower(), half), (name, "y")]) == ()
    assert to_upstream([(name, "x" * (MAX_FIELD_CHARS + 1))]) == ()


def test_each_limit_is_a_policy_and_a_remainder_and_two_have_trellos_names() -> None:
    quotas = {"key": RateLimitQuota(300, 10, 291, 0), "token": RateLimitQuota(100, 10, 7, 4)}
    assert quota_fields(quotas) == (  # type: ignore[arg-type]  # keys are Limits
        ("RateLimit-Policy", '"key";q=300;w=10, "token";q=100;w=10'),
        ("RateLimit", '"key";r=291;t=0, "token";r=7;t=4'),
        ("X-Rate-Limit-Api-Key-Interval-Ms", "10000"),
        ("X-Rate-Limit-Api-Key-Max", "300"),
        ("X-Rate-Limit-Api-Key-Remaining", "291"),
        ("X-Rate-Limit-Api-Token-Interval-Ms", "10000"),
        ("X-Rate-Limit-Api-Token-Max", "100"),
        ("X-Rate-Limit-Api-Token-Remaining", "7"),
    )


NAMES = st.text("abcXYZ-", min_size=1, max_size=8)
LATIN = st.text(st.characters(max_codepoint=255), max_size=20)


def test_fields_are_lines_in_their_order() -> None:
    assert serialize((("A", "1"), ("b", ""), ("A", "2"))) == b"A: 1\r\nb: \r\nA: 2\r\n"
    assert serialize(()) == b""


def test_control_characters_become_spaces() -> None:
    assert serialize((("A", "1\r\nSet-Cookie: x\n\0y"),)) == b"A: 1  Set-Cookie: x  y\r\n"


def test_bytes_outside_ascii_are_unchanged() -> None:
    assert serialize((("A", b"caf\xe9 \xc3\xa9\ttab\x85\xa0".decode("latin-1")),)) == (
        b"A: caf\xe9 \xc3\xa9\ttab\x85\xa0\r\n"
    )


def test_characters_outside_latin_1_become_question_marks() -> None:
    assert serialize((("A", "\u2603\udc80"),)) == b"A: ??\r\n"


@given(st.lists(st.tuples(NAMES, st.text(max_size=20)), max_size=5))
def test_there_are_as_many_lines_as_fields(fields: list[tuple[str, str]]) -> None:
    head = serialize(fields)
    assert head.count(b"\r\n") == head.count(b"\n") == head.count(b"\r") == len(fields)
    names = [line.split(b": ", 1)[0].decode() for line in head.split(b"\r\n")[:-1]]
    assert names == [name for name, _ in fields]


@given(LATIN)
def test_every_byte_that_is_no_control_character_survives(value: str) -> None:
    line = serialize((("A", value),))[3:-2].decode("latin-1")
    kept = [(new, old) for new, old in zip(line, value, strict=True) if new != old]
    assert all(old < " " and new == " " for new, old in kept)
