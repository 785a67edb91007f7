"""/1/organizations: workspaces, their members and boards."""

from typing import Any

from proxy.fake_trello import access, actions, nested_resources, object_factory
from proxy.fake_trello.errors import (
    Refusal,
    invalid,
    not_found,
)
from proxy.fake_trello.field_selection import (
    MEMBER_SHORT,
    ORGANIZATION,
    view,
)
from proxy.fake_trello.ids import slug
from proxy.fake_trello.request import Obj, Request
from proxy.fake_trello.routes.cards import LIMITS, field_value
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import State


def _get(state: State, call: Request) -> Obj:
    found = access.organization(state, call, call.ids[0])
    return view(state, ORGANIZATION, found, call.asker, nested_resources.fields_of(call, "fields"))


def _get_field(state: State, call: Request) -> Any:
    found = access.organization(state, call, call.ids[0])
    seen = view(state, ORGANIZATION, found, call.asker)
    return field_value(seen, call.ids[1], f"/1/organizations/{call.ids[0]}/{call.ids[1]}")


def _create(state: State, call: Request) -> Obj:
    me = access.known(call)
    display = call.text("displayName")
    if not display:
        raise invalid("displayName")
    name = call.text("name") or slug(display).replace("-", "")
    if name in state.aliases:
        raise Refusal(400, "organization short name is taken")
    made = object_factory.organization(state, name, display, me)
    actions.record(state, call, "createOrganization", {"organization": actions.ref(made)})
    return view(state, ORGANIZATION, made, call.asker)


def _update(state: State, call: Request) -> Obj:
    found = access.organization(state, call, call.ids[0])
    for field in ("displayName", "desc", "website"):
        if field in call.params:
            found[field] = call.params[field]
    found["ixUpdate"] += 1
    found["dateLastActivity"] = state.now()
    actions.record(state, call, "updateOrganization", {"organization": actions.ref(found)})
    return view(state, ORGANIZATION, found, call.asker)


def _delete(state: State, call: Request) -> Obj:
    found = access.organization(state, call, call.ids[0])
    del state.organizations[found["id"]]
    state.aliases.pop(found["name"], None)
    for board in state.boards.values():
        if board["idOrganization"] == found["id"]:
            board["idOrganization"] = None
    return LIMITS


def _boards(state: State, call: Request) -> list[Obj]:
    found = access.organization(state, call, call.ids[0])
    wanted = call.ids[1] if len(call.ids) > 1 else call.text("filter", "all")
    mine = [
        each
        for each in state.boards.values()
        if each["idOrganization"] == found["id"] and access.sees(state, call.asker, each)
    ]
    call.params.setdefault("fields", "all")
    return [
        nested_resources.board(state, call, each)
        for each in nested_resources.by_state(mine, wanted)
    ]


def _members(state: State, call: Request) -> list[Obj]:
    found = access.organization(state, call, call.ids[0])
    fields = nested_resources.fields_of(call, "fields", MEMBER_SHORT)
    return nested_resources.members(state, call, nested_resources.member_ids(found), fields)


def _memberships(state: State, call: Request) -> list[Obj]:
    return list(access.organization(state, call, call.ids[0])["memberships"])


def _actions(state: State, call: Request) -> Any:
    found = access.organization(state, call, call.ids[0])
    boards = [each for each in state.boards.values() if each["idOrganization"] == found["id"]]
    kept = [each for board in boards for each in state.actions.of(board["id"])]
    return actions.feed(state, call, kept)


def _empty(state: State, call: Request) -> list[Obj]:
    access.organization(state, call, call.ids[0])
    return []


def _membership(state: State, call: Request) -> Obj:
    for place in _memberships(state, call):
        if place["id"] == call.ids[1]:
            return place
    raise not_found()


def _put_member(state: State, call: Request) -> Obj:
    found = access.organization(state, call, call.ids[0])
    member = state.member(call.ids[1])
    kind = call.text("type", "normal")
    if kind not in ("admin", "normal"):
        raise invalid("type")
    kept = [place for place in found["memberships"] if place["idMember"] != member["id"]]
    found["memberships"] = [*kept, object_factory.membership(state, member["id"], kind)]
    _changed(state, call, found, "addMemberToOrganization", member)
    return view(state, ORGANIZATION, found, call.asker)


def _remove_member(state: State, call: Request) -> Obj:
    found = access.organization(state, call, call.ids[0])
    member = state.member(call.ids[1])
    if access.role_of(found, member["id"]) is None:
        raise not_found()
    kept = [place for place in found["memberships"] if place["idMember"] != member["id"]]
    found["memberships"] = kept
    _changed(state, call, found, "removeMemberFromOrganization", member)
    return LIMITS


def _changed(state: State, call: Request, found: Obj, kind: str, member: Obj) -> None:
    found["ixUpdate"] += 1
    found["dateLastActivity"] = state.now()
    data = {"organization": actions.ref(found), "idMember": member["id"]}
    actions.record(state, call, kind, data)


_ONE = "organizations/{organization}"

TABLE: Table = {
    ("POST", "organizations"): _create,
    ("GET", _ONE): _get,
    ("PUT", _ONE): _update,
    ("DELETE", _ONE): _delete,
    ("GET", f"{_ONE}/{{field}}"): _get_field,
    ("GET", f"{_ONE}/boards"): _boards,
    ("GET", f"{_ONE}/boards/{{filter}}"): _boards,
    ("GET", f"{_ONE}/members"): _members,
    ("GET", f"{_ONE}/members/{{filter}}"): _members,
    ("PUT", f"{_ONE}/members/{{member}}"): _put_member,
    ("DELETE", f"{_ONE}/members/{{member}}"): _remove_member,
    ("GET", f"{_ONE}/memberships"): _memberships,
    ("GET", f"{_ONE}/memberships/{{membership}}"): _membership,
    ("GET", f"{_ONE}/actions"): _actions,
    ("GET", f"{_ONE}/pluginData"): _empty,
    ("GET", f"{_ONE}/tags"): _empty,
    ("GET", f"{_ONE}/exports"): _empty,
}
