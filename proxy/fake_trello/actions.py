"""Actions: the log of changes. Feeds list some of them, webhooks receive all."""

from typing import Any

from proxy.fake_trello.errors import invalid
from proxy.fake_trello.field_selection import (
    ACTION,
    ACTION_FEED,
    MEMBER,
    MEMBER_MEDIUM,
    view,
)
from proxy.fake_trello.ids import HEX24, parse_date
from proxy.fake_trello.request import (
    Obj,
    Request,
    as_list,
    names,
)
from proxy.fake_trello.state import State

EXCLUDED = frozenset(
    names(
        "addLabelToCard removeLabelFromCard createLabel updateLabel deleteLabel copyChecklist "
        "createCheckItem updateCheckItem deleteCheckItem updateComment deleteComment voteOnCard "
        "createBoardInvitation createBoardPreference createOrganizationInvitation "
        "makeAdminOfOrganization removeMemberFromBoard removeMemberFromOrganization "
        "deleteAttachmentFromCard createCustomField updateCustomField deleteCustomField "
        "updateCustomFieldItem"
    )
)
"""Types that feeds do not list."""

CARD_FILTER = "commentCard,updateCard:idList"
"""The default filter of a card's feed."""

_UNLISTED_OLD = ({"pos"}, {"idLabels"})
_LIMITS = {
    "reactions": {
        "perAction": {"status": "ok", "disableAt": 1000, "warnAt": 900},
        "uniquePerAction": {"status": "ok", "disableAt": 17, "warnAt": 16},
    }
}
_MOST = 1000


def reference(obj: Obj) -> Obj:
    """An object as an action's data refers to it."""
    names = ("id", "name", "idShort", "shortLink", "color", "state", "url", "fullName", "username")
    return {name: obj[name] for name in names if name in obj}


def card_references(state: State, card: Obj) -> Obj:
    """The card, its list and its board as an action's data refers to them."""
    return {
        "card": reference(card),
        "list": reference(state.lists.get(card["idList"])),
        "board": reference(state.boards[card["idBoard"]]),
    }


def record(state: State, request: Request, kind: str, data: Obj) -> Obj:
    """Append an action and pass it to the listeners."""
    action = {
        "id": state.new_id(),
        "idMemberCreator": request.requester.member_id,
        "data": data,
        "type": kind,
        "date": state.now(),
        "limits": _LIMITS if kind == "commentCard" else {},
        "appCreator": None,
        "display": {"translationKey": f"action_{kind}", "entities": {}},
        "entities": [],
        "idBoard": data.get("board", {}).get("id", ""),
        "listed": kind not in EXCLUDED and set(data.get("old", ())) not in _UNLISTED_OLD,
    }
    state.actions.put(action)
    for listener in state.listeners:
        listener(render(state, request, action), request.client)
    return action


def render(state: State, request: Request, action: Obj, fields: str | None = None) -> Obj:
    """An action as sent to the requester, with its members' short forms unless switched off."""
    out = view(state, ACTION, action, request.requester, fields)
    creator = state.members.get(action["idMemberCreator"])
    if creator and request.text("memberCreator", "true") != "false":
        types = request.params.get("memberCreator_fields", MEMBER_MEDIUM)
        out["memberCreator"] = view(state, MEMBER, creator, request.requester, str(types))
    subject = state.members.get(action["data"].get("idMember", ""))
    if subject and request.text("member", "true") != "false":
        out["member"] = view(state, MEMBER, subject, request.requester, MEMBER_MEDIUM)
    return out


def feed(
    state: State,
    request: Request,
    actions: list[Obj],
    default: str = "all",
    *,
    nested: bool = False,
) -> Any:
    """A feed, newest first; parameters: filter, since, before, limit, page, format.

    A feed nested in a board or a card has them prefixed: `actions`, `actions_limit` and so on.
    """
    prefix = "actions_" if nested else ""
    types = request.text("actions" if nested else "filter", default)
    types = default if types in ("true", "") else types
    chosen = [each for each in actions if each["listed"] and _matches(each, types)]
    chosen = _between(request, sorted(chosen, key=_newest, reverse=True), prefix)
    if request.text(f"{prefix}format") == "count":
        return {"_value": len(chosen)}
    limit = request.number(f"{prefix}limit", 50, _MOST)
    start = 0 if nested else limit * request.number("page", 0, _MOST)
    fields = request.text("action_fields" if nested else "fields", ACTION_FEED)
    return [render(state, request, each, fields) for each in chosen[start : start + limit]]


def _newest(action: Obj) -> str:
    return str(action["id"])


def _matches(action: Obj, types: str) -> bool:
    for each in as_list(types):
        kind, _, changed = each.partition(":")
        if kind == "all":
            return True
        if action["type"] == kind and (not changed or changed in action["data"].get("old", ())):
            return True
    return False


def _between(request: Request, actions: list[Obj], prefix: str) -> list[Obj]:
    since, before = request.params.get(f"{prefix}since"), request.params.get(f"{prefix}before")
    if since:
        actions = [each for each in actions if _follows(each, str(since), "since")]
    if before:
        actions = [each for each in actions if _precedes(each, str(before), "before")]
    return actions


def _follows(action: Obj, mark: str, name: str) -> bool:
    if HEX24.match(mark):
        return str(action["id"]) > mark
    return parse_date(action["date"]) > _instant(mark, name)


def _precedes(action: Obj, mark: str, name: str) -> bool:
    if HEX24.match(mark):
        return str(action["id"]) < mark
    return parse_date(action["date"]) < _instant(mark, name)


def _instant(mark: str, name: str) -> float:
    try:
        return parse_date(mark)
    except ValueError:
        raise invalid(name) from None


def of_card(state: State, card: Obj) -> list[Obj]:
    """All actions on a card."""
    actions = state.actions.of(card["idBoard"])
    return [each for each in actions if each["data"].get("card", {}).get("id") == card["id"]]


def of_list(state: State, list_: Obj) -> list[Obj]:
    """All actions on a list and its cards."""
    names = ("list", "listBefore", "listAfter")
    return [
        each
        for each in state.actions.of(list_["idBoard"])
        if any(each["data"].get(name, {}).get("id") == list_["id"] for name in names)
    ]


def record_on_card(
    state: State, request: Request, kind: str, card: Obj, extra: Obj | None = None
) -> Obj:
    """Record an action on a card, and mark the card and its board as active."""
    state.touch(state.boards[card["idBoard"]], card)
    return record(state, request, kind, {**card_references(state, card), **(extra or {})})
