"""Checklist routes `/1/checklists`, and checklists and items below a card."""

from typing import Any

from proxy.fake_trello import access, actions, nested_resources, object_factory
from proxy.fake_trello.errors import (
    invalid,
    no_route,
    not_found,
)
from proxy.fake_trello.field_selection import (
    BOARD,
    CHECK_ITEM,
    CHECKLIST,
    view,
)
from proxy.fake_trello.request import Obj, Request
from proxy.fake_trello.routes.cards import EMPTY_LIMITS, field_value
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import (
    State,
    by_pos,
    position,
)


def _checklist(state: State, request: Request) -> Obj:
    return access.on_board(state, request, state.checklists.get(request.ids[0]))


def _card_of(state: State, checklist: Obj) -> Obj:
    return state.cards.get(checklist["idCard"])


def _get(state: State, request: Request) -> Obj:
    fields = nested_resources.fields_of(request, "fields")
    return nested_resources.checklists(state, request, [_checklist(state, request)], fields)[0]


def _get_field(state: State, request: Request) -> Any:
    rendered = view(state, CHECKLIST, _checklist(state, request), request.requester)
    return field_value(rendered, request.ids[1], f"/1/checklists/{request.ids[0]}/{request.ids[1]}")


def _create(state: State, request: Request) -> Obj:
    ref = request.ids[0] if request.ids else request.text("idCard")
    card = access.card(state, request, ref)
    pos = request.params.get("pos", "bottom")
    created = object_factory.checklist(state, card, request.text("name", "Checklist"), pos)
    source = request.params.get("idChecklistSource")
    if source:
        for item in access.require_referenced(state.checklists.find(str(source)))["checkItems"]:
            object_factory.check_item(state, created, item["name"])
    actions.record_on_card(
        state, request, "addChecklistToCard", card, {"checklist": actions.reference(created)}
    )
    return {**view(state, CHECKLIST, created, request.requester), "limits": {}}


def _of_card(state: State, request: Request) -> list[Obj]:
    selected = by_pos(state.checklists.of(access.card(state, request, request.ids[0])["id"]))
    return nested_resources.checklists(
        state, request, selected, nested_resources.fields_of(request, "fields")
    )


def _update(state: State, request: Request) -> Obj:
    checklist = _checklist(state, request)
    card = _card_of(state, checklist)
    if "name" in request.params:
        old, checklist["name"] = checklist["name"], request.text("name")
        extra = {"checklist": actions.reference(checklist), "old": {"name": old}}
        actions.record_on_card(state, request, "updateChecklist", card, extra)
    if "pos" in request.params:
        checklist["pos"] = position(request.params["pos"], state.checklists.of(card["id"]))
        state.touch(state.boards[card["idBoard"]], activity=False)
    return view(state, CHECKLIST, checklist, request.requester)


def _update_field(state: State, request: Request) -> Obj:
    if request.ids[1] not in ("name", "pos"):
        raise no_route("PUT", f"/1/checklists/{request.ids[0]}/{request.ids[1]}")
    request.params = {request.ids[1]: request.params.get("value")}
    return _update(state, request)


def _delete(state: State, request: Request) -> Obj:
    checklist = _checklist(state, request)
    _remove(state, request, checklist)
    return EMPTY_LIMITS


