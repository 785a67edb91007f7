"""/1/checklists, and the checklists and their items under a card."""

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
from proxy.fake_trello.routes.cards import LIMITS, field_value
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import (
    State,
    by_pos,
    position,
)


def _checklist(state: State, call: Request) -> Obj:
    return access.of_board(state, call, state.checklists.get(call.ids[0]))


def _card_of(state: State, checklist: Obj) -> Obj:
    return state.cards.get(checklist["idCard"])


def _get(state: State, call: Request) -> Obj:
    fields = nested_resources.fields_of(call, "fields")
    return nested_resources.checklists(state, call, [_checklist(state, call)], fields)[0]


def _get_field(state: State, call: Request) -> Any:
    seen = view(state, CHECKLIST, _checklist(state, call), call.asker)
    return field_value(seen, call.ids[1], f"/1/checklists/{call.ids[0]}/{call.ids[1]}")


def _create(state: State, call: Request) -> Obj:
    ref = call.ids[0] if call.ids else call.text("idCard")
    card = access.card(state, call, ref)
    pos = call.params.get("pos", "bottom")
    made = object_factory.checklist(state, card, call.text("name", "Checklist"), pos)
    source = call.params.get("idChecklistSource")
    if source:
        for item in access.body_id(state.checklists.find(str(source)))["checkItems"]:
            object_factory.check_item(state, made, item["name"])
    actions.changed(state, call, "addChecklistToCard", card, {"checklist": actions.ref(made)})
    return {**view(state, CHECKLIST, made, call.asker), "limits": {}}


def _of_card(state: State, call: Request) -> list[Obj]:
    kept = by_pos(state.checklists.of(access.card(state, call, call.ids[0])["id"]))
    return nested_resources.checklists(
        state, call, kept, nested_resources.fields_of(call, "fields")
    )


def _update(state: State, call: Request) -> Obj:
    found = _checklist(state, call)
    card = _card_of(state, found)
    if "name" in call.params:
        old, found["name"] = found["name"], call.text("name")
        extra = {"checklist": actions.ref(found), "old": {"name": old}}
        actions.changed(state, call, "updateChecklist", card, extra)
    if "pos" in call.params:
        found["pos"] = position(call.params["pos"], state.checklists.of(card["id"]))
        state.touch(state.boards[card["idBoard"]], activity=False)
    return view(state, CHECKLIST, found, call.asker)


def _update_field(state: State, call: Request) -> Obj:
    if call.ids[1] not in ("name", "pos"):
        raise no_route("PUT", f"/1/checklists/{call.ids[0]}/{call.ids[1]}")
    call.params = {call.ids[1]: call.params.get("value")}
    return _update(state, call)


def _delete(state: State, call: Request) -> Obj:
    found = _checklist(state, call)
    _remove(state, call, found)
    return LIMITS


def _delete_of_card(state: State, call: Request) -> Obj:
    card = access.card(state, call, call.ids[0])
    _remove(state, call, access.on_card(card, state.checklists.find(call.ids[1])))
    return LIMITS


def _remove(state: State, call: Request, found: Obj) -> None:
    state.checklists.drop(found)
    extra = {"checklist": actions.ref(found)}
    actions.changed(state, call, "removeChecklistFromCard", _card_of(state, found), extra)


def _board(state: State, call: Request) -> Obj:
    board = state.boards[_checklist(state, call)["idBoard"]]
    return view(state, BOARD, board, call.asker, nested_resources.fields_of(call, "fields"))


def _cards(state: State, call: Request) -> list[Obj]:
    return nested_resources.cards(state, call, [_card_of(state, _checklist(state, call))])


def _items(state: State, call: Request) -> list[Obj]:
    kept = by_pos(_checklist(state, call)["checkItems"])
    fields = nested_resources.fields_of(call, "fields")
    return [view(state, CHECK_ITEM, each, call.asker, fields) for each in kept]


def _item_in(checklist: Obj, item_id: str) -> Obj:
    items: list[Obj] = checklist["checkItems"]
    for item in items:
        if item["id"] == item_id:
            return item
    raise not_found()


def _get_item(state: State, call: Request) -> Obj:
    return view(state, CHECK_ITEM, _item_in(_checklist(state, call), call.ids[1]), call.asker)


def _create_item(state: State, call: Request) -> Obj:
    found = _checklist(state, call)
    if not call.text("name"):
        raise invalid("name")
    made = object_factory.check_item(
        state, found, call.text("name"), call.params.get("pos", "bottom")
    )
    if call.flag("checked"):
        made["state"] = "complete"
    _item_changed(state, call, "createCheckItem", found, made)
    return view(state, CHECK_ITEM, made, call.asker)


def _delete_item(state: State, call: Request) -> Obj:
    found = _checklist(state, call)
    item = _item_in(found, call.ids[1])
    found["checkItems"].remove(item)
    _item_changed(state, call, "deleteCheckItem", found, item)
    return LIMITS


def _item_changed(
    state: State, call: Request, kind: str, checklist: Obj, item: Obj, old: Obj | None = None
) -> None:
    extra = {"checklist": actions.ref(checklist), "checkItem": actions.ref(item)}
    if old:
        extra["old"] = old
    actions.changed(state, call, kind, _card_of(state, checklist), extra)


def _on_card(state: State, call: Request) -> tuple[Obj, Obj]:
    """The item a card's path names, and the checklist it lies in."""
    card = access.card(state, call, call.ids[0])
    for checklist in state.checklists.of(card["id"]):
        for item in checklist["checkItems"]:
            if item["id"] == call.ids[-1]:
                return checklist, item
    raise not_found()


def _get_card_item(state: State, call: Request) -> Obj:
    return view(state, CHECK_ITEM, _on_card(state, call)[1], call.asker)


def _update_card_item(state: State, call: Request) -> Obj:
    checklist, item = _on_card(state, call)
    for name in ("name", "state", "due", "idMember"):
        if name in call.params and item[name] != _item_value(call, name):
            old, item[name] = item[name], _item_value(call, name)
            kind = "updateCheckItemStateOnCard" if name == "state" else "updateCheckItem"
            _item_changed(state, call, kind, checklist, item, {name: old})
    if "pos" in call.params:
        old, item["pos"] = item["pos"], position(call.params["pos"], checklist["checkItems"])
        state.touch(state.boards[checklist["idBoard"]], activity=False)
        card = _card_of(state, checklist)
        data = {**actions.about(state, card), "checkItem": actions.ref(item), "old": {"pos": old}}
        actions.record(state, call, "updateCheckItem", data)
    return view(state, CHECK_ITEM, item, call.asker)


def _item_value(call: Request, name: str) -> Any:
    value = call.params[name]
    if name != "state":
        return value
    if value in (True, "true", "complete"):
        return "complete"
    if value in (False, "false", "incomplete"):
        return "incomplete"
    raise invalid("state")


def _delete_card_item(state: State, call: Request) -> Obj:
    checklist, item = _on_card(state, call)
    checklist["checkItems"].remove(item)
    _item_changed(state, call, "deleteCheckItem", checklist, item)
    return LIMITS


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
