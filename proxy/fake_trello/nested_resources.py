"""Nested resources: embedded in a board, card, list or member where the query requests them."""

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

Embed = Callable[[State, Request, Obj], Obj]
"""Makes the members to embed in the requested object."""

_OFF = ("", "false", "none")
_LABELS = 50
_MOST = 1000


def wants(request: Request, name: str) -> bool:
    """Whether a parameter requests a nested resource."""
    return request.text(name).lower() not in _OFF


def fields_of(request: Request, name: str, default: str | None = None) -> str | None:
    """A `*_fields` parameter as text; `default` when absent."""
    value = request.params.get(name)
    return default if value is None else str(value)


def by_state(objects: list[Obj], filter_: str) -> list[Obj]:
    """The open, closed or all objects; `visible` means open."""
    if filter_ == "none":
        return []
    if filter_ == "all":
        return objects
    return [each for each in objects if each["closed"] is (filter_ == "closed")]


def cards(state: State, request: Request, parent: list[Obj], prefix: str = "") -> list[Obj]:
    """Several cards; `prefix` is "card_" inside another object."""
    fields = fields_of(request, "card_fields" if prefix else "fields")
    embeds = [embed for name, embed in _CARD.items() if wants(request, prefix + name)]
    rendered = []
    for each in parent:
        out = view(state, CARD, each, request.requester, fields)
        for embed in embeds:
            out |= embed(state, request, each)
        rendered.append(out)
    return rendered


def card(state: State, request: Request, parent: Obj) -> Obj:
    """One card with the nested resources of its query."""
    out = view(state, CARD, parent, request.requester, fields_of(request, "fields"))
    for name, embed in _CARD.items():
        if wants(request, name):
            out |= embed(state, request, parent)
    return out


def attachments(state: State, request: Request, parent: Obj, fields: str | None) -> list[Obj]:
    """A card's attachments by position."""
    selected = by_pos(state.attachments.of(parent["id"]))
    return [view(state, ATTACHMENT, each, request.requester, fields) for each in selected]


def checklists(state: State, request: Request, parent: list[Obj], fields: str | None) -> list[Obj]:
    """Checklists with their items; `checkItem_fields` and `checkItems=none` apply."""
    rendered = [view(state, CHECKLIST, each, request.requester, fields) for each in parent]
    item_fields = fields_of(request, "checkItem_fields")
    for each in rendered:
        if request.text("checkItems", "all") == "none":
            each.pop("checkItems", None)
        elif item_fields is not None and "checkItems" in each:
            items = each["checkItems"]
            each["checkItems"] = [
                view(state, CHECK_ITEM, i, request.requester, item_fields) for i in items
            ]
    return rendered


def members(state: State, request: Request, ids: list[str], fields: str | None) -> list[Obj]:
    """Members by id, without those that do not exist."""
    parent = [state.members[each] for each in ids if each in state.members]
    return [view(state, MEMBER, each, request.requester, fields) for each in parent]


def member_ids(group: Obj) -> list[str]:
    """Ids of the members of a board or a workspace."""
    return [membership["idMember"] for membership in group["memberships"]]


def custom_items(state: State, request: Request, parent: Obj) -> list[Obj]:
    """A card's custom field values."""
    selected = state.custom_items.of(parent["id"])
    return [view(state, CUSTOM_ITEM, each, request.requester) for each in selected]


def custom_fields(state: State, request: Request, parent: list[Obj]) -> list[Obj]:
    """Custom field definitions; only lists have options."""
    rendered = [view(state, CUSTOM_FIELD, each, request.requester) for each in by_pos(parent)]
    for each in rendered:
        if each["options"] is None:
            del each["options"]
    return rendered


def labels(
    state: State, request: Request, parent: Obj, fields: str | None, limit: str
) -> list[Obj]:
    """A board's labels, up to the value of the parameter named `limit`."""
    selected = state.labels.of(parent["id"])[: request.number(limit, _LABELS, _MOST)]
    return [view(state, LABEL, each, request.requester, fields) for each in selected]


def lists(state: State, request: Request, parent: list[Obj], fields: str | None) -> list[Obj]:
    """Lists by position, with their cards if `cards` requests them."""
    rendered = []
    for each in by_pos(parent):
        out = view(state, LIST, each, request.requester, fields)
        if wants(request, "cards"):
            selected = by_state(state.cards_of_list(each), request.text("cards"))
            out["cards"] = cards(state, request, selected, "card_")
        rendered.append(out)
    return rendered


def board(state: State, request: Request, parent: Obj, prefix: str = "") -> Obj:
    """One board with the nested resources of its query."""
    fields = fields_of(request, f"{prefix}fields")
    out = view(state, BOARD, parent, request.requester, fields)
    for name, embed in _BOARD.items():
        if wants(request, prefix + name):
            out |= embed(state, request, parent)
    return out


def visible_boards(state: State, request: Request, member: Obj, filter_: str = "all") -> list[Obj]:
    """A member's boards that the requester can read too."""
    boards = [
        each
        for each in state.boards.values()
        if access.role_of(each, member["id"]) and access.can_read(state, request.requester, each)
    ]
    if filter_ == "starred":
        starred = {star["idBoard"] for star in state.stars.of(member["id"])}
        return [each for each in boards if each["id"] in starred]
    return by_state(boards, filter_ if filter_ in ("open", "closed", "none") else "all")


