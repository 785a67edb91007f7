"""Scope resolver: the ids of the boards and workspaces of a scope, as the account sees them.

They are read through the cache: a board that is created in a workspace, moved or renamed is
noticed as in any other response.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from proxy.access.scope import Scope
from proxy.access.visible import (
    Visible,
    Workspace,
    intersection,
    links_in,
    make_visible,
    name_in,
)
from proxy.cache.scoping.internal_reads import InternalReads
from proxy.http_semantics.target import target_of
from proxy.model import is_id
from proxy.runtime.lru import LruDict
from proxy.trello.message import ApiRequest

BOARDS = "/1/members/me/boards?fields=shortLink&filter=all"
MAX_SCOPES = 1_000
MAX_NAMES = 10_000
_RETRY_S = 60.0
"""How long a board that the account does not see is not asked for again."""


class _Resolved(NamedTuple):
    boards: Mapping[str, str]
    workspaces: Sequence[Workspace]
    visible: Visible


class ScopeResolver:
    """Resolves scopes; equal responses are not read twice."""

    def __init__(self, internal: InternalReads) -> None:
        self._internal = internal
        self._now = internal.now
        self.on_change: Callable[[], None] = _do_nothing
        """Called when a scope that is in use resolves to other ids."""
        self._resolved = LruDict[Scope, _Resolved](MAX_SCOPES)
        self._links: tuple[str, Mapping[str, str]] = ("", {})
        self._absent = LruDict[str, float](MAX_NAMES)

    async def resolve(self, scope: Scope, client: ApiRequest) -> Visible:
        """The boards and workspaces that are visible now; UpstreamError."""
        own = await self._resolve(scope, client)
        if scope.within is None:
            return own
        return intersection(own, await self.resolve(scope.within, client))

    def exposes(self, scope: Scope | None, board: str) -> bool:
        """Whether a board was in the scope when that was last resolved; each is without one."""
        if scope is None:
            return True
        known = self._resolved.get(scope)
        return known is not None and board in known.visible.boards

    async def _resolve(self, scope: Scope, client: ApiRequest) -> Visible:
        boards = await self._boards(scope, await self._account_links(client), client)
        workspaces = []
        for name in sorted(scope.workspaces):
            found = await self._workspace(name, client)
            if found is not None:
                workspaces.append(found[0])
                boards |= found[1]
        known = self._resolved.use(scope)
        if known is not None and (known.boards, known.workspaces) == (boards, workspaces):
            return known.visible
        visible = make_visible(boards, workspaces)
        if known is not None and known.visible.version != visible.version:
            self.on_change()
        self._resolved[scope] = _Resolved(boards, workspaces, visible)
        return visible

    async def _account_links(self, client: ApiRequest) -> Mapping[str, str]:
        """The shortLinks by id of the account's boards."""
        found = await self._internal.read(BOARDS, client)
        if found.status != 200:
            return {}
        if not found.etag or found.etag != self._links[0]:
            self._links = found.etag, links_in(found.body)
        return self._links[1]

    async def _boards(
        self, scope: Scope, links: Mapping[str, str], client: ApiRequest
    ) -> dict[str, str]:
        """The shortLinks by id of the boards that a scope names."""
        ids = {link: each for each, link in links.items() if link in scope.boards}
        boards: dict[str, str] = {}
        for name in scope.boards:
            own_id = name if is_id(name) else ids.get(name)
            if own_id is not None:
                boards[own_id] = links.get(own_id, "")
            elif (found := await self._board(name, client)) is not None:
                boards[found[0]] = found[1]
        return boards

    async def _board(self, name: str, client: ApiRequest) -> tuple[str, str] | None:
        """The id and shortLink of a board on which the account is no member."""
        if self._now().at < self._absent.get(name, 0.0):
            return None
        found = await self._internal.read(target_of(("boards", name), "fields=shortLink"), client)
        named = name_in(found.body, "shortLink") if found.status == 200 else None
        if named is None:
            self._absent[name] = self._now().at + _RETRY_S
        return named

    async def _workspace(
        self, name: str, client: ApiRequest
    ) -> tuple[Workspace, Mapping[str, str]] | None:
        """A workspace and the shortLinks by id of its boards; None if the account is not in it."""
        one = target_of(("organizations", name), "fields=name")
        several = target_of(("organizations", name, "boards"), "fields=shortLink&filter=all")
        if self._now().at < self._absent.get(name, 0.0):
            return None
        found = await self._internal.read(one, client)
        named = name_in(found.body, "name") if found.status == 200 else None
        listed = await self._internal.read(several, client) if named is not None else None
        if named is None or listed is None or listed.status != 200:
            self._absent[name] = self._now().at + _RETRY_S
            return None
        links = links_in(listed.body)
        return Workspace(*named, frozenset(links)), links


def _do_nothing() -> None:
    return None
