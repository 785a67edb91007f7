"""Card routes `/1/cards`: cards, their members, labels, votes and stickers."""

import math
from typing import Any

from proxy.fake_trello import access, actions, card_edits, nested_resources, object_factory
from proxy.fake_trello.errors import (
    Refusal,
    invalid,
    no_route,
)
from proxy.fake_trello.field_selection import (
    BOARD,
    CARD,
    LIST,
    MEMBER_MEDIUM,
    STICKER,
    view,
)
from proxy.fake_trello.request import (
    Obj,
    Request,
    convert,
    names,
)
from proxy.fake_trello.routing import Handler, Table
from proxy.fake_trello.state import (
    State,
    as_number,
    position,
)

NULL_VALUE = {"_value": None}
"""The response of most deletions."""
EMPTY_LIMITS: Obj = {"limits": {}}
"""The response of the other deletions."""


def _get(state: State, request: Request) -> Obj:
    return nested_resources.card(state, request, access.card(state, request, request.ids[0]))


def field_value(rendered: Obj, name: str, path: str) -> Any:
    """The value of one field: scalars in `_value`, objects and lists bare; 404 for no field."""
    if name not in rendered:
        raise no_route("GET", path)
    value = rendered[name]
    return value if isinstance(value, dict | list) else {"_value": value}


def _get_field(state: State, request: Request) -> Any:
    card = access.card(state, request, request.ids[0])
    rendered = view(state, CARD, card, request.requester)
    return field_value(rendered, request.ids[1], f"/1/cards/{request.ids[0]}/{request.ids[1]}")


def _create(state: State, request: Request) -> Obj:
    list_ = access.on_board(
        state, request, access.require_referenced(state.lists.find(request.text("idList")))
    )
    initial = {
        name: convert(name, request.params[name]) for name in _ON_CREATION if name in request.params
    }
    pos = position(request.params.get("pos"), state.cards_of_list(list_))
    created = object_factory.card(state, list_, request.text("name"))
    source = request.params.get("idCardSource")
    if source:
        _copy(state, request, access.require_referenced(state.cards.find(str(source))), created)
    created |= initial | {"pos": pos}
    actions.record_on_card(state, request, "copyCard" if source else "createCard", created)
    return {**view(state, CARD, created, request.requester), "attachments": [], "stickers": []}


_ON_CREATION = names("desc due start dueComplete idLabels idMembers address locationName")


def _copy(state: State, request: Request, source: Obj, created: Obj) -> None:
    access.on_board(state, request, source)
    created["name"] = request.text("name") or source["name"]
    created["desc"], created["due"] = source["desc"], source["due"]
    if source["idBoard"] == created["idBoard"]:
        created["idLabels"] = list(source["idLabels"])


