"""Routing: literal segments before variable ones, ids checked, Trello's spellings."""

import re
from pathlib import Path

import pytest

from proxy.fake_trello.errors import Refusal
from proxy.fake_trello.service import ROUTES, find_route

OPERATIONS = Path(__file__).parents[2] / "../shared/trello/operations.txt"
ID = "a" * 24

SAME = {
    "singular": ("board/x/cards", "boards/x/cards"),
    "upper case": ("CARDS/x", "cards/x"),
    "upper case further on": ("cards/x/IDLIST", "cards/x/idList"),
    "camel case": ("customFields/x/options", "customfields/x/options"),
    "singular camel case": ("customField/x", "customFields/x"),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME.keys())
def test_two_spellings_are_one_route(one: str, other: str) -> None:
    first, second = (ROUTES.find("GET", path.split("/")) for path in (one, other))
    assert first is not None
    assert second is not None
    assert first.handler is second.handler


REFUSED = {
    "an id too short": ("GET", "/1/lists/abc", 400),
    "a list by shortLink": ("GET", "/1/lists/abcd1234", 400),
    "upper-case digits": ("GET", f"/1/cards/{'A' * 24}", 400),
    "a bad id further on": ("GET", f"/1/cards/{ID}/attachments/x", 400),
    "another version": ("GET", "/2/boards/x", 404),
    "the root": ("GET", "/1/", 404),
    "a method that is not there": ("DELETE", f"/1/lists/{ID}", 404),
}


@pytest.mark.parametrize(("method", "path", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_paths(method: str, path: str, status: int) -> None:
    with pytest.raises(Refusal) as refused:
        find_route(method, path)
    assert refused.value.status == status


def test_a_literal_wins_over_a_variable() -> None:
    by_name = find_route("GET", f"/1/boards/{ID}/exports/mostRecent")
    assert by_name.ids == (ID,)
    assert find_route("GET", f"/1/boards/{ID}/exports/{ID}").ids == (ID, ID)


@pytest.mark.skipif(not OPERATIONS.exists(), reason="no list of operations here")
def test_every_read_that_trello_documents_is_known() -> None:
    found = re.findall(r"GET\s+(\S+)", OPERATIONS.read_text())
    paths = {re.sub(r"\{[^}]+\}", ID, path) for path in found} - {"/batch"}
    unknown = {
        path for path in paths if not ROUTES.find("GET", [part for part in path.split("/") if part])
    }
    assert unknown == set()
    assert len(paths) > 100
