"""Board routes `/1/boards`: boards, their members and collections."""

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
    convert,
    names,
)
from proxy.fake_trello.routes.cards import NULL_VALUE, field_value
from proxy.fake_trello.routing import Handler, Table
from proxy.fake_trello.state import State, by_pos

_DEFAULT_LISTS = ("To Do", "Doing", "Done")
_PLAIN = ("name", "desc", "closed", "idOrganization")


def _get(state: State, request: Request) -> Obj:
    return nested_resources.board(state, request, access.board(state, request, request.ids[0]))


def _get_field(state: State, request: Request) -> Any:
    board = access.board(state, request, request.ids[0])
    rendered = view(state, BOARD, board, request.requester, "all")
    return field_value(rendered, request.ids[1], f"/1/boards/{request.ids[0]}/{request.ids[1]}")


def _create(state: State, request: Request) -> Obj:
    me = access.require_member_id(request)
    if not request.text("name"):
        raise invalid("name")
    organization = request.params.get("idOrganization")
    if organization:
        organization = access.organization(state, request, str(organization))["id"]
    created = object_factory.board(state, request.text("name"), me, organization)
    created["desc"] = request.text("desc")
    _set_prefs(created, request.params)
    if request.text("defaultLabels", "true") != "false":
        for color in object_factory.LABEL_COLORS:
            object_factory.label(state, created["id"], "", color)
    if request.text("defaultLists", "true") != "false":
        for name in _DEFAULT_LISTS:
            object_factory.list_(state, created["id"], name)
    actions.record(state, request, "createBoard", {"board": actions.reference(created)})
    return {**view(state, BOARD, created, request.requester), "limits": {}}


def _set_prefs(board: Obj, params: Obj) -> Obj:
    """Set `prefs/x` and `prefs_x`; the old values of those that were set."""
    old = {}
    for name, value in params.items():
        pref = name.removeprefix("prefs/").removeprefix("prefs_")
        if pref == name or pref not in board["prefs"]:
            continue
        old[pref] = board["prefs"][pref]
        board["prefs"][pref] = as_flag(value) if isinstance(old[pref], bool) else value
    return old


def _update(state: State, request: Request) -> Obj:
    board = access.board(state, request, request.ids[0])
    for name in _PLAIN:
        if name in request.params:
            _change(state, request, board, name, convert(name, request.params[name]))
    _change_prefs(state, request, board, request.params)
    for name in [name for name in request.params if name.startswith("labelNames/")]:
        board["labelNames"][name.removeprefix("labelNames/")] = request.params[name]
        state.touch(board, activity=False)
    if "subscribed" in request.params:
        me = access.require_member_id(request)
        others = [each for each in board["subscribers"] if each != me]
        board["subscribers"] = [*others, me] if request.flag("subscribed") else others
        state.touch(board, activity=False)
    return view(state, BOARD, board, request.requester)


def _change(state: State, request: Request, board: Obj, name: str, value: Any) -> None:
    if name == "name" and not value:
        raise invalid("name")
    if board[name] == value:
        return
    old, board[name] = board[name], value
    state.touch(board)
    data = {"board": {**actions.reference(board), name: value}, "old": {name: old}}
    actions.record(state, request, "updateBoard", data)


def _change_prefs(state: State, request: Request, board: Obj, params: Obj) -> None:
    old = _set_prefs(board, params)
    if old:
        state.touch(board, activity=False)
        data = {"board": actions.reference(board), "old": {"prefs": old}}
        actions.record(state, request, "updateBoard", data)


def _update_field(state: State, request: Request) -> Obj:
    if request.ids[1] not in _PLAIN:
        raise no_route("PUT", f"/1/boards/{request.ids[0]}/{request.ids[1]}")
    request.params = {request.ids[1]: request.params.get("value")}
    return _update(state, request)


def _update_pref(state: State, request: Request) -> Obj:
    request.params = {f"prefs/{request.ids[1]}": request.params.get("value")}
    return _update(state, request)


def _delete(state: State, request: Request) -> Obj:
    board = access.board(state, request, request.ids[0])
    for card in state.cards.of(board["id"]):
        state.forget_card(card)
    for backend in (state.lists, state.labels, state.actions, state.custom_fields, state.exports):
        for each in backend.of(board["id"]):
            backend.drop(each)
    del state.boards[board["id"]]
    state.aliases.pop(board["shortLink"], None)
    return NULL_VALUE


def _actions(state: State, request: Request) -> Any:
    board = access.board(state, request, request.ids[0])
    return actions.feed(state, request, state.actions.of(board["id"]))


def _actions_by_type(state: State, request: Request) -> Any:
    request.params["filter"] = request.ids[1]
    return _actions(state, request)


def _cards(state: State, request: Request) -> list[Obj]:
    board = access.board(state, request, request.ids[0])
    filter_ = request.ids[1] if len(request.ids) > 1 else request.text("filter", "visible")
    selected = nested_resources.by_state(by_pos(state.cards.of(board["id"])), filter_)
    if filter_ == "visible":
        selected = [each for each in selected if not state.lists.get(each["idList"])["closed"]]
    if request.params.get("limit"):
        selected = selected[: request.number("limit", 1000, 1000)]
    return nested_resources.cards(state, request, selected)


