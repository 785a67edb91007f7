"""Webhook payload: the signature of a delivery, and the tags changed by its action.

A delivery is `{action, model, webhook}`; the `data` of the action names the objects it changed. If
it names none of a kind, every object of that kind counts as changed.
"""

import base64
import hmac
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from proxy.model import Tag
from proxy.trello.object_ids import JsonIds
from proxy.trello.tags import ALL_OF_KIND, EVERYTHING, SPANNING, tags_for
from proxy.trello.write_operations import BOARD, BOARD_PLUGIN, CUSTOM_FIELD, LABEL, LIST

PATH = "/-/webhook"
"""Path of deliveries at the proxy."""

# A response that depends on a list also depends on its board, so `list?` is safe.
_CARD = "card list? board spanning"
_COMMENT = "action card list? board spanning"
_CHECKLIST = "checklist card list? board spanning"
_CONVERSION = "card list? board cards-of spanning"
_WHOLE_BOARD = "board cards-of spanning action:* member:* notification:* organization:* plugin:*"
"""What an action of an unknown type may have changed on the board of its webhook."""

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
"""Words as in `write_operations.py`; `kind?` means the named ones, if any."""

_ACTION_EFFECTS = {
    kind: tuple(words.split()) for words, kinds in _CHANGES for kind in kinds.split()
}

_BETWEEN_BOARDS = frozenset(
    {"moveCardFromBoard", "moveCardToBoard", "moveListFromBoard", "moveListToBoard"}
)
"""They change two boards; if one of them is not named, every board."""

_NAMED_BY = {
    "board": ("board", "boardSource", "boardTarget"),
    "card": ("card", "cardSource"),
    "checklist": ("checklist", "checklistSource", "checklistTarget"),
    "list": ("list", "listBefore", "listAfter"),
}
"""Members of an action's `data` that name an object of the kind."""


@dataclass(frozen=True, slots=True)
class Callback:
    """URL and secret of deliveries."""

    url: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One action, as delivered for one model."""

    action: str
    model: str
    date: str
    """When it happened, as Trello says; empty if it does not."""
    tags: frozenset[Tag]
    """Tags of everything the action may have changed."""


def verify(body: bytes, callback_url: str, secret: str, signature: str) -> bool:
    """Whether Trello signed the body for this callback: HMAC-SHA1 over both, in base64.

    `callback_url` is exactly that of the webhook. The time does not depend on where a wrong
    signature differs.
    """
    digest = hmac.digest(secret.encode(), body + callback_url.encode(), "sha1")
    given = signature.encode("utf-8", "surrogateescape")
    return hmac.compare_digest(base64.b64encode(digest), given)


def parse_delivery(body: bytes) -> WebhookEvent | None:
    """The event of a delivery; None if it cannot be parsed."""
    delivery = JsonIds(body)
    action, model = delivery.id_at("action", "id"), delivery.id_at("model", "id")
    if action is None or model is None:
        return None
    content = delivery.members.get("action")
    date = content.get("date") if isinstance(content, dict) else None
    return WebhookEvent(
        action, model, date if isinstance(date, str) else "", tags_of(delivery, model)
    )


def posix_time(date: str) -> float:
    """A date of Trello's in POSIX seconds; minus infinity if it is none."""
    try:
        return datetime.fromisoformat(date).timestamp()
    except (ValueError, OverflowError):
        return -math.inf


def tags_of(delivery: JsonIds, model: str) -> frozenset[Tag]:
    """Tags of everything that the action of a delivery may have changed."""
    action = delivery.members.get("action")
    kind = action.get("type") if isinstance(action, dict) else None
    words = _ACTION_EFFECTS.get(kind) if isinstance(kind, str) else None
    if words is not None:
        data = _ActionData(delivery, is_between_boards=kind in _BETWEEN_BOARDS)
    elif delivery.id_at("action", "data", "board", "id") == model:
        words, data = tuple(_WHOLE_BOARD.split()), _ActionData(delivery, is_between_boards=False)
    else:
        return frozenset({EVERYTHING})
    return frozenset(tag for word in words for tag in data.changed_tags(word))


def not_covered_by(tags: Collection[Tag], named: Collection[Tag]) -> frozenset[Tag]:
    """The tags that an invalidation of `named` does not cover."""
    if EVERYTHING in named:
        return frozenset()
    return frozenset(
        tag
        for tag in tags
        if tag not in named and f"{tag.partition(':')[0]}:{ALL_OF_KIND}" not in named
    )


class _ActionData:
    """The objects named in an action's `data`."""

    def __init__(self, delivery: JsonIds, *, is_between_boards: bool) -> None:
        self._data = delivery
        self._boards_needed = 2 if is_between_boards else 1

    def changed_tags(self, word: str) -> Iterator[Tag]:
        """The tags of one word of the table."""
        kind, _, every = word.removesuffix("?").partition(":")
        ids = () if every else self._ids(kind)
        if kind == SPANNING:
            yield SPANNING
        elif ids or not word.endswith("?"):
            yield from tags_for(kind, ids)

    def _ids(self, kind: str) -> Collection[str]:
        """The ids of the objects of this kind; none unless all are known."""
        kind = "board" if kind == "cards-of" else kind
        places = _NAMED_BY.get(kind, (kind,))
        found = {self._data.id_at("action", "data", place, "id") for place in places} - {None}
        if kind == "board" and len(found) < self._boards_needed:
            return ()
        return {each for each in found if each is not None}
