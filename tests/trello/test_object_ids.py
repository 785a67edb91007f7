"""An answer shows the ids it shows, and none in doubt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model import is_id
from proxy.trello.object_ids import MAX_PARSED_BYTES, JsonIds

ID, OTHER = "a" * 24, "b" * 24
LARGE = b" " * MAX_PARSED_BYTES

OWN = {
    "the first member": (f'{{"id":"{ID}","x":1}}', ID),
    "with white space": (f' {{ "id" : "{ID}" }}', ID),
    "a later member": (f'{{"x":1,"id":"{ID}"}}', ID),
    "of a nested object": (f'{{"card":{{"id":"{ID}"}}}}', None),
    "of an object in an array": (f'[{{"id":"{ID}"}}]', None),
    "not an id": ('{"id":"short"}', None),
    "a number": ('{"id":5}', None),
    "cut, but shown first": (f'{{"id":"{ID}","x":', ID),
    "cut, and not shown first": (f'{{"x":1,"id":"{ID}"', None),
    "no JSON": ("not found", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("body", "own_id"), OWN.values(), ids=OWN)
def test_own_id(body: str, own_id: str | None) -> None:
    assert JsonIds(body.encode()).id == own_id


AT = {
    "a member of a member": (f'{{"data":{{"card":{{"id":"{ID}"}}}}}}', ID),
    "a member of a text": ('{"data":"card"}', None),
    "a member that is not there": ('{"data":{}}', None),
}


@pytest.mark.parametrize(("body", "found"), AT.values(), ids=AT)
def test_id_at(body: str, found: str | None) -> None:
    assert JsonIds(body.encode()).id_at("data", "card", "id") == found


ITEMS = {
    "of every item": (f'[{{"idBoard":"{ID}"}},{{"idBoard": "{OTHER}"}}]', {ID, OTHER}),
    "of items that show none": ("[{}]", set()),
    "not of an object": (f'{{"idBoard":"{ID}"}}', set()),
    "not within a text": (f'[{{"x":"\\"idBoard\\":\\"{ID}\\""}}]', set()),
    "not of other names": (f'[{{"xidBoard":"{ID}","idBoards":["{ID}"]}}]', set()),
    "more than are worth naming": (
        "[" + ",".join(f'{{"idBoard":"{number:024x}"}}' for number in range(17)) + "]",
        set(),
    ),
}


@pytest.mark.parametrize(("body", "ids"), ITEMS.values(), ids=ITEMS)
def test_ids_of_items(body: str, ids: set[str]) -> None:
    assert JsonIds(body.encode()).item_ids("idBoard") == ids


def test_an_object_too_large_to_parse_shows_no_more_than_its_leading_id() -> None:
    response = JsonIds(f'{{"id":"{ID}","idBoard":"{OTHER}"'.encode() + LARGE + b"}")
    assert (response.id, response.id_at("idBoard")) == (ID, None)


@given(st.binary())
def test_no_body_is_too_strange(body: bytes) -> None:
    response = JsonIds(body)
    assert response.id is None or is_id(response.id)
    assert not response.item_ids("idCard") or b"idCard" in body
