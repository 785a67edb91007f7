"""What Trello says of a token and of its member."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from proxy.http_semantics.json_members import object_of
from proxy.trello.object_ids import is_id

FIELDS = "idMember,dateExpires,permissions"
MEMBER_FIELDS = "id,username"
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """Whose a token is, what it may do, and until when."""

    member: str
    expires_at: float | None
    """POSIX seconds; None: it never does."""
    scopes: tuple[str, ...]
    """`read`, `write`, on whatever there is."""


@dataclass(frozen=True, slots=True)
class Member:
    """Whose a credential is."""

    id: str
    username: str


def token_in(body: bytes) -> TokenInfo | None:
    """None where it is not told."""
    told = object_of(body)
    member, expires = told.get("idMember"), told.get("dateExpires")
    if not is_id(member) or "dateExpires" not in told:
        return None
    try:
        expires_at = datetime.fromisoformat(str(expires)).timestamp() if expires else None
    except ValueError:
        return None
    return TokenInfo(member, expires_at, tuple(_scopes(told.get("permissions"))))


def member_in(body: bytes) -> Member | None:
    """None where it is not told."""
    told = object_of(body)
    member, username = told.get("id"), told.get("username")
    return Member(member, str(username)) if is_id(member) and username else None


def days_left(expires_at: float, now: float) -> int:
    """Whole days; negative when it is over."""
    return int((expires_at - now) // _DAY_S)


def _scopes(permissions: object) -> list[str]:
    listed = permissions if isinstance(permissions, list) else []
    granted = [each for each in listed if isinstance(each, Mapping)]
    return [scope for scope in ("read", "write") if any(each.get(scope) for each in granted)]
