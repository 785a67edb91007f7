"""What a client's Cache-Control asks of the cache."""

import pytest

from proxy.http_semantics.cache_control import (
    NONE,
    Directives,
    parse,
)

CASES = {
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


@pytest.mark.parametrize(("value", "directives"), CASES.values(), ids=CASES.keys())
def test_parse(value: str, directives: Directives) -> None:
    assert parse(value) == directives


@pytest.mark.parametrize("pragma", ["no-cache", "No-Cache", "x, no-cache"])
def test_pragma_counts_where_cache_control_is_absent(pragma: str) -> None:
    assert parse("", pragma) == Directives(no_cache=True)
    assert parse("max-age=5", pragma) == Directives(max_age_s=5.0)


def test_another_pragma_asks_nothing() -> None:
    assert parse("", "public") is NONE
