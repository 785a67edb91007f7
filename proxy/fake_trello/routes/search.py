"""Search routes: substring search over what the requester can read."""

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


def _search(state: State, request: Request) -> Obj:
    access.require_member_id(request)
    query = request.text("query").lower()
    if not query:
        raise invalid("query")
    kinds = [kind for kind in as_list(request.text("modelTypes", "all")) if kind in _ALL] or _ALL
    terms = [{"text": term} for term in query.split()]
    out: Obj = {"options": {"terms": terms, "modifiers": [], "modelTypes": list(kinds)}}
    for kind, find in _FINDERS.items():
        if kind in kinds:
            out[kind] = find(state, request, query)
    return out


def _seen_boards(state: State, request: Request) -> list[Obj]:
    board_ids = as_list(request.params.get("idBoards"))
    allowed = None if board_ids in ([], ["mine"]) else board_ids
    return [
        board
        for board in state.boards.values()
        if access.role_of(board, request.requester.member_id)
        and (allowed is None or board["id"] in allowed)
    ]


def _has(text: str, *places: str) -> bool:
    return any(text in membership.lower() for membership in places)


def _boards(state: State, request: Request, query: str) -> list[Obj]:
    matches = [
        each for each in _seen_boards(state, request) if _has(query, each["name"], each["desc"])
    ]
    fields = nested_resources.fields_of(request, "board_fields", "name,idOrganization")
    limit = request.number("boards_limit", 10, 1000)
    return [view(state, BOARD, each, request.requester, fields) for each in matches[:limit]]


def _cards(state: State, request: Request, query: str) -> list[Obj]:
    matches = [
        card
        for board in _seen_boards(state, request)
        for card in state.cards.of(board["id"])
        if _has(query, card["name"], card["desc"])
    ]
    limit = request.number("cards_limit", 10, 1000)
    start = limit * request.number("cards_page", 0, 100)
    fields = nested_resources.fields_of(request, "card_fields")
    return [
        view(state, CARD, each, request.requester, fields)
        for each in matches[start : start + limit]
    ]


def _members(state: State, request: Request, query: str) -> list[Obj]:
    matches = [m for m in state.members.values() if _has(query, m["username"], m["fullName"])]
    limit = request.number("members_limit", 10, 1000)
    fields = nested_resources.fields_of(request, "member_fields", _MEMBER_FIELDS)
    return [view(state, MEMBER, each, request.requester, fields) for each in matches[:limit]]


def _organizations(state: State, request: Request, query: str) -> list[Obj]:
    matches = [
        each
        for each in state.organizations.values()
        if access.role_of(each, request.requester.member_id)
        and _has(query, each["name"], each["displayName"])
    ]
    fields = nested_resources.fields_of(request, "organization_fields", "name,displayName")
    return [view(state, ORGANIZATION, each, request.requester, fields) for each in matches]


_FINDERS = {
    "boards": _boards,
    "cards": _cards,
    "members": _members,
    "organizations": _organizations,
    "actions": lambda *_: [],
}


def _search_members(state: State, request: Request) -> list[Obj]:
    access.require_member_id(request)
    query = request.text("query").lower()
    if not query:
        raise invalid("query")
    matches = [m for m in state.members.values() if _has(query, m["username"], m["fullName"])]
    limit = request.number("limit", 8, 20)
    return [
        view(state, MEMBER, each, request.requester, _MEMBER_FIELDS) for each in matches[:limit]
    ]


TABLE: Table = {
    ("GET", "search"): _search,
    ("GET", "search/members"): _search_members,
    ("GET", "membersSearch"): _search_members,
}
