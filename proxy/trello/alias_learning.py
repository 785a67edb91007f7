"""The facts an answer shows: what a name stands for, and what an object belongs to.

A fact is about `kind:name`. Of a name it says the id: `card:{shortLink}` → the card. Of an object,
`card:{id}`, it says the ids of its owners, in the order of `OWNERS`. Nothing is guessed: an object
says who it is by its own `id`, and where it stands in the answer says of which kind it is.

Three kinds of facts end differently. A shortLink is its object's for ever, and so is `me` for one
credential. A username or an organization's name may be given to another, an object may move: those
facts are used no longer than the answer that showed them could be, and not once an invalidation
has named what they are about.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from proxy.http_semantics.json_members import elements, value_of
from proxy.model import (
    NEVER_EXPIRES,
    AliasEntry,
    Lifetimes,
    Tag,
)
from proxy.trello.object_ids import PARSED_BYTES, is_id
from proxy.trello.routes import Match
from proxy.trello.tags import (
    ALL_OF_KIND,
    EVERYTHING,
    OWNERS_KNOWN,
    ROOTS,
)

READ_BYTES = 4 << 20
"""A longer array teaches nothing, nor does an object beyond PARSED_BYTES: it is read at once."""
MAX_ALIASES = 5_000
"""What one answer teaches at most; Trello's lists end at 1 000 objects."""
ME = "me"

OWNERS = {
    "card": ("idBoard",),
    "checklist": ("idCard", "idBoard"),
    "list": ("idBoard",),
}
"""By kind, the members that show what an object belongs to: all of them, or nothing is learned."""

_SHORT_URLS = {"board": "https://trello.com/b/", "card": "https://trello.com/c/"}
_MAY_CHANGE = {"member": "username", "organization": "name"}
_NAMES = {
    "board": re.compile(r"[0-9A-Za-z]{8}"),
    "card": re.compile(r"[0-9A-Za-z]{8}"),
    "member": re.compile(r"[0-9a-z_]{2,100}"),
    "organization": re.compile(r"[0-9a-z_]{2,100}"),
}
_DEPENDS_ON = {
    ("card", "idBoard"): "cards-of",
    ("checklist", "idCard"): "card",
    ("checklist", "idBoard"): "cards-of",
}
"""The kind of tag that tells of an owner's changes; `board` where none is given."""

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
"""What stands under a member's name, or below a path's last word."""
_SEARCH = "search"
_RESOLVED_LATER = frozenset({"actions", "notifications", _SEARCH})
"""Roots whose answers may show an object as it was some seconds, or years, ago."""
_HISTORIC_ROUTES = frozenset({"action", "notification"})
"""In their `data`, which says how things were then: names that last can be learned of it."""
_DEEPEST = 6


def alias_name(kind: str, name: str, partition: str) -> str | None:
    """What a fact about this spelling is found by; None for an id, and for what is no name.

    `me` is another member for each credential. Usernames are lower case, shortLinks are not.
    """
    spelling = name.lower() if kind == "member" else name
    if kind not in _NAMES or is_id(spelling) or not _NAMES[kind].fullmatch(spelling):
        return None
    return f"{kind}:{_of(spelling, partition) if kind == 'member' else spelling}"


def is_mutable(kind: str, name: str) -> bool:
    """Whether Trello may give the name to another object."""
    return kind in _MAY_CHANGE and name.lower() != ME


def alias_tags(entry: AliasEntry) -> tuple[Tag, ...]:
    """The tags an invalidation of which ends the fact: those of an answer of the object itself."""
    kind, _, name = entry.name.partition(":")
    if not is_id(name):
        return _tags([(kind, entry.target_ids[0])])
    owners = zip(OWNERS[kind], entry.target_ids, strict=True)
    depends = [(_DEPENDS_ON.get((kind, key), "board"), each) for key, each in owners]
    return (OWNERS_KNOWN, *_tags([(kind, name), *depends]))


def extract_aliases(
    match: Match, own_id: str | None, partition: str, body: bytes, asked: tuple[float, int]
) -> list[AliasEntry]:
    """What the answer teaches, asked for at `asked`: POSIX seconds, and the store's `seq`.

    `own_id` is the id of what the path names, where that is known. What may be late teaches only
    names that last.
    """
    kind = _kind_of(match.route.template)
    is_array = body[:64].lstrip().startswith(b"[")
    if kind is None or len(body) > (READ_BYTES if is_array else PARSED_BYTES):
        return []
    lasting = match.segments[0] in _RESOLVED_LATER
    reading = _Extraction(asked, match.route.lifetimes)
    inside = {"idBoard": own_id} if match.segments[0] == "boards" else {}
    try:
        for value in _values(body, is_array=is_array):
            reading.read(kind, value, inside, lasting=lasting, depth=0)
            if len(match.segments) == 2:
                reading.response_to(kind, match.segments[1], value, partition)
            if len(reading.entries) > MAX_ALIASES:
                break
    except (ValueError, RecursionError):
        return []
    return list(reading.entries.values())[:MAX_ALIASES]


