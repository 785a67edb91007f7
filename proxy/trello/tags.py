"""Tags of a stored response: the objects whose change makes it invalid.

A tag is `kind:id`. Special ids cover doubt: every stored response with a tag of a kind also has
`kind:*`, so that a write can invalidate all of them; a response that depends on an object it does
not identify has `kind:?`, which every invalidation of that kind includes. `kind:~` accompanies an
id that was not shown by the response but inferred from another one: if the object has moved
unnoticed, writes through the proxy reach the response by that tag, and changes made elsewhere by
the id, since the move is signalled no later than any change after it.
`board:{id}` stands for the collections and attributes of a board, `cards-of:{board}` for each
single card of it, `spanning` for collections across boards.
"""

from collections.abc import Collection, Iterable, Iterator

from proxy.model import Tag, is_id
from proxy.trello.object_ids import NOTHING, JsonIds, ObjectInfo
from proxy.trello.routes import UNKNOWN, Match

EVERYTHING = Tag("everything")
"""On every stored response."""

SPANNING = Tag("spanning")

OWNERS_KNOWN = Tag("owners")
"""On no stored response; it invalidates every learned owner."""

ROOTS = {
    "actions": "action",
    "boards": "board",
    "cards": "card",
    "checklists": "checklist",
    "customFields": "customField",
    "enterprises": "enterprise",
    "labels": "label",
    "lists": "list",
    "members": "member",
    "notifications": "notification",
    "organizations": "organization",
    "plugins": "plugin",
    "webhooks": "webhook",
}
"""Kind of the object in a path's second segment. A token is a secret, and never a tag."""

KINDS = (*ROOTS.values(), "cards-of", "token")

ALL_OF_KIND = "*"
UNKNOWN_ID = "?"
INFERRED = "~"

_WITHIN = {
    "cards": (("cards-of", "idBoard"),),
    "checklists": (("card", "idCard"), ("cards-of", "idBoard")),
    "customFields": (("board", "idModel"),),
    "labels": (("board", "idBoard"),),
    "lists": (("board", "idBoard"),),
}
"""Owners on which a response below a root depends, and the member that shows their id."""

_IMPLICIT_KINDS = {
    "actions": ("spanning", "member"),
    "enterprises": ("member", "organization"),
    "membersSearch": ("member", "organization"),
    "notifications": ("member",),
    "search": ("spanning", "member", "organization"),
    "tokens": ("token", "webhook", "member"),
}
"""Kinds of objects that a response below a root shows without naming them in the path."""

_ITEMS_NAME_OWNER = {
    ("boards", "cards"): "idBoard",
    ("boards", "checklists"): "idBoard",
    ("boards", "labels"): "idBoard",
    ("boards", "lists"): "idBoard",
    ("cards", "checklists"): "idCard",
}
"""Collections whose items show the id of their owner."""

_BROUGHT_IN = (
    (
        "spanning",
        "board boards boardsInvited boardStars card cards checklist checklists list lists",
    ),
    ("spanning", "action actions comments reactions reactionsSummary"),
    ("action", "action actions comments reactions reactionsSummary"),
    ("member", "action actions comments reactions reactionsSummary"),
    ("member", "member members memberCreator memberships membersInvited membersVoted"),
    ("member", "admins newBillableGuests"),
    ("organization", "organization organizations organizationsInvited"),
    ("enterprise", "enterprise enterprises"),
    ("notification", "notification notifications"),
    ("plugin", "plugin plugins pluginData boardPlugins"),
    ("token", "token tokens webhook webhooks"),
    ("webhook", "token tokens webhook webhooks"),
)
_GATHERED: dict[str, set[str]] = {}
"""Word of the path or of a parameter's name → kinds of objects that it embeds."""
for _kind, _words in _BROUGHT_IN:
    for _word in _words.lower().split():
        _GATHERED.setdefault(_word, set()).add(_kind)