def _delete_of_card(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    _remove(state, request, access.require_on_card(card, state.checklists.find(request.ids[1])))
    return EMPTY_LIMITS


def _remove(state: State, request: Request, checklist: Obj) -> None:
    state.checklists.drop(checklist)
    extra = {"checklist": actions.reference(checklist)}
    actions.record_on_card(
        state, request, "removeChecklistFromCard", _card_of(state, checklist), extra
    )


def _board(state: State, request: Request) -> Obj:
    board = state.boards[_checklist(state, request)["idBoard"]]
    return view(
        state, BOARD, board, request.requester, nested_resources.fields_of(request, "fields")
    )


def _cards(state: State, request: Request) -> list[Obj]:
    return nested_resources.cards(state, request, [_card_of(state, _checklist(state, request))])


def _items(state: State, request: Request) -> list[Obj]:
    selected = by_pos(_checklist(state, request)["checkItems"])
    fields = nested_resources.fields_of(request, "fields")
    return [view(state, CHECK_ITEM, each, request.requester, fields) for each in selected]


def _item_in(checklist: Obj, item_id: str) -> Obj:
    items: list[Obj] = checklist["checkItems"]
    for item in items:
        if item["id"] == item_id:
            return item
    raise not_found()


def _get_item(state: State, request: Request) -> Obj:
    return view(
        state, CHECK_ITEM, _item_in(_checklist(state, request), request.ids[1]), request.requester
    )


def _create_item(state: State, request: Request) -> Obj:
    checklist = _checklist(state, request)
    if not request.text("name"):
        raise invalid("name")
    created = object_factory.check_item(
        state, checklist, request.text("name"), request.params.get("pos", "bottom")
    )
    if request.flag("checked"):
        created["state"] = "complete"
    _item_changed(state, request, "createCheckItem", checklist, created)
    return view(state, CHECK_ITEM, created, request.requester)


def _delete_item(state: State, request: Request) -> Obj:
    checklist = _checklist(state, request)
    item = _item_in(checklist, request.ids[1])
    checklist["checkItems"].remove(item)
    _item_changed(state, request, "deleteCheckItem", checklist, item)
    return EMPTY_LIMITS


def _item_changed(
    state: State, request: Request, kind: str, checklist: Obj, item: Obj, old: Obj | None = None
) -> None:
    extra = {"checklist": actions.reference(checklist), "checkItem": actions.reference(item)}
    if old:
        extra["old"] = old
    actions.record_on_card(state, request, kind, _card_of(state, checklist), extra)


def _on_card(state: State, request: Request) -> tuple[Obj, Obj]:
    """The item named in a card's path, and its checklist."""
    card = access.card(state, request, request.ids[0])
    for checklist in state.checklists.of(card["id"]):
        for item in checklist["checkItems"]:
            if item["id"] == request.ids[-1]:
                return checklist, item
    raise not_found()


def _get_card_item(state: State, request: Request) -> Obj:
    return view(state, CHECK_ITEM, _on_card(state, request)[1], request.requester)


def _update_card_item(state: State, request: Request) -> Obj:
    checklist, item = _on_card(state, request)
    for name in ("name", "state", "due", "idMember"):
        if name in request.params and item[name] != _item_value(request, name):
            old, item[name] = item[name], _item_value(request, name)
            kind = "updateCheckItemStateOnCard" if name == "state" else "updateCheckItem"
            _item_changed(state, request, kind, checklist, item, {name: old})
    if "pos" in request.params:
        old, item["pos"] = item["pos"], position(request.params["pos"], checklist["checkItems"])
        state.touch(state.boards[checklist["idBoard"]], activity=False)
        card = _card_of(state, checklist)
        data = {
            **actions.card_references(state, card),
            "checkItem": actions.reference(item),
            "old": {"pos": old},
        }
        actions.record(state, request, "updateCheckItem", data)
    return view(state, CHECK_ITEM, item, request.requester)


def _item_value(request: Request, name: str) -> Any:
    value = request.params[name]
    if name != "state":
        return value
    if value in (True, "true", "complete"):
        return "complete"
    if value in (False, "false", "incomplete"):
        return "incomplete"
    raise invalid("state")


def _delete_card_item(state: State, request: Request) -> Obj:
    checklist, item = _on_card(state, request)
    checklist["checkItems"].remove(item)
    _item_changed(state, request, "deleteCheckItem", checklist, item)
    return EMPTY_LIMITS


_OLD_ITEM = "cards/{card}/checklist/{checklist}/checkItem/{checkItem}"

TABLE: Table = {
    ("POST", "checklists"): _create,
    ("POST", "cards/{card}/checklists"): _create,
    ("GET", "cards/{card}/checklists"): _of_card,
    ("DELETE", "cards/{card}/checklists/{checklist}"): _delete_of_card,
    ("GET", "checklists/{checklist}"): _get,
    ("PUT", "checklists/{checklist}"): _update,
    ("DELETE", "checklists/{checklist}"): _delete,
    ("GET", "checklists/{checklist}/{field}"): _get_field,
    ("PUT", "checklists/{checklist}/{field}"): _update_field,
    ("GET", "checklists/{checklist}/board"): _board,
    ("GET", "checklists/{checklist}/cards"): _cards,
    ("GET", "checklists/{checklist}/checkItems"): _items,
    ("POST", "checklists/{checklist}/checkItems"): _create_item,
    ("GET", "checklists/{checklist}/checkItems/{checkItem}"): _get_item,
    ("DELETE", "checklists/{checklist}/checkItems/{checkItem}"): _delete_item,
    ("GET", "cards/{card}/checkItem/{checkItem}"): _get_card_item,
    ("PUT", "cards/{card}/checkItem/{checkItem}"): _update_card_item,
    ("DELETE", "cards/{card}/checkItem/{checkItem}"): _delete_card_item,
    ("PUT", _OLD_ITEM): _update_card_item,
}
