"""Write references: the boards, and the objects on boards, that a write names. Pure.

Nothing is overlooked: a parameter stands in a table here, or the write is refused.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from proxy.access.attribution import Form, attribution_of, owned_kind
from proxy.errors import OutsideScope
from proxy.http_semantics.parameters import Parameter, read_form
from proxy.trello.resource_schema import FIELDS
from proxy.trello.routes import Match
from proxy.trello.tags import ROOTS

BOARD = "board"
WORKSPACE = "organization"
MAX_REFERENCES = 20
"""In one write: each may cost an upstream request."""
_UPLOAD = "/cards/{id}/attachments"
"""The only operation whose body may be multipart, which is sent before all of it is read."""
_UPLOAD_PARTS = frozenset({"file", "mimeType", "name", "setCover"})
"""Parts of that body: none of them names anything."""
_KINDS = {
    "idAction": "action",
    "idBoard": BOARD,
    "idBoardSource": BOARD,
    "idCard": "card",
    "idCardSource": "card",
    "idChecklist": "checklist",
    "idChecklistSource": "checklist",
    "idCustomField": "customField",
    "idLabel": "label",
    "idLabels": "label",
    "idList": "list",
    "idListSource": "list",
    "idModel": BOARD,
    "idOrganization": WORKSPACE,
}
"""Parameters that name an object, or several with commas between them."""
_ADDRESSES = frozenset({"url", "urlSource"})
_PLAIN_WORDS = """
    address allowBillableGuest brightness cardFront cardRole checked closed color coordinates
    cover customFieldItems date defaultLabels defaultLists desc display due dueComplete dueReminder
    email emoji fileSource fullName idAttachment idAttachmentCover idMember idMembers idValue image
    keepFromSource left locationName mimeType modelType name native number options pos prefs rotate
    setCover shortName size skinVariation start state subscribed text top type unified unread value
    zIndex isTemplate fieldGroup member_fields
    """
_PLAIN = frozenset(_PLAIN_WORDS.split())
"""Parameters that name nothing of a board's; ids among them are checked by Trello against the
object that the path names."""
_PREFIXES = ("prefs/", "prefs_", "labelNames/", "display/")
_WORDS = re.compile(r"[^\[\]]+")
_CARD_OR_BOARD = re.compile(
    r"(?:/1)?/(?P<kind>b|c|boards?|cards?)/(?P<name>[0-9A-Za-z]{8}|[0-9a-f]{24})(?:[/.].*)?", re.I
)
_GROUPS = frozenset({"coordinates", "cover", "display", "labelNames", "prefs"})
"""Parameters of which nested members are settings."""
_CHECK_ITEM_FIELDS = frozenset(
    {"due", "dueReminder", "idChecklist", "idMember", "name", "pos", "state"}
)


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that must be visible: a board, a workspace, or something on a board."""

    kind: str
    name: str
    in_path: bool = False


def references_of(
    method: str, match: Match, query: str, body: Sequence[Parameter]
) -> list[Reference]:
    """All that a write names; OutsideScope where that cannot be known."""
    form = attribution_of(method, match).form
    if match.route.template.endswith("/{field}"):
        _check_field(match)
    found = dict.fromkeys(_in_path(form, match))
    named = _ValueOf(match)
    for name, value in [*read_form(query), *body]:
        found.update(dict.fromkeys(named.references(name, value)))
    if form is Form.PARAMETERS and not _names_place(match, list(found)):
        raise OutsideScope("Name the board, list or card that it is for, by its id.")
    if len(found) > MAX_REFERENCES:
        raise OutsideScope(f"A write may name {MAX_REFERENCES} objects at most.")
    return list(found)


def upload_parts(match: Match) -> frozenset[str]:
    """The names that parts of a multipart body may have; OutsideScope for other operations."""
    if match.route.template != _UPLOAD:
        raise OutsideScope("Send a form or JSON: multipart cannot be read before it is sent.")
    return _UPLOAD_PARTS


def _in_path(form: Form, match: Match) -> Iterator[Reference]:
    for name, value in match.params:
        if name == "id" and form in (Form.BOARD, Form.OWNED):
            kind = BOARD if form is Form.BOARD else owned_kind(match)
            yield Reference(kind, value, in_path=True)
        elif name in _KINDS:
            yield Reference(_KINDS[name], value, in_path=True)


def _names_place(match: Match, found: Sequence[Reference]) -> bool:
    """Whether a write without an object in its path names where it is to be made."""
    places = {"/boards": {WORKSPACE}, "/checklists": {"card"}, "/cards": {"list"}}
    kinds = places.get(match.route.template, {BOARD})
    return any(each.kind in kinds for each in found)


class _ValueOf:
    """What the parameters of one write may name."""

    def __init__(self, match: Match) -> None:
        last = match.segments[-1] if match.segments else ""
        self._value_kind = _KINDS.get(last)
        self._value_is_address = last in _ADDRESSES
        self._value_is_name = last == "name"

    def references(self, name: str, value: str) -> Iterator[Reference]:
        """The objects that a parameter names; OutsideScope for one that is not known."""
        words = _WORDS.findall(name)
        is_known = _is_setting if words[:1] and words[0] in _GROUPS else _is_known
        if not words or not all(map(is_known, words)):
            raise OutsideScope("It has a parameter of which it is not known what it names.")
        for word in words:
            kind = self._value_kind if word == "value" else _KINDS.get(word)
            if kind is not None:
                yield from (Reference(kind, each) for each in value.split(",") if each)
            elif word in _ADDRESSES or (word == "value" and self._value_is_address):
                yield from self._addressed(value, is_address=True)
            elif word == "name" or (word == "value" and self._value_is_name):
                yield from self._addressed(value, is_address=False)

    def _addressed(self, value: str, *, is_address: bool) -> Iterator[Reference]:
        """The card or board behind an address of Trello's; OutsideScope for another one of it.

        A name may be one: a card that is named so mirrors that card, or stands for that board.
        """
        try:
            url = urlsplit(value.strip())
            host = (url.hostname or "").rstrip(".").lower()
        except ValueError:
            if not is_address:
                return
            raise OutsideScope("This address cannot be read.") from None
        named = _CARD_OR_BOARD.fullmatch(url.path)  # also below a name of the proxy's
        if named is not None:
            is_board = named["kind"].lower().startswith("b")
            yield Reference(BOARD if is_board else "card", named["name"])
        elif is_address and (host == "trello.com" or host.endswith(".trello.com")):
            raise OutsideScope("Of Trello's addresses, name that of a card or a board.")


def _check_field(match: Match) -> None:
    """OutsideScope for a field that is not known: its value might name something."""
    template, field = match.route.template, match.segments[-1]
    fields = FIELDS.get(ROOTS[match.segments[0]], frozenset())
    if "checkItem" in template:
        fields = _CHECK_ITEM_FIELDS
    if field not in fields and field not in _PLAIN and "/prefs/" not in template:
        raise OutsideScope("It is not known what this field may name.")


def _is_setting(word: str) -> bool:
    is_harmless = not word.lower().startswith("id") and word not in _ADDRESSES
    return is_harmless or _is_known(word)


def _is_known(word: str) -> bool:
    return (
        word in _KINDS or word in _PLAIN or word in _ADDRESSES or word.startswith(_PREFIXES)
        or word.isdecimal()
    )  # fmt: skip
