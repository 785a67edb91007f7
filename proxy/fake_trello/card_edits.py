"""Card edits: one editor for each field, each recording the action that Trello records."""

import math
from collections.abc import Callable
from typing import Any

from proxy.fake_trello import access, actions
from proxy.fake_trello.errors import Refusal, invalid
from proxy.fake_trello.request import (
    Obj,
    Request,
    convert,
    names,
)
from proxy.fake_trello.state import (
    State,
    as_number,
    position,
)

EDITABLE = names(
    "name desc closed idMembers idAttachmentCover idList idLabels idBoard pos due start "
    "dueComplete dueReminder subscribed address locationName coordinates cover isTemplate cardRole"
)

Editor = Callable[[State, Request, Obj, Any], None]


def edit(state: State, request: Request, card: Obj, changes: Obj) -> None:
    """Change the editable fields that differ; `idBoard` first."""
    fields = [name for name in EDITABLE if name in changes]
    for name in sorted(fields, key=lambda name: name != "idBoard"):
        value = convert(name, changes[name])
        _EDITORS.get(name, _plain(name))(state, request, card, value)


def _plain(name: str) -> Editor:
    def editor(state: State, request: Request, card: Obj, value: Any) -> None:
        if card[name] == value:
            return
        old, card[name] = card[name], value
        actions.record_on_card(state, request, "updateCard", card, {"old": {name: old}})

    return editor


def _pos(state: State, request: Request, card: Obj, value: Any) -> None:
    if value not in ("top", "bottom") and not 0 <= as_number(value) < math.inf:
        raise invalid("pos")
    list_ = state.lists.get(card["idList"])
    others = [each for each in state.cards_of_list(list_) if each is not card]
    old, card["pos"] = card["pos"], position(value, others)
    if old != card["pos"]:
        state.touch(state.boards[card["idBoard"]], activity=False)
        data = {**actions.card_references(state, card), "old": {"pos": old}}
        actions.record(state, request, "updateCard", data)


def _list(state: State, request: Request, card: Obj, value: Any) -> None:
    list_ = access.require_referenced(state.lists.find(value))
    if list_["id"] == card["idList"]:
        return
    if list_["idBoard"] != card["idBoard"]:
        _board(state, request, card, list_["idBoard"])
    before = state.lists.get(card["idList"])
    card["idList"] = list_["id"]
    extra = {
        "old": {"idList": before["id"]},
        "listBefore": actions.reference(before),
        "listAfter": actions.reference(list_),
    }
    actions.record_on_card(state, request, "updateCard", card, extra)


def _board(state: State, request: Request, card: Obj, value: Any) -> None:
    target = access.require_referenced(state.boards.get(value))
    if target["id"] == card["idBoard"]:
        return
    access.authorize(state, request, target)
    lists = [each for each in state.lists.of(target["id"]) if not each["closed"]]
    if not lists:
        raise Refusal(400, "invalid value for idList")
    source = state.boards[card["idBoard"]]
    extra = {"boardTarget": {"id": target["id"]}}
    actions.record_on_card(state, request, "moveCardFromBoard", card, extra)
    state.cards.move(card, target["id"])
    for checklist in state.checklists.of(card["id"]):
        checklist["idBoard"] = target["id"]
    card["idList"] = lists[0]["id"]
    card["idLabels"] = []
    target["lastIdShort"] += 1
    card["idShort"] = target["lastIdShort"]
    extra = {"boardSource": {"id": source["id"]}}
    actions.record_on_card(state, request, "moveCardToBoard", card, extra)


def _labels(state: State, request: Request, card: Obj, value: Any) -> None:
    for label_id in [each for each in value if each not in card["idLabels"]]:
        add_label(state, request, card, label_id)
    for label_id in [each for each in card["idLabels"] if each not in value]:
        remove_label(state, request, card, label_id)