_CARD_FILTERS = ("all", "open", "closed", "visible", "none", "complete", "incomplete")


def _cards_or_card(state: State, request: Request) -> Any:
    if request.ids[1] in _CARD_FILTERS:
        return _cards(state, request)
    board = access.board(state, request, request.ids[0])
    card = state.card(request.ids[1])
    if card["idBoard"] != board["id"]:
        raise not_found()
    return view(state, CARD, card, request.requester, nested_resources.fields_of(request, "fields"))


def _lists(state: State, request: Request) -> list[Obj]:
    board = access.board(state, request, request.ids[0])
    filter_ = request.ids[1] if len(request.ids) > 1 else request.text("filter", "open")
    selected = nested_resources.by_state(state.lists.of(board["id"]), filter_)
    return nested_resources.lists(
        state, request, selected, nested_resources.fields_of(request, "fields")
    )


def _labels(state: State, request: Request) -> list[Obj]:
    board = access.board(state, request, request.ids[0])
    return nested_resources.labels(
        state, request, board, nested_resources.fields_of(request, "fields"), "limit"
    )


def _checklists(state: State, request: Request) -> list[Obj]:
    board = access.board(state, request, request.ids[0])
    selected = nested_resources.on_board(state, board)
    return nested_resources.checklists(
        state, request, selected, nested_resources.fields_of(request, "fields")
    )


def _custom_fields(state: State, request: Request) -> list[Obj]:
    board = access.board(state, request, request.ids[0])
    return nested_resources.custom_fields(state, request, state.custom_fields.of(board["id"]))


def _members(state: State, request: Request) -> list[Obj]:
    board = access.board(state, request, request.ids[0])
    filter_ = request.ids[1] if len(request.ids) > 1 else request.text("filter", "all")
    kind = {"admins": "admin", "normal": "normal", "observers": "observer"}.get(filter_)
    ids = [p["idMember"] for p in board["memberships"] if kind in (None, p["memberType"])]
    return nested_resources.members(
        state, request, ids, nested_resources.fields_of(request, "fields", MEMBER_SHORT)
    )


def _memberships(state: State, request: Request) -> list[Obj]:
    return list(access.board(state, request, request.ids[0])["memberships"])


def _put_member(state: State, request: Request) -> Obj:
    board = access.board(state, request, request.ids[0])
    member = state.member(request.ids[1])
    kind = request.text("type", "normal")
    if kind not in ("admin", "normal", "observer"):
        raise invalid("type")
    existing = [
        membership for membership in board["memberships"] if membership["idMember"] == member["id"]
    ]
    for membership in existing:
        membership["memberType"] = kind
    if not existing:
        board["memberships"].append(object_factory.membership(state, member["id"], kind))
    state.touch(board)
    event = {"admin": "makeAdminOfBoard", "observer": "makeObserverOfBoard"}.get(
        kind, "makeNormalMemberOfBoard"
    )
    data = {"board": actions.reference(board), "idMember": member["id"], "memberType": kind}
    actions.record(state, request, event if existing else "addMemberToBoard", data)
    return {"id": board["id"], "memberships": board["memberships"]}


def _put_membership(state: State, request: Request) -> Obj:
    board = access.board(state, request, request.ids[0])
    for membership in board["memberships"]:
        if membership["id"] == request.ids[1]:
            request.ids = (board["id"], membership["idMember"])
            return _put_member(state, request)
    raise not_found()


def _remove_member(state: State, request: Request) -> Obj:
    board = access.board(state, request, request.ids[0])
    member = state.member(request.ids[1])
    selected = [
        membership for membership in board["memberships"] if membership["idMember"] != member["id"]
    ]
    if len(selected) == len(board["memberships"]):
        raise not_found()
    board["memberships"] = selected
    state.touch(board)
    data = {"board": actions.reference(board), "idMember": member["id"]}
    actions.record(state, request, "removeMemberFromBoard", data)
    return {"id": board["id"], "memberships": selected}


def _viewed(state: State, request: Request) -> Obj:
    board = state.board(request.ids[0])
    if not access.can_read(state, request.requester, board):
        raise request.requester.refusal()
    board["viewed"][access.require_member_id(request)] = state.now()
    return NULL_VALUE


def _empty(state: State, request: Request) -> list[Obj]:
    access.board(state, request, request.ids[0])
    return []


def _my_pref(state: State, request: Request) -> Obj:
    board = access.board(state, request, request.ids[0])
    return {"id": board["id"]}


def _stars(state: State, request: Request) -> list[Obj]:
    board = access.board(state, request, request.ids[0])
    stars = state.stars.of(access.require_member_id(request))
    return [{"id": s["id"], "pos": s["pos"]} for s in stars if s["idBoard"] == board["id"]]


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
