"""/1/members: people, the boards and cards they have, the stars they gave."""

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
from proxy.fake_trello.routes.cards import LIMITS, field_value
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import (
    State,
    by_pos,
    position,
)


def _get(state: State, call: Request) -> Obj:
    found = access.member(state, call, call.ids[0])
    out = view(state, MEMBER, found, call.asker, nested_resources.fields_of(call, "fields"))
    for name, ride in _RIDERS.items():
        if nested_resources.wants(call, name):
            out |= ride(state, call, found)
    return out


def _ride_boards(state: State, call: Request, found: Obj) -> Obj:
    kept = nested_resources.visible_boards(state, call, found, call.text("boards"))
    return {"boards": [nested_resources.board(state, call, each, "board_") for each in kept]}


def _ride_organizations(state: State, call: Request, found: Obj) -> Obj:
    fields = nested_resources.fields_of(call, "organization_fields")
    kept = _of_member(state, found)
    return {"organizations": [view(state, ORGANIZATION, o, call.asker, fields) for o in kept]}


def _ride_cards(state: State, call: Request, found: Obj) -> Obj:
    kept = nested_resources.by_state(_cards_of(state, call, found), call.text("cards"))
    return {"cards": nested_resources.cards(state, call, kept, "card_")}


_RIDERS: dict[str, nested_resources.Ride] = {
    "boards": _ride_boards,
    "organizations": _ride_organizations,
    "cards": _ride_cards,
    "boardStars": lambda state, call, found: {"boardStars": _stars_of(state, call, found)},
    "notifications": lambda *_: {"notifications": []},
    "tokens": lambda *_: {"tokens": []},
}


def _get_field(state: State, call: Request) -> Any:
    found = access.member(state, call, call.ids[0])
    seen = view(state, MEMBER, found, call.asker)
    return field_value(seen, call.ids[1], f"/1/members/{call.ids[0]}/{call.ids[1]}")


def _update(state: State, call: Request) -> Obj:
    found = access.own(state, call, call.ids[0])
    for name in ("fullName", "initials", "bio"):
        if name in call.params:
            found[name] = call.text(name)
    found["ixUpdate"] += 1
    actions.record(state, call, "updateMember", {"member": actions.ref(found)})
    return view(state, MEMBER, found, call.asker)


def _boards(state: State, call: Request) -> list[Obj]:
    found = access.member(state, call, call.ids[0])
    wanted = call.ids[1] if len(call.ids) > 1 else call.text("filter", "all")
    kept = nested_resources.visible_boards(state, call, found, wanted)
    call.params.setdefault("fields", "all")
    return [nested_resources.board(state, call, each) for each in kept]


def _cards_of(state: State, call: Request, found: Obj) -> list[Obj]:
    return [
        card
        for board in nested_resources.visible_boards(state, call, found)
        for card in by_pos(state.cards.of(board["id"]))
        if found["id"] in card["idMembers"]
    ]


def _cards(state: State, call: Request) -> list[Obj]:
    found = access.member(state, call, call.ids[0])
    wanted = call.ids[1] if len(call.ids) > 1 else call.text("filter", "open")
    return nested_resources.cards(
        state, call, nested_resources.by_state(_cards_of(state, call, found), wanted)
    )


def _actions(state: State, call: Request) -> Any:
    found = access.member(state, call, call.ids[0])
    boards = nested_resources.visible_boards(state, call, found)
    kept = [each for board in boards for each in state.actions.of(board["id"])]
    return actions.feed(
        state, call, [each for each in kept if each["idMemberCreator"] == found["id"]]
    )


def _of_member(state: State, found: Obj) -> list[Obj]:
    everything = state.organizations.values()
    return [each for each in everything if access.role_of(each, found["id"])]


def _organizations(state: State, call: Request) -> list[Obj]:
    found = access.member(state, call, call.ids[0])
    fields = nested_resources.fields_of(call, "fields")
    return [
        view(state, ORGANIZATION, each, call.asker, fields)
        for each in _of_member(state, found)
        if access.role_of(each, call.asker.member_id)
    ]


def _empty(state: State, call: Request) -> list[Obj]:
    access.own(state, call, call.ids[0])
    return []


def _stars_of(state: State, call: Request, found: Obj) -> list[Obj]:
    return [view(state, STAR, each, call.asker) for each in state.stars.of(found["id"])]


def _stars(state: State, call: Request) -> list[Obj]:
    return _stars_of(state, call, access.own(state, call, call.ids[0]))


def _star(state: State, call: Request) -> Obj:
    """Stars have no action and move no date."""
    me = access.own(state, call, call.ids[0])
    board = access.body_id(state.boards.get(call.text("idBoard")))
    pos = position(call.params.get("pos", "bottom"), state.stars.of(me["id"]))
    star = {"id": state.new_id(), "idMember": me["id"], "idBoard": board["id"], "pos": pos}
    return view(state, STAR, state.stars.put(star), call.asker)


def _own_star(state: State, call: Request) -> Obj:
    me = access.own(state, call, call.ids[0])
    star = state.stars.get(call.ids[1])
    if star["idMember"] != me["id"]:
        raise not_found()
    return star


def _get_star(state: State, call: Request) -> Obj:
    return view(state, STAR, _own_star(state, call), call.asker)


def _move_star(state: State, call: Request) -> Obj:
    star = _own_star(state, call)
    star["pos"] = position(call.params.get("pos"), state.stars.of(star["idMember"]))
    return view(state, STAR, star, call.asker)


def _unstar(state: State, call: Request) -> Obj:
    state.stars.drop(_own_star(state, call))
    return LIMITS


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
