"""Alias learning: what a response shows of names and owners, as alias table entries (D29).

An entry is about `kind:name`. For a name it holds the id: `card:{shortLink}` → the card. For an
object, `card:{id}`, it holds the ids of its owners, in the order of `OWNERS`. Nothing is guessed:
an object names itself by its own `id`, and its place in the response gives its kind.

Three kinds of entries expire differently. A shortLink is its object's for ever, and so is `me` for
one credential. A username or an organization's name may be given to another, an object may move:
those entries are used no longer than the response that showed them could be, and not once an
invalidation has named what they are about.
"""

import re
from collections.abc import Iterable, Mapping

from proxy.http_semantics.json_members import elements, value_of
from proxy.model import NEVER_EXPIRES, AliasEntry, Lifetimes, RequestTime, Tag, is_id
from proxy.trello.object_ids import MAX_PARSED_BYTES
from proxy.trello.routes import Match
from proxy.trello.tags import ALL_OF_KIND, EVERYTHING, OWNERS_KNOWN, ROOTS

MAX_ARRAY_BYTES = 4 << 20
"""Nothing is learned from a longer array, nor from an object beyond MAX_PARSED_BYTES."""
MAX_ALIASES = 5_000
"""Entries learned from one response; Trello's lists end at 1 000 objects."""
ME = "me"

OWNERS = {
    "card": ("idBoard",),
    "checklist": ("idCard", "idBoard"),
    "list": ("idBoard",),
}
"""By kind, the members that show what an object belongs to: all of them, or nothing is learned."""

_SHORT_URLS = {"board": "https://trello.com/b/", "card": "https://trello.com/c/"}
_MUTABLE_NAMES = {"member": "username", "organization": "name"}
_NAME_PATTERNS = {
    "board": re.compile(r"[0-9A-Za-z]{8}"),
    "card": re.compile(r"[0-9A-Za-z]{8}"),
    "member": re.compile(r"[0-9a-z_]{2,100}"),
    "organization": re.compile(r"[0-9a-z_]{2,100}"),
}
_OWNER_TAGS = {
    ("card", "idBoard"): "cards-of",
    ("checklist", "idCard"): "card",
    ("checklist", "idBoard"): "cards-of",
}
"""The kind of tag that announces an owner's changes; `board` where none is given."""

_KINDS = {
    word: kind
    for words, kind in (
        (("action", "actions"), "action"),
        (("board", "boards"), "board"),
        (("card", "cards"), "card"),
        (("checklists",), "checklist"),
        (("list", "lists"), "list"),
        (("member", "members"), "member"),
        (("notifications",), "notification"),
        (("organization", "organizations"), "organization"),
    )
    for word in words
}
"""The kind of the objects under a member's name, or below a path's last word."""
_SEARCH = "search"
_HISTORIC_ROOTS = frozenset({"actions", "notifications", _SEARCH})
"""Roots whose responses may show an object as it was some seconds, or years, ago."""
_HISTORIC_KINDS = frozenset({"action", "notification"})
"""Their `data` shows an earlier state: permanent names can be learned from it."""
_MAX_DEPTH = 6


def alias_name(kind: str, name: str, partition: str) -> str | None:
    """The name of the entry for a spelling; None for an id, and for what cannot be a name.

    `me` is another member for each credential. Usernames are lower case, shortLinks are not.
    """
    spelling = name.lower() if kind == "member" else name
    if kind not in _NAME_PATTERNS or is_id(spelling):
        return None
    if not _NAME_PATTERNS[kind].fullmatch(spelling):
        return None
    if kind == "member" and spelling == ME:
        return f"{kind}:{ME}@{partition}"
    return f"{kind}:{spelling}"


def is_mutable(kind: str, name: str) -> bool:
    """Whether Trello may give the name to another object."""
    return kind in _MUTABLE_NAMES and name.lower() != ME


def alias_tags(entry: AliasEntry) -> tuple[Tag, ...]:
    """The tags whose invalidation ends the entry: those of a response of the object itself."""
    kind, _, name = entry.name.partition(":")
    if not is_id(name):
        return _tags([(kind, entry.target_ids[0])])
    owners = zip(OWNERS[kind], entry.target_ids, strict=True)
    owned_by = [(_OWNER_TAGS.get((kind, key), "board"), owner) for key, owner in owners]
    return (OWNERS_KNOWN, *_tags([(kind, name), *owned_by]))


def extract_aliases(
    match: Match, own_id: str | None, partition: str, body: bytes, requested: RequestTime
) -> list[AliasEntry]:
    """The entries that a response to a request sent at `requested` shows.

    `own_id` is the id of what the path names, where that is known. From a historic response only
    permanent names are learned.
    """
    kind = _kind_of(match.route.template)
    is_array = body[:64].lstrip().startswith(b"[")
    if kind is None or len(body) > (MAX_ARRAY_BYTES if is_array else MAX_PARSED_BYTES):
        return []
    historic = match.segments[0] in _HISTORIC_ROOTS
    extraction = _Extraction(requested, match.route.lifetimes)
    within = {"idBoard": own_id} if match.segments[0] == "boards" else {}
    try:
        # Element by element: other threads run between two of them.
        for value in map(value_of, elements(body) if is_array else [body]):
            extraction.read(kind, value, within, historic=historic)
            if len(match.segments) == 2:
                extraction.name_object(kind, match.segments[1], value, partition)
            if len(extraction.entries) > MAX_ALIASES:
                break
    except (ValueError, RecursionError):
        return []
    return list(extraction.entries.values())[:MAX_ALIASES]


