"""Scope: the boards and workspaces that a client may see, as they are configured."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_URL = re.compile(
    r"(?:https?://)?(?:www\.)?trello\.com/(?P<kind>[bw])/(?P<name>[^/?#]+)(?:[/?#].*)?"
)
_BOARD = re.compile(r"[0-9a-f]{24}|[0-9A-Za-z]{8}")
_WORKSPACE = re.compile(r"[0-9a-f]{24}|[0-9a-z_]{2,100}")


@dataclass(frozen=True, slots=True)
class Scope:
    """Names of boards and workspaces; what belongs to none of them does not exist for a client."""

    boards: frozenset[str]
    """Ids and shortLinks."""
    workspaces: frozenset[str]
    """Ids and short names: every board of theirs."""
    within: "Scope | None" = None
    """A wider scope, outside of which nothing is visible either."""


def scope_of(
    boards: Iterable[str], workspaces: Iterable[str], within: Scope | None = None
) -> Scope | None:
    """The scope of these names; `within` itself if there is none."""
    own = Scope(frozenset(boards), frozenset(workspaces), within)
    return own if own.boards or own.workspaces else within


def board_name(text: str) -> str:
    """The id or shortLink in the id, shortLink or URL of a board; ValueError."""
    name = _name_in(text, "b")
    if not _BOARD.fullmatch(name):
        raise ValueError("not a board; write its id, its shortLink or its URL, .../b/kpPww9qv/...")
    return name


def workspace_name(text: str) -> str:
    """The id or short name in the id, short name or URL of a workspace; ValueError."""
    name = _name_in(text, "w")
    if not _WORKSPACE.fullmatch(name):
        raise ValueError("not a workspace; write its id, its short name or its URL, .../w/acme")
    return name


def _name_in(text: str, kind: str) -> str:
    url = _URL.fullmatch(text)
    return url["name"] if url is not None and url["kind"] == kind else text
