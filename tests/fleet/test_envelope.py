"""Envelopes: nothing but a node that has the key can make one."""

import hmac
import json
from base64 import urlsafe_b64encode
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from proxy.model import Detail, FetchedParts, Fwd, Outcome
from proxy.server.fleet.envelope import Envelope, Result, parse_result, result_line, seal, unseal

KEY = b"a key for this test"
ENVELOPE = Envelope("id-1", "127.0.0.1", "192.0.2.7", "Ünsal", "user")


def test_a_sealed_envelope_is_read_with_the_same_key() -> None:
    sealed = seal(ENVELOPE, KEY, "GET", "/1/boards/x")
    assert unseal(sealed, KEY, "GET", "/1/boards/x") == ENVELOPE


def test_another_key_method_or_target_opens_nothing() -> None:
    sealed = seal(ENVELOPE, KEY, "GET", "/1/boards/x")
    assert unseal(sealed, b"another key", "GET", "/1/boards/x") is None
    assert unseal(sealed, KEY, "PUT", "/1/boards/x") is None
    assert unseal(sealed, KEY, "GET", "/1/boards/y") is None


@given(st.text(max_size=200))
def test_no_text_is_an_envelope(text: str) -> None:
    assert unseal(text, KEY, "GET", "/") is None


def test_a_result_keeps_every_outcome() -> None:
    for detail in (None, Detail.PROJECTED, FetchedParts(1, 3)):
        outcome = Outcome(fwd=Fwd.STALE, fwd_status=200, ttl_s=3, stored=True, detail=detail)
        result = Result("/boards/{id}", outcome, "ci", 0.5, 1.0, was_sent=True)
        line = result_line(result).decode().strip()
        assert parse_result(line.partition(": ")[2]) == result


def test_a_result_with_values_of_a_later_version_is_read_as_far_as_they_are_known() -> None:
    line = {"route": "/x", "outcome": {"fwd": "by-then-known"}, "is_moved": True, "mood": "good"}
    value = urlsafe_b64encode(json.dumps(line).encode()).decode()
    assert parse_result(value) == Result("/x", Outcome(), is_moved=True)


def test_an_envelope_of_an_older_version_has_what_it_lacks_by_default() -> None:
    older = b'{"request_id":"1","peer":"127.0.0.1","address":"127.0.0.1","mood":"good"}'
    content = urlsafe_b64encode(older).decode()
    signature = hmac.new(KEY, f"GET /\n{content}".encode(), sha256).hexdigest()
    assert unseal(f"{content}.{signature}", KEY, "GET", "/") == Envelope(
        "1", "127.0.0.1", "127.0.0.1"
    )


@given(st.text(max_size=50))
def test_what_is_no_result_is_none(text: str) -> None:
    assert parse_result(text) is None
