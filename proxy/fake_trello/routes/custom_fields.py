"""Custom field routes `/1/customFields`: definitions, options and values on cards."""

from typing import Any

from proxy.fake_trello import access, actions, nested_resources, object_factory
from proxy.fake_trello.errors import invalid, not_found
from proxy.fake_trello.field_selection import CUSTOM_ITEM, view
from proxy.fake_trello.request import Obj, Request
from proxy.fake_trello.routes.cards import EMPTY_LIMITS
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import State, position

_KINDS = ("checkbox", "date", "list", "number", "text")


def _field(state: State, request: Request) -> Obj:
    field = state.custom_fields.get(request.ids[0])
    access.authorize(state, request, state.boards[field["idModel"]])
    return field


def _render(state: State, request: Request, field: Obj) -> Obj:
    return nested_resources.custom_fields(state, request, [field])[0]


def _record_definition(state: State, request: Request, kind: str, field: Obj) -> None:
    """Record a change of a definition, which shows in no feed and no dateLastActivity."""
    board = state.boards[field["idModel"]]
    state.touch(board, activity=False)
    data = {"customField": actions.reference(field), "board": actions.reference(board)}
    actions.record(state, request, kind, data)


def _get(state: State, request: Request) -> Obj:
    return _render(state, request, _field(state, request))


def _create(state: State, request: Request) -> Obj:
    board = access.authorize(
        state, request, access.require_referenced(state.boards.get(request.text("idModel")))
    )
    kind = request.text("type")
    if kind not in _KINDS:
        raise invalid("type")
    created = object_factory.custom_field(state, board["id"], request.text("name"), kind)
    for option in _objects(request, "options"):
        _add_option(state, created, option)
    _record_definition(state, request, "createCustomField", created)
    return _render(state, request, created)


def _objects(request: Request, name: str) -> list[Obj]:
    """A parameter that is a list of objects; 400 for anything else."""
    value = request.params.get(name) or []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise invalid(name)
    return value


def _add_option(state: State, field: Obj, values: Obj) -> Obj:
    value = values.get("value")
    created = {
        "id": state.new_id(),
        "idCustomField": field["id"],
        "value": value if isinstance(value, dict) else {"text": str(value or "")},
        "color": values.get("color") or "none",
        "pos": position(values.get("pos", "bottom"), field["options"]),
    }
    field["options"].append(created)
    return created


def _update(state: State, request: Request) -> Obj:
    field = _field(state, request)
    if "name" in request.params:
        field["name"] = request.text("name")
    if "pos" in request.params:
        field["pos"] = position(request.params["pos"], state.custom_fields.of(field["idModel"]))
    display = request.params.get("display")
    if isinstance(display, dict):
        field["display"] = {**field["display"], **display}
    if "display/cardFront" in request.params:
        field["display"] = {"cardFront": request.flag("display/cardFront")}
    _record_definition(state, request, "updateCustomField", field)
    return _render(state, request, field)


def _delete(state: State, request: Request) -> Obj:
    field = _field(state, request)
    state.custom_fields.drop(field)
    for item in state.custom_items.all():
        if item["idCustomField"] == field["id"]:
            state.custom_items.drop(item)
    _record_definition(state, request, "deleteCustomField", field)
    return EMPTY_LIMITS


def _options(state: State, request: Request) -> list[Obj]:
    return list(_field(state, request).get("options", []))


def _option(state: State, request: Request) -> Obj:
    for option in _options(state, request):
        if option["id"] == request.ids[1]:
            return option
    raise not_found()


def _create_option(state: State, request: Request) -> Obj:
    field = _field(state, request)
    if field["type"] != "list":
        raise invalid("type")
    created = _add_option(state, field, request.params)
    _record_definition(state, request, "updateCustomField", field)
    return created


def _delete_option(state: State, request: Request) -> Obj:
    field, option = _field(state, request), _option(state, request)
    field["options"].remove(option)
    _record_definition(state, request, "updateCustomField", field)
    return EMPTY_LIMITS


def _items(state: State, request: Request) -> list[Obj]:
    return nested_resources.custom_items(
        state, request, access.card(state, request, request.ids[0])
    )


def _set(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    field = state.custom_fields.get(request.ids[1])
    if field["idModel"] != card["idBoard"]:
        raise not_found()
    return _set_item(state, request, card, field, request.params)


def _set_several(state: State, request: Request) -> list[Obj]:
    card = access.card(state, request, request.ids[0])
    for each in _objects(request, "customFieldItems"):
        field = access.require_referenced(state.custom_fields.find(each.get("idCustomField", "")))
        _set_item(state, request, card, field, each)
    return nested_resources.custom_items(state, request, card)


def _set_item(state: State, request: Request, card: Obj, field: Obj, values: Obj) -> Obj:
    items = state.custom_items.of(card["id"])
    existing = next((each for each in items if each["idCustomField"] == field["id"]), None)
    item = existing or _new_item(state, card, field)
    item["value"], item["idValue"] = values.get("value") or None, values.get("idValue") or None
    if item["value"] is None and item["idValue"] is None:
        state.custom_items.drop(item)
    else:
        state.custom_items.put(item)
    extra = {"customField": actions.reference(field), "customFieldItem": _brief(item)}
    actions.record_on_card(state, request, "updateCustomFieldItem", card, extra)
    return view(state, CUSTOM_ITEM, item, request.requester)


def _new_item(state: State, card: Obj, field: Obj) -> Obj:
    return {
        "id": state.new_id(),
        "idCustomField": field["id"],
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
