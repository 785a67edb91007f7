"""/1/actions, and comments on cards."""

from collections import Counter
from typing import Any

from proxy.fake_trello import access, actions, nested_resources
from proxy.fake_trello.errors import (
    Refusal,
    invalid,
    no_route,
    not_found,
)
from proxy.fake_trello.field_selection import (
    ACTION,
    BOARD,
    CARD,
    LIST,
    MEMBER,
    MEMBER_MEDIUM,
    view,
)
from proxy.fake_trello.request import Obj, Request
from proxy.fake_trello.routes.cards import NOTHING, field_value
from proxy.fake_trello.routing import Handler, Table
from proxy.fake_trello.state import State


def _action(state: State, call: Request, action_id: str) -> Obj:
    found = state.actions.get(action_id)
    if found["idBoard"] in state.boards:
        access.permit(state, call, state.boards[found["idBoard"]])
    elif found["idMemberCreator"] != call.asker.member_id:
        raise call.asker.refuse()
    return found


def _get(state: State, call: Request) -> Obj:
    found = _action(state, call, call.ids[0])
    return actions.seen(state, call, found, nested_resources.fields_of(call, "fields"))


def _get_field(state: State, call: Request) -> Any:
    seen = view(state, ACTION, _action(state, call, call.ids[0]), call.asker)
    return field_value(seen, call.ids[1], f"/1/actions/{call.ids[0]}/{call.ids[1]}")


def _part(name: str) -> Handler:
    """What an action was about: its board, card or list, as it is now."""

    def handler(state: State, call: Request) -> Obj:
        data = _action(state, call, call.ids[0])["data"]
        if name not in data:
            raise not_found()
        shape, found = {
            "board": (BOARD, state.boards.get(data[name]["id"])),
            "card": (CARD, state.cards.find(data[name]["id"])),
            "list": (LIST, state.lists.find(data[name]["id"])),
        }[name]
        if found is None:
            raise not_found()
        return view(state, shape, found, call.asker, nested_resources.fields_of(call, "fields"))

    return handler


def _creator(state: State, call: Request) -> Obj:
    found = _action(state, call, call.ids[0])
    member = state.member(found["idMemberCreator"])
    fields = nested_resources.fields_of(call, "fields", MEMBER_MEDIUM)
    return view(state, MEMBER, member, call.asker, fields)


def _reactions(state: State, call: Request) -> list[Obj]:
    return list(_action(state, call, call.ids[0]).get("reactions", []))


def _summary(state: State, call: Request) -> list[Obj]:
    counts = Counter(each["idEmoji"] for each in _reactions(state, call))
    return [{"idEmoji": emoji, "count": count} for emoji, count in counts.items()]


def _react(state: State, call: Request) -> Obj:
    """Reactions have no action and move no date."""
    found = _action(state, call, call.ids[0])
    emoji = call.text("shortName") or call.text("unified")
    if not emoji:
        raise invalid("emoji")
    made = {"id": state.new_id(), "idModel": found["id"], "idEmoji": emoji}
    made["idMember"] = access.known(call)
    found.setdefault("reactions", []).append(made)
    if found["idBoard"] in state.boards:
        state.touch(state.boards[found["idBoard"]], activity=False)
    return made


def _reaction(state: State, call: Request) -> Obj:
    for each in _reactions(state, call):
        if each["id"] == call.ids[1]:
            return each
    raise not_found()


def _unreact(state: State, call: Request) -> Obj:
    gone = _reaction(state, call)
    found = _action(state, call, call.ids[0])
    found["reactions"].remove(gone)
    if found["idBoard"] in state.boards:
        state.touch(state.boards[found["idBoard"]], activity=False)
    return NOTHING


def _comment(state: State, call: Request) -> Obj:
    card = access.card(state, call, call.ids[0])
    if not call.text("text"):
        raise invalid("text")
    card["comments"] = card.get("comments", 0) + 1
    extra = {"text": call.text("text"), "textData": {"emoji": {}}}
    return actions.seen(state, call, actions.changed(state, call, "commentCard", card, extra))


def _own_comment(state: State, call: Request) -> tuple[Obj, Obj]:
    """A comment of the asker's own, and its card."""
    found = _action(state, call, call.ids[-1])
    if found["type"] != "commentCard":
        raise Refusal(400, "invalid value for type")
    if found["idMemberCreator"] != call.asker.member_id:
        raise call.asker.refuse()
    return found, state.cards.get(found["data"]["card"]["id"])


def _edit(state: State, call: Request) -> Obj:
    comment, card = _own_comment(state, call)
    text = call.text("text") or call.text("value")
    if not text:
        raise invalid("text")
    old = comment["data"]["text"]
    comment["data"] |= {"text": text, "dateLastEdited": state.now()}
    extra = {"action": {"id": comment["id"], "text": text}, "old": {"text": old}}
    actions.changed(state, call, "updateComment", card, extra)
    return actions.seen(state, call, comment)


def _delete(state: State, call: Request) -> Obj:
    comment, card = _own_comment(state, call)
    state.actions.drop(comment)
    card["comments"] -= 1
    actions.changed(state, call, "deleteComment", card, {"action": {"id": comment["id"]}})
    return NOTHING


def _edit_text(state: State, call: Request) -> Obj:
    if call.ids[1] != "text":
        raise no_route("PUT", f"/1/actions/{call.ids[0]}/{call.ids[1]}")
    call.ids = call.ids[:1]
    return _edit(state, call)


TABLE: Table = {
    ("GET", "actions/{action}"): _get,
    ("PUT", "actions/{action}"): _edit,
    ("DELETE", "actions/{action}"): _delete,
    ("GET", "actions/{action}/{field}"): _get_field,
    ("PUT", "actions/{action}/{field}"): _edit_text,
    ("GET", "actions/{action}/board"): _part("board"),
    ("GET", "actions/{action}/card"): _part("card"),
    ("GET", "actions/{action}/list"): _part("list"),
    ("GET", "actions/{action}/memberCreator"): _creator,
    ("GET", "actions/{action}/reactions"): _reactions,
    ("GET", "actions/{action}/reactionsSummary"): _summary,
    ("POST", "actions/{action}/reactions"): _react,
    ("GET", "actions/{action}/reactions/{reaction}"): _reaction,
    ("DELETE", "actions/{action}/reactions/{reaction}"): _unreact,
    ("POST", "cards/{card}/actions/comments"): _comment,
    ("PUT", "cards/{card}/actions/{action}/comments"): _edit,
    ("DELETE", "cards/{card}/actions/{action}/comments"): _delete,
}
