"""Routes of resources that the fake Trello has none of: always 404."""

from collections.abc import Iterator

from proxy.fake_trello import access
from proxy.fake_trello.errors import not_found
from proxy.fake_trello.request import (
    Obj,
    Request,
    names,
)
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import State

_ENTERPRISE = names(
    "auditlog admins signupUrl members/query members members/{member} claimableOrganizations "
    "transferrable/organization/{organization} transferrable/bulk/{name} pendingOrganizations "
    "organizations organizations/bulk/{name}"
)
_ENTERPRISE_WRITES = (
    ("PUT", "enterpriseJoinRequest/bulk"),
    ("POST", "tokens"),
    ("PUT", "organizations"),
    ("PUT", "members/{member}/licensed"),
    ("PUT", "members/{member}/deactivated"),
    ("PUT", "admins/{member}"),
    ("DELETE", "admins/{member}"),
    ("DELETE", "organizations/{organization}"),
)
_OF_MEMBER = names(
    "boardBackgrounds customBoardBackgrounds customEmoji customStickers savedSearches"
)
_NOTIFICATION = names("{field} board card list member memberCreator organization")
_SINGLE = (
    ("GET", "applications/{name}/compliance"),
    ("GET", "enterprises/{organization}"),
    ("GET", "organizations/{organization}/newBillableGuests/{board}"),
    ("GET", "notifications/{notification}"),
    ("PUT", "notifications/{notification}"),
    ("PUT", "notifications/{notification}/unread"),
    ("GET", "members/{member}/notificationsChannelSettings"),
    ("GET", "members/{member}/notificationsChannelSettings/{name}"),
    ("GET", "plugins/{plugin}"),
    ("PUT", "plugins/{plugin}"),
    ("POST", "plugins/{plugin}/listing"),
    ("PUT", "plugins/{plugin}/listings/{listing}"),
    ("GET", "plugins/{plugin}/compliance/memberPrivacy"),
    ("DELETE", "boards/{board}/boardPlugins/{plugin}"),
    ("DELETE", "organizations/{organization}/tags/{tag}"),
)


def _not_found(_: State, request: Request) -> Obj:
    access.require_member_id(request)
    raise not_found()


def _read_all(_: State, request: Request) -> Obj:
    access.require_member_id(request)
    return {}


def _patterns() -> Iterator[tuple[str, str]]:
    yield from _SINGLE
    for path in _ENTERPRISE:
        yield "GET", f"enterprises/{{organization}}/{path}"
    for method, path in _ENTERPRISE_WRITES:
        yield method, f"enterprises/{{organization}}/{path}"
    for path in _NOTIFICATION:
        yield "GET", f"notifications/{{notification}}/{path}"
    for path in _OF_MEMBER:
        for method in ("GET", "PUT", "DELETE"):
            yield method, f"members/{{member}}/{path}/{{thing}}"


TABLE: Table = {
    **dict.fromkeys(_patterns(), _not_found),
    ("POST", "notifications/all/read"): _read_all,
}
