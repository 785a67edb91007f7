"""Browsers that navigate get pages; everything else gets what programs read."""

import pytest

from proxy.http_semantics.content import (
    accepts_images,
    is_navigation,
    prefers_html,
)

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
PICTURE = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"

ACCEPTS = {
    BROWSER: True,
    JAVA: False,
    "text/html, text/*;q=0.5, application/*": False,
    "text/html, application/json": False,
    "text/html, application/json;q=0.5": True,
    "text/html;q=0.5, application/problem+json": False,
    "text/html, text/plain;q=0.9": True,
    "text/html, */*;q=0": True,
    "text/html;q=1, */*;q=soon": True,
    "text/html;level=1;q=0.4, application/json;q=0.3": True,
    "text/html": True,
    "TEXT/HTML; q=0.5": True,
    "text/html;q=0, */*": False,
    "text/html;q=0.0": False,
    "*/*": False,
    "": False,
    "application/json, text/plain, */*": False,
    "image/avif,image/webp,image/*,*/*;q=0.8": False,
    "text/*": False,
    ",;,q=": False,
}


@pytest.mark.parametrize(("accept", "page"), ACCEPTS.items(), ids=map(str, range(len(ACCEPTS))))
def test_who_wants_a_page(accept: str, page: bool) -> None:  # noqa: FBT001 - a table's column
    assert prefers_html(accept, "") is page


def test_a_browser_that_says_what_it_does_is_believed() -> None:
    assert prefers_html("*/*", "navigate")
    assert not prefers_html(BROWSER, "cors")
    assert not is_navigation("no-cors", BROWSER)
    assert is_navigation("", BROWSER.upper())
    assert not is_navigation("", JAVA)


def test_what_a_page_shows_is_told_from_what_a_program_reads() -> None:
    assert accepts_images(PICTURE)
    assert not [accept for accept in (JAVA, BROWSER, "*/*", "") if accepts_images(accept)]
