"""Trello's webhooks: is a delivery Trello's own, and what did the action it tells of change?

A delivery is `{action, model, webhook}`; the action names in its `data` what it touched. When it
does not name a thing, it touched every one of that kind.
"""

import base64
import hmac
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from proxy.model import Tag
from proxy.trello.object_ids import JsonIds
from proxy.trello.tags import (
    ALL_OF_KIND,
    EVERYTHING,
    SPANNING,
    tags_for,
)
from proxy.trello.write_operations import (
    BOARD,
    BOARD_PLUGIN,
    CUSTOM_FIELD,
    LABEL,
    LIST,
)

PATH = "/-/webhook"
"""Where the proxy takes deliveries."""

# What depends on a list depends on its board, too: `list?` leaves nothing in doubt.
_CARD = "card list? board spanning"
_COMMENT = "action card list? board spanning"
_CHECKLIST = "checklist card list? board spanning"
_CONVERSION = "card list? board cards-of spanning"
_WHOLE_BOARD = "board cards-of spanning action:* member:* notification:* organization:* plugin:*"
"""What an action of an unknown type may have changed on the board whose webhook tells of it."""

_CHANGES = (
    (
        _CARD,
        """
        addAttachmentToCard addLabelToCard addMemberToCard copyCard createCard deleteCard
        deleteAttachmentFromCard emailCard moveCardFromBoard moveCardToBoard removeLabelFromCard
        removeMemberFromCard updateCard updateCustomFieldItem voteOnCard
        """,
    ),
    (_CONVERSION, "convertToCardFromCheckItem"),
    (_COMMENT, "commentCard deleteComment updateComment"),
    (
        _CHECKLIST,
        """
        addChecklistToCard copyChecklist createCheckItem deleteCheckItem removeChecklistFromCard
        updateCheckItem updateCheckItemStateOnCard updateChecklist
        """,
    ),
    (LABEL, "createLabel deleteLabel updateLabel"),
    (CUSTOM_FIELD, "createCustomField deleteCustomField updateCustomField"),
    (LIST, "createList moveListFromBoard moveListToBoard updateList"),
    (
        BOARD,
        """
        addMemberToBoard copyBoard createBoard makeAdminOfBoard makeNormalMemberOfBoard
        makeObserverOfBoard removeMemberFromBoard updateBoard
        """,
    ),
    (BOARD_PLUGIN, "disablePlugin disablePowerUp enablePlugin enablePowerUp"),
)
"""Words as in policy/writes.py; `kind?` means those that are named, if any."""

_ACTION_EFFECTS = {
    kind: tuple(words.split()) for words, kinds in _CHANGES for kind in kinds.split()
}

_BETWEEN_BOARDS = frozenset(
    {"moveCardFromBoard", "moveCardToBoard", "moveListFromBoard", "moveListToBoard"}
)
"""These touch two boards: where one of them is not named, they touch every board."""

_NAMED_BY = {
    "board": ("board", "boardSource", "boardTarget"),
    "card": ("card", "cardSource"),
    "checklist": ("checklist", "checklistSource", "checklistTarget"),
    "list": ("list", "listBefore", "listAfter"),
}
"""Members of an action's `data` that name a thing of the kind, besides the kind's own name."""


@dataclass(frozen=True, slots=True)
class Callback:
    """Where Trello delivers to, and what it signs with."""

    url: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One action, as it was told to the webhook of one model."""

    action: str
    model: str
    tags: frozenset[Tag]
    """Of everything the action may have changed."""


def verify(body: bytes, callback_url: str, secret: str, signature: str) -> bool:
    """Whether Trello signed the body for this callback: HMAC-SHA1 over both, in base64.

    `callback_url` is the one that the webhook was made with, to the letter. Takes equal time
    wherever a wrong signature differs.
    """
    digest = hmac.digest(secret.encode(), body + callback_url.encode(), "sha1")
    given = signature.encode("utf-8", "surrogateescape")
    return hmac.compare_digest(base64.b64encode(digest), given)


def parse_delivery(body: bytes) -> WebhookEvent | None:
    """What a delivery tells; None when it is not to be understood."""
    said = JsonIds(body)
    action, model = said.id_at("action", "id"), said.id_at("model", "id")
    if action is None or model is None:
        return None
    return WebhookEvent(action, model, tags_of(said, model))


def tags_of(said: JsonIds, model: str) -> frozenset[Tag]:
    """The tags of everything that the action of a delivery may have changed."""
    action = said.members.get("action")
    kind = action.get("type") if isinstance(action, dict) else None
    words = _ACTION_EFFECTS.get(kind) if isinstance(kind, str) else None
    if words is not None:
        told = _ActionData(said, is_between_boards=kind in _BETWEEN_BOARDS)
    elif said.id_at("action", "data", "board", "id") == model:
        words, told = tuple(_WHOLE_BOARD.split()), _ActionData(said, is_between_boards=False)
    else:
        return frozenset({EVERYTHING})
    return frozenset(tag for word in words for tag in told.changed_tags(word))


def not_covered_by(tags: Collection[Tag], named: Collection[Tag]) -> frozenset[Tag]:
    """The tags that an invalidation of `named` has left out."""
    if EVERYTHING in named:
        return frozenset()
    return frozenset(
        tag
        for tag in tags
        if tag not in named and f"{tag.partition(':')[0]}:{ALL_OF_KIND}" not in named
    )


class _ActionData:
    """The things that an action's `data` names."""

    def __init__(self, said: JsonIds, *, is_between_boards: bool) -> None:
        self._data = said
        self._boards_needed = 2 if is_between_boards else 1

    def changed_tags(self, word: str) -> Iterator[Tag]:
        """The tags that one word of the table stands for."""
        kind, _, every = word.removesuffix("?").partition(":")
        ids = () if every else self._ids(kind)
        if kind == SPANNING:
            yield SPANNING
        elif ids or not word.endswith("?"):
            yield from tags_for(kind, ids)

    def _ids(self, kind: str) -> Collection[str]:
        """The ids of the things of this kind; none when not all of them are known."""
        kind = "board" if kind == "cards-of" else kind
        places = _NAMED_BY.get(kind, (kind,))
        found = {self._data.id_at("action", "data", place, "id") for place in places} - {None}
        if kind == "board" and len(found) < self._boards_needed:
            return ()
        return {each for each in found if each is not None}
