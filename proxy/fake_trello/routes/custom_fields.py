"""/1/customFields, their options, and their values on cards."""

from typing import Any

from proxy.fake_trello import access, actions, nested_resources, object_factory
from proxy.fake_trello.errors import invalid, not_found
from proxy.fake_trello.field_selection import CUSTOM_ITEM, view
from proxy.fake_trello.request import Obj, Request
from proxy.fake_trello.routes.cards import LIMITS
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import State, position

_KINDS = ("checkbox", "date", "list", "number", "text")


def _field(state: State, call: Request) -> Obj:
    found = state.custom_fields.get(call.ids[0])
    access.permit(state, call, state.boards[found["idModel"]])
    return found


def _seen(state: State, call: Request, found: Obj) -> Obj:
    return nested_resources.custom_fields(state, call, [found])[0]


def _redefined(state: State, call: Request, kind: str, found: Obj) -> None:
    """Definitions move neither the feed nor dateLastActivity."""
    board = state.boards[found["idModel"]]
    state.touch(board, activity=False)
    data = {"customField": actions.ref(found), "board": actions.ref(board)}
    actions.record(state, call, kind, data)


def _get(state: State, call: Request) -> Obj:
    return _seen(state, call, _field(state, call))


def _create(state: State, call: Request) -> Obj:
    board = access.permit(state, call, access.body_id(state.boards.get(call.text("idModel"))))
    kind = call.text("type")
    if kind not in _KINDS:
        raise invalid("type")
    made = object_factory.custom_field(state, board["id"], call.text("name"), kind)
    for option in _objects(call, "options"):
        _add_option(state, made, option)
    _redefined(state, call, "createCustomField", made)
    return _seen(state, call, made)


def _objects(call: Request, name: str) -> list[Obj]:
    """A parameter that is a list of objects; 400 when it is something else."""
    value = call.params.get(name) or []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise invalid(name)
    return value


def _add_option(state: State, found: Obj, wanted: Obj) -> Obj:
    value = wanted.get("value")
    made = {
        "id": state.new_id(),
        "idCustomField": found["id"],
        "value": value if isinstance(value, dict) else {"text": str(value or "")},
        "color": wanted.get("color") or "none",
        "pos": position(wanted.get("pos", "bottom"), found["options"]),
    }
    found["options"].append(made)
    return made


def _update(state: State, call: Request) -> Obj:
    found = _field(state, call)
    if "name" in call.params:
        found["name"] = call.text("name")
    if "pos" in call.params:
        found["pos"] = position(call.params["pos"], state.custom_fields.of(found["idModel"]))
    display = call.params.get("display")
    if isinstance(display, dict):
        found["display"] = {**found["display"], **display}
    if "display/cardFront" in call.params:
        found["display"] = {"cardFront": call.flag("display/cardFront")}
    _redefined(state, call, "updateCustomField", found)
    return _seen(state, call, found)


def _delete(state: State, call: Request) -> Obj:
    found = _field(state, call)
    state.custom_fields.drop(found)
    for item in state.custom_items.all():
        if item["idCustomField"] == found["id"]:
            state.custom_items.drop(item)
    _redefined(state, call, "deleteCustomField", found)
    return LIMITS


def _options(state: State, call: Request) -> list[Obj]:
    return list(_field(state, call).get("options", []))


def _option(state: State, call: Request) -> Obj:
    for option in _options(state, call):
        if option["id"] == call.ids[1]:
            return option
    raise not_found()


def _create_option(state: State, call: Request) -> Obj:
    found = _field(state, call)
    if found["type"] != "list":
        raise invalid("type")
    made = _add_option(state, found, call.params)
    _redefined(state, call, "updateCustomField", found)
    return made


def _delete_option(state: State, call: Request) -> Obj:
    found, gone = _field(state, call), _option(state, call)
    found["options"].remove(gone)
    _redefined(state, call, "updateCustomField", found)
    return LIMITS


def _items(state: State, call: Request) -> list[Obj]:
    return nested_resources.custom_items(state, call, access.card(state, call, call.ids[0]))


def _set(state: State, call: Request) -> Obj:
    card = access.card(state, call, call.ids[0])
    found = state.custom_fields.get(call.ids[1])
    if found["idModel"] != card["idBoard"]:
        raise not_found()
    return _set_item(state, call, card, found, call.params)


def _set_several(state: State, call: Request) -> list[Obj]:
    card = access.card(state, call, call.ids[0])
    for each in _objects(call, "customFieldItems"):
        found = access.body_id(state.custom_fields.find(each.get("idCustomField", "")))
        _set_item(state, call, card, found, each)
    return nested_resources.custom_items(state, call, card)


def _set_item(state: State, call: Request, card: Obj, found: Obj, wanted: Obj) -> Obj:
    items = state.custom_items.of(card["id"])
    known = next((each for each in items if each["idCustomField"] == found["id"]), None)
    item = known or _new_item(state, card, found)
    item["value"], item["idValue"] = wanted.get("value") or None, wanted.get("idValue") or None
    if item["value"] is None and item["idValue"] is None:
        state.custom_items.drop(item)
    else:
        state.custom_items.put(item)
    extra = {"customField": actions.ref(found), "customFieldItem": _brief(item)}
    actions.changed(state, call, "updateCustomFieldItem", card, extra)
    return view(state, CUSTOM_ITEM, item, call.asker)


def _new_item(state: State, card: Obj, found: Obj) -> Obj:
    return {
        "id": state.new_id(),
        "idCustomField": found["id"],
        "idModel": card["id"],
        "modelType": "card",
    }


def _brief(item: Obj) -> dict[str, Any]:
    return {name: item[name] for name in ("id", "value", "idValue", "idCustomField", "idModel")}


TABLE: Table = {
    ("POST", "customFields"): _create,
    ("GET", "customFields/{customField}"): _get,
    ("PUT", "customFields/{customField}"): _update,
    ("DELETE", "customFields/{customField}"): _delete,
    ("GET", "customFields/{customField}/options"): _options,
    ("POST", "customFields/{customField}/options"): _create_option,
    ("GET", "customFields/{customField}/options/{option}"): _option,
    ("DELETE", "customFields/{customField}/options/{option}"): _delete_option,
    ("GET", "cards/{card}/customFieldItems"): _items,
    ("PUT", "cards/{card}/customField/{customField}/item"): _set,
    ("PUT", "cards/{card}/customFields/{customField}/item"): _set,
    ("PUT", "cards/{card}/customFields"): _set_several,
}
