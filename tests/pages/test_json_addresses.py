"""A web address that ends in .json maps to one API read with everything; no other does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import NotFound
from proxy.pages.json_addresses import api_target

JSON = {
    "/b/AbCd1234.json": "/1/boards/AbCd1234?",
    "/b/AbCd1234/a-name.json": "/1/boards/AbCd1234?",
    "/b/AbCd1234/a-name.json/": "/1/boards/AbCd1234?",
    "/b/AbCd1234/a.name.JSON": "/1/boards/AbCd1234?",
    "/b/AbCd1234/a-name%2Ejson": "/1/boards/AbCd1234?",
    "/c/AbCd1234.json?x=y": "/1/cards/AbCd1234?",
    "/c/AbCd1234/12-a-title.json": "/1/cards/AbCd1234?",
}
PAGES = [
    "/b/",
    "/b/AbCd1234",
    "/b/AbCd1234/12%2F24%00",
    "/b/AbCd1234/json",
    "/b/AbCd1234/a.json.name",
    "/c/AbCd1234/12-title?x=.json",
]
NOTHING = [
    "/b/.json",
    "/b/a%20b.json",
    "/b/a%2Fb.json",
    "/b/%ff.json",
    "/b/a%20b/name.json",
    "/b/AbCd1234.csv",
    "/b/AbCd1234/name.csv",
    "/c/AbCd1234/12-title.CSV",
]


@pytest.mark.parametrize(("path", "target"), JSON.items())
def test_it_is_json(path: str, target: str) -> None:
    mapped = api_target(path)
    assert mapped is not None
    assert mapped.startswith(target)
    assert "fields=all" in mapped


@pytest.mark.parametrize("path", PAGES)
def test_it_is_a_page(path: str) -> None:
    assert api_target(path) is None


@pytest.mark.parametrize("path", NOTHING)
def test_it_is_nothing(path: str) -> None:
    with pytest.raises(NotFound):
        api_target(path)


def test_of_a_query_the_credential_stays_and_nothing_else() -> None:
    query = "fields=name&key=k&callback=f&token=t&_method=PUT&filter=key=x&cards=none"
    bare = api_target("/b/AbCd1234.json")
    assert api_target(f"/b/AbCd1234.json?{query}") == f"{bare}&key=k&token=t"


@given(st.sampled_from("bc"), st.text())
def test_no_address_makes_another_target(section: str, rest: str) -> None:
    try:
        target = api_target(f"/{section}/{rest}")
    except NotFound:
        return
    assert target is None or target.startswith(("/1/boards/", "/1/cards/"))
