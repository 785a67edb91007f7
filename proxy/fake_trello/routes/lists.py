"""/1/lists and /1/labels: what cards lie in and what they carry."""

from typing import Any

from proxy.fake_trello import access, actions, card_edits, nested_resources, object_factory
from proxy.fake_trello.errors import invalid, no_route
from proxy.fake_trello.field_selection import (
    BOARD,
    LABEL,
    LIST,
    view,
)
from proxy.fake_trello.request import (
    Obj,
    Request,
    converted,
)
from proxy.fake_trello.routes.cards import LIMITS, field_value
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import State, position

_LIST_FIELDS = "name,closed,idBoard,pos"


def _list(state: State, call: Request) -> Obj:
    return access.of_board(state, call, state.lists.get(call.ids[0]))


def _get(state: State, call: Request) -> Obj:
    fields = nested_resources.fields_of(call, "fields", _LIST_FIELDS)
    return nested_resources.lists(state, call, [_list(state, call)], fields)[0]


def _get_field(state: State, call: Request) -> Any:
    seen = view(state, LIST, _list(state, call), call.asker)
    return field_value(seen, call.ids[1], f"/1/lists/{call.ids[0]}/{call.ids[1]}")


def _create(state: State, call: Request) -> Obj:
    ref = call.ids[0] if call.ids else call.text("idBoard")
    board = access.board(state, call, ref) if call.ids else _named_board(state, call, ref)
    if not call.text("name"):
        raise invalid("name")
    made = object_factory.list_(
        state, board["id"], call.text("name"), call.params.get("pos", "top")
    )
    state.touch(board)
    data = {"list": actions.ref(made), "board": actions.ref(board)}
    actions.record(state, call, "createList", data)
    return view(state, LIST, made, call.asker, f"{_LIST_FIELDS},limits")


def _named_board(state: State, call: Request, board_id: str) -> Obj:
    return access.permit(state, call, access.body_id(state.boards.get(board_id)))


def _update(state: State, call: Request) -> Obj:
    found = _list(state, call)
    for name in ("name", "closed", "pos", "subscribed"):
        if name in call.params:
            _change(state, call, found, name)
    if "idBoard" in call.params:
        _to_board(state, call, found)
    return view(state, LIST, found, call.asker, _LIST_FIELDS)


def _change(state: State, call: Request, found: Obj, name: str) -> None:
    board = state.boards[found["idBoard"]]
    value = converted(name, call.params[name])
    if name == "pos":
        others = [each for each in state.lists.of(board["id"]) if each is not found]
        value = position(value, others)
    if name == "name" and not value:
        raise invalid("name")
    if found[name] == value:
        return
    old, found[name] = found[name], value
    state.touch(board, activity=name in ("name", "closed"))
    if name != "subscribed":
        data = {"list": actions.ref(found), "board": actions.ref(board), "old": {name: old}}
        actions.record(state, call, "updateList", data)


def _to_board(state: State, call: Request, found: Obj) -> None:
    source = state.boards[found["idBoard"]]
    target = _named_board(state, call, call.text("idBoard"))
    if source is target:
        return
    cards = state.cards_of_list(found)
    state.lists.move(found, target["id"])
    for card in cards:
        state.cards.move(card, target["id"])
        card["idLabels"] = []
    moves = (
        (source, "moveListFromBoard", {"boardTarget": {"id": target["id"]}}),
        (target, "moveListToBoard", {"boardSource": {"id": source["id"]}}),
    )
    for board, kind, other in moves:
        state.touch(board)
        data = {"list": actions.ref(found), "board": actions.ref(board), **other}
        actions.record(state, call, kind, data)


def _update_field(state: State, call: Request) -> Obj:
    if call.ids[1] not in ("name", "closed", "pos", "subscribed", "idBoard"):
        raise no_route("PUT", f"/1/lists/{call.ids[0]}/{call.ids[1]}")
    call.params = {call.ids[1]: call.params.get("value")}
    return _update(state, call)


