"""Who may see and change what; every route finds its objects through here."""

from proxy.fake_trello.errors import Refusal, not_found
from proxy.fake_trello.request import (
    Obj,
    Request,
    Requester,
)
from proxy.fake_trello.state import State


def role_of(group: Obj, member_id: str | None) -> str | None:
    """admin, normal or observer, or None for those who do not belong."""
    for place in group["memberships"]:
        if place["idMember"] == member_id:
            return str(place["memberType"])
    return None


def sees(state: State, asker: Requester, board: Obj) -> bool:
    """Public boards are everybody's, workspace boards their workspace's, others their members'."""
    level = board["prefs"]["permissionLevel"]
    if level == "public" or role_of(board, asker.member_id):
        return True
    organization = state.organizations.get(board["idOrganization"])
    if level != "org" or organization is None:
        return False
    return role_of(organization, asker.member_id) is not None


def changes(asker: Requester, board: Obj) -> bool:
    """Members who are more than observers, with a token that may write."""
    return asker.may_write and role_of(board, asker.member_id) in ("admin", "normal")


def permit(state: State, call: Request, board: Obj) -> Obj:
    """The board, if this call may read it or, unless it is a GET, change it; 401 otherwise."""
    reads = call.method == "GET"
    if not (sees(state, call.asker, board) if reads else changes(call.asker, board)):
        raise call.asker.refuse()
    return board


def board(state: State, call: Request, ref: str) -> Obj:
    """The board named by id or shortLink."""
    return permit(state, call, state.board(ref))


def of_board(state: State, call: Request, obj: Obj) -> Obj:
    """Something that lies on a board, under that board's permission."""
    permit(state, call, state.boards[obj["idBoard"]])
    return obj


def card(state: State, call: Request, ref: str) -> Obj:
    """The card named by id or shortLink."""
    return of_board(state, call, state.card(ref))


def on_card(card_obj: Obj, found: Obj | None) -> Obj:
    """Something found by id, if it belongs to this card; 404 otherwise."""
    if found is None or found["idCard"] != card_obj["id"]:
        raise not_found()
    return found


def member(state: State, call: Request, ref: str) -> Obj:
    """The member named by id, username or `me`; strangers have no `me`."""
    if ref.lower() != "me":
        return state.member(ref)
    if call.asker.member_id is None:
        raise call.asker.refuse()
    return state.members[call.asker.member_id]


def own(state: State, call: Request, ref: str) -> Obj:
    """The asking member, however named; nobody changes or sees another's private things."""
    found = member(state, call, ref)
    if found["id"] != call.asker.member_id or not (call.asker.may_write or call.method == "GET"):
        raise call.asker.refuse()
    return found


def organization(state: State, call: Request, ref: str) -> Obj:
    """The workspace named by id or name; only its members see it, only its admins change it."""
    found = state.organization(ref)
    role = role_of(found, call.asker.member_id)
    reads, writes = role is not None, role == "admin" and call.asker.may_write
    if not (reads if call.method == "GET" else writes):
        raise call.asker.refuse()
    return found


def known(call: Request) -> str:
    """The asking member's id; strangers are refused, and writes with a token for reading."""
    if call.asker.member_id is None or not (call.asker.may_write or call.method == "GET"):
        raise call.asker.refuse()
    return call.asker.member_id


def body_id(found: Obj | None) -> Obj:
    """An object that a parameter named; 400 when there is none."""
    if found is None:
        raise Refusal(400, "Invalid objectId")
    return found
