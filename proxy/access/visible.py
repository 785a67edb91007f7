"""Visible: the boards and workspaces of a scope by their ids, at one time. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proxy.http_semantics.json_members import array_of, object_of
from proxy.model import is_id

UNAUTHORIZED = "unauthorized permission requested"
"""Trello's sentence for an object that the account may not see."""


class NotVisible(Exception):
    """How Trello refuses an account that may not see what was requested."""

    def __init__(self, status: int = 401, sentence: str = UNAUTHORIZED) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Visible:
    """What a client may see."""

    boards: frozenset[str]
    """Ids."""
    board_names: Mapping[str, str]
    """The id of each visible board, by its id and by its shortLink."""
    workspaces: frozenset[str]
    """Ids of those of which every board is visible."""
    workspace_names: frozenset[str]
    """Their ids and short names."""
    version: str
    """Digest of the ids: equal sets share what was filtered for them."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace and the ids of its boards."""

    id: str
    name: str
    boards: frozenset[str]


def make_visible(boards: Mapping[str, str], workspaces: Iterable[Workspace]) -> Visible:
    """What is visible: `boards` are shortLinks by id, an empty one where it is not known."""
    found = list(workspaces)
    names = {name: each for each, link in boards.items() for name in (each, link) if name}
    ids = frozenset(each.id for each in found)
    return Visible(
        boards=frozenset(boards),
        board_names=names,
        workspaces=ids,
        workspace_names=ids.union(each.name for each in found if each.name),
        version=_digest(boards, ids),
    )


def intersection(one: Visible, other: Visible) -> Visible:
    """What is in both; a workspace only where it is in both."""
    boards, workspaces = one.boards & other.boards, one.workspaces & other.workspaces
    return Visible(
        boards=boards,
        board_names={n: e for n, e in (*one.board_names.items(), *other.board_names.items())
                     if e in boards},
        workspaces=workspaces,
        workspace_names=one.workspace_names & other.workspace_names,
        version=_digest(boards, workspaces),
    )  # fmt: skip


def links_in(body: bytes) -> dict[str, str]:
    """The shortLinks by id that a list of boards shows."""
    return {
        each["id"]: link if isinstance(link := each.get("shortLink"), str) else ""
        for each in array_of(body) or ()
        if isinstance(each, dict) and is_id(each.get("id"))
    }


def name_in(body: bytes, member: str) -> tuple[str, str] | None:
    """The id and the text of a member that an object shows; None without an id."""
    shown = object_of(body)
    own_id, name = shown.get("id"), shown.get(member)
    return (own_id, name if isinstance(name, str) else "") if is_id(own_id) else None


def _digest(boards: Iterable[str], workspaces: Iterable[str]) -> str:
    text = f"{' '.join(sorted(boards))}|{' '.join(sorted(workspaces))}"
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
