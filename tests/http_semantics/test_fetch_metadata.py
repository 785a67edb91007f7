"""Fetch metadata: the fields by which a browser describes the page that sends a request."""

import pytest

from proxy.http_semantics.fields import FetchMetadata

DELIBERATE = {
    "a script of ours": {"X-Requested-With": "XMLHttpRequest"},
    "Trello's own header": {"Authorization": 'OAuth oauth_consumer_key="x", oauth_token="y"'},
    "JSON": {"Content-Type": "Application/JSON; charset=utf-8"},
}
NOT_DELIBERATE = {
    "nothing": {},
    "a login of the browser's": {"Authorization": "Basic eDp5"},
    "a login of the machine's": {"Authorization": "Negotiate YII="},
    "a login in front": {"Authorization": "Bearer x"},
    "an app that shows pages": {"X-Requested-With": "com.example.app"},
    "a form": {"Content-Type": "application/x-www-form-urlencoded"},
    "text": {"Content-Type": "text/plain;application/json"},
    "what a front adds": {"X-Forwarded-For": "192.0.2.1", "Via": "1.1 x"},
    "what a page may choose": {"Accept": "application/json", "Accept-Language": "OAuth"},
}


@pytest.mark.parametrize("fields", DELIBERATE.values(), ids=DELIBERATE.keys())
def test_a_field_that_needs_a_preflight(fields: dict[str, str]) -> None:
    assert FetchMetadata(fields).is_preflighted


@pytest.mark.parametrize("fields", NOT_DELIBERATE.values(), ids=NOT_DELIBERATE.keys())
def test_no_field_that_needs_a_preflight(fields: dict[str, str]) -> None:
    assert not FetchMetadata(fields).is_preflighted


@pytest.mark.parametrize(
    ("referrer", "origin"),
    [
        ("https://Tools.Internal:8443/a?b#c", "https://tools.internal:8443"),
        ("http://x", "http://x"),
        ("http://x?y", "http://x"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("about:blank", ""),
        ("x", ""),
        ("", ""),
    ],
)
def test_of_a_referer_the_origin_counts(referrer: str, origin: str) -> None:
    assert FetchMetadata({"Referer": referrer}).referrer == origin


def test_a_program_sends_none_of_these_fields() -> None:
    silent = FetchMetadata({"Host": "P:1", "Accept": "*/*"})
    assert (silent.host, silent.origin, silent.referrer, silent.site) == ("p:1", "", "", "")
    assert (silent.destination, silent.is_navigation) == ("", False)
