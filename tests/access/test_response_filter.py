"""Response filter: what is left of a response for a scope."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.access.read_plan import ReadPlan, plan_read
from proxy.access.response_filter import ScopeFilter
from proxy.access.visible import NotVisible, Workspace, make_visible
from proxy.errors import OutsideScope
from proxy.trello.routes import RouteTable

OURS, THEIRS = "5f0000000000000000000001", "5f0000000000000000000002"
WORKSPACE, OTHER_WORKSPACE = "5f0000000000000000000003", "5f0000000000000000000004"
CARD = "5f0000000000000000000005"
VISIBLE = make_visible({OURS: "OurBoard"}, [Workspace(WORKSPACE, "acme", frozenset({OURS}))])
ROUTES = RouteTable()


def planned(path: str, query: str = "") -> ReadPlan:
    return plan_read(ROUTES.classify("GET", path.split("/")), query, VISIBLE)


def filtered(path: str, value: Any, query: str = "") -> Any:
    body = json.dumps(value, separators=(",", ":")).encode()
    return json.loads(ScopeFilter(VISIBLE).response(body, planned(path, query)))


def test_a_response_that_names_no_other_board_is_the_same_bytes() -> None:
    body = b'{"id":"x","idBoard":"%b","n":1.50,"t":"\\u00e9"}' % OURS.encode()
    assert ScopeFilter(VISIBLE).response(body, planned("cards/x")) is body


def test_what_is_left_keeps_its_bytes() -> None:
    body = b'[{"id":"%b","n":1.50},{"id":"%b"},{"id":"%b","t":"\\u00e9"}]' % (
        OURS.encode(), THEIRS.encode(), OURS.encode(),
    )  # fmt: skip
    left = ScopeFilter(VISIBLE).response(body, planned("members/me/boards"))
    assert left == b'[{"id":"%b","n":1.50},{"id":"%b","t":"\\u00e9"}]' % (
        OURS.encode(), OURS.encode(),
    )  # fmt: skip


@pytest.mark.parametrize(
    "member",
    [
        {"idBoard": THEIRS},
        {"idBoardSource": THEIRS},
        {"board": {"id": THEIRS, "name": "secret"}},
        {"board": {"name": "secret"}},
        {"boardSource": {"id": THEIRS}},
        {"cardSource": {"id": CARD, "name": "secret"}},
        {"idCardSource": CARD},
        {"checklistSource": {"name": "secret"}},
        {"mirrorSourceId": CARD},
        {"boards": [{"id": THEIRS, "name": "secret"}]},
        {"idBoards": [THEIRS]},
        {"boardStars": [{"id": CARD, "idBoard": THEIRS}]},
        {"organizations": [{"id": OTHER_WORKSPACE, "name": "secret"}]},
        {"idOrganizations": [OTHER_WORKSPACE]},
        {"actions": [{"type": "x", "data": {"board": {"id": THEIRS}, "list": {"name": "secret"}}}]},
        {"entities": [{"type": "board", "id": THEIRS, "text": "secret"}]},
        {"display": {"entities": {"source": {"type": "board", "id": THEIRS, "text": "secret"}}}},
        {"pluginData": [{"idBoard": THEIRS, "value": "secret"}]},
    ],
)
def test_a_member_that_names_another_board_is_left_out(member: dict[str, Any]) -> None:
    for path in ("boards/OurBoard", "members/me"):
        left = json.dumps(filtered(path, {"id": OURS, "inner": member, "kept": 1}))
        assert '"kept": 1' in left
        assert not [each for each in (THEIRS, CARD, OTHER_WORKSPACE, "secret") if each in left]


def test_what_names_a_visible_board_is_kept() -> None:
    value = {
        "idBoard": OURS, "board": {"id": OURS, "name": "ours"}, "idBoards": [OURS],
        "badges": {"attachmentsByType": {"trello": {"board": 0, "card": 0}}},
        "limits": {"boards": {"totalPerMember": {"status": "ok"}}}, "idBoardSource": None,
        "boardPlugins": [{"id": CARD, "idBoard": OURS, "idPlugin": CARD}],
        "organization": {"id": WORKSPACE, "memberships": [], "idBoards": [OURS]},
    }  # fmt: skip
    assert filtered("boards/OurBoard", value) == value


def test_a_workspace_outside_the_scope_shows_its_name_only() -> None:
    workspace = {"id": OTHER_WORKSPACE, "name": "x", "memberships": [{"id": CARD}]}
    left = filtered("boards/OurBoard", {"id": OURS, "organization": workspace})
    assert left["organization"] == {"id": OTHER_WORKSPACE, "name": "x"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("cards/x", {"id": CARD, "idBoard": THEIRS}),
        ("cards/x/board", {"id": THEIRS, "name": "secret"}),
        ("cards/x/list", {"id": CARD, "idBoard": THEIRS}),
        ("customFields/x", {"id": CARD, "modelType": "board", "idModel": THEIRS}),
        ("cards/x/idBoard", {"_value": THEIRS}),
        ("boards/OurBoard/cards/x", {"id": CARD, "idBoard": THEIRS}),
        ("boards/OurBoard/idBoardSource", {"_value": THEIRS}),
    ],
)
def test_an_object_of_another_board_is_not_visible(path: str, value: dict[str, Any]) -> None:
    with pytest.raises(NotVisible):
        filtered(path, value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("members/me/cards", [{"id": CARD}]),
        ("members/me/actions", [{"id": CARD, "type": "x"}]),
        ("members/me", {"id": CARD, "cards": [{"id": CARD}]}),
        ("members/me", {"id": CARD, "actions": [{"type": "x"}]}),
        ("search", {"cards": [{"id": CARD, "name": "secret"}]}),
        ("cards/x/actions", [{"id": CARD, "type": "x"}]),
        ("boards/OurBoard", {"id": OURS, "idNewBoardThing": THEIRS}),
        ("boards/OurBoard", {"id": OURS, "boardAddress": "https://trello.com/b/AnyBoard/secret"}),
        ("members/me/cards", [{"id": CARD, "idBoard": OURS}] * 1000),
    ],
)
def test_what_names_no_board_for_certain_is_refused(path: str, value: Any) -> None:
    with pytest.raises(OutsideScope):
        filtered(path, value, "query=x&modelTypes=cards" if path == "search" else "")


@pytest.mark.parametrize("body", [b'{ "id":1}', b"[1, 2]", b"<html>", b'{"a":1,"a":2}', b""])
def test_what_cannot_be_read_for_certain_is_refused(body: bytes) -> None:
    body = body.replace(b"1", b'{"idBoard":"x"}')
    with pytest.raises((OutsideScope, NotVisible)):
        ScopeFilter(VISIBLE).response(body, planned("members/me/boards"))


def test_a_page_of_a_feed_is_counted_after_the_filter() -> None:
    board = {OURS: "ours", THEIRS: "theirs"}
    feed = [{"id": str(n), "data": {"board": {"id": each}}} for n in range(10) for each in board]
    left = filtered("members/me/actions", feed, "limit=3&page=1")
    assert [each["id"] for each in left] == ["3", "4", "5"]
    with pytest.raises(OutsideScope):
        filtered("members/me/actions", feed * 50, "limit=600")


KEYS = st.sampled_from(
    ["id", "name", "idBoard", "board", "boards", "idBoards", "data", "cards", "actions", "members",
     "organization", "boardSource", "cardSource", "idOrganizations", "list", "inner", "type"]
)  # fmt: skip
LEAVES = st.sampled_from([OURS, THEIRS, "text", "", None, 0, True, WORKSPACE, OTHER_WORKSPACE])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


def boards_named(value: object, key: str = "") -> set[object]:
    """Every id that stands for a board, by its name or that of its object."""
    if isinstance(value, dict):
        within = [boards_named(each, name) for name, each in value.items()]
        own = {value.get("id")} if key in {"board", "boards", "boardSource"} else set()
        return own.union(*within)
    if isinstance(value, list):
        return set[object]().union(*(boards_named(each, key) for each in value))
    return {value} if key in {"idBoard", "board", "boards", "idBoards", "boardSource"} else set()


@example({"id": OURS, "board": [[THEIRS]]}, "boards/OurBoard")
@given(TREES, st.sampled_from(["boards/OurBoard", "cards/x", "members/me", "members/me/boards"]))
def test_no_response_names_another_board(value: object, path: str) -> None:
    try:
        left = filtered(path, value)
    except (OutsideScope, NotVisible):
        return
    assert THEIRS not in boards_named(left)


def test_a_card_on_no_board_is_in_no_list() -> None:
    cards = [{"id": CARD, "idBoard": None}, {"id": CARD, "idBoard": ""}]
    assert filtered("members/me/cards", cards) == []
    with pytest.raises(NotVisible):
        filtered("cards/x", {"id": CARD, "idBoard": None})
