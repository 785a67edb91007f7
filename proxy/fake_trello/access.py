"""Access control: finds the objects of a request and checks that its requester may use them."""

from proxy.fake_trello.errors import Refusal, not_found
from proxy.fake_trello.request import (
    Obj,
    Request,
    Requester,
)
from proxy.fake_trello.state import State


def role_of(group: Obj, member_id: str | None) -> str | None:
    """admin, normal or observer; None for a member who does not belong to the group."""
    for membership in group["memberships"]:
        if membership["idMember"] == member_id:
            return str(membership["memberType"])
    return None


def can_read(state: State, requester: Requester, board: Obj) -> bool:
    """Public boards for all, workspace boards for the workspace's members, others for their own."""
    level = board["prefs"]["permissionLevel"]
    if level == "public" or role_of(board, requester.member_id):
        return True
    organization = state.organizations.get(board["idOrganization"])
    if level != "org" or organization is None:
        return False
    return role_of(organization, requester.member_id) is not None


def can_write(requester: Requester, board: Obj) -> bool:
    """Members with more than the observer role, with a token that may write."""
    return requester.may_write and role_of(board, requester.member_id) in ("admin", "normal")


def authorize(state: State, request: Request, board: Obj) -> Obj:
    """The board, if the request may read it (GET) or change it (other methods); 401 otherwise."""
    reads = request.method == "GET"
    if not (
        can_read(state, request.requester, board) if reads else can_write(request.requester, board)
    ):
        raise request.requester.refusal()
    return board


def board(state: State, request: Request, ref: str) -> Obj:
    """The board named by id or shortLink."""
    return authorize(state, request, state.board(ref))


def on_board(state: State, request: Request, obj: Obj) -> Obj:
    """The object, if the request has access to its board."""
    authorize(state, request, state.boards[obj["idBoard"]])
    return obj


def card(state: State, request: Request, ref: str) -> Obj:
    """The card named by id or shortLink."""
    return on_board(state, request, state.card(ref))


def require_on_card(card_obj: Obj, obj: Obj | None) -> Obj:
    """The object, if it belongs to this card; 404 otherwise."""
    if obj is None or obj["idCard"] != card_obj["id"]:
        raise not_found()
    return obj


def member(state: State, request: Request, ref: str) -> Obj:
    """The member named by id, username or `me`; 401 for `me` without a token."""
    if ref.lower() != "me":
        return state.member(ref)
    if request.requester.member_id is None:
        raise request.requester.refusal()
    return state.members[request.requester.member_id]


def own_member(state: State, request: Request, ref: str) -> Obj:
    """The requesting member, however named; 401 for another member."""
    obj = member(state, request, ref)
    if obj["id"] != request.requester.member_id or not (
        request.requester.may_write or request.method == "GET"
    ):
        raise request.requester.refusal()
    return obj


def organization(state: State, request: Request, ref: str) -> Obj:
    """The workspace named by id or name; read by its members, changed by its admins."""
    obj = state.organization(ref)
    role = role_of(obj, request.requester.member_id)
    reads, writes = role is not None, role == "admin" and request.requester.may_write
    if not (reads if request.method == "GET" else writes):
        raise request.requester.refusal()
    return obj


def require_member_id(request: Request) -> str:
    """The requesting member's id; 401 without a token, and for a write with a read-only token."""
    if request.requester.member_id is None or not (
        request.requester.may_write or request.method == "GET"
    ):
        raise request.requester.refusal()
    return request.requester.member_id


def require_referenced(obj: Obj | None) -> Obj:
    """The object that a parameter referred to; 400 when there is none."""
    if obj is None:
        raise Refusal(400, "Invalid objectId")
    return obj
