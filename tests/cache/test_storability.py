"""What is stored, for how long, and what is not even an answer."""

import pytest

from proxy.cache.policy import NOT_FOUND_LIFETIME_S, lifetimes_for, why_not_stored, why_unusable
from proxy.model import Detail, Kind, Lifetimes

ROUTE = Lifetimes(30.0, 60.0, 3600.0)
NEVER = Lifetimes(0.0)


def test_a_200_is_stored_for_the_lifetimes_of_its_route() -> None:
    assert why_not_stored(200, ROUTE) is None


def test_a_404_is_stored_for_seconds() -> None:
    assert why_not_stored(404, ROUTE) is None
    assert NOT_FOUND_LIFETIME_S <= 10
    assert lifetimes_for(404, ROUTE) == Lifetimes(NOT_FOUND_LIFETIME_S)
    assert lifetimes_for(404, Lifetimes(1.0)) == Lifetimes(1.0)
    assert lifetimes_for(200, ROUTE) == ROUTE


@pytest.mark.parametrize(
    "status", [201, 202, 203, 204, 206, 301, 302, 304, 400, 401, 403, 405, 409, 410, 418, 429, 451]
)
def test_no_other_status_is_stored(status: int) -> None:
    assert why_not_stored(status, ROUTE) is Detail.STATUS_NOT_STORED


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_no_trouble_is_stored(status: int) -> None:
    assert why_not_stored(status, ROUTE) is Detail.STATUS_NOT_STORED


@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_route_without_a_lifetime_stores_nothing(status: int) -> None:
    assert why_not_stored(status, NEVER) is Detail.ROUTE_NOT_STORED


def test_a_client_that_says_no_store_has_nothing_stored() -> None:
    assert why_not_stored(200, ROUTE, no_store=True) is Detail.REQUEST_NO_STORE


USABLE = {
    "an object": (Kind.READ, "application/json", b'{"id":1}'),
    "an array": (Kind.READ, "application/json; charset=utf-8", b" \r\n[]"),
    "a scalar": (Kind.READ, "application/json", b"null"),
    "a number": (Kind.READ, "application/json", b"-1"),
    "a vendor's JSON": (Kind.READ, "application/vnd.api+json", b"{}"),
    "JSON without a type": (Kind.READ, "", b"{}"),
    "any letter case": (Kind.READ, "Application/JSON", b"{}"),
    "a callback": (Kind.READ, "application/javascript", b"cb({})"),
    "brackets inside of text": (Kind.READ, "application/json", b'{"desc":"a { and ] b"}'),
    "a script": (Kind.SCRIPT, "application/javascript", b"var x"),
    "nothing, of a write": (Kind.WRITE, "application/json", b""),
    "a sentence, of a write": (Kind.WRITE, "text/plain", b"ok"),
    "an object, of a write": (Kind.WRITE, "application/json", b'{"_value":null}'),
    "a script of the old type": (Kind.SCRIPT, "text/javascript;charset=utf-8", b""),
}

UNUSABLE = {
    "a gateway's page": (Kind.READ, "text/html", b"<html>"),
    "a page that claims to be JSON": (Kind.READ, "application/json", b"<html>"),
    "a sentence": (Kind.READ, "text/plain", b"ok"),
    "a page without a type": (Kind.READ, "", b"<html>"),
    "nothing": (Kind.READ, "application/json", b""),
    "space": (Kind.READ, "application/json", b"  "),
    "a page for a script": (Kind.SCRIPT, "text/html", b"<html>"),
    "JSON for a script": (Kind.SCRIPT, "application/json", b"{}"),
    "a script without a type": (Kind.SCRIPT, "", b"var x"),
    "a page, of a write": (Kind.WRITE, "text/html", b"<html>"),
    "a page that claims to be JSON, of a write": (Kind.WRITE, "application/json", b"<html>"),
}

CUT = {
    "in an object": b'{"id":1,"name":"x',
    "in an array": b'[{"id":1},',
    "before the last bracket": b'[{"id":1}',
    "in a word": b"nul",
    "in a text": b'"abc',
    "in a text of an object": b'{"id":"a","name":"x}',
    "between elements": b'[{"id":"a"} {"id":"b"}]',
    "and something behind it": b'{"id":"a"} x',
    "in a letter": b'{"id":"\xc3"}',
    "in depths nobody can follow": b"[" * 100_000,
}


@pytest.mark.parametrize(("kind", "media_type", "body"), USABLE.values(), ids=USABLE.keys())
def test_is_an_answer(kind: Kind, media_type: str, body: bytes) -> None:
    assert why_unusable(kind, media_type, body) is None


@pytest.mark.parametrize(("kind", "media_type", "body"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_is_no_answer(kind: Kind, media_type: str, body: bytes) -> None:
    assert why_unusable(kind, media_type, body)


@pytest.mark.parametrize("kind", [Kind.READ, Kind.WRITE])
@pytest.mark.parametrize("body", CUT.values(), ids=CUT.keys())
def test_is_no_answer_when_it_was_cut(kind: Kind, body: bytes) -> None:
    assert why_unusable(kind, "application/json", body)
