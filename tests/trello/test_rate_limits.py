"""Which limit a path is under, and which one a refusal means."""

import pytest

from proxy.model import Limit
from proxy.trello.failures import refusal, route_limit, throttled

PATHS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "a member": (("members", "me"), "members"),
    "what is a member's": (("members", "me", "boards"), None),
    "a member's one field": (("members", "x", "fullName"), None),
    "all members": (("members",), None),
    "search": (("search",), "search"),
    "search for members": (("search", "members"), "search"),
    "its own way": (("membersSearch",), "search"),
    "a card": (("cards", "x"), None),
    "nothing": ((), None),
}


@pytest.mark.parametrize(("segments", "limit"), PATHS.values(), ids=PATHS.keys())
def test_route_limit(segments: tuple[str, ...], limit: str | None) -> None:
    assert route_limit(segments) == limit


REFUSALS = {
    "the token's": (b'{"error":"API_TOKEN_LIMIT_EXCEEDED","message":"Rate limit"}', "token"),
    "the key's": (b'{"error":"API_KEY_LIMIT_EXCEEDED","message":"Rate limit"}', "key"),
    "the member's": (b'{"error":"MEMBER_LIMIT_EXCEEDED"}', "member"),
    "the members route's": (
        b'{"message":"Exceeded rate limit to /1/member","error":"RATE_LIMIT_EXCEEDED"}', "members",
    ),
    "the search route's": (b'{"message":"Exceeded rate limit to /1/search"}', "search"),
    "the database's": (b'{"error":"API_TOKEN_DB_LIMIT_EXCEEDED"}', "db-query-time"),
    "too large a question, which is no throttle": (b'{"error":"API_TOO_MANY_CARDS_REQUESTED"}', ""),
    "plain words": (b"Rate limit exceeded", "token"),
    "nothing at all": (b"", "token"),
}  # fmt: skip


@pytest.mark.parametrize(("sentence", "limit"), REFUSALS.values(), ids=REFUSALS.keys())
def test_throttled(sentence: bytes, limit: str) -> None:
    assert throttled(sentence) == limit


@pytest.mark.parametrize("limit", ["key", "token", "members", "search"])
def test_our_refusal_reads_as_trellos_own(limit: Limit) -> None:
    assert throttled(" ".join(refusal(limit)).encode()) == limit