def _card_board(state: State, request: Request, parent: Obj) -> Obj:
    fields = fields_of(request, "board_fields")
    return {"board": view(state, BOARD, state.boards[parent["idBoard"]], request.requester, fields)}


def _card_list(state: State, request: Request, parent: Obj) -> Obj:
    fields = fields_of(request, "list_fields")
    return {"list": view(state, LIST, state.lists.get(parent["idList"]), request.requester, fields)}


def _card_checklists(state: State, request: Request, parent: Obj) -> Obj:
    selected = by_pos(state.checklists.of(parent["id"]))
    return {
        "checklists": checklists(state, request, selected, fields_of(request, "checklist_fields"))
    }


def _card_attachments(state: State, request: Request, parent: Obj) -> Obj:
    rendered = attachments(state, request, parent, fields_of(request, "attachment_fields"))
    if request.text("attachments") == "cover":
        rendered = [each for each in rendered if each["id"] == parent["idAttachmentCover"]]
    return {"attachments": rendered}


def _card_members(state: State, request: Request, parent: Obj) -> Obj:
    fields = fields_of(request, "member_fields", MEMBER_BRIEF)
    return {"members": members(state, request, parent["idMembers"], fields)}


def _card_voters(state: State, request: Request, parent: Obj) -> Obj:
    fields = fields_of(request, "memberVoted_fields", MEMBER_BRIEF)
    return {"membersVoted": members(state, request, parent["idMembersVoted"], fields)}


def _card_stickers(state: State, request: Request, parent: Obj) -> Obj:
    fields = fields_of(request, "sticker_fields")
    selected = state.stickers.of(parent["id"])
    return {
        "stickers": [view(state, STICKER, each, request.requester, fields) for each in selected]
    }


def _board_cards(state: State, request: Request, parent: Obj) -> Obj:
    selected = by_state(by_pos(state.cards.of(parent["id"])), request.text("cards"))
    return {"cards": cards(state, request, selected, "card_")}


def _board_lists(state: State, request: Request, parent: Obj) -> Obj:
    selected = by_pos(by_state(state.lists.of(parent["id"]), request.text("lists")))
    fields = fields_of(request, "list_fields")
    return {"lists": [view(state, LIST, each, request.requester, fields) for each in selected]}


def _board_checklists(state: State, request: Request, parent: Obj) -> Obj:
    return {
        "checklists": checklists(
            state, request, on_board(state, parent), fields_of(request, "checklist_fields")
        )
    }


def on_board(state: State, parent: Obj) -> list[Obj]:
    """All checklists of a board's cards."""
    return [
        each for card_ in state.cards.of(parent["id"]) for each in state.checklists.of(card_["id"])
    ]


def _board_members(state: State, request: Request, parent: Obj) -> Obj:
    fields = fields_of(request, "member_fields", MEMBER_SHORT)
    return {"members": members(state, request, member_ids(parent), fields)}


def _board_organization(state: State, request: Request, parent: Obj) -> Obj:
    organization = state.organizations.get(parent["idOrganization"])
    if organization is None:
        return {}
    fields = fields_of(request, "organization_fields", "name,displayName,url")
    return {"organization": view(state, ORGANIZATION, organization, request.requester, fields)}


def _my_prefs(*_: Any) -> Obj:
    return {"myPrefs": {"showSidebar": True, "emailPosition": "bottom", "idEmailList": None}}


_CARD: dict[str, Embed] = {
    "actions": lambda state, request, parent: {
        "actions": actions.feed(
            state, request, actions.of_card(state, parent), actions.CARD_FILTER, nested=True
        )
    },
    "attachments": _card_attachments,
    "board": _card_board,
    "checklists": _card_checklists,
    "customFieldItems": lambda state, request, parent: {
        "customFieldItems": custom_items(state, request, parent)
    },
    "customFields": lambda state, request, parent: {
        "customFields": custom_fields(state, request, state.custom_fields.of(parent["idBoard"]))
    },
    "list": _card_list,
    "members": _card_members,
    "membersVoted": _card_voters,
    "pluginData": lambda *_: {"pluginData": []},
    "stickers": _card_stickers,
}

_BOARD: dict[str, Embed] = {
    "actions": lambda state, request, parent: {
        "actions": actions.feed(state, request, state.actions.of(parent["id"]), nested=True)
    },
    "boardStars": lambda *_: {"boardStars": []},
    "cards": _board_cards,
    "checklists": _board_checklists,
    "customFields": lambda state, request, parent: {
        "customFields": custom_fields(state, request, state.custom_fields.of(parent["id"]))
    },
    "labels": lambda state, request, parent: {
        "labels": labels(state, request, parent, fields_of(request, "label_fields"), "labels_limit")
    },
    "lists": _board_lists,
    "members": _board_members,
    "memberships": lambda _, __, parent: {"memberships": parent["memberships"]},
    "myPrefs": _my_prefs,
    "organization": _board_organization,
    "pluginData": lambda *_: {"pluginData": []},
    "tags": lambda *_: {"tags": []},
}
