"""/1/search and /1/search/members: plain substring search over what the asker sees."""

from proxy.fake_trello import access, nested_resources
from proxy.fake_trello.errors import invalid
from proxy.fake_trello.field_selection import (
    BOARD,
    CARD,
    MEMBER,
    ORGANIZATION,
    view,
)
from proxy.fake_trello.request import (
    Obj,
    Request,
    as_list,
)
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import State

_ALL = ("actions", "boards", "cards", "members", "organizations")
_MEMBER_FIELDS = "avatarHash,fullName,initials,username,confirmed"


def _search(state: State, call: Request) -> Obj:
    access.known(call)
    query = call.text("query").lower()
    if not query:
        raise invalid("query")
    kinds = [kind for kind in as_list(call.text("modelTypes", "all")) if kind in _ALL] or _ALL
    terms = [{"text": term} for term in query.split()]
    out: Obj = {"options": {"terms": terms, "modifiers": [], "modelTypes": list(kinds)}}
    for kind, find in _FINDERS.items():
        if kind in kinds:
            out[kind] = find(state, call, query)
    return out


def _seen_boards(state: State, call: Request) -> list[Obj]:
    wanted = as_list(call.params.get("idBoards"))
    only = None if wanted in ([], ["mine"]) else wanted
    return [
        board
        for board in state.boards.values()
        if access.role_of(board, call.asker.member_id) and (only is None or board["id"] in only)
    ]


def _has(text: str, *places: str) -> bool:
    return any(text in place.lower() for place in places)


def _boards(state: State, call: Request, query: str) -> list[Obj]:
    found = [each for each in _seen_boards(state, call) if _has(query, each["name"], each["desc"])]
    fields = nested_resources.fields_of(call, "board_fields", "name,idOrganization")
    limit = call.number("boards_limit", 10, 1000)
    return [view(state, BOARD, each, call.asker, fields) for each in found[:limit]]


def _cards(state: State, call: Request, query: str) -> list[Obj]:
    found = [
        card
        for board in _seen_boards(state, call)
        for card in state.cards.of(board["id"])
        if _has(query, card["name"], card["desc"])
    ]
    limit = call.number("cards_limit", 10, 1000)
    start = limit * call.number("cards_page", 0, 100)
    fields = nested_resources.fields_of(call, "card_fields")
    return [view(state, CARD, each, call.asker, fields) for each in found[start : start + limit]]


def _members(state: State, call: Request, query: str) -> list[Obj]:
    found = [m for m in state.members.values() if _has(query, m["username"], m["fullName"])]
    limit = call.number("members_limit", 10, 1000)
    fields = nested_resources.fields_of(call, "member_fields", _MEMBER_FIELDS)
    return [view(state, MEMBER, each, call.asker, fields) for each in found[:limit]]


def _organizations(state: State, call: Request, query: str) -> list[Obj]:
    found = [
        each
        for each in state.organizations.values()
        if access.role_of(each, call.asker.member_id)
        and _has(query, each["name"], each["displayName"])
    ]
    fields = nested_resources.fields_of(call, "organization_fields", "name,displayName")
    return [view(state, ORGANIZATION, each, call.asker, fields) for each in found]


_FINDERS = {
    "boards": _boards,
    "cards": _cards,
    "members": _members,
    "organizations": _organizations,
    "actions": lambda *_: [],
}


def _search_members(state: State, call: Request) -> list[Obj]:
    access.known(call)
    query = call.text("query").lower()
    if not query:
        raise invalid("query")
    found = [m for m in state.members.values() if _has(query, m["username"], m["fullName"])]
    limit = call.number("limit", 8, 20)
    return [view(state, MEMBER, each, call.asker, _MEMBER_FIELDS) for each in found[:limit]]


TABLE: Table = {
    ("GET", "search"): _search,
    ("GET", "search/members"): _search_members,
    ("GET", "membersSearch"): _search_members,
}
