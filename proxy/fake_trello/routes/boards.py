"""/1/boards: the board itself, its members and the collections on it."""

from typing import Any

from proxy.fake_trello import access, actions, nested_resources, object_factory
from proxy.fake_trello.errors import (
    invalid,
    no_route,
    not_found,
)
from proxy.fake_trello.field_selection import (
    BOARD,
    CARD,
    MEMBER_SHORT,
    view,
)
from proxy.fake_trello.request import (
    Obj,
    Request,
    as_flag,
    converted,
    names,
)
from proxy.fake_trello.routes.cards import NOTHING, field_value
from proxy.fake_trello.routing import Handler, Table
from proxy.fake_trello.state import State, by_pos

_DEFAULT_LISTS = ("To Do", "Doing", "Done")
_PLAIN = ("name", "desc", "closed", "idOrganization")


def _get(state: State, call: Request) -> Obj:
    return nested_resources.board(state, call, access.board(state, call, call.ids[0]))


def _get_field(state: State, call: Request) -> Any:
    found = access.board(state, call, call.ids[0])
    seen = view(state, BOARD, found, call.asker, "all")
    return field_value(seen, call.ids[1], f"/1/boards/{call.ids[0]}/{call.ids[1]}")


def _create(state: State, call: Request) -> Obj:
    me = access.known(call)
    if not call.text("name"):
        raise invalid("name")
    organization = call.params.get("idOrganization")
    if organization:
        organization = access.organization(state, call, str(organization))["id"]
    made = object_factory.board(state, call.text("name"), me, organization)
    made["desc"] = call.text("desc")
    _set_prefs(made, call.params)
    if call.text("defaultLabels", "true") != "false":
        for color in object_factory.LABEL_COLORS:
            object_factory.label(state, made["id"], "", color)
    if call.text("defaultLists", "true") != "false":
        for name in _DEFAULT_LISTS:
            object_factory.list_(state, made["id"], name)
    actions.record(state, call, "createBoard", {"board": actions.ref(made)})
    return {**view(state, BOARD, made, call.asker), "limits": {}}


def _set_prefs(board: Obj, params: Obj) -> Obj:
    """Set `prefs/x`, `prefs_x` and the like; what changed, with its old value."""
    old = {}
    for name, value in params.items():
        pref = name.removeprefix("prefs/").removeprefix("prefs_")
        if pref == name or pref not in board["prefs"]:
            continue
        old[pref] = board["prefs"][pref]
        board["prefs"][pref] = as_flag(value) if isinstance(old[pref], bool) else value
    return old


def _update(state: State, call: Request) -> Obj:
    found = access.board(state, call, call.ids[0])
    for name in _PLAIN:
        if name in call.params:
            _change(state, call, found, name, converted(name, call.params[name]))
    _change_prefs(state, call, found, call.params)
    for name in [name for name in call.params if name.startswith("labelNames/")]:
        found["labelNames"][name.removeprefix("labelNames/")] = call.params[name]
        state.touch(found, activity=False)
    if "subscribed" in call.params:
        me = access.known(call)
        others = [each for each in found["subscribers"] if each != me]
        found["subscribers"] = [*others, me] if call.flag("subscribed") else others
        state.touch(found, activity=False)
    return view(state, BOARD, found, call.asker)


def _change(state: State, call: Request, board: Obj, name: str, value: Any) -> None:
    if name == "name" and not value:
        raise invalid("name")
    if board[name] == value:
        return
    old, board[name] = board[name], value
    state.touch(board)
    data = {"board": {**actions.ref(board), name: value}, "old": {name: old}}
    actions.record(state, call, "updateBoard", data)


def _change_prefs(state: State, call: Request, board: Obj, params: Obj) -> None:
    old = _set_prefs(board, params)
    if old:
        state.touch(board, activity=False)
        data = {"board": actions.ref(board), "old": {"prefs": old}}
        actions.record(state, call, "updateBoard", data)


