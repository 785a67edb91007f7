"""Action routes `/1/actions`, and comments on cards."""

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
from proxy.fake_trello.routes.cards import NULL_VALUE, field_value
from proxy.fake_trello.routing import Handler, Table
from proxy.fake_trello.state import State


def _action(state: State, request: Request, action_id: str) -> Obj:
    action = state.actions.get(action_id)
    if action["idBoard"] in state.boards:
        access.authorize(state, request, state.boards[action["idBoard"]])
    elif action["idMemberCreator"] != request.requester.member_id:
        raise request.requester.refusal()
    return action


def _get(state: State, request: Request) -> Obj:
    action = _action(state, request, request.ids[0])
    return actions.render(state, request, action, nested_resources.fields_of(request, "fields"))


def _get_field(state: State, request: Request) -> Any:
    rendered = view(state, ACTION, _action(state, request, request.ids[0]), request.requester)
    return field_value(rendered, request.ids[1], f"/1/actions/{request.ids[0]}/{request.ids[1]}")


def _part(name: str) -> Handler:
    """Handler for the board, card or list of an action, as it is now."""

    def handler(state: State, request: Request) -> Obj:
        data = _action(state, request, request.ids[0])["data"]
        if name not in data:
            raise not_found()
        shape, action = {
            "board": (BOARD, state.boards.get(data[name]["id"])),
            "card": (CARD, state.cards.find(data[name]["id"])),
            "list": (LIST, state.lists.find(data[name]["id"])),
        }[name]
        if action is None:
            raise not_found()
        return view(
            state, shape, action, request.requester, nested_resources.fields_of(request, "fields")
        )

    return handler


def _creator(state: State, request: Request) -> Obj:
    action = _action(state, request, request.ids[0])
    member = state.member(action["idMemberCreator"])
    fields = nested_resources.fields_of(request, "fields", MEMBER_MEDIUM)
    return view(state, MEMBER, member, request.requester, fields)


def _reactions(state: State, request: Request) -> list[Obj]:
    return list(_action(state, request, request.ids[0]).get("reactions", []))


def _summary(state: State, request: Request) -> list[Obj]:
    counts = Counter(each["idEmoji"] for each in _reactions(state, request))
    return [{"idEmoji": emoji, "count": count} for emoji, count in counts.items()]


def _react(state: State, request: Request) -> Obj:
    """Reactions record no action and change no date."""
    action = _action(state, request, request.ids[0])
    emoji = request.text("shortName") or request.text("unified")
    if not emoji:
        raise invalid("emoji")
    reaction = {"id": state.new_id(), "idModel": action["id"], "idEmoji": emoji}
    reaction["idMember"] = access.require_member_id(request)
    action.setdefault("reactions", []).append(reaction)
    if action["idBoard"] in state.boards:
        state.touch(state.boards[action["idBoard"]], activity=False)
    return reaction


def _reaction(state: State, request: Request) -> Obj:
    for each in _reactions(state, request):
        if each["id"] == request.ids[1]:
            return each
    raise not_found()


def _unreact(state: State, request: Request) -> Obj:
    reaction = _reaction(state, request)
    action = _action(state, request, request.ids[0])
    action["reactions"].remove(reaction)
    if action["idBoard"] in state.boards:
        state.touch(state.boards[action["idBoard"]], activity=False)
    return NULL_VALUE


def _comment(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    if not request.text("text"):
        raise invalid("text")
    card["comments"] = card.get("comments", 0) + 1
    extra = {"text": request.text("text"), "textData": {"emoji": {}}}
    return actions.render(
        state, request, actions.record_on_card(state, request, "commentCard", card, extra)
    )


def _own_comment(state: State, request: Request) -> tuple[Obj, Obj]:
    """A comment of the requester's, and its card."""
    action = _action(state, request, request.ids[-1])
    if action["type"] != "commentCard":
        raise Refusal(400, "invalid value for type")
    if action["idMemberCreator"] != request.requester.member_id:
        raise request.requester.refusal()
    return action, state.cards.get(action["data"]["card"]["id"])


def _edit(state: State, request: Request) -> Obj:
    comment, card = _own_comment(state, request)
    text = request.text("text") or request.text("value")
    if not text:
        raise invalid("text")
    old = comment["data"]["text"]
    comment["data"] |= {"text": text, "dateLastEdited": state.now()}
    extra = {"action": {"id": comment["id"], "text": text}, "old": {"text": old}}
    actions.record_on_card(state, request, "updateComment", card, extra)
    return actions.render(state, request, comment)


def _delete(state: State, request: Request) -> Obj:
    comment, card = _own_comment(state, request)
    state.actions.drop(comment)
    card["comments"] -= 1
    actions.record_on_card(state, request, "deleteComment", card, {"action": {"id": comment["id"]}})
    return NULL_VALUE


def _edit_text(state: State, request: Request) -> Obj:
    if request.ids[1] != "text":
        raise no_route("PUT", f"/1/actions/{request.ids[0]}/{request.ids[1]}")
    request.ids = request.ids[:1]
    return _edit(state, request)


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
