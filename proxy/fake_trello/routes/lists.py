"""List and label routes: `/1/lists`, `/1/labels`."""

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
    convert,
)
from proxy.fake_trello.routes.cards import EMPTY_LIMITS, field_value
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import State, position

_LIST_FIELDS = "name,closed,idBoard,pos"


def _list(state: State, request: Request) -> Obj:
    return access.on_board(state, request, state.lists.get(request.ids[0]))


def _get(state: State, request: Request) -> Obj:
    fields = nested_resources.fields_of(request, "fields", _LIST_FIELDS)
    return nested_resources.lists(state, request, [_list(state, request)], fields)[0]


def _get_field(state: State, request: Request) -> Any:
    rendered = view(state, LIST, _list(state, request), request.requester)
    return field_value(rendered, request.ids[1], f"/1/lists/{request.ids[0]}/{request.ids[1]}")


def _create(state: State, request: Request) -> Obj:
    ref = request.ids[0] if request.ids else request.text("idBoard")
    board = access.board(state, request, ref) if request.ids else _named_board(state, request, ref)
    if not request.text("name"):
        raise invalid("name")
    created = object_factory.list_(
        state, board["id"], request.text("name"), request.params.get("pos", "top")
    )
    state.touch(board)
    data = {"list": actions.reference(created), "board": actions.reference(board)}
    actions.record(state, request, "createList", data)
    return view(state, LIST, created, request.requester, f"{_LIST_FIELDS},limits")


def _named_board(state: State, request: Request, board_id: str) -> Obj:
    return access.authorize(state, request, access.require_referenced(state.boards.get(board_id)))


def _update(state: State, request: Request) -> Obj:
    list_ = _list(state, request)
    for name in ("name", "closed", "pos", "subscribed"):
        if name in request.params:
            _change(state, request, list_, name)
    if "idBoard" in request.params:
        _to_board(state, request, list_)
    return view(state, LIST, list_, request.requester, _LIST_FIELDS)


def _change(state: State, request: Request, list_: Obj, name: str) -> None:
    board = state.boards[list_["idBoard"]]
    value = convert(name, request.params[name])
    if name == "pos":
        others = [each for each in state.lists.of(board["id"]) if each is not list_]
        value = position(value, others)
    if name == "name" and not value:
        raise invalid("name")
    if list_[name] == value:
        return
    old, list_[name] = list_[name], value
    state.touch(board, activity=name in ("name", "closed"))
    if name != "subscribed":
        data = {
            "list": actions.reference(list_),
            "board": actions.reference(board),
            "old": {name: old},
        }
        actions.record(state, request, "updateList", data)


def _to_board(state: State, request: Request, list_: Obj) -> None:
    source = state.boards[list_["idBoard"]]
    target = _named_board(state, request, request.text("idBoard"))
    if source is target:
        return
    cards = state.cards_of_list(list_)
    state.lists.move(list_, target["id"])
    for card in cards:
        state.cards.move(card, target["id"])
        card["idLabels"] = []
    moves = (
        (source, "moveListFromBoard", {"boardTarget": {"id": target["id"]}}),
        (target, "moveListToBoard", {"boardSource": {"id": source["id"]}}),
    )
    for board, kind, other in moves:
        state.touch(board)
        data = {"list": actions.reference(list_), "board": actions.reference(board), **other}
        actions.record(state, request, kind, data)


def _update_field(state: State, request: Request) -> Obj:
    if request.ids[1] not in ("name", "closed", "pos", "subscribed", "idBoard"):
        raise no_route("PUT", f"/1/lists/{request.ids[0]}/{request.ids[1]}")
    request.params = {request.ids[1]: request.params.get("value")}
    return _update(state, request)


def _cards(state: State, request: Request) -> list[Obj]:
    list_ = _list(state, request)
    filter_ = request.ids[1] if len(request.ids) > 1 else request.text("filter", "open")
    return nested_resources.cards(
        state, request, nested_resources.by_state(state.cards_of_list(list_), filter_)
    )


def _actions(state: State, request: Request) -> Any:
    return actions.feed(state, request, actions.of_list(state, _list(state, request)))


def _board(state: State, request: Request) -> Obj:
    board = state.boards[_list(state, request)["idBoard"]]
    return view(
        state, BOARD, board, request.requester, nested_resources.fields_of(request, "fields")
    )


def _archive_all(state: State, request: Request) -> Obj:
    for card in state.cards_of_list(_list(state, request)):
        card_edits.edit(state, request, card, {"closed": True})
    return EMPTY_LIMITS


def _move_all(state: State, request: Request) -> list[Obj]:
    for card in state.cards_of_list(_list(state, request)):
        card_edits.edit(state, request, card, {"idList": request.text("idList")})
    return []


def _label(state: State, request: Request) -> Obj:
    return access.on_board(state, request, state.labels.get(request.ids[0]))


def _get_label(state: State, request: Request) -> Obj:
    return view(
        state,
        LABEL,
        _label(state, request),
        request.requester,
        nested_resources.fields_of(request, "fields"),
    )


def _create_label(state: State, request: Request) -> Obj:
    if request.ids:
        board = access.board(state, request, request.ids[0])
    else:
        board = _named_board(state, request, request.text("idBoard"))
    created = object_factory.label(
        state, board["id"], request.text("name"), request.params.get("color") or None
    )
    _record_label(state, request, "createLabel", created)
    return {**view(state, LABEL, created, request.requester), "limits": {}}


def _update_label(state: State, request: Request) -> Obj:
    list_ = _label(state, request)
    old: Obj = {}
    for name in ("name", "color"):
        value = request.params.get(name)
        if name in request.params and list_[name] != value:
            old[name], list_[name] = list_[name], value or ("" if name == "name" else None)
    if old:
        _record_label(state, request, "updateLabel", list_, old)
    return view(state, LABEL, list_, request.requester)


def _update_label_field(state: State, request: Request) -> Obj:
    if request.ids[1] not in ("name", "color"):
        raise no_route("PUT", f"/1/labels/{request.ids[0]}/{request.ids[1]}")
    request.params = {request.ids[1]: request.params.get("value")}
    return _update_label(state, request)


def _delete_label(state: State, request: Request) -> Obj:
    list_ = _label(state, request)
    state.labels.drop(list_)
    for card in state.cards.of(list_["idBoard"]):
        card["idLabels"] = [each for each in card["idLabels"] if each != list_["id"]]
    _record_label(state, request, "deleteLabel", list_)
    return EMPTY_LIMITS


def _record_label(
    state: State, request: Request, kind: str, label: Obj, old: Obj | None = None
) -> None:
    """Record a change of a label, which shows in no feed and no dateLastActivity."""
    board = state.boards[label["idBoard"]]
    state.touch(board, activity=False)
    data = {"label": actions.reference(label), "board": actions.reference(board)}
    actions.record(state, request, kind, {**data, "old": old} if old else data)


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