_ON_ONE_BOARD = frozenset({"boards", "cards", "lists"})
"""Roots whose own tags already include the board of what they embed."""


def stored_tags(
    match: Match, query_names: Collection[str], body: bytes, known: ObjectInfo = NOTHING
) -> tuple[Tag, ...]:
    """The tags of a stored response, sorted; never a token or a key.

    `known` is what other responses have shown of the object in the path; it is used where this one
    does not show it.
    """
    if match.route.template == UNKNOWN:
        depends = {(kind, UNKNOWN_ID) for kind in (*KINDS, "spanning")}
    else:
        depends = set(_depends(match, query_names, JsonIds(body), known))
    return tuple(sorted({EVERYTHING, *_spelled(depends)}))


def tags_for(kind: str, ids: Iterable[str]) -> Iterator[Tag]:
    """Tags to invalidate for these objects; for all of the kind if there are none."""
    known = tuple(ids)
    for each in (*known, UNKNOWN_ID) if known else (ALL_OF_KIND,):
        yield Tag(f"{kind}:{each}")


def _spelled(depends: Iterable[tuple[str, str]]) -> Iterator[Tag]:
    for kind, each in depends:
        if kind == SPANNING:
            yield SPANNING
        else:
            yield Tag(f"{kind}:{each}")
            yield Tag(f"{kind}:{ALL_OF_KIND}")


def _depends(
    match: Match, query_names: Collection[str], response: JsonIds, known: ObjectInfo
) -> Iterator[tuple[str, str]]:
    root = match.segments[0]
    if root in ROOTS and len(match.segments) > 1:
        for each in _own_ids(match, response, known):
            yield ROOTS[root], each
    for kind, key in _WITHIN.get(root, ()):
        for each in _ids_within(match, response, key) or _inferred(known.owners.get(key)):
            yield kind, each
    for kind in _IMPLICIT_KINDS.get(root, ()):
        yield kind, UNKNOWN_ID
    yield from _embedded_kinds(match, query_names, response)


def _own_ids(match: Match, response: JsonIds, known: ObjectInfo) -> Iterator[str]:
    """The ids of the object in the path: as spelled there, and in full."""
    root, name, *rest = match.segments
    yield name
    if is_id(name):
        return
    if rest:
        key = _ITEMS_NAME_OWNER.get((root, rest[0]))
        shown = response.item_ids(key) if key else frozenset()
    else:
        shown = frozenset(filter(None, [response.id]))
    if shown:
        yield from shown
    elif known.id is not None and not known.is_mutable:
        yield known.id
    else:
        yield from _inferred(known.id)


def _ids_within(match: Match, response: JsonIds, key: str) -> Collection[str]:
    """The ids under `key` in an object, or in the items of a collection; none in doubt."""
    shown = response.id_at(key)
    if shown is not None:
        return (shown,)
    if key == "idModel" or "actions" in match.segments:
        return ()
    return response.item_ids(key)


def _inferred(known_id: str | None) -> tuple[str, ...]:
    return (UNKNOWN_ID,) if known_id is None else (known_id, INFERRED)


def _embedded_kinds(
    match: Match, query_names: Collection[str], response: JsonIds
) -> Iterator[tuple[str, str]]:
    """Objects embedded by sub-routes and parameters: `/members`, `?cards=`, `?card_members=`."""
    root, *path = match.segments
    words = {part.lower() for part in path[1:]}
    words.update(part for name in query_names for part in name.lower().split("_"))
    for kind in {kind for word in words for kind in _GATHERED.get(word, ())}:
        if kind != SPANNING or root not in _ON_ONE_BOARD:
            yield kind, UNKNOWN_ID
    if root == "cards":
        for kind, key in (("board", "idBoard"), ("list", "idList")):
            if kind in words:
                owner = response.id if path[1:] == [kind] else response.id_at(key)
                yield kind, owner or UNKNOWN_ID