class _Extraction:
    """The entries found so far in one response."""

    def __init__(self, requested: RequestTime, lifetimes: Lifetimes) -> None:
        self.entries: dict[str, AliasEntry] = {}
        self._requested = requested
        self._name_expires_at = requested.at + lifetimes.lifetime_s
        watched_s = lifetimes.lifetime_watched_s or 0.0
        self._owners_expire_at = requested.at + max(lifetimes.lifetime_s, watched_s)

    def read(
        self,
        kind: str,
        value: object,
        within: Mapping[str, str | None],
        *,
        historic: bool,
        depth: int = 0,
    ) -> None:
        """Learn from an object, or an array of such, and from what is nested in it.

        `within`: the owners of the objects, should they not show them.
        """
        if isinstance(value, list):
            for each in value:
                self.read(kind, each, within, historic=historic, depth=depth)
        elif isinstance(value, dict) and depth < _MAX_DEPTH:
            own_id = value.get("id")
            if is_id(own_id):
                self._learn(kind, own_id, value, {} if historic else within, historic=historic)
            owners = _owners_of_nested(kind, value)
            for name in _KINDS.keys() & value.keys():
                self.read(_KINDS[name], value[name], owners, historic=historic, depth=depth + 1)
            if kind in _HISTORIC_KINDS:
                self.read("", value.get("data"), {}, historic=True, depth=depth + 1)

    def name_object(self, kind: str, name: str, value: object, partition: str) -> None:
        """Learn what the name in the path stands for, from the response that is the object."""
        own_id = value.get("id") if isinstance(value, dict) else None
        alias = alias_name(kind, name, partition)
        if alias is not None and is_id(own_id):
            expires_at = self._name_expires_at if is_mutable(kind, name) else NEVER_EXPIRES
            self._add(alias, (own_id,), expires_at)

    def _learn(
        self,
        kind: str,
        own_id: str,
        members: Mapping[str, object],
        within: Mapping[str, str | None],
        *,
        historic: bool,
    ) -> None:
        short_link = _short_link(kind, members)
        if short_link is not None:
            self._add(f"{kind}:{short_link}", (own_id,), NEVER_EXPIRES)
        if historic:
            return
        name = members.get(_MUTABLE_NAMES[kind]) if kind in _MUTABLE_NAMES else None
        if isinstance(name, str) and _NAME_PATTERNS[kind].fullmatch(name) and not _is_taken(name):
            self._add(f"{kind}:{name}", (own_id,), self._name_expires_at)
        if kind in OWNERS:
            owners = [members.get(key, within.get(key)) for key in OWNERS[kind]]
            ids = tuple(filter(is_id, owners))
            if len(ids) == len(owners):
                self._add(f"{kind}:{own_id}", ids, self._owners_expire_at)

    def _add(self, name: str, ids: tuple[str, ...], expires_at: float) -> None:
        seq, at = self._requested
        self.entries[name] = AliasEntry(name, ids, at, seq, expires_at)


def _kind_of(template: str) -> str | None:
    """The kind of the objects that a route returns; None where it is not known."""
    root, *rest = template.strip("/").split("/")
    if rest[1:]:
        words = [word for word in rest[1:] if not word.startswith("{")]
        return _KINDS.get(words[-1]) if words else None
    return _SEARCH if root == _SEARCH and not rest else ROOTS.get(root)


def _owners_of_nested(kind: str, members: Mapping[str, object]) -> dict[str, str | None]:
    """What the objects nested in this one belong to, should they not show it."""
    own_id, board = members.get("id"), members.get("idBoard")
    if not is_id(own_id):
        return {}
    if kind == "board":
        return {"idBoard": own_id}
    return {"idCard": own_id, "idBoard": board if is_id(board) else None} if kind == "card" else {}


def _short_link(kind: str, members: Mapping[str, object]) -> str | None:
    """The shortLink that an object shows, by itself or in its short URL."""
    if kind not in _SHORT_URLS:
        return None
    name = members.get("shortLink")
    if name is None:
        url = members.get("shortUrl")
        name = url.removeprefix(_SHORT_URLS[kind]) if isinstance(url, str) else None
    return name if isinstance(name, str) and _NAME_PATTERNS[kind].fullmatch(name) else None


def _is_taken(name: str) -> bool:
    """Whether a path with it would be read as something else."""
    return name == ME or is_id(name)


def _tags(objects: Iterable[tuple[str, str]]) -> tuple[Tag, ...]:
    return EVERYTHING, *(
        Tag(f"{kind}:{each}") for kind, own_id in objects for each in (own_id, ALL_OF_KIND)
    )
