"""A complete response body is redacted, its links are rewritten, its gzip has one member."""

import gzip

import pytest

from proxy.credentials.redaction import Redactor
from proxy.http_semantics.content import InvalidEncoding, TooLong, gunzip, identity_length
from proxy.links.rewrite import LinkRewriter
from proxy.runtime.tasks import OFFLOAD_BYTES
from proxy.upstream import response_body
from proxy.upstream.response_body import BodyFilter, work_bytes

SECRET = "ATTA" + "5ec2e7" * 12
LINK = b"https://trello.com/1/cards/a1/attachments/b2/download/x.png"
REWRITTEN = b"http://proxy.internal/1/cards/a1/attachments/b2/download/x.png"
FILTER = BodyFilter(Redactor([SECRET]), LinkRewriter("http://proxy.internal"), 0.0)
PLAIN = b'{"name":"A card"}'


def test_a_body_without_secrets_and_links_is_unchanged() -> None:
    for body, coded in ((PLAIN, False), (gzip.compress(PLAIN), True), (b"", True)):
        representation = FILTER.apply(body, gzip=coded)
        assert representation.body is body
        assert representation.plain == (PLAIN if body else b"")
        assert representation.gzip == (coded and bool(body))
        assert not representation.was_redacted


def test_links_lead_to_the_proxy_in_both_forms() -> None:
    for body, coded in ((LINK, False), (gzip.compress(LINK), True)):
        representation = FILTER.apply(body, gzip=coded)
        assert (representation.plain, representation.gzip) == (REWRITTEN, coded)
        assert (gunzip(representation.body) if coded else representation.body) == REWRITTEN


def test_a_redacted_body_has_its_identity_form_only() -> None:
    representation = FILTER.apply(gzip.compress(SECRET.encode() + LINK), gzip=True)
    assert representation.was_redacted
    assert (representation.body, representation.gzip) == (representation.plain, False)
    assert representation.plain == b"*" * len(SECRET) + REWRITTEN


def test_several_members_become_one() -> None:
    body = gzip.compress(PLAIN) + gzip.compress(PLAIN * 2)
    representation = FILTER.apply(body, gzip=True)
    assert representation.plain == PLAIN * 3
    assert gunzip(representation.body) == PLAIN * 3
    assert identity_length(representation.body) == len(PLAIN) * 3


def test_too_long_and_invalid_are_different_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_body, "MAX_PLAIN_BYTES", 100)
    with pytest.raises(TooLong):
        FILTER.apply(gzip.compress(bytes(101)), gzip=True)
    with pytest.raises(InvalidEncoding):
        FILTER.apply(b"no gzip", gzip=True)


def test_a_large_body_is_known_before_it_is_inflated() -> None:
    assert work_bytes(bytes(OFFLOAD_BYTES), gzip=False) == OFFLOAD_BYTES
    assert work_bytes(gzip.compress(bytes(OFFLOAD_BYTES)), gzip=True) == OFFLOAD_BYTES
    assert work_bytes(gzip.compress(bytes(OFFLOAD_BYTES + 1)), gzip=True) > OFFLOAD_BYTES
    assert work_bytes(gzip.compress(bytes(10)) * 500, gzip=True) > OFFLOAD_BYTES
