"""A body that arrived: clean, linked to us, and its gzip of one member."""

import gzip

import pytest

from proxy.credentials.redaction import Redactor
from proxy.http_semantics.content import (
    InvalidEncoding,
    TooLong,
    gunzip,
    identity_length,
)
from proxy.links.rewrite import LinkRewriter
from proxy.upstream import representation
from proxy.upstream.representation import Cleaning, is_long

SECRET = "ATTA" + "5ec2e7" * 12
LINK = b"https://trello.com/1/cards/a1/attachments/b2/download/x.png"
OURS = b"http://proxy.internal/1/cards/a1/attachments/b2/download/x.png"
CLEANING = Cleaning(Redactor([SECRET]), LinkRewriter("http://proxy.internal"), 0.0)
PLAIN = b'{"name":"A card"}'


def test_what_has_nothing_of_ours_stays_as_it_came() -> None:
    for body, coded in ((PLAIN, False), (gzip.compress(PLAIN), True), (b"", True)):
        found = CLEANING.of(body, gzip=coded)
        assert found.body is body
        assert found.plain == (PLAIN if body else b"")
        assert found.gzip == (coded and bool(body))
        assert not found.was_scrubbed


def test_links_are_ours_in_both_forms() -> None:
    for body, coded in ((LINK, False), (gzip.compress(LINK), True)):
        found = CLEANING.of(body, gzip=coded)
        assert (found.plain, found.gzip) == (OURS, coded)
        assert (gunzip(found.body) if coded else found.body) == OURS


def test_a_secret_is_masked_in_the_only_form_that_is_left() -> None:
    found = CLEANING.of(gzip.compress(SECRET.encode() + LINK), gzip=True)
    assert found.was_scrubbed
    assert (found.body, found.gzip) == (found.plain, False)
    assert found.plain == b"*" * len(SECRET) + OURS


def test_several_members_are_kept_as_one() -> None:
    body = gzip.compress(PLAIN) + gzip.compress(PLAIN * 2)
    found = CLEANING.of(body, gzip=True)
    assert found.plain == PLAIN * 3
    assert gunzip(found.body) == PLAIN * 3
    assert identity_length(found.body) == len(PLAIN) * 3


def test_too_long_and_broken_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(representation, "MAX_PLAIN_BYTES", 100)
    with pytest.raises(TooLong):
        CLEANING.of(gzip.compress(bytes(101)), gzip=True)
    with pytest.raises(InvalidEncoding):
        CLEANING.of(b"no gzip", gzip=True)


def test_what_takes_long_is_known_before() -> None:
    assert not is_long(bytes(64 * 1024), gzip=False)
    assert is_long(bytes(64 * 1024 + 1), gzip=False)
    assert not is_long(gzip.compress(bytes(64 * 1024)), gzip=True)
    assert is_long(gzip.compress(bytes(64 * 1024 + 1)), gzip=True)
    assert is_long(gzip.compress(bytes(10)) * 500, gzip=True)
