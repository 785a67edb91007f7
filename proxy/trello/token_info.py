"""Token info: member, expiry and scopes of a token, from Trello's responses."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from proxy.http_semantics.json_members import object_of
from proxy.model import is_id

FIELDS = "idMember,dateExpires,permissions"
MEMBER_FIELDS = "id,username"
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """Member, expiry and scopes of a token."""

    member: str
    expires_at: float | None
    """POSIX seconds; None: never."""
    scopes: tuple[str, ...]
    """`read` and `write`, on any kind of object."""


@dataclass(frozen=True, slots=True)
class Member:
    """The member of a credential."""

    id: str
    username: str


def token_in(body: bytes) -> TokenInfo | None:
    """The token described by a response; None if it is none."""
    shown = object_of(body)
    member, expires = shown.get("idMember"), shown.get("dateExpires")
    if not is_id(member) or "dateExpires" not in shown:
        return None
    try:
        expires_at = datetime.fromisoformat(str(expires)).timestamp() if expires else None
    except ValueError:
        return None
    return TokenInfo(member, expires_at, tuple(_scopes(shown.get("permissions"))))


def member_in(body: bytes) -> Member | None:
    """The member described by a response; None if it is none."""
    shown = object_of(body)
    member, username = shown.get("id"), shown.get("username")
    return Member(member, str(username)) if is_id(member) and username else None


def days_left(expires_at: float, now: float) -> int:
    """Whole days until expiry; negative after it."""
    return int((expires_at - now) // _DAY_S)


def _scopes(permissions: object) -> list[str]:
    listed = permissions if isinstance(permissions, list) else []
    granted = [each for each in listed if isinstance(each, Mapping)]
    return [scope for scope in ("read", "write") if any(each.get(scope) for each in granted)]
