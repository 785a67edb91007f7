"""What Trello says of a token is understood, or not believed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.trello.token_info import (
    Member,
    TokenInfo,
    days_left,
    member_in,
    token_in,
)

ID = "5e93ba403f1ab3603ba81a09"
READ = {"idModel": "*", "modelType": "Board", "read": True, "write": False}
BOTH = {**READ, "write": True}

TOKENS: dict[str, tuple[object, TokenInfo | None]] = {
    "one that never ends": (
        {"idMember": ID, "dateExpires": None, "permissions": [BOTH]},
        TokenInfo(ID, None, ("read", "write")),
    ),
    "one that ends and only reads": (
        {"idMember": ID, "dateExpires": "2026-12-01T00:00:00.000Z", "permissions": [READ]},
        TokenInfo(ID, 1_796_083_200.0, ("read",)),
    ),
    "one that may do nothing": (
        {"idMember": ID, "dateExpires": None, "permissions": "?"},
        TokenInfo(ID, None, ()),
    ),
    "an end that is not told": ({"idMember": ID}, None),
    "an end that is no time": ({"idMember": ID, "dateExpires": "soon"}, None),
    "nobody's": ({"idMember": "me", "dateExpires": None}, None),
    "a list": ([], None),
}


@pytest.mark.parametrize(("told", "facts"), TOKENS.values(), ids=TOKENS.keys())
def test_token_in(told: object, facts: TokenInfo | None) -> None:
    assert token_in(json.dumps(told).encode()) == facts


MEMBERS: dict[str, tuple[object, Member | None]] = {
    "a member": ({"id": ID, "username": "dana"}, Member(ID, "dana")),
    "without a name": ({"id": ID}, None),
    "without an id": ({"id": "dana", "username": "dana"}, None),
}


@pytest.mark.parametrize(("told", "member"), MEMBERS.values(), ids=MEMBERS.keys())
def test_member_in(told: object, member: Member | None) -> None:
    assert member_in(json.dumps(told).encode()) == member


@given(st.binary(max_size=60))
def test_what_is_no_answer_tells_nothing(body: bytes) -> None:
    assert token_in(body) is None
    assert member_in(body) is None


@pytest.mark.parametrize(("left_s", "days"), [(86_400, 1), (86_399, 0), (0, 0), (-1, -1)])
def test_days_left_are_whole_ones(left_s: float, days: int) -> None:
    assert days_left(1000.0 + left_s, 1000.0) == days
