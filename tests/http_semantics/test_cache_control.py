"""Request directives, and the Cache-Status field (RFC 9211)."""

import re

import pytest

from proxy.http_semantics.cache_control import (
    NONE,
    Directives,
    cache_status,
    parse,
)
from proxy.model import Detail, FetchedParts, Fwd, Outcome

DIRECTIVES = {
    "nothing": ("", NONE),
    "no-cache": ("no-cache", Directives(no_cache=True)),
    "no-store": ("no-store", Directives(no_store=True)),
    "only-if-cached": ("only-if-cached", Directives(only_if_cached=True)),
    "max-age": ("max-age=5", Directives(max_age_s=5.0)),
    "max-age in quotes": ('max-age="5"', Directives(max_age_s=5.0)),
    "max-age zero": ("max-age=0", Directives(max_age_s=0.0)),
    "max-age beyond all bounds": ("max-age=" + "9" * 400, Directives(max_age_s=999_999_999_999.0)),
    "max-age without a value counts as 0": ("max-age", Directives(max_age_s=0.0)),
    "an empty max-age counts as 0": ("max-age=", Directives(max_age_s=0.0)),
    "a negative max-age counts as 0": ("max-age=-5", Directives(max_age_s=0.0)),
    "a fraction counts as 0": ("max-age=1.5", Directives(max_age_s=0.0)),
    "words count as 0": ("max-age=soon", Directives(max_age_s=0.0)),
    "digits of another script count as 0": ("max-age=\u0665", Directives(max_age_s=0.0)),
    "the first max-age counts": ("max-age=5, max-age=9", Directives(max_age_s=5.0)),
    "any letter case": ("No-Cache, MAX-AGE=7", Directives(no_cache=True, max_age_s=7.0)),
    "any space": (" no-store ,\tmax-age = 5 ", Directives(no_store=True, max_age_s=5.0)),
    "empty members": (",, no-cache,", Directives(no_cache=True)),
    "no-cache with an argument": ('no-cache="x"', Directives(no_cache=True)),
    "a name that only begins alike": ("no-cached, max-ages=1", NONE),
    "unknown directives": ("max-stale=5, min-fresh=1, no-transform, foo", NONE),
}


@pytest.mark.parametrize(("value", "directives"), DIRECTIVES.values(), ids=DIRECTIVES.keys())
def test_parse(value: str, directives: Directives) -> None:
    assert parse(value) == directives


@pytest.mark.parametrize("pragma", ["no-cache", "No-Cache", "x, no-cache"])
def test_pragma_counts_where_cache_control_is_absent(pragma: str) -> None:
    assert parse("", pragma) == Directives(no_cache=True)
    assert parse("max-age=5", pragma) == Directives(max_age_s=5.0)


def test_another_pragma_is_ignored() -> None:
    assert parse("", "public") is NONE


OUTCOMES = {
    "a hit": (Outcome(hit=True, ttl_s=27), "hit; ttl=27"),
    "a hit in its last second": (Outcome(hit=True, ttl_s=0), "hit; ttl=0"),
    "a stale hit": (Outcome(hit=True, ttl_s=-12), "hit; ttl=-12"),
    "a miss, stored": (
        Outcome(fwd=Fwd.URI_MISS, fwd_status=200, stored=True),
        "fwd=uri-miss; fwd-status=200; stored",
    ),
    "a collapsed miss": (
        Outcome(fwd=Fwd.STALE, fwd_status=200, stored=True, collapsed=True),
        "fwd=stale; fwd-status=200; stored; collapsed",
    ),
    "a response not stored": (
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


@pytest.mark.parametrize(("outcome", "expected"), OUTCOMES.values(), ids=OUTCOMES.keys())
def test_cache_status(outcome: Outcome, expected: str) -> None:
    assert cache_status(outcome) == f"trello-proxy; {expected}"


def test_an_outcome_without_the_cache_names_the_proxy_alone() -> None:
    assert cache_status(Outcome()) == "trello-proxy"


@pytest.mark.parametrize("reason", [*Fwd, *Detail])
def test_every_reason_is_a_token(reason: str) -> None:
    assert re.fullmatch(r"[a-z][a-z-]*", reason)