def add_label(state: State, request: Request, card: Obj, label_id: str) -> None:
    """Add a label of the board to a card; records two actions, neither of them in the feed."""
    label = access.require_referenced(state.labels.find(label_id))
    if label["idBoard"] != card["idBoard"]:
        raise Refusal(400, "invalid value for idLabel")
    if label_id in card["idLabels"]:
        raise Refusal(400, "that label is already on the card")
    _relabel(state, request, card, [*card["idLabels"], label_id], "addLabelToCard", label)


def remove_label(state: State, request: Request, card: Obj, label_id: str) -> None:
    """Remove a label from a card; records two actions, neither of them in the feed."""
    if label_id not in card["idLabels"]:
        raise Refusal(400, "that label is not on the card")
    label_ids = [each for each in card["idLabels"] if each != label_id]
    label = state.labels.find(label_id) or {"id": label_id, "name": ""}
    _relabel(state, request, card, label_ids, "removeLabelFromCard", label)


def _relabel(
    state: State, request: Request, card: Obj, label_ids: list[str], kind: str, label: Obj
) -> None:
    old, card["idLabels"] = card["idLabels"], label_ids
    actions.record_on_card(state, request, kind, card, {"label": actions.reference(label)})
    actions.record_on_card(state, request, "updateCard", card, {"old": {"idLabels": old}})


def _members(state: State, request: Request, card: Obj, value: Any) -> None:
    for member_id in [each for each in value if each not in card["idMembers"]]:
        add_member(state, request, card, member_id)
    for member_id in [each for each in card["idMembers"] if each not in value]:
        remove_member(state, request, card, member_id)


def add_member(state: State, request: Request, card: Obj, member_id: str) -> None:
    """Add a member of the board to a card."""
    if access.role_of(state.boards[card["idBoard"]], member_id) is None:
        raise Refusal(400, "invalid value for idMember")
    if member_id in card["idMembers"]:
        raise Refusal(400, "member is already on the card")
    card["idMembers"] = [*card["idMembers"], member_id]
    actions.record_on_card(state, request, "addMemberToCard", card, {"idMember": member_id})


def remove_member(state: State, request: Request, card: Obj, member_id: str) -> None:
    """Remove a member from a card."""
    if member_id not in card["idMembers"]:
        raise Refusal(400, "member is not on the card")
    card["idMembers"] = [each for each in card["idMembers"] if each != member_id]
    actions.record_on_card(state, request, "removeMemberFromCard", card, {"idMember": member_id})


def _subscribed(state: State, request: Request, card: Obj, value: Any) -> None:
    me = access.require_member_id(request)
    others = [each for each in card["subscribers"] if each != me]
    card["subscribers"] = [*others, me] if value else others
    state.touch(state.boards[card["idBoard"]], activity=False)


def _cover(state: State, request: Request, card: Obj, value: Any) -> None:
    changes = value if isinstance(value, dict) else {}
    if changes.get("idAttachment", card["idAttachmentCover"]) != card["idAttachmentCover"]:
        _attachment_cover(state, request, card, changes["idAttachment"])
    look = {name: changes[name] for name in ("color", "size") if name in changes}
    if value in (None, ""):
        look = {"color": None}
    _plain("cover")(state, request, card, {**card["cover"], **look})


def _attachment_cover(state: State, request: Request, card: Obj, value: Any) -> None:
    attachment_id = convert("idAttachmentCover", value)
    if attachment_id is not None:
        attachment = state.attachments.find(attachment_id)
        if attachment is None or attachment["idCard"] != card["id"]:
            raise invalid("idAttachmentCover")
    card["manualCoverAttachment"] = attachment_id is not None
    _plain("idAttachmentCover")(state, request, card, attachment_id)


_EDITORS: dict[str, Editor] = {
    "pos": _pos,
    "idList": _list,
    "idBoard": _board,
    "idLabels": _labels,
    "idMembers": _members,
    "subscribed": _subscribed,
    "cover": _cover,
    "idAttachmentCover": _attachment_cover,
}
