"""Cache-Status in RFC 9211's words."""

import re

import pytest

from proxy.http_semantics.cache_control import cache_status
from proxy.model import Detail, FetchedParts, Fwd, Outcome

CASES = {
    "a hit": (Outcome(hit=True, ttl_s=27), "hit; ttl=27"),
    "a hit in its last second": (Outcome(hit=True, ttl_s=0), "hit; ttl=0"),
    "a stale hit": (Outcome(hit=True, ttl_s=-12), "hit; ttl=-12"),
    "a miss, stored": (
        Outcome(fwd=Fwd.URI_MISS, fwd_status=200, stored=True),
        "fwd=uri-miss; fwd-status=200; stored",
    ),
    "a miss that shared a flight": (
        Outcome(fwd=Fwd.STALE, fwd_status=200, stored=True, collapsed=True),
        "fwd=stale; fwd-status=200; stored; collapsed",
    ),
    "an answer not stored": (
        Outcome(fwd=Fwd.REQUEST, fwd_status=403, detail=Detail.STATUS_NOT_STORED),
        "fwd=request; fwd-status=403; detail=status-not-stored",
    ),
    "stale because of an error": (
        Outcome(fwd=Fwd.STALE, fwd_status=504, detail=Detail.STALE_IF_ERROR),
        "fwd=stale; fwd-status=504; detail=stale-if-error",
    ),
    "a batch of which some parts were stored": (
        Outcome(fwd=Fwd.STALE, fwd_status=200, detail=FetchedParts(fetched=2, parts=10)),
        "fwd=stale; fwd-status=200; detail=fetched-2-of-10",
    ),
    "a write": (Outcome(fwd=Fwd.METHOD, fwd_status=200), "fwd=method; fwd-status=200"),
    "a read that is never stored": (Outcome(fwd=Fwd.BYPASS), "fwd=bypass"),
}


@pytest.mark.parametrize(("outcome", "expected"), CASES.values(), ids=CASES.keys())
def test_cache_status(outcome: Outcome, expected: str) -> None:
    assert cache_status(outcome) == f"trello-proxy; {expected}"


def test_a_request_the_cache_had_no_part_in_names_the_proxy_alone() -> None:
    assert cache_status(Outcome()) == "trello-proxy"


@pytest.mark.parametrize("reason", [*Fwd, *Detail])
def test_every_reason_is_a_token(reason: str) -> None:
    assert re.fullmatch(r"[a-z][a-z-]*", reason)