def _update_field(state: State, call: Request) -> Obj:
    if call.ids[1] not in _PLAIN:
        raise no_route("PUT", f"/1/boards/{call.ids[0]}/{call.ids[1]}")
    call.params = {call.ids[1]: call.params.get("value")}
    return _update(state, call)


def _update_pref(state: State, call: Request) -> Obj:
    call.params = {f"prefs/{call.ids[1]}": call.params.get("value")}
    return _update(state, call)


def _delete(state: State, call: Request) -> Obj:
    found = access.board(state, call, call.ids[0])
    for card in state.cards.of(found["id"]):
        state.forget_card(card)
    for backend in (state.lists, state.labels, state.actions, state.custom_fields, state.exports):
        for each in backend.of(found["id"]):
            backend.drop(each)
    del state.boards[found["id"]]
    state.aliases.pop(found["shortLink"], None)
    return NOTHING


def _actions(state: State, call: Request) -> Any:
    found = access.board(state, call, call.ids[0])
    return actions.feed(state, call, state.actions.of(found["id"]))


def _actions_by_type(state: State, call: Request) -> Any:
    call.params["filter"] = call.ids[1]
    return _actions(state, call)


def _cards(state: State, call: Request) -> list[Obj]:
    found = access.board(state, call, call.ids[0])
    wanted = call.ids[1] if len(call.ids) > 1 else call.text("filter", "visible")
    kept = nested_resources.by_state(by_pos(state.cards.of(found["id"])), wanted)
    if wanted == "visible":
        kept = [each for each in kept if not state.lists.get(each["idList"])["closed"]]
    if call.params.get("limit"):
        kept = kept[: call.number("limit", 1000, 1000)]
    return nested_resources.cards(state, call, kept)


_CARD_FILTERS = ("all", "open", "closed", "visible", "none", "complete", "incomplete")


def _cards_or_card(state: State, call: Request) -> Any:
    if call.ids[1] in _CARD_FILTERS:
        return _cards(state, call)
    found = access.board(state, call, call.ids[0])
    card = state.card(call.ids[1])
    if card["idBoard"] != found["id"]:
        raise not_found()
    return view(state, CARD, card, call.asker, nested_resources.fields_of(call, "fields"))


def _lists(state: State, call: Request) -> list[Obj]:
    found = access.board(state, call, call.ids[0])
    wanted = call.ids[1] if len(call.ids) > 1 else call.text("filter", "open")
    kept = nested_resources.by_state(state.lists.of(found["id"]), wanted)
    return nested_resources.lists(state, call, kept, nested_resources.fields_of(call, "fields"))


def _labels(state: State, call: Request) -> list[Obj]:
    found = access.board(state, call, call.ids[0])
    return nested_resources.labels(
        state, call, found, nested_resources.fields_of(call, "fields"), "limit"
    )


def _checklists(state: State, call: Request) -> list[Obj]:
    found = access.board(state, call, call.ids[0])
    kept = nested_resources.on_board(state, found)
    return nested_resources.checklists(
        state, call, kept, nested_resources.fields_of(call, "fields")
    )


def _custom_fields(state: State, call: Request) -> list[Obj]:
    found = access.board(state, call, call.ids[0])
    return nested_resources.custom_fields(state, call, state.custom_fields.of(found["id"]))


def _members(state: State, call: Request) -> list[Obj]:
    found = access.board(state, call, call.ids[0])
    wanted = call.ids[1] if len(call.ids) > 1 else call.text("filter", "all")
    kind = {"admins": "admin", "normal": "normal", "observers": "observer"}.get(wanted)
    ids = [p["idMember"] for p in found["memberships"] if kind in (None, p["memberType"])]
    return nested_resources.members(
        state, call, ids, nested_resources.fields_of(call, "fields", MEMBER_SHORT)
    )


def _memberships(state: State, call: Request) -> list[Obj]:
    return list(access.board(state, call, call.ids[0])["memberships"])


