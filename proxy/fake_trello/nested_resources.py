"""What rides along inside a board, a card, a list or a member when the query asks for it."""

from collections.abc import Callable
from typing import Any

from proxy.fake_trello import access, actions
from proxy.fake_trello.field_selection import (
    ATTACHMENT,
    BOARD,
    CARD,
    CHECK_ITEM,
    CHECKLIST,
    CUSTOM_FIELD,
    CUSTOM_ITEM,
    LABEL,
    LIST,
    MEMBER,
    MEMBER_BRIEF,
    MEMBER_SHORT,
    ORGANIZATION,
    STICKER,
    view,
)
from proxy.fake_trello.request import Obj, Request
from proxy.fake_trello.state import State, by_pos

Ride = Callable[[State, Request, Obj], Obj]
"""Adds a member or two to the object that is asked for."""

_OFF = ("", "false", "none")
_LABELS = 50
_MOST = 1000


def wants(call: Request, name: str) -> bool:
    """Whether a nested parameter asks for anything."""
    return call.text(name).lower() not in _OFF


def fields_of(call: Request, name: str, default: str | None = None) -> str | None:
    """A `*_fields` parameter as text; `default` when absent."""
    value = call.params.get(name)
    return default if value is None else str(value)


def by_state(objects: list[Obj], wanted: str) -> list[Obj]:
    """Those that are open, closed or all; `visible` is another word for open."""
    if wanted == "none":
        return []
    if wanted == "all":
        return objects
    return [each for each in objects if each["closed"] is (wanted == "closed")]


def cards(state: State, call: Request, found: list[Obj], prefix: str = "") -> list[Obj]:
    """Cards as a list of them gives them; `prefix` is "card_" inside another object."""
    fields = fields_of(call, "card_fields" if prefix else "fields")
    riders = [ride for name, ride in _CARD.items() if wants(call, prefix + name)]
    seen = []
    for each in found:
        out = view(state, CARD, each, call.asker, fields)
        for ride in riders:
            out |= ride(state, call, each)
        seen.append(out)
    return seen


def card(state: State, call: Request, found: Obj) -> Obj:
    """One card with everything its query asks for."""
    out = view(state, CARD, found, call.asker, fields_of(call, "fields"))
    for name, ride in _CARD.items():
        if wants(call, name):
            out |= ride(state, call, found)
    return out


def attachments(state: State, call: Request, found: Obj, fields: str | None) -> list[Obj]:
    """A card's attachments in their order."""
    kept = by_pos(state.attachments.of(found["id"]))
    return [view(state, ATTACHMENT, each, call.asker, fields) for each in kept]


def checklists(state: State, call: Request, found: list[Obj], fields: str | None) -> list[Obj]:
    """Checklists with their items; `checkItem_fields` and `checkItems=none` are heard."""
    seen = [view(state, CHECKLIST, each, call.asker, fields) for each in found]
    wanted = fields_of(call, "checkItem_fields")
    for each in seen:
        if call.text("checkItems", "all") == "none":
            each.pop("checkItems", None)
        elif wanted is not None and "checkItems" in each:
            items = each["checkItems"]
            each["checkItems"] = [view(state, CHECK_ITEM, i, call.asker, wanted) for i in items]
    return seen


def members(state: State, call: Request, ids: list[str], fields: str | None) -> list[Obj]:
    """Members by id, those who are gone left out."""
    found = [state.members[each] for each in ids if each in state.members]
    return [view(state, MEMBER, each, call.asker, fields) for each in found]


def member_ids(group: Obj) -> list[str]:
    """Who belongs to a board or a workspace."""
    return [place["idMember"] for place in group["memberships"]]


def custom_items(state: State, call: Request, found: Obj) -> list[Obj]:
    """A card's custom field values."""
    kept = state.custom_items.of(found["id"])
    return [view(state, CUSTOM_ITEM, each, call.asker) for each in kept]


def custom_fields(state: State, call: Request, found: list[Obj]) -> list[Obj]:
    """Custom field definitions; only lists have options."""
    seen = [view(state, CUSTOM_FIELD, each, call.asker) for each in by_pos(found)]
    for each in seen:
        if each["options"] is None:
            del each["options"]
    return seen


def labels(state: State, call: Request, found: Obj, fields: str | None, limit: str) -> list[Obj]:
    """A board's labels, as many as the parameter named `limit` allows."""
    kept = state.labels.of(found["id"])[: call.number(limit, _LABELS, _MOST)]
    return [view(state, LABEL, each, call.asker, fields) for each in kept]


def lists(state: State, call: Request, found: list[Obj], fields: str | None) -> list[Obj]:
    """Lists in their order, their cards inside when `cards` asks for them."""
    seen = []
    for each in by_pos(found):
        out = view(state, LIST, each, call.asker, fields)
        if wants(call, "cards"):
            kept = by_state(state.cards_of_list(each), call.text("cards"))
            out["cards"] = cards(state, call, kept, "card_")
        seen.append(out)
    return seen


def board(state: State, call: Request, found: Obj, prefix: str = "") -> Obj:
    """One board with everything its query asks for."""
    fields = fields_of(call, f"{prefix}fields")
    out = view(state, BOARD, found, call.asker, fields)
    for name, ride in _BOARD.items():
        if wants(call, prefix + name):
            out |= ride(state, call, found)
    return out


