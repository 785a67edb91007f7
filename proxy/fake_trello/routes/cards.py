"""/1/cards: the card itself, its members, labels, votes and stickers."""

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
    converted,
    names,
)
from proxy.fake_trello.routing import Handler, Table
from proxy.fake_trello.state import (
    State,
    as_number,
    position,
)

NOTHING = {"_value": None}
"""What most deletions answer."""
LIMITS: Obj = {"limits": {}}
"""What the others answer."""


def _get(state: State, call: Request) -> Obj:
    return nested_resources.card(state, call, access.card(state, call, call.ids[0]))


def field_value(seen: Obj, name: str, path: str) -> Any:
    """A single field: scalars in `_value`, objects and lists bare; 404 for no such field."""
    if name not in seen:
        raise no_route("GET", path)
    value = seen[name]
    return value if isinstance(value, dict | list) else {"_value": value}


def _get_field(state: State, call: Request) -> Any:
    found = access.card(state, call, call.ids[0])
    seen = view(state, CARD, found, call.asker)
    return field_value(seen, call.ids[1], f"/1/cards/{call.ids[0]}/{call.ids[1]}")


def _create(state: State, call: Request) -> Obj:
    list_ = access.of_board(state, call, access.body_id(state.lists.find(call.text("idList"))))
    born = {name: converted(name, call.params[name]) for name in _AT_BIRTH if name in call.params}
    pos = position(call.params.get("pos"), state.cards_of_list(list_))
    made = object_factory.card(state, list_, call.text("name"))
    source = call.params.get("idCardSource")
    if source:
        _copy(state, call, access.body_id(state.cards.find(str(source))), made)
    made |= born | {"pos": pos}
    actions.changed(state, call, "copyCard" if source else "createCard", made)
    return {**view(state, CARD, made, call.asker), "attachments": [], "stickers": []}


_AT_BIRTH = names("desc due start dueComplete idLabels idMembers address locationName")


def _copy(state: State, call: Request, source: Obj, made: Obj) -> None:
    access.of_board(state, call, source)
    made["name"] = call.text("name") or source["name"]
    made["desc"], made["due"] = source["desc"], source["due"]
    if source["idBoard"] == made["idBoard"]:
        made["idLabels"] = list(source["idLabels"])


def _update(state: State, call: Request) -> Obj:
    found = access.card(state, call, call.ids[0])
    card_edits.edit(state, call, found, call.params)
    return view(state, CARD, found, call.asker)


def _update_field(state: State, call: Request) -> Obj:
    found = access.card(state, call, call.ids[0])
    if call.ids[1] not in card_edits.EDITABLE:
        raise no_route("PUT", f"/1/cards/{call.ids[0]}/{call.ids[1]}")
    card_edits.edit(state, call, found, {call.ids[1]: call.params.get("value")})
    return view(state, CARD, found, call.asker)


def _delete(state: State, call: Request) -> Obj:
    found = access.card(state, call, call.ids[0])
    data = {**actions.about(state, found), "card": {"id": found["id"], "idShort": found["idShort"]}}
    for each in actions.of_card(state, found):
        state.actions.drop(each)
    state.forget_card(found)
    state.touch(state.boards[found["idBoard"]])
    actions.record(state, call, "deleteCard", data)
    return LIMITS


def _actions(state: State, call: Request) -> Any:
    found = access.card(state, call, call.ids[0])
    return actions.feed(state, call, actions.of_card(state, found), actions.CARD_FILTER)


def _board(state: State, call: Request) -> Obj:
    found = access.card(state, call, call.ids[0])
    board = state.boards[found["idBoard"]]
    return view(state, BOARD, board, call.asker, nested_resources.fields_of(call, "fields"))


def _list(state: State, call: Request) -> Obj:
    found = access.card(state, call, call.ids[0])
    list_ = state.lists.get(found["idList"])
    return view(state, LIST, list_, call.asker, nested_resources.fields_of(call, "fields"))


def _members_in(field: str) -> Handler:
    def handler(state: State, call: Request) -> list[Obj]:
        found = access.card(state, call, call.ids[0])
        fields = nested_resources.fields_of(call, "fields", MEMBER_MEDIUM)
        return nested_resources.members(state, call, found[field], fields)

    return handler


def _add_label(state: State, call: Request) -> list[str]:
    found = access.card(state, call, call.ids[0])
    card_edits.add_label(state, call, found, call.text("value"))
    return list(found["idLabels"])


def _new_label(state: State, call: Request) -> list[str]:
    found = access.card(state, call, call.ids[0])
    color = call.params.get("color") or None
    made = object_factory.label(state, found["idBoard"], call.text("name"), color)
    card_edits.add_label(state, call, found, made["id"])
    return list(found["idLabels"])


