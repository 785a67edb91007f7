"""A CORS preflight is allowed the fields it asks for, within bounds and but for credentials."""

import pytest

from proxy.server.browser_guard import MAX_PREFLIGHT_FIELDS, preflight_fields


def granted(requested: str) -> str | None:
    return dict(preflight_fields(requested)).get("Access-Control-Allow-Headers")


@pytest.mark.parametrize(
    ("requested", "names"),
    [
        ("x-requested-with", "x-requested-with"),
        ("baggage,sentry-trace , Authorization", "baggage, sentry-trace, Authorization"),
        ("cookie, Cookie2, PROXY-AUTHORIZATION, a", "a"),
        ("*", None),
        ("", None),
        (",,", None),
        ("a b, c:d, \u00e9, e\r\nf, ok", "ok"),
        ("x" * 64, "x" * 64),
        ("x" * 65, None),
    ],
)
def test_what_is_granted(requested: str, names: str | None) -> None:
    assert granted(requested) == names


def test_it_is_bounded() -> None:
    many = granted(",".join(f"x-{number}" for number in range(10_000)))
    assert many is not None
    assert len(many.split(", ")) == MAX_PREFLIGHT_FIELDS


def test_methods_and_max_age_are_sent_in_any_case() -> None:
    fields = dict(preflight_fields(""))
    assert fields["Access-Control-Allow-Methods"] == "GET, HEAD, POST, PUT, DELETE"
    assert fields["Access-Control-Max-Age"] == "600"
