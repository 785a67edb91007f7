"""The record of what happened. Not all of it shows in the feed; all of it goes to webhooks."""

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
"""Types that no feed lists."""

CARD_FILTER = "commentCard,updateCard:idList"
"""What a card's feed gives when nothing is asked for."""

_UNLISTED_OLD = ({"pos"}, {"idLabels"})
_LIMITS = {
    "reactions": {
        "perAction": {"status": "ok", "disableAt": 1000, "warnAt": 900},
        "uniquePerAction": {"status": "ok", "disableAt": 17, "warnAt": 16},
    }
}
_MOST = 1000


def ref(obj: Obj) -> Obj:
    """How an action's data names a board, a card or anything else."""
    kept = ("id", "name", "idShort", "shortLink", "color", "state", "url", "fullName", "username")
    return {name: obj[name] for name in kept if name in obj}


def about(state: State, card: Obj) -> Obj:
    """An action's data on a card: the card, its list, its board."""
    return {
        "card": ref(card),
        "list": ref(state.lists.get(card["idList"])),
        "board": ref(state.boards[card["idBoard"]]),
    }


def record(state: State, call: Request, kind: str, data: Obj) -> Obj:
    """Write an action down and tell the listeners."""
    action = {
        "id": state.new_id(),
        "idMemberCreator": call.asker.member_id,
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
        listener(seen(state, call, action), call.client)
    return action


def seen(state: State, call: Request, action: Obj, fields: str | None = None) -> Obj:
    """An action as an asker gets it, its member's short form included unless refused."""
    out = view(state, ACTION, action, call.asker, fields)
    creator = state.members.get(action["idMemberCreator"])
    if creator and call.text("memberCreator", "true") != "false":
        wanted = call.params.get("memberCreator_fields", MEMBER_MEDIUM)
        out["memberCreator"] = view(state, MEMBER, creator, call.asker, str(wanted))
    subject = state.members.get(action["data"].get("idMember", ""))
    if subject and call.text("member", "true") != "false":
        out["member"] = view(state, MEMBER, subject, call.asker, MEMBER_MEDIUM)
    return out


def feed(
    state: State, call: Request, actions: list[Obj], default: str = "all", *, nested: bool = False
) -> Any:
    """Listed actions, newest first: filter, since, before, limit, page and format.

    A nested feed, inside a board or a card, reads `actions`, `actions_limit` and so on.
    """
    prefix = "actions_" if nested else ""
    wanted = call.text("actions" if nested else "filter", default)
    wanted = default if wanted in ("true", "") else wanted
    chosen = [each for each in actions if each["listed"] and _matches(each, wanted)]
    chosen = _between(call, sorted(chosen, key=_newest, reverse=True), prefix)
    if call.text(f"{prefix}format") == "count":
        return {"_value": len(chosen)}
    limit = call.number(f"{prefix}limit", 50, _MOST)
    start = 0 if nested else limit * call.number("page", 0, _MOST)
    fields = call.text("action_fields" if nested else "fields", ACTION_FEED)
    return [seen(state, call, each, fields) for each in chosen[start : start + limit]]


def _newest(action: Obj) -> str:
    return str(action["id"])


def _matches(action: Obj, wanted: str) -> bool:
    for each in as_list(wanted):
        kind, _, changed = each.partition(":")
        if kind == "all":
            return True
        if action["type"] == kind and (not changed or changed in action["data"].get("old", ())):
            return True
    return False


def _between(call: Request, actions: list[Obj], prefix: str) -> list[Obj]:
    since, before = call.params.get(f"{prefix}since"), call.params.get(f"{prefix}before")
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
    """Every action on a card."""
    actions = state.actions.of(card["idBoard"])
    return [each for each in actions if each["data"].get("card", {}).get("id") == card["id"]]


def of_list(state: State, list_: Obj) -> list[Obj]:
    """Every action on a list and its cards."""
    names = ("list", "listBefore", "listAfter")
    return [
        each
        for each in state.actions.of(list_["idBoard"])
        if any(each["data"].get(name, {}).get("id") == list_["id"] for name in names)
    ]


def changed(state: State, call: Request, kind: str, card: Obj, extra: Obj | None = None) -> Obj:
    """Something happened to a card: touch it and its board, and write the action down."""
    state.touch(state.boards[card["idBoard"]], card)
    return record(state, call, kind, {**about(state, card), **(extra or {})})
