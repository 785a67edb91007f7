"""A stored response is fresh for its lifetime, and what it is good for after that is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.policy import ABSENT, Fresh, Stale, Verdict, age_of, judge
from proxy.http_semantics.cache_control import NONE, Directives
from proxy.model import Lifetimes

PLAIN = Lifetimes(30.0)
KIND = Lifetimes(30.0, stale_while_revalidate_s=10.0, stale_if_error_s=100.0)
BRIEF = Lifetimes(30.0, stale_while_revalidate_s=10.0)


def stale(stale_for_s: float, *saves: str) -> Stale:
    """Stale, and what it may save a client, the `wait` or an `error`; or `refused`."""
    return Stale(
        stale_for_s,
        while_revalidate="wait" in saves,
        if_error="error" in saves,
        refused="refused" in saves,
    )


LIFE = {
    "just asked": (PLAIN, 0.0, Fresh(30.0)),
    "the last second": (PLAIN, 29.0, Fresh(1.0)),
    "the very end is no longer fresh": (PLAIN, 30.0, ABSENT),
    "from the future": (KIND, -0.1, stale(0.0, "error")),
    "from the future, and good for no error": (PLAIN, -60.0, ABSENT),
    "lifetime zero is never fresh": (Lifetimes(0.0), 0.0, ABSENT),
    "the very end may be used twice over": (KIND, 30.0, stale(0.0, "wait", "error")),
    "within both windows": (KIND, 39.0, stale(9.0, "wait", "error")),
    "the end of stale-while-revalidate": (KIND, 40.0, stale(10.0, "error")),
    "the last of stale-if-error": (KIND, 129.0, stale(99.0, "error")),
    "the end of stale-if-error": (KIND, 130.0, ABSENT),
    "stale-while-revalidate alone": (BRIEF, 35.0, stale(5.0, "wait")),
}

ASKED = {
    "no-cache refuses what is fresh": (
        KIND, 5.0, Directives(no_cache=True), stale(0.0, "error", "refused")
    ),
    "no-cache: what is fresh may serve an error, whatever the route": (
        PLAIN, 5.0, Directives(no_cache=True), stale(0.0, "error", "refused")
    ),
    "no-cache: nobody is told a stale answer at once": (
        KIND, 35.0, Directives(no_cache=True), stale(5.0, "error")
    ),
    "no-cache and nothing usable": (PLAIN, 35.0, Directives(no_cache=True), ABSENT),
    "younger than max-age": (PLAIN, 4.0, Directives(max_age_s=5.0), Fresh(26.0)),
    "as old as max-age": (PLAIN, 5.0, Directives(max_age_s=5.0), Fresh(25.0)),
    "older than max-age": (PLAIN, 5.5, Directives(max_age_s=5.0), stale(0.0, "error", "refused")),
    "max-age lengthens no lifetime": (PLAIN, 31.0, Directives(max_age_s=999.0), ABSENT),
    "max-age zero": (PLAIN, 0.1, Directives(max_age_s=0.0), stale(0.0, "error", "refused")),
    "only-if-cached changes no age": (PLAIN, 5.0, Directives(only_if_cached=True), Fresh(25.0)),
    "no-store changes no age": (PLAIN, 5.0, Directives(no_store=True), Fresh(25.0)),
}  # fmt: skip


MARKED_STALE = {
    "fresh no more, and good for an error": (KIND, 5.0, NONE, stale(0.0, "error")),
    "no wait is saved": (KIND, 35.0, NONE, stale(5.0, "error")),
    "nor longer good for an error than if it had not been": (KIND, 130.0, NONE, ABSENT),
    "a route whose answers serve no error": (PLAIN, 5.0, NONE, ABSENT),
    "a client's no-cache changes nothing": (
        KIND, 5.0, Directives(no_cache=True), stale(0.0, "error")
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("lifetimes", "age_s", "directives", "verdict"), MARKED_STALE.values(), ids=MARKED_STALE.keys()
)
def test_judge_what_is_marked_stale(
    lifetimes: Lifetimes, age_s: float, directives: Directives, verdict: Verdict
) -> None:
    assert judge(1000.0, lifetimes, 1000.0 + age_s, directives, marked_stale=True) == verdict


@pytest.mark.parametrize(("lifetimes", "age_s", "verdict"), LIFE.values(), ids=LIFE.keys())
def test_judge(lifetimes: Lifetimes, age_s: float, verdict: Verdict) -> None:
    assert judge(1000.0, lifetimes, 1000.0 + age_s) == verdict


@pytest.mark.parametrize(
    ("lifetimes", "age_s", "directives", "verdict"), ASKED.values(), ids=ASKED.keys()
)
def test_judge_by_what_the_client_asks(
    lifetimes: Lifetimes, age_s: float, directives: Directives, verdict: Verdict
) -> None:
    assert judge(1000.0, lifetimes, 1000.0 + age_s, directives) == verdict


def test_age_never_runs_backwards() -> None:
    assert (age_of(100.0, 130.0), age_of(100.0, 40.0)) == (30.0, 0.0)


def test_the_ttl_of_a_stale_answer_is_negative_from_the_first_second() -> None:
    assert [stale(s).ttl_s for s in (0.0, 0.9, 1.0, 12.5)] == [-1, -1, -2, -13]


SECONDS = st.integers(0, 1_000)


@given(SECONDS, SECONDS, SECONDS, SECONDS, st.sampled_from([NONE, Directives(no_cache=True)]))
def test_nothing_is_used_beyond_its_windows(
    life_s: int, revalidate_s: int, error_s: int, age_s: int, directives: Directives
) -> None:
    lifetimes = Lifetimes(life_s, revalidate_s, error_s)
    match judge(0.0, lifetimes, age_s, directives):
        case Fresh(ttl_s):
            assert not directives.no_cache
            assert 0 < ttl_s <= life_s
        case Stale() as verdict:
            assert age_s < life_s + max(revalidate_s, error_s)
            assert not (verdict.while_revalidate and directives.no_cache)
        case verdict:
            assert verdict is ABSENT
            assert age_s >= life_s
