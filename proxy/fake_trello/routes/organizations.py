"""Workspace routes `/1/organizations`: workspaces, their members and boards."""

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
from proxy.fake_trello.routes.cards import EMPTY_LIMITS, field_value
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import State


def _get(state: State, request: Request) -> Obj:
    organization = access.organization(state, request, request.ids[0])
    return view(
        state,
        ORGANIZATION,
        organization,
        request.requester,
        nested_resources.fields_of(request, "fields"),
    )


def _get_field(state: State, request: Request) -> Any:
    organization = access.organization(state, request, request.ids[0])
    rendered = view(state, ORGANIZATION, organization, request.requester)
    return field_value(
        rendered, request.ids[1], f"/1/organizations/{request.ids[0]}/{request.ids[1]}"
    )


def _create(state: State, request: Request) -> Obj:
    me = access.require_member_id(request)
    display = request.text("displayName")
    if not display:
        raise invalid("displayName")
    name = request.text("name") or slug(display).replace("-", "")
    if name in state.aliases:
        raise Refusal(400, "organization short name is taken")
    created = object_factory.organization(state, name, display, me)
    actions.record(
        state, request, "createOrganization", {"organization": actions.reference(created)}
    )
    return view(state, ORGANIZATION, created, request.requester)


def _update(state: State, request: Request) -> Obj:
    organization = access.organization(state, request, request.ids[0])
    for field in ("displayName", "desc", "website"):
        if field in request.params:
            organization[field] = request.params[field]
    organization["ixUpdate"] += 1
    organization["dateLastActivity"] = state.now()
    actions.record(
        state, request, "updateOrganization", {"organization": actions.reference(organization)}
    )
    return view(state, ORGANIZATION, organization, request.requester)


def _delete(state: State, request: Request) -> Obj:
    organization = access.organization(state, request, request.ids[0])
    del state.organizations[organization["id"]]
    state.aliases.pop(organization["name"], None)
    for board in state.boards.values():
        if board["idOrganization"] == organization["id"]:
            board["idOrganization"] = None
    return EMPTY_LIMITS


def _boards(state: State, request: Request) -> list[Obj]:
    organization = access.organization(state, request, request.ids[0])
    filter_ = request.ids[1] if len(request.ids) > 1 else request.text("filter", "all")
    boards = [
        each
        for each in state.boards.values()
        if each["idOrganization"] == organization["id"]
        and access.can_read(state, request.requester, each)
    ]
    request.params.setdefault("fields", "all")
    return [
        nested_resources.board(state, request, each)
        for each in nested_resources.by_state(boards, filter_)
    ]


def _members(state: State, request: Request) -> list[Obj]:
    organization = access.organization(state, request, request.ids[0])
    fields = nested_resources.fields_of(request, "fields", MEMBER_SHORT)
    return nested_resources.members(
        state, request, nested_resources.member_ids(organization), fields
    )


def _memberships(state: State, request: Request) -> list[Obj]:
    return list(access.organization(state, request, request.ids[0])["memberships"])


def _actions(state: State, request: Request) -> Any:
    organization = access.organization(state, request, request.ids[0])
    boards = [
        each for each in state.boards.values() if each["idOrganization"] == organization["id"]
    ]
    selected = [each for board in boards for each in state.actions.of(board["id"])]
    return actions.feed(state, request, selected)


def _empty(state: State, request: Request) -> list[Obj]:
    access.organization(state, request, request.ids[0])
    return []


def _membership(state: State, request: Request) -> Obj:
    for membership in _memberships(state, request):
        if membership["id"] == request.ids[1]:
            return membership
    raise not_found()


def _put_member(state: State, request: Request) -> Obj:
    organization = access.organization(state, request, request.ids[0])
    member = state.member(request.ids[1])
    kind = request.text("type", "normal")
    if kind not in ("admin", "normal"):
        raise invalid("type")
    selected = [
        membership
        for membership in organization["memberships"]
        if membership["idMember"] != member["id"]
    ]
    organization["memberships"] = [*selected, object_factory.membership(state, member["id"], kind)]
    _changed(state, request, organization, "addMemberToOrganization", member)
    return view(state, ORGANIZATION, organization, request.requester)


def _remove_member(state: State, request: Request) -> Obj:
    organization = access.organization(state, request, request.ids[0])
    member = state.member(request.ids[1])
    if access.role_of(organization, member["id"]) is None:
        raise not_found()
    selected = [
        membership
        for membership in organization["memberships"]
        if membership["idMember"] != member["id"]
    ]
    organization["memberships"] = selected
    _changed(state, request, organization, "removeMemberFromOrganization", member)
    return EMPTY_LIMITS


def _changed(state: State, request: Request, organization: Obj, kind: str, member: Obj) -> None:
    organization["ixUpdate"] += 1
    organization["dateLastActivity"] = state.now()
    data = {"organization": actions.reference(organization), "idMember": member["id"]}
    actions.record(state, request, kind, data)


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