def visible_boards(state: State, call: Request, member: Obj, wanted: str = "all") -> list[Obj]:
    """A member's boards that the asker sees too."""
    mine = [
        each
        for each in state.boards.values()
        if access.role_of(each, member["id"]) and access.sees(state, call.asker, each)
    ]
    if wanted == "starred":
        starred = {star["idBoard"] for star in state.stars.of(member["id"])}
        return [each for each in mine if each["id"] in starred]
    return by_state(mine, wanted if wanted in ("open", "closed", "none") else "all")


def _card_board(state: State, call: Request, found: Obj) -> Obj:
    fields = fields_of(call, "board_fields")
    return {"board": view(state, BOARD, state.boards[found["idBoard"]], call.asker, fields)}


def _card_list(state: State, call: Request, found: Obj) -> Obj:
    fields = fields_of(call, "list_fields")
    return {"list": view(state, LIST, state.lists.get(found["idList"]), call.asker, fields)}


def _card_checklists(state: State, call: Request, found: Obj) -> Obj:
    kept = by_pos(state.checklists.of(found["id"]))
    return {"checklists": checklists(state, call, kept, fields_of(call, "checklist_fields"))}


def _card_attachments(state: State, call: Request, found: Obj) -> Obj:
    seen = attachments(state, call, found, fields_of(call, "attachment_fields"))
    if call.text("attachments") == "cover":
        seen = [each for each in seen if each["id"] == found["idAttachmentCover"]]
    return {"attachments": seen}


def _card_members(state: State, call: Request, found: Obj) -> Obj:
    fields = fields_of(call, "member_fields", MEMBER_BRIEF)
    return {"members": members(state, call, found["idMembers"], fields)}


def _card_voters(state: State, call: Request, found: Obj) -> Obj:
    fields = fields_of(call, "memberVoted_fields", MEMBER_BRIEF)
    return {"membersVoted": members(state, call, found["idMembersVoted"], fields)}


def _card_stickers(state: State, call: Request, found: Obj) -> Obj:
    fields = fields_of(call, "sticker_fields")
    kept = state.stickers.of(found["id"])
    return {"stickers": [view(state, STICKER, each, call.asker, fields) for each in kept]}


def _board_cards(state: State, call: Request, found: Obj) -> Obj:
    kept = by_state(by_pos(state.cards.of(found["id"])), call.text("cards"))
    return {"cards": cards(state, call, kept, "card_")}


def _board_lists(state: State, call: Request, found: Obj) -> Obj:
    kept = by_pos(by_state(state.lists.of(found["id"]), call.text("lists")))
    fields = fields_of(call, "list_fields")
    return {"lists": [view(state, LIST, each, call.asker, fields) for each in kept]}


def _board_checklists(state: State, call: Request, found: Obj) -> Obj:
    return {
        "checklists": checklists(
            state, call, on_board(state, found), fields_of(call, "checklist_fields")
        )
    }


def on_board(state: State, found: Obj) -> list[Obj]:
    """All checklists of a board's cards."""
    return [
        each for card_ in state.cards.of(found["id"]) for each in state.checklists.of(card_["id"])
    ]


def _board_members(state: State, call: Request, found: Obj) -> Obj:
    fields = fields_of(call, "member_fields", MEMBER_SHORT)
    return {"members": members(state, call, member_ids(found), fields)}


def _board_organization(state: State, call: Request, found: Obj) -> Obj:
    organization = state.organizations.get(found["idOrganization"])
    if organization is None:
        return {}
    fields = fields_of(call, "organization_fields", "name,displayName,url")
    return {"organization": view(state, ORGANIZATION, organization, call.asker, fields)}


def _my_prefs(*_: Any) -> Obj:
    return {"myPrefs": {"showSidebar": True, "emailPosition": "bottom", "idEmailList": None}}


_CARD: dict[str, Ride] = {
    "actions": lambda state, call, found: {
        "actions": actions.feed(
            state, call, actions.of_card(state, found), actions.CARD_FILTER, nested=True
        )
    },
    "attachments": _card_attachments,
    "board": _card_board,
    "checklists": _card_checklists,
    "customFieldItems": lambda state, call, found: {
        "customFieldItems": custom_items(state, call, found)
    },
    "customFields": lambda state, call, found: {
        "customFields": custom_fields(state, call, state.custom_fields.of(found["idBoard"]))
    },
    "list": _card_list,
    "members": _card_members,
    "membersVoted": _card_voters,
    "pluginData": lambda *_: {"pluginData": []},
    "stickers": _card_stickers,
}

_BOARD: dict[str, Ride] = {
    "actions": lambda state, call, found: {
        "actions": actions.feed(state, call, state.actions.of(found["id"]), nested=True)
    },
    "boardStars": lambda *_: {"boardStars": []},
    "cards": _board_cards,
    "checklists": _board_checklists,
    "customFields": lambda state, call, found: {
        "customFields": custom_fields(state, call, state.custom_fields.of(found["id"]))
    },
    "labels": lambda state, call, found: {
        "labels": labels(state, call, found, fields_of(call, "label_fields"), "labels_limit")
    },
    "lists": _board_lists,
    "members": _board_members,
    "memberships": lambda _, __, found: {"memberships": found["memberships"]},
    "myPrefs": _my_prefs,
    "organization": _board_organization,
    "pluginData": lambda *_: {"pluginData": []},
    "tags": lambda *_: {"tags": []},
}
