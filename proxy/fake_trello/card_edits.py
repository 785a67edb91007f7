"""What it takes to change a card: one editor a field, each with its action in Trello's words."""

import math
from collections.abc import Callable
from typing import Any

from proxy.fake_trello import access, actions
from proxy.fake_trello.errors import Refusal, invalid
from proxy.fake_trello.request import (
    Obj,
    Request,
    converted,
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


def edit(state: State, call: Request, card: Obj, wanted: Obj) -> None:
    """Change those fields that a card has and that differ; another board comes first."""
    fields = [name for name in EDITABLE if name in wanted]
    for name in sorted(fields, key=lambda name: name != "idBoard"):
        value = converted(name, wanted[name])
        _EDITORS.get(name, _plain(name))(state, call, card, value)


def _plain(name: str) -> Editor:
    def editor(state: State, call: Request, card: Obj, value: Any) -> None:
        if card[name] == value:
            return
        old, card[name] = card[name], value
        actions.changed(state, call, "updateCard", card, {"old": {name: old}})

    return editor


def _pos(state: State, call: Request, card: Obj, value: Any) -> None:
    if value not in ("top", "bottom") and not 0 <= as_number(value) < math.inf:
        raise invalid("pos")
    list_ = state.lists.get(card["idList"])
    others = [each for each in state.cards_of_list(list_) if each is not card]
    old, card["pos"] = card["pos"], position(value, others)
    if old != card["pos"]:
        state.touch(state.boards[card["idBoard"]], activity=False)
        data = {**actions.about(state, card), "old": {"pos": old}}
        actions.record(state, call, "updateCard", data)


def _list(state: State, call: Request, card: Obj, value: Any) -> None:
    list_ = access.body_id(state.lists.find(value))
    if list_["id"] == card["idList"]:
        return
    if list_["idBoard"] != card["idBoard"]:
        _board(state, call, card, list_["idBoard"])
    before = state.lists.get(card["idList"])
    card["idList"] = list_["id"]
    extra = {
        "old": {"idList": before["id"]},
        "listBefore": actions.ref(before),
        "listAfter": actions.ref(list_),
    }
    actions.changed(state, call, "updateCard", card, extra)


def _board(state: State, call: Request, card: Obj, value: Any) -> None:
    target = access.body_id(state.boards.get(value))
    if target["id"] == card["idBoard"]:
        return
    access.permit(state, call, target)
    lists = [each for each in state.lists.of(target["id"]) if not each["closed"]]
    if not lists:
        raise Refusal(400, "invalid value for idList")
    source = state.boards[card["idBoard"]]
    extra = {"boardTarget": {"id": target["id"]}}
    actions.changed(state, call, "moveCardFromBoard", card, extra)
    state.cards.move(card, target["id"])
    for checklist in state.checklists.of(card["id"]):
        checklist["idBoard"] = target["id"]
    card["idList"] = lists[0]["id"]
    card["idLabels"] = []
    target["lastIdShort"] += 1
    card["idShort"] = target["lastIdShort"]
    extra = {"boardSource": {"id": source["id"]}}
    actions.changed(state, call, "moveCardToBoard", card, extra)


def _labels(state: State, call: Request, card: Obj, value: Any) -> None:
    for label_id in [each for each in value if each not in card["idLabels"]]:
        add_label(state, call, card, label_id)
    for label_id in [each for each in card["idLabels"] if each not in value]:
        remove_label(state, call, card, label_id)


def add_label(state: State, call: Request, card: Obj, label_id: str) -> None:
    """Put a label of the board on a card: two actions, neither in the feed."""
    label = access.body_id(state.labels.find(label_id))
    if label["idBoard"] != card["idBoard"]:
        raise Refusal(400, "invalid value for idLabel")
    if label_id in card["idLabels"]:
        raise Refusal(400, "that label is already on the card")
    _relabel(state, call, card, [*card["idLabels"], label_id], "addLabelToCard", label)


def remove_label(state: State, call: Request, card: Obj, label_id: str) -> None:
    """Take a label off a card: two actions, neither in the feed."""
    if label_id not in card["idLabels"]:
        raise Refusal(400, "that label is not on the card")
    kept = [each for each in card["idLabels"] if each != label_id]
    label = state.labels.find(label_id) or {"id": label_id, "name": ""}
    _relabel(state, call, card, kept, "removeLabelFromCard", label)


def _relabel(
    state: State, call: Request, card: Obj, label_ids: list[str], kind: str, label: Obj
) -> None:
    old, card["idLabels"] = card["idLabels"], label_ids
    actions.changed(state, call, kind, card, {"label": actions.ref(label)})
    actions.changed(state, call, "updateCard", card, {"old": {"idLabels": old}})


def _members(state: State, call: Request, card: Obj, value: Any) -> None:
    for member_id in [each for each in value if each not in card["idMembers"]]:
        add_member(state, call, card, member_id)
    for member_id in [each for each in card["idMembers"] if each not in value]:
        remove_member(state, call, card, member_id)


def add_member(state: State, call: Request, card: Obj, member_id: str) -> None:
    """Put a member of the board on a card."""
    if access.role_of(state.boards[card["idBoard"]], member_id) is None:
        raise Refusal(400, "invalid value for idMember")
    if member_id in card["idMembers"]:
        raise Refusal(400, "member is already on the card")
    card["idMembers"] = [*card["idMembers"], member_id]
    actions.changed(state, call, "addMemberToCard", card, {"idMember": member_id})


def remove_member(state: State, call: Request, card: Obj, member_id: str) -> None:
    """Take a member off a card."""
    if member_id not in card["idMembers"]:
        raise Refusal(400, "member is not on the card")
    card["idMembers"] = [each for each in card["idMembers"] if each != member_id]
    actions.changed(state, call, "removeMemberFromCard", card, {"idMember": member_id})


def _subscribed(state: State, call: Request, card: Obj, value: Any) -> None:
    me = access.known(call)
    others = [each for each in card["subscribers"] if each != me]
    card["subscribers"] = [*others, me] if value else others
    state.touch(state.boards[card["idBoard"]], activity=False)


def _cover(state: State, call: Request, card: Obj, value: Any) -> None:
    wanted = value if isinstance(value, dict) else {}
    if wanted.get("idAttachment", card["idAttachmentCover"]) != card["idAttachmentCover"]:
        _attachment_cover(state, call, card, wanted["idAttachment"])
    look = {name: wanted[name] for name in ("color", "size") if name in wanted}
    if value in (None, ""):
        look = {"color": None}
    _plain("cover")(state, call, card, {**card["cover"], **look})


def _attachment_cover(state: State, call: Request, card: Obj, value: Any) -> None:
    attachment_id = converted("idAttachmentCover", value)
    if attachment_id is not None:
        found = state.attachments.find(attachment_id)
        if found is None or found["idCard"] != card["id"]:
            raise invalid("idAttachmentCover")
    card["manualCoverAttachment"] = attachment_id is not None
    _plain("idAttachmentCover")(state, call, card, attachment_id)


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