class _Extraction:
    """The facts found so far in one answer."""

    def __init__(self, asked: tuple[float, int], lifetimes: Lifetimes) -> None:
        self.entries: dict[str, AliasEntry] = {}
        self._at, self._seq = asked
        self._named_until = self._at + lifetimes.lifetime_s
        watched_s = lifetimes.lifetime_watched_s or 0.0
        self._owned_until = self._at + max(lifetimes.lifetime_s, watched_s)

    def read(
        self, kind: str, value: object, inside: Mapping[str, str | None], *, lasting: bool,
        depth: int,
    ) -> None:  # fmt: skip
        """Learn from an object, or an array of such, and from what is within it."""
        if isinstance(value, list):
            for each in value:
                self.read(kind, each, inside, lasting=lasting, depth=depth)
        elif isinstance(value, dict) and depth < _DEEPEST:
            own_id = value.get("id")
            if is_id(own_id):
                self._learn(kind, own_id, value, {} if lasting else inside, lasting=lasting)
            for name in _KINDS.keys() & value.keys():
                within = _within(kind, value)
                self.read(_KINDS[name], value[name], within, lasting=lasting, depth=depth + 1)
            if kind in _HISTORIC_ROUTES:
                self.read("", value.get("data"), {}, lasting=True, depth=depth + 1)

    def response_to(self, kind: str, name: str, value: object, partition: str) -> None:
        """Learn whom the path named, from the answer that is the object itself."""
        own_id = value.get("id") if isinstance(value, dict) else None
        about = alias_name(kind, name, partition)
        if about is not None and is_id(own_id):
            self._add(
                about, (own_id,), self._named_until if is_mutable(kind, name) else NEVER_EXPIRES
            )

    def _learn(
        self, kind: str, own_id: str, shown: Mapping[str, object],
        inside: Mapping[str, str | None], *, lasting: bool,
    ) -> None:  # fmt: skip
        name = _lasting_name(kind, shown)
        if name is not None:
            self._add(f"{kind}:{name}", (own_id,), NEVER_EXPIRES)
        if lasting:
            return
        given = shown.get(_MAY_CHANGE[kind]) if kind in _MAY_CHANGE else None
        if isinstance(given, str) and _NAMES[kind].fullmatch(given) and not _is_taken(given):
            self._add(f"{kind}:{given}", (own_id,), self._named_until)
        if kind in OWNERS:
            owners = [shown.get(key, inside.get(key)) for key in OWNERS[kind]]
            ids = tuple(filter(is_id, owners))
            if len(ids) == len(owners):
                self._add(f"{kind}:{own_id}", ids, self._owned_until)

    def _add(self, about: str, ids: tuple[str, ...], until: float) -> None:
        self.entries[about] = AliasEntry(about, ids, self._at, self._seq, until)


def _kind_of(template: str) -> str | None:
    """The kind of the objects that a route answers with; None where it tells nothing."""
    root, *rest = template.strip("/").split("/")
    if rest[1:]:
        words = [word for word in rest[1:] if not word.startswith("{")]
        return _KINDS.get(words[-1]) if words else None
    return _SEARCH if root == _SEARCH and not rest else ROOTS.get(root)


def _within(kind: str, shown: Mapping[str, object]) -> dict[str, str | None]:
    """What the objects within this one belong to, should they not show it."""
    own_id, board = shown.get("id"), shown.get("idBoard")
    if not is_id(own_id):
        return {}
    if kind == "board":
        return {"idBoard": own_id}
    return {"idCard": own_id, "idBoard": board if is_id(board) else None} if kind == "card" else {}


def _lasting_name(kind: str, shown: Mapping[str, object]) -> str | None:
    """The shortLink that an object shows, by itself or in its short address."""
    if kind not in _SHORT_URLS:
        return None
    name = shown.get("shortLink")
    if name is None:
        url = shown.get("shortUrl")
        name = url.removeprefix(_SHORT_URLS[kind]) if isinstance(url, str) else None
    return name if isinstance(name, str) and _NAMES[kind].fullmatch(name) else None


def _is_taken(name: str) -> bool:
    """Whether a path with it would be read as something else."""
    return name == ME or is_id(name)


def _of(name: str, partition: str) -> str:
    return f"{ME}@{partition}" if name == ME else name


def _tags(depends: Iterable[tuple[str, str]]) -> tuple[Tag, ...]:
    named = [Tag(f"{kind}:{each}") for kind, own in depends for each in (own, ALL_OF_KIND)]
    return EVERYTHING, *named


def _values(body: bytes, *, is_array: bool) -> Iterator[object]:
    """The value, or the elements of an array one by one: other threads run between them."""
    yield from map(value_of, elements(body) if is_array else [body])
