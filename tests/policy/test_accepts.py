"""Browsers that navigate get pages; everything else gets what programs read."""

import pytest

from proxy.policy.accepts import wants_page

ACCEPTS = {
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": True,
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
    assert wants_page(accept) is page
