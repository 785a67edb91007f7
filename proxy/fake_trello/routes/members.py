"""Member routes `/1/members`: members, their boards, cards and stars."""

from typing import Any

from proxy.fake_trello import access, actions, nested_resources
from proxy.fake_trello.errors import not_found
from proxy.fake_trello.field_selection import (
    MEMBER,
    ORGANIZATION,
    STAR,
    view,
)
from proxy.fake_trello.request import (
    Obj,
    Request,
    names,
)
from proxy.fake_trello.routes.cards import EMPTY_LIMITS, field_value
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import (
    State,
    by_pos,
    position,
)


def _get(state: State, request: Request) -> Obj:
    member = access.member(state, request, request.ids[0])
    out = view(
        state, MEMBER, member, request.requester, nested_resources.fields_of(request, "fields")
    )
    for name, embed in _EMBEDS.items():
        if nested_resources.wants(request, name):
            out |= embed(state, request, member)
    return out


def _embed_boards(state: State, request: Request, member: Obj) -> Obj:
    selected = nested_resources.visible_boards(state, request, member, request.text("boards"))
    return {"boards": [nested_resources.board(state, request, each, "board_") for each in selected]}


def _embed_organizations(state: State, request: Request, member: Obj) -> Obj:
    fields = nested_resources.fields_of(request, "organization_fields")
    selected = _of_member(state, member)
    return {
        "organizations": [view(state, ORGANIZATION, o, request.requester, fields) for o in selected]
    }


def _embed_cards(state: State, request: Request, member: Obj) -> Obj:
    selected = nested_resources.by_state(_cards_of(state, request, member), request.text("cards"))
    return {"cards": nested_resources.cards(state, request, selected, "card_")}


_EMBEDS: dict[str, nested_resources.Embed] = {
    "boards": _embed_boards,
    "organizations": _embed_organizations,
    "cards": _embed_cards,
    "boardStars": lambda state, request, member: {"boardStars": _stars_of(state, request, member)},
    "notifications": lambda *_: {"notifications": []},
    "tokens": lambda *_: {"tokens": []},
}


def _get_field(state: State, request: Request) -> Any:
    member = access.member(state, request, request.ids[0])
    rendered = view(state, MEMBER, member, request.requester)
    return field_value(rendered, request.ids[1], f"/1/members/{request.ids[0]}/{request.ids[1]}")


def _update(state: State, request: Request) -> Obj:
    member = access.own_member(state, request, request.ids[0])
    for name in ("fullName", "initials", "bio"):
        if name in request.params:
            member[name] = request.text(name)
    member["ixUpdate"] += 1
    actions.record(state, request, "updateMember", {"member": actions.reference(member)})
    return view(state, MEMBER, member, request.requester)


def _boards(state: State, request: Request) -> list[Obj]:
    member = access.member(state, request, request.ids[0])
    filter_ = request.ids[1] if len(request.ids) > 1 else request.text("filter", "all")
    selected = nested_resources.visible_boards(state, request, member, filter_)
    request.params.setdefault("fields", "all")
    return [nested_resources.board(state, request, each) for each in selected]


def _cards_of(state: State, request: Request, member: Obj) -> list[Obj]:
    return [
        card
        for board in nested_resources.visible_boards(state, request, member)
        for card in by_pos(state.cards.of(board["id"]))
        if member["id"] in card["idMembers"]
    ]


def _cards(state: State, request: Request) -> list[Obj]:
    member = access.member(state, request, request.ids[0])
    filter_ = request.ids[1] if len(request.ids) > 1 else request.text("filter", "open")
    return nested_resources.cards(
        state, request, nested_resources.by_state(_cards_of(state, request, member), filter_)
    )


def _actions(state: State, request: Request) -> Any:
    member = access.member(state, request, request.ids[0])
    boards = nested_resources.visible_boards(state, request, member)
    selected = [each for board in boards for each in state.actions.of(board["id"])]
    return actions.feed(
        state, request, [each for each in selected if each["idMemberCreator"] == member["id"]]
    )


def _of_member(state: State, member: Obj) -> list[Obj]:
    everything = state.organizations.values()
    return [each for each in everything if access.role_of(each, member["id"])]


def _organizations(state: State, request: Request) -> list[Obj]:
    member = access.member(state, request, request.ids[0])
    fields = nested_resources.fields_of(request, "fields")
    return [
        view(state, ORGANIZATION, each, request.requester, fields)
        for each in _of_member(state, member)
        if access.role_of(each, request.requester.member_id)
    ]


def _empty(state: State, request: Request) -> list[Obj]:
    access.own_member(state, request, request.ids[0])
    return []


def _stars_of(state: State, request: Request, member: Obj) -> list[Obj]:
    return [view(state, STAR, each, request.requester) for each in state.stars.of(member["id"])]


def _stars(state: State, request: Request) -> list[Obj]:
    return _stars_of(state, request, access.own_member(state, request, request.ids[0]))


def _star(state: State, request: Request) -> Obj:
    """Stars record no action and change no date."""
    me = access.own_member(state, request, request.ids[0])
    board = access.require_referenced(state.boards.get(request.text("idBoard")))
    pos = position(request.params.get("pos", "bottom"), state.stars.of(me["id"]))
    star = {"id": state.new_id(), "idMember": me["id"], "idBoard": board["id"], "pos": pos}
    return view(state, STAR, state.stars.put(star), request.requester)


def _own_star(state: State, request: Request) -> Obj:
    me = access.own_member(state, request, request.ids[0])
    star = state.stars.get(request.ids[1])
    if star["idMember"] != me["id"]:
        raise not_found()
    return star


def _get_star(state: State, request: Request) -> Obj:
    return view(state, STAR, _own_star(state, request), request.requester)


def _move_star(state: State, request: Request) -> Obj:
    star = _own_star(state, request)
    star["pos"] = position(request.params.get("pos"), state.stars.of(star["idMember"]))
    return view(state, STAR, star, request.requester)


def _unstar(state: State, request: Request) -> Obj:
    state.stars.drop(_own_star(state, request))
    return EMPTY_LIMITS


_NONE = names(
    "notifications boardsInvited organizationsInvited savedSearches customEmoji customStickers "
    "boardBackgrounds customBoardBackgrounds tokens"
)
"""Collections that are always empty here."""

TABLE: Table = {
    ("GET", "members/{member}"): _get,
    ("PUT", "members/{member}"): _update,
    ("GET", "members/{member}/{field}"): _get_field,
    ("GET", "members/{member}/boards"): _boards,
    ("GET", "members/{member}/boards/{filter}"): _boards,
    ("GET", "members/{member}/cards"): _cards,
    ("GET", "members/{member}/cards/{filter}"): _cards,
    ("GET", "members/{member}/actions"): _actions,
    ("GET", "members/{member}/organizations"): _organizations,
    ("GET", "members/{member}/boardStars"): _stars,
    ("POST", "members/{member}/boardStars"): _star,
    ("GET", "members/{member}/boardStars/{star}"): _get_star,
    ("PUT", "members/{member}/boardStars/{star}"): _move_star,
    ("DELETE", "members/{member}/boardStars/{star}"): _unstar,
    **dict.fromkeys((("GET", f"members/{{member}}/{name}") for name in _NONE), _empty),
}