def _cards(state: State, call: Request) -> list[Obj]:
    found = _list(state, call)
    wanted = call.ids[1] if len(call.ids) > 1 else call.text("filter", "open")
    return nested_resources.cards(
        state, call, nested_resources.by_state(state.cards_of_list(found), wanted)
    )


def _actions(state: State, call: Request) -> Any:
    return actions.feed(state, call, actions.of_list(state, _list(state, call)))


def _board(state: State, call: Request) -> Obj:
    board = state.boards[_list(state, call)["idBoard"]]
    return view(state, BOARD, board, call.asker, nested_resources.fields_of(call, "fields"))


def _archive_all(state: State, call: Request) -> Obj:
    for card in state.cards_of_list(_list(state, call)):
        card_edits.edit(state, call, card, {"closed": True})
    return LIMITS


def _move_all(state: State, call: Request) -> list[Obj]:
    for card in state.cards_of_list(_list(state, call)):
        card_edits.edit(state, call, card, {"idList": call.text("idList")})
    return []


def _label(state: State, call: Request) -> Obj:
    return access.of_board(state, call, state.labels.get(call.ids[0]))


def _get_label(state: State, call: Request) -> Obj:
    return view(
        state, LABEL, _label(state, call), call.asker, nested_resources.fields_of(call, "fields")
    )


def _create_label(state: State, call: Request) -> Obj:
    if call.ids:
        board = access.board(state, call, call.ids[0])
    else:
        board = _named_board(state, call, call.text("idBoard"))
    made = object_factory.label(
        state, board["id"], call.text("name"), call.params.get("color") or None
    )
    _relabelled(state, call, "createLabel", made)
    return {**view(state, LABEL, made, call.asker), "limits": {}}


def _update_label(state: State, call: Request) -> Obj:
    found = _label(state, call)
    old: Obj = {}
    for name in ("name", "color"):
        value = call.params.get(name)
        if name in call.params and found[name] != value:
            old[name], found[name] = found[name], value or ("" if name == "name" else None)
    if old:
        _relabelled(state, call, "updateLabel", found, old)
    return view(state, LABEL, found, call.asker)


def _update_label_field(state: State, call: Request) -> Obj:
    if call.ids[1] not in ("name", "color"):
        raise no_route("PUT", f"/1/labels/{call.ids[0]}/{call.ids[1]}")
    call.params = {call.ids[1]: call.params.get("value")}
    return _update_label(state, call)


def _delete_label(state: State, call: Request) -> Obj:
    found = _label(state, call)
    state.labels.drop(found)
    for card in state.cards.of(found["idBoard"]):
        card["idLabels"] = [each for each in card["idLabels"] if each != found["id"]]
    _relabelled(state, call, "deleteLabel", found)
    return LIMITS


def _relabelled(state: State, call: Request, kind: str, label: Obj, old: Obj | None = None) -> None:
    """Neither the feed nor dateLastActivity tells of a label's own edits."""
    board = state.boards[label["idBoard"]]
    state.touch(board, activity=False)
    data = {"label": actions.ref(label), "board": actions.ref(board)}
    actions.record(state, call, kind, {**data, "old": old} if old else data)


TABLE: Table = {
    ("POST", "lists"): _create,
    ("POST", "boards/{board}/lists"): _create,
    ("GET", "lists/{list}"): _get,
    ("PUT", "lists/{list}"): _update,
    ("GET", "lists/{list}/{field}"): _get_field,
    ("PUT", "lists/{list}/{field}"): _update_field,
    ("GET", "lists/{list}/cards"): _cards,
    ("GET", "lists/{list}/cards/{filter}"): _cards,
    ("GET", "lists/{list}/actions"): _actions,
    ("GET", "lists/{list}/board"): _board,
    ("POST", "lists/{list}/archiveAllCards"): _archive_all,
    ("POST", "lists/{list}/moveAllCards"): _move_all,
    ("POST", "labels"): _create_label,
    ("POST", "boards/{board}/labels"): _create_label,
    ("GET", "labels/{label}"): _get_label,
    ("PUT", "labels/{label}"): _update_label,
    ("PUT", "labels/{label}/{field}"): _update_label_field,
    ("DELETE", "labels/{label}"): _delete_label,
}