def _update(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    card_edits.edit(state, request, card, request.params)
    return view(state, CARD, card, request.requester)


def _update_field(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    if request.ids[1] not in card_edits.EDITABLE:
        raise no_route("PUT", f"/1/cards/{request.ids[0]}/{request.ids[1]}")
    card_edits.edit(state, request, card, {request.ids[1]: request.params.get("value")})
    return view(state, CARD, card, request.requester)


def _delete(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    data = {
        **actions.card_references(state, card),
        "card": {"id": card["id"], "idShort": card["idShort"]},
    }
    for each in actions.of_card(state, card):
        state.actions.drop(each)
    state.forget_card(card)
    state.touch(state.boards[card["idBoard"]])
    actions.record(state, request, "deleteCard", data)
    return EMPTY_LIMITS


def _actions(state: State, request: Request) -> Any:
    card = access.card(state, request, request.ids[0])
    return actions.feed(state, request, actions.of_card(state, card), actions.CARD_FILTER)


def _board(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    board = state.boards[card["idBoard"]]
    return view(
        state, BOARD, board, request.requester, nested_resources.fields_of(request, "fields")
    )


def _list(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    list_ = state.lists.get(card["idList"])
    return view(
        state, LIST, list_, request.requester, nested_resources.fields_of(request, "fields")
    )


def _members_in(field: str) -> Handler:
    def handler(state: State, request: Request) -> list[Obj]:
        card = access.card(state, request, request.ids[0])
        fields = nested_resources.fields_of(request, "fields", MEMBER_MEDIUM)
        return nested_resources.members(state, request, card[field], fields)

    return handler


def _add_label(state: State, request: Request) -> list[str]:
    card = access.card(state, request, request.ids[0])
    card_edits.add_label(state, request, card, request.text("value"))
    return list(card["idLabels"])


def _new_label(state: State, request: Request) -> list[str]:
    card = access.card(state, request, request.ids[0])
    color = request.params.get("color") or None
    created = object_factory.label(state, card["idBoard"], request.text("name"), color)
    card_edits.add_label(state, request, card, created["id"])
    return list(card["idLabels"])


def _remove_label(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    card_edits.remove_label(state, request, card, request.ids[1])
    return NULL_VALUE


def _add_member(state: State, request: Request) -> list[Obj]:
    card = access.card(state, request, request.ids[0])
    card_edits.add_member(state, request, card, request.text("value"))
    return nested_resources.members(state, request, card["idMembers"], MEMBER_MEDIUM)


def _remove_member(state: State, request: Request) -> list[Obj]:
    card = access.card(state, request, request.ids[0])
    member = state.member(request.ids[1])
    card_edits.remove_member(state, request, card, member["id"])
    return nested_resources.members(state, request, card["idMembers"], MEMBER_MEDIUM)


def _vote(state: State, request: Request) -> list[Obj]:
    card = access.card(state, request, request.ids[0])
    voter = request.text("value") or access.require_member_id(request)
    if voter in card["idMembersVoted"]:
        raise Refusal(400, "member has already voted on the card")
    card["idMembersVoted"] = [*card["idMembersVoted"], voter]
    _voted(state, request, card, voted=True)
    return nested_resources.members(state, request, card["idMembersVoted"], MEMBER_MEDIUM)


def _unvote(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    voter = state.member(request.ids[1])["id"]
    if voter not in card["idMembersVoted"]:
        raise Refusal(400, "member has not voted on the card")
    card["idMembersVoted"] = [each for each in card["idMembersVoted"] if each != voter]
    _voted(state, request, card, voted=False)
    return NULL_VALUE


def _voted(state: State, request: Request, card: Obj, *, voted: bool) -> None:
    state.touch(state.boards[card["idBoard"]], activity=False)
    data = {**actions.card_references(state, card), "voted": voted}
    actions.record(state, request, "voteOnCard", data)


def _stickers(state: State, request: Request) -> list[Obj]:
    card = access.card(state, request, request.ids[0])
    return [view(state, STICKER, each, request.requester) for each in state.stickers.of(card["id"])]


def _add_sticker(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    image = request.text("image", "thumbsup")
    created = {
        "id": state.new_id(),
        "idCard": card["id"],
        "image": image,
        "imageUrl": f"https://trello.com/images/stickers/{image}.png",
        "imageScaled": [],
        **dict.fromkeys(_STICKER_POSITION, 0.0),
        **_sticker_position(request),
    }
    state.touch(state.boards[card["idBoard"]], activity=False)
    return view(state, STICKER, state.stickers.put(created), request.requester)


def _sticker_position(request: Request) -> Obj:
    values = {
        name: as_number(request.params[name])
        for name in _STICKER_POSITION
        if name in request.params
    }
    for name, value in values.items():
        if not math.isfinite(value):
            raise invalid(name)
    return values


def _sticker(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    sticker = access.require_on_card(card, state.stickers.find(request.ids[1]))
    return view(state, STICKER, sticker, request.requester)


def _move_sticker(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    sticker = access.require_on_card(card, state.stickers.find(request.ids[1]))
    sticker |= _sticker_position(request)
    state.touch(state.boards[card["idBoard"]], activity=False)
    return view(state, STICKER, sticker, request.requester)


def _remove_sticker(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    state.stickers.drop(access.require_on_card(card, state.stickers.find(request.ids[1])))
    state.touch(state.boards[card["idBoard"]], activity=False)
    return {"stickers": []}


def _plugin_data(state: State, request: Request) -> list[Obj]:
    access.card(state, request, request.ids[0])
    return []


def _read_notifications(state: State, request: Request) -> Obj:
    access.card(state, request, request.ids[0])
    return NULL_VALUE


_STICKER_POSITION = ("top", "left", "zIndex", "rotate")

TABLE: Table = {
    ("POST", "cards"): _create,
    ("GET", "cards/{card}"): _get,
    ("PUT", "cards/{card}"): _update,
    ("DELETE", "cards/{card}"): _delete,
    ("GET", "cards/{card}/{field}"): _get_field,
    ("PUT", "cards/{card}/{field}"): _update_field,
    ("GET", "cards/{card}/actions"): _actions,
    ("GET", "cards/{card}/board"): _board,
    ("GET", "cards/{card}/list"): _list,
    ("GET", "cards/{card}/members"): _members_in("idMembers"),
    ("GET", "cards/{card}/membersVoted"): _members_in("idMembersVoted"),
    ("POST", "cards/{card}/membersVoted"): _vote,
    ("DELETE", "cards/{card}/membersVoted/{member}"): _unvote,
    ("POST", "cards/{card}/idLabels"): _add_label,
    ("POST", "cards/{card}/labels"): _new_label,
    ("DELETE", "cards/{card}/idLabels/{label}"): _remove_label,
    ("POST", "cards/{card}/idMembers"): _add_member,
    ("POST", "cards/{card}/members"): _add_member,
    ("DELETE", "cards/{card}/idMembers/{member}"): _remove_member,
    ("DELETE", "cards/{card}/members/{member}"): _remove_member,
    ("GET", "cards/{card}/stickers"): _stickers,
    ("POST", "cards/{card}/stickers"): _add_sticker,
    ("GET", "cards/{card}/stickers/{sticker}"): _sticker,
    ("PUT", "cards/{card}/stickers/{sticker}"): _move_sticker,
    ("DELETE", "cards/{card}/stickers/{sticker}"): _remove_sticker,
    ("GET", "cards/{card}/pluginData"): _plugin_data,
    ("POST", "cards/{card}/markAssociatedNotificationsRead"): _read_notifications,
}