def _remove_label(state: State, call: Request) -> Obj:
    found = access.card(state, call, call.ids[0])
    card_edits.remove_label(state, call, found, call.ids[1])
    return NOTHING


def _add_member(state: State, call: Request) -> list[Obj]:
    found = access.card(state, call, call.ids[0])
    card_edits.add_member(state, call, found, call.text("value"))
    return nested_resources.members(state, call, found["idMembers"], MEMBER_MEDIUM)


def _remove_member(state: State, call: Request) -> list[Obj]:
    found = access.card(state, call, call.ids[0])
    member = state.member(call.ids[1])
    card_edits.remove_member(state, call, found, member["id"])
    return nested_resources.members(state, call, found["idMembers"], MEMBER_MEDIUM)


def _vote(state: State, call: Request) -> list[Obj]:
    found = access.card(state, call, call.ids[0])
    voter = call.text("value") or access.known(call)
    if voter in found["idMembersVoted"]:
        raise Refusal(400, "member has already voted on the card")
    found["idMembersVoted"] = [*found["idMembersVoted"], voter]
    _voted(state, call, found, voted=True)
    return nested_resources.members(state, call, found["idMembersVoted"], MEMBER_MEDIUM)


def _unvote(state: State, call: Request) -> Obj:
    found = access.card(state, call, call.ids[0])
    voter = state.member(call.ids[1])["id"]
    if voter not in found["idMembersVoted"]:
        raise Refusal(400, "member has not voted on the card")
    found["idMembersVoted"] = [each for each in found["idMembersVoted"] if each != voter]
    _voted(state, call, found, voted=False)
    return NOTHING


def _voted(state: State, call: Request, found: Obj, *, voted: bool) -> None:
    state.touch(state.boards[found["idBoard"]], activity=False)
    data = {**actions.about(state, found), "voted": voted}
    actions.record(state, call, "voteOnCard", data)


def _stickers(state: State, call: Request) -> list[Obj]:
    found = access.card(state, call, call.ids[0])
    return [view(state, STICKER, each, call.asker) for each in state.stickers.of(found["id"])]


def _stick(state: State, call: Request) -> Obj:
    found = access.card(state, call, call.ids[0])
    image = call.text("image", "thumbsup")
    made = {
        "id": state.new_id(),
        "idCard": found["id"],
        "image": image,
        "imageUrl": f"https://trello.com/images/stickers/{image}.png",
        "imageScaled": [],
        **dict.fromkeys(_PLACE, 0.0),
        **_place(call),
    }
    state.touch(state.boards[found["idBoard"]], activity=False)
    return view(state, STICKER, state.stickers.put(made), call.asker)


def _place(call: Request) -> Obj:
    place = {name: as_number(call.params[name]) for name in _PLACE if name in call.params}
    for name, value in place.items():
        if not math.isfinite(value):
            raise invalid(name)
    return place


def _sticker(state: State, call: Request) -> Obj:
    found = access.card(state, call, call.ids[0])
    sticker = access.on_card(found, state.stickers.find(call.ids[1]))
    return view(state, STICKER, sticker, call.asker)


def _move_sticker(state: State, call: Request) -> Obj:
    found = access.card(state, call, call.ids[0])
    sticker = access.on_card(found, state.stickers.find(call.ids[1]))
    sticker |= _place(call)
    state.touch(state.boards[found["idBoard"]], activity=False)
    return view(state, STICKER, sticker, call.asker)


def _unstick(state: State, call: Request) -> Obj:
    found = access.card(state, call, call.ids[0])
    state.stickers.drop(access.on_card(found, state.stickers.find(call.ids[1])))
    state.touch(state.boards[found["idBoard"]], activity=False)
    return {"stickers": []}


def _plugin_data(state: State, call: Request) -> list[Obj]:
    access.card(state, call, call.ids[0])
    return []


def _read_notifications(state: State, call: Request) -> Obj:
    access.card(state, call, call.ids[0])
    return NOTHING


_PLACE = ("top", "left", "zIndex", "rotate")

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
    ("POST", "cards/{card}/stickers"): _stick,
    ("GET", "cards/{card}/stickers/{sticker}"): _sticker,
    ("PUT", "cards/{card}/stickers/{sticker}"): _move_sticker,
    ("DELETE", "cards/{card}/stickers/{sticker}"): _unstick,
    ("GET", "cards/{card}/pluginData"): _plugin_data,
    ("POST", "cards/{card}/markAssociatedNotificationsRead"): _read_notifications,
}
