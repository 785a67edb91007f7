"""Response filter: a response without what belongs to boards outside a scope (D58). Pure.

Bytes are copied, never encoded again (D4). An object of another board is left out of its list; a
member that names another board is left out of its object. An object that has to name its board and
does not is OutsideScope: what cannot be attributed is not shown.

Facts:
- A card, list, label or checklist names its board by `idBoard`, an action and a notification by
  `data.board.id`, a custom field by `idModel`.
- Actions name other boards too: `boardSource`, `boardTarget` and `cardSource` of what was moved or
  copied, also as entities of its text. Boards have `idBoardSource`, mirror cards `mirrorSourceId`.
- Members and workspaces have `idBoards`, `idOrganizations` and nested lists of both.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from proxy.access.attribution import Form, Shows
from proxy.access.read_plan import MAX_ITEMS, ReadPlan
from proxy.access.visible import NotVisible, Visible
from proxy.errors import OutsideScope
from proxy.http_semantics.json_members import elements, members
from proxy.model import is_id

_MARK = re.compile(rb"oard|ource|rganization|PremOrgs|idModel|mirror|nterprise", re.I)
"""Without any of these a value names no board and no workspace."""
_NAME = re.compile(rb'"(\w+)":')
_VALUES = rb'"(%b)":("[^"\\]*"|.)'
"""Members of these names with a plain value, or the first byte of another one."""
_SIMPLE = b'"-0123456789tfn'
"""First bytes of values without members."""
_BOARD_NAME = re.compile(r"(?:id|old|new)?(?:source|target)?boards?(?:id|source|target|before|after"
                         r"|invited|pinned)?", re.I)  # fmt: skip
_OTHER_BOARD = re.compile(r"board|mirror", re.I)
_BOARD_LINK = re.compile(r"trello\.com/b/([0-9A-Za-z]{8})")
_OF_A_BOARD_WORDS = """
    boardBackground boardBackgrounds boardPlugins boardStars customBoardBackgrounds
    boardVisibilityRestrict boardInviteRestrict boardDeleteRestrict idBoardBackground
    """
_OF_A_BOARD = frozenset(_OF_A_BOARD_WORDS.split())
"""Members that have `board` in their names and name none by themselves."""
_SOURCE = re.compile(r"(?:id)?(?:card|checklist|list|mirror)[a-z]*source[a-z]*|mirror\w*"
                     r"|source(?:card|list|checklist)\w*", re.I)  # fmt: skip
_WORKSPACES_WORDS = """
    idOrganizations idOrganizationsInvited idPremOrgsAdmin organization organizations
    organizationsInvited
    """
_WORKSPACES = frozenset(_WORKSPACES_WORDS.split())
_PERSONS = frozenset(
    {"members", "member", "memberCreator", "membersVoted", "membersInvited", "organization"}
)
"""Within these every list may be of any board."""
_WORKSPACE_NAMES = frozenset({"displayName", "id", "logoHash", "logoUrl", "name", "url"})
_LISTS = {
    "actions": Shows.ACTION,
    "boards": Shows.BOARD,
    "boardsInvited": Shows.BOARD,
    "cards": Shows.CARD,
    "notifications": Shows.NOTIFICATION,
    "organizations": Shows.WORKSPACE,
    "organizationsInvited": Shows.WORKSPACE,
    "boardStars": Shows.STAR,
}
"""What the lists of a person, a workspace and a search result hold."""
_LISTED = re.compile(b'"(?:' + "|".join(_LISTS).encode() + b')"')
_CUT = frozenset({Shows.ACTION, Shows.CARD, Shows.NOTIFICATION})
"""Lists that Trello cuts at MAX_ITEMS."""
_UNREADABLE = "Trello's response names no board for certain."
_NULL = frozenset({b"null", b'""', b"[]", b"{}"})


@dataclass(frozen=True, slots=True)
class ScopeFilter:
    """Filters responses for one set of visible boards."""

    visible: Visible

    def response(self, body: bytes, plan: ReadPlan) -> bytes:
        """The response to a planned read; NotVisible, OutsideScope."""
        strict = plan.attribution.form not in (Form.BOARD, Form.OWNED)
        try:
            return self._response(body, plan, strict=strict)
        except (ValueError, RecursionError):
            raise OutsideScope(_UNREADABLE) from None

    def _response(self, body: bytes, plan: ReadPlan, *, strict: bool) -> bytes:
        if body[:1] not in {b"{", b"["}:
            raise ValueError("neither an object nor a list")
        if plan.member:
            return self._field(body, plan.member, strict=strict)
        shows = plan.attribution.shows
        if shows is Shows.ANYTHING and not strict and self._is_whole(body):
            return body
        if not _is_array(body):
            filtered = self._item(body, shows, strict=strict)
            if filtered is None:
                raise NotVisible
            return _without(filtered, plan.field)
        items = elements(body)
        if strict and shows in _CUT and len(items) >= MAX_ITEMS and plan.page is None:
            raise OutsideScope("The list is too long to be sure that it is whole.")
        kept = [each for each in (self._item(i, shows, strict=strict) for i in items) if each]
        if plan.page is not None:
            kept = _page_of(kept, plan, is_cut=len(items) >= MAX_ITEMS)
        return _array(body, items, [_without(each, plan.field) for each in kept])

    def _is_whole(self, body: bytes) -> bool:
        """Whether all that names a board, as far as a search over the bytes shows, is visible.

        It is many times as fast as to look at each object. An escape in a name would hide it.
        """
        if rb"\u" in body or b'"type":"board"' in body or _LISTED.search(body):
            return False
        names = [name for name in set(_NAME.findall(body)) if _MARK.search(name)]
        found = re.findall(_VALUES % b"|".join(sorted(names)), body, re.S) if names else ()
        return all(self._is_visible(name.decode(), value) for name, value in set(found))

    def _is_visible(self, name: str, value: bytes) -> bool:
        if value[:1] not in _SIMPLE or name == "idModel":
            return name == "idModel" and _text(value) in self.visible.boards
        return self._member(name, value, strict=False) is not None

    def _field(self, body: bytes, name: str, *, strict: bool) -> bytes:
        """The value of one field, which is shown bare, or within `_value` if it is a scalar."""
        is_bare = _is_array(body) or "_value" not in members(body)
        value = body if is_bare else members(body)["_value"]
        kept = self._member(name, value, strict=strict)
        if kept is None:
            raise NotVisible
        return kept if is_bare else b'{"_value":%b}' % kept

    def _item(self, raw: bytes, shows: Shows, *, strict: bool) -> bytes | None:
        """An object with no trace of other boards; None if it belongs to one of them."""
        if not raw.startswith(b"{"):
            return self._value(raw, strict=strict)
        shown = members(raw)
        match shows:
            case Shows.BOARD:
                return self._object(raw, strict=False) if self._is_board(shown) else None
            case Shows.WORKSPACE:
                is_visible = _id_in(shown) in self.visible.workspaces
                return self._object(raw, strict=True) if is_visible else None
            case Shows.ACTION | Shows.NOTIFICATION:
                if "data" not in shown:
                    raise OutsideScope(_UNREADABLE)
                is_visible = not strict or self._is_board(_board_in(shown["data"]))
                return self._object(raw, strict=False) if is_visible else None
            case Shows.CARD | Shows.CHECKLIST | Shows.LABEL | Shows.LIST | Shows.STAR:
                if "idBoard" not in shown:
                    raise OutsideScope(_UNREADABLE)
                is_visible = shown["idBoard"] not in _NULL
                return self._object(raw, strict=False) if is_visible else None
        return self._object(raw, strict=strict)

    def _object(self, raw: bytes, *, strict: bool) -> bytes | None:
        """None for the object of another board."""
        if not _MARK.search(raw) and not _LISTED.search(raw):
            return raw
        shown = members(raw)
        if not self._is_on_visible_board(shown):
            return None
        kept = {
            name: part
            for name, value in shown.items()
            if (part := self._member(name, value, strict=strict)) is not None
        }
        return raw if kept == shown else _joined(kept)

    def _is_on_visible_board(self, shown: Mapping[str, bytes]) -> bool:
        """Whether the board that the object says it is on is visible; an object may say nothing."""
        own = shown.get("idBoard", b"null")
        if own not in _NULL and _text(own) not in self.visible.boards:
            return False
        if shown.get("type") == b'"board"' and "id" in shown:  # an entity of an action's text
            return self._is_board(shown)
        if shown.get("modelType") == b'"board"' and "idModel" in shown:
            return _text(shown["idModel"]) in self.visible.boards
        board = _board_in(shown["data"]) if "data" in shown else {}
        return not board or self._is_board(board)

    def _member(self, name: str, value: bytes, *, strict: bool) -> bytes | None:
        """The value of a member, filtered; None if it names another board."""
        if value in _NULL or value[:1] not in b'"{[':
            return value
        if _SOURCE.fullmatch(name):
            return None
        if name in _WORKSPACES:
            return self._workspaces(value)
        if name not in _OF_A_BOARD and _BOARD_NAME.fullmatch(name):
            return self._board(value)
        if self._may_name_board(name, value):
            raise OutsideScope(_UNREADABLE)
        if (strict or name == "actions") and name in _LISTS and _is_array(value):
            return self._list(value, _LISTS[name], strict=strict)
        return self._value(value, strict=strict or name in _PERSONS)

    def _board(self, value: bytes) -> bytes | None:
        """What stands under a name of a board: an id, a board, several; or something else."""
        if value.startswith(b'"'):
            return value if _text(value) in self.visible.board_names else None
        if _is_array(value):
            return self._listed(value, self.visible.boards, Shows.BOARD)
        shown = members(value)
        if {"id", "name", "shortLink", "url", "text"}.isdisjoint(shown):
            return self._object(value, strict=False)
        return self._object(value, strict=False) if self._is_board(shown) else None

    def _workspaces(self, value: bytes) -> bytes | None:
        """A list of workspaces; or that of a board, if it is not visible no more than its name."""
        if not value.startswith(b"{"):
            return self._listed(value, self.visible.workspaces, Shows.WORKSPACE)
        shown = members(value)
        if _id_in(shown) in self.visible.workspaces:
            return self._object(value, strict=True)
        kept = {
            name: part
            for name, part in shown.items()
            if name in _WORKSPACE_NAMES and part[:1] in _SIMPLE
        }
        return value if kept == shown else _joined(kept)

    def _listed(self, value: bytes, ids: Collection[str], shows: Shows) -> bytes | None:
        """A list of ids or of objects with an id, without the others."""
        if not _is_array(value):
            return value if _text(value) in ids else None
        items, kept = elements(value), []
        for item in items:
            if item.startswith(b"{"):
                part = self._item(item, shows, strict=True)
                kept += [part] if part is not None else []
            elif item[:1] not in b'"[' or _text(item) in ids:  # a list in a list is left out
                kept.append(item)
        return _array(value, items, kept)

    def _list(self, value: bytes, shows: Shows, *, strict: bool) -> bytes:
        """A nested list over all boards, or of actions, which may be of an earlier board."""
        items = elements(value)
        if strict and shows in _CUT and len(items) >= MAX_ITEMS:
            raise OutsideScope(_UNREADABLE)
        kept = [each for each in (self._item(i, shows, strict=strict) for i in items) if each]
        return _array(value, items, kept)

    def _value(self, value: bytes, *, strict: bool) -> bytes | None:
        if value.startswith(b"{"):
            return self._object(value, strict=strict)
        if not _is_array(value) or not (_MARK.search(value) or _LISTED.search(value)):
            return value
        items = elements(value)
        kept = [each for each in (self._value(i, strict=strict) for i in items) if each]
        return _array(value, items, kept)

    def _may_name_board(self, name: str, value: bytes) -> bool:
        """Whether a member that no table has seems to name a board that is not visible."""
        if name in _OF_A_BOARD or not _OTHER_BOARD.search(name):
            return False
        link = _BOARD_LINK.search(_text(value))
        named = link[1] if link is not None else _text(value)
        return (link is not None or is_id(named)) and named not in self.visible.board_names

    def _is_board(self, shown: Mapping[str, bytes]) -> bool:
        return _id_in(shown) in self.visible.boards


def _board_in(data: bytes) -> Mapping[str, bytes]:
    """The board in the data of an action; empty without one."""
    shown = members(data) if data.startswith(b"{") else {}
    board = shown.get("board", b"")
    return members(board) if board.startswith(b"{") else {}


def _id_in(shown: Mapping[str, bytes]) -> str:
    return _text(shown.get("id", b""))


def _text(raw: bytes) -> str:
    """A string without escapes; empty for any other value."""
    is_plain = len(raw) > 2 and raw.startswith(b'"') and b"\\" not in raw
    return raw[1:-1].decode() if is_plain else ""


def _is_array(raw: bytes) -> bool:
    return raw.startswith(b"[")


def _without(raw: bytes, field: str) -> bytes:
    """The object without a field that the client did not request."""
    shown = members(raw) if field and raw.startswith(b"{") else {}
    if field not in shown:
        return raw
    return _joined({name: value for name, value in shown.items() if name != field})


def _joined(shown: Mapping[str, bytes]) -> bytes:
    return b"{%b}" % b",".join(b'"%b":%b' % (n.encode(), v) for n, v in shown.items())


def _array(body: bytes, items: list[bytes], kept: list[bytes]) -> bytes:
    """The list of the items that are kept: the same bytes if all are; ValueError."""
    if len(body) != 1 + max(1, sum(map(len, items)) + len(items)):
        raise ValueError("white space between items")
    return body if kept == items else b"[%b]" % b",".join(kept)


def _page_of(kept: list[bytes], plan: ReadPlan, *, is_cut: bool) -> list[bytes]:
    """The items that the client requested; OutsideScope if further ones may be missing."""
    page = plan.page
    if page is None:
        return kept
    if is_cut and len(kept) < page.start + page.count:
        raise OutsideScope("The list is too long; name a later `since`, or ask board by board.")
    return kept[page.start : page.start + page.count]