def _put_member(state: State, call: Request) -> Obj:
    found = access.board(state, call, call.ids[0])
    member = state.member(call.ids[1])
    kind = call.text("type", "normal")
    if kind not in ("admin", "normal", "observer"):
        raise invalid("type")
    known = [place for place in found["memberships"] if place["idMember"] == member["id"]]
    for place in known:
        place["memberType"] = kind
    if not known:
        found["memberships"].append(object_factory.membership(state, member["id"], kind))
    state.touch(found)
    event = {"admin": "makeAdminOfBoard", "observer": "makeObserverOfBoard"}.get(
        kind, "makeNormalMemberOfBoard"
    )
    data = {"board": actions.ref(found), "idMember": member["id"], "memberType": kind}
    actions.record(state, call, event if known else "addMemberToBoard", data)
    return {"id": found["id"], "memberships": found["memberships"]}


def _put_membership(state: State, call: Request) -> Obj:
    found = access.board(state, call, call.ids[0])
    for place in found["memberships"]:
        if place["id"] == call.ids[1]:
            call.ids = (found["id"], place["idMember"])
            return _put_member(state, call)
    raise not_found()


def _remove_member(state: State, call: Request) -> Obj:
    found = access.board(state, call, call.ids[0])
    member = state.member(call.ids[1])
    kept = [place for place in found["memberships"] if place["idMember"] != member["id"]]
    if len(kept) == len(found["memberships"]):
        raise not_found()
    found["memberships"] = kept
    state.touch(found)
    data = {"board": actions.ref(found), "idMember": member["id"]}
    actions.record(state, call, "removeMemberFromBoard", data)
    return {"id": found["id"], "memberships": kept}


def _viewed(state: State, call: Request) -> Obj:
    found = state.board(call.ids[0])
    if not access.sees(state, call.asker, found):
        raise call.asker.refuse()
    found["viewed"][access.known(call)] = state.now()
    return NOTHING


def _empty(state: State, call: Request) -> list[Obj]:
    access.board(state, call, call.ids[0])
    return []


def _my_pref(state: State, call: Request) -> Obj:
    found = access.board(state, call, call.ids[0])
    return {"id": found["id"]}


def _stars(state: State, call: Request) -> list[Obj]:
    found = access.board(state, call, call.ids[0])
    mine = state.stars.of(access.known(call))
    return [{"id": s["id"], "pos": s["pos"]} for s in mine if s["idBoard"] == found["id"]]


def _empties(paths: str) -> dict[tuple[str, str], Handler]:
    return {("GET", f"boards/{{board}}/{path}"): _empty for path in names(paths)}


TABLE: Table = {
    ("POST", "boards"): _create,
    ("GET", "boards/{board}"): _get,
    ("PUT", "boards/{board}"): _update,
    ("DELETE", "boards/{board}"): _delete,
    ("GET", "boards/{board}/{field}"): _get_field,
    ("PUT", "boards/{board}/{field}"): _update_field,
    ("PUT", "boards/{board}/prefs/{pref}"): _update_pref,
    ("PUT", "boards/{board}/myPrefs/{pref}"): _my_pref,
    ("GET", "boards/{board}/actions"): _actions,
    ("GET", "boards/{board}/actions/{filter}"): _actions_by_type,
    ("GET", "boards/{board}/cards"): _cards,
    ("GET", "boards/{board}/cards/{filter}"): _cards_or_card,
    ("GET", "boards/{board}/lists"): _lists,
    ("GET", "boards/{board}/lists/{filter}"): _lists,
    ("GET", "boards/{board}/labels"): _labels,
    ("GET", "boards/{board}/checklists"): _checklists,
    ("GET", "boards/{board}/customFields"): _custom_fields,
    ("GET", "boards/{board}/members"): _members,
    ("GET", "boards/{board}/members/{filter}"): _members,
    ("GET", "boards/{board}/memberships"): _memberships,
    ("GET", "boards/{board}/boardStars"): _stars,
    ("PUT", "boards/{board}/members/{member}"): _put_member,
    ("DELETE", "boards/{board}/members/{member}"): _remove_member,
    ("PUT", "boards/{board}/memberships/{membership}"): _put_membership,
    ("POST", "boards/{board}/markAsViewed"): _viewed,
    **_empties("boardPlugins plugins pluginData membersInvited tags powerUps"),
}
