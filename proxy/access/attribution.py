"""Attribution: to which boards an operation of Trello's belongs, for clients with a scope. Pure.

What is in none of the tables is refused: it belongs to no board, or not to one for certain. A test
lists those operations, so that each refusal is a decision.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from proxy.errors import OutsideScope
from proxy.trello.routes import Match
from proxy.trello.tags import ROOTS


class Form(StrEnum):
    """How a request names its boards."""

    BOARD = "board"
    """The path names the board."""
    OWNED = "owned"
    """The path names an object, and Trello which board that is on."""
    SPANNING = "spanning"
    """A list over all boards of the account, or a person with such lists: its items name them."""
    WORKSPACE = "workspace"
    """The path names a workspace."""
    SEARCH = "search"
    """Trello is asked about the visible boards only."""
    PARAMETERS = "parameters"
    """The parameters of a write name a board, or objects on one."""
    OPEN = "open"
    """The same for every account."""


class Shows(StrEnum):
    """What the objects of a response are, where each of them has to name its board."""

    ANYTHING = ""
    ACTION = "action"
    BOARD = "board"
    CARD = "card"
    CHECKLIST = "checklist"
    LABEL = "label"
    LIST = "list"
    NOTIFICATION = "notification"
    PERSON = "person"
    """A member, a workspace or a search result: what is within it names its boards."""
    STAR = "star"
    WORKSPACE = "workspace"

    @property
    def board_field(self) -> str:
        """The field that names the board and may be left out of `fields`; empty for none."""
        return _BOARD_FIELDS.get(self, "")


_BOARD_FIELDS = {
    Shows.ACTION: "data",
    Shows.CARD: "idBoard",
    Shows.CHECKLIST: "idBoard",
    Shows.LABEL: "idBoard",
    Shows.LIST: "idBoard",
    Shows.NOTIFICATION: "data",
}


STATIONARY = frozenset({"action", "customField", "label", "notification"})
"""Kinds whose objects never move to another board."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The form of an operation, and what its response shows."""

    form: Form
    shows: Shows = Shows.ANYTHING


_READS = (
    (
        Form.BOARD,
        Shows.ANYTHING,
        """
        /boards/{id}
        /boards/{id}/{field}
        /boards/{id}/actions
        /boards/{id}/actions/{filter}
        /boards/{id}/boardPlugins
        /boards/{id}/boardStars
        /boards/{id}/cards
        /boards/{id}/cards/{filter}
        /boards/{id}/checklists
        /boards/{id}/customFields
        /boards/{id}/labels
        /boards/{id}/lists
        /boards/{id}/lists/{filter}
        /boards/{id}/members
        /boards/{id}/members/{filter}
        /boards/{id}/memberships
        /boards/{id}/memberships/{idMembership}
        /boards/{id}/myPrefs
        /boards/{id}/pluginData
        /boards/{id}/plugins
        """,
    ),
    (
        Form.OWNED,
        Shows.ANYTHING,
        """
        /actions/{id}/{field}
        /actions/{id}/member
        /actions/{id}/memberCreator
        /actions/{id}/reactions
        /actions/{id}/reactions/{idReaction}
        /actions/{id}/reactionsSummary
        /cards/{id}/{field}
        /cards/{id}/attachments
        /cards/{id}/attachments/{idAttachment}
        /cards/{id}/attachments/{idAttachment}/download
        /cards/{id}/attachments/{idAttachment}/download/{name}
        /cards/{id}/attachments/{idAttachment}/previews/download
        /cards/{id}/attachments/{idAttachment}/previews/{idPreview}/download
        /cards/{id}/attachments/{idAttachment}/previews/{idPreview}/download/{name}
        /cards/{id}/checkItem/{idCheckItem}
        /cards/{id}/checkItemStates
        /cards/{id}/checklists
        /cards/{id}/customFieldItems
        /cards/{id}/members
        /cards/{id}/membersVoted
        /cards/{id}/pluginData
        /cards/{id}/stickers
        /cards/{id}/stickers/{idSticker}
        /checklists/{id}/{field}
        /checklists/{id}/checkItems
        /checklists/{id}/checkItems/{idCheckItem}
        /customFields/{id}
        /customFields/{id}/{field}
        /customFields/{id}/options
        /customFields/{id}/options/{idCustomFieldOption}
        /labels/{id}/{field}
        /lists/{id}/{field}
        /notifications/{id}/{field}
        /notifications/{id}/member
        /notifications/{id}/memberCreator
        """,
    ),
    (
        Form.BOARD,
        Shows.CARD,
        "/boards/{id}/cards/{idCard} /boards/{id}/members/{idMember}/cards",
    ),
    (Form.BOARD, Shows.LABEL, "/boards/{id}/labels/{idLabel}"),
    (
        Form.OWNED,
        Shows.ACTION,
        """
        /actions/{id}
        /cards/{id}/actions
        /cards/{id}/actions/{filter}
        /lists/{id}/actions
        """,
    ),
    (
        Form.OWNED,
        Shows.BOARD,
        """
        /actions/{id}/board
        /cards/{id}/board
        /checklists/{id}/board
        /lists/{id}/board
        /notifications/{id}/board
        """,
    ),
    (
        Form.OWNED,
        Shows.CARD,
        """
        /actions/{id}/card
        /cards/{id}
        /checklists/{id}/cards
        /lists/{id}/cards
        /lists/{id}/cards/{filter}
        /notifications/{id}/card
        """,
    ),
    (Form.OWNED, Shows.CHECKLIST, "/checklists/{id}"),
    (Form.OWNED, Shows.LABEL, "/labels/{id}"),
    (
        Form.OWNED,
        Shows.LIST,
        """
        /actions/{id}/list
        /cards/{id}/list
        /lists/{id}
        /notifications/{id}/list
        """,
    ),
    (Form.OWNED, Shows.NOTIFICATION, "/notifications/{id}"),
    (Form.SPANNING, Shows.ACTION, "/members/{id}/actions"),
    (
        Form.SPANNING,
        Shows.BOARD,
        """
        /members/{id}/boards
        /members/{id}/boards/{filter}
        /members/{id}/boardsInvited
        """,
    ),
    (Form.SPANNING, Shows.CARD, "/members/{id}/cards /members/{id}/cards/{filter}"),
    (
        Form.SPANNING,
        Shows.NOTIFICATION,
        "/members/{id}/notifications /members/{id}/notifications/{filter}",
    ),
    (Form.SPANNING, Shows.PERSON, "/members/{id} /members/{id}/{field}"),
    (Form.SPANNING, Shows.STAR, "/members/{id}/boardStars"),
    (
        Form.SPANNING,
        Shows.WORKSPACE,
        """
        /members/{id}/organizations
        /members/{id}/organizations/{filter}
        /members/{id}/organizationsInvited
        """,
    ),
    (Form.WORKSPACE, Shows.ACTION, "/organizations/{id}/actions"),
    (Form.WORKSPACE, Shows.BOARD, "/organizations/{id}/boards /organizations/{id}/boards/{filter}"),
    (
        Form.WORKSPACE,
        Shows.PERSON,
        """
        /organizations/{id}
        /organizations/{id}/{field}
        /organizations/{id}/members
        /organizations/{id}/members/{filter}
        /organizations/{id}/memberships
        /organizations/{id}/memberships/{idMembership}
        /organizations/{id}/tags
        """,
    ),
    (Form.SEARCH, Shows.PERSON, "/search"),
    (Form.OPEN, Shows.ANYTHING, "/client.js /emoji"),
)
_WRITES = (
    (
        Form.BOARD,
        """
        PUT,DELETE   /boards/{id}
        PUT          /boards/{id}/{field}
        POST         /boards/{id}/idTags
        PUT          /boards/{id}/labelNames/{color}
        POST         /boards/{id}/labels
        POST         /boards/{id}/lists
        POST         /boards/{id}/markAsViewed
        POST         /boards/{id}/markedAsViewed
        PUT          /boards/{id}/members
        PUT,DELETE   /boards/{id}/members/{idMember}
        PUT          /boards/{id}/memberships/{idMembership}
        PUT          /boards/{id}/prefs/{field}
        """,
    ),
    (
        Form.OWNED,
        """
        PUT,DELETE   /actions/{id}
        POST         /actions/{id}/reactions
        DELETE       /actions/{id}/reactions/{idReaction}
        PUT          /actions/{id}/text
        PUT,DELETE   /cards/{id}
        PUT          /cards/{id}/{field}
        POST         /cards/{id}/actions/comments
        PUT,DELETE   /cards/{id}/actions/{idAction}/comments
        POST         /cards/{id}/attachments
        PUT,DELETE   /cards/{id}/attachments/{idAttachment}
        PUT,DELETE   /cards/{id}/checkItem/{idCheckItem}
        POST         /cards/{id}/checklist/{idChecklist}/checkItem
        PUT,DELETE   /cards/{id}/checklist/{idChecklist}/checkItem/{idCheckItem}
        PUT          /cards/{id}/checklist/{idChecklist}/checkItem/{idCheckItem}/{field}
        POST         /cards/{id}/checklists
        DELETE       /cards/{id}/checklists/{idChecklist}
        PUT          /cards/{id}/customField/{idCustomField}/item
        PUT          /cards/{id}/customFields
        PUT          /cards/{id}/idBoard
        POST,PUT     /cards/{id}/idLabels
        DELETE       /cards/{id}/idLabels/{idLabel}
        POST,PUT     /cards/{id}/idMembers
        DELETE       /cards/{id}/idMembers/{idMember}
        POST         /cards/{id}/labels
        POST         /cards/{id}/markAssociatedNotificationsRead
        POST         /cards/{id}/membersVoted
        DELETE       /cards/{id}/membersVoted/{idMember}
        POST         /cards/{id}/stickers
        PUT,DELETE   /cards/{id}/stickers/{idSticker}
        PUT,DELETE   /checklists/{id}
        PUT          /checklists/{id}/{field}
        POST         /checklists/{id}/checkItems
        PUT,DELETE   /checklists/{id}/checkItems/{idCheckItem}
        PUT,DELETE   /customFields/{id}
        PUT          /customFields/{id}/{field}
        POST         /customFields/{id}/options
        PUT,DELETE   /customFields/{id}/options/{idCustomFieldOption}
        PUT,DELETE   /labels/{id}
        PUT          /labels/{id}/{field}
        PUT          /lists/{id}
        PUT          /lists/{id}/{field}
        POST         /lists/{id}/archiveAllCards
        POST         /lists/{id}/cards
        PUT          /lists/{id}/closed
        PUT          /lists/{id}/idBoard
        POST         /lists/{id}/moveAllCards
        PUT          /notifications/{id}
        PUT          /notifications/{id}/{field}
        PUT          /notifications/{id}/unread
        """,
    ),
    (
        Form.PARAMETERS,
        """
        POST         /boards
        POST         /cards
        POST         /checklists
        POST         /customFields
        POST         /labels
        POST         /lists
        POST         /members/{id}/boardStars
        """,
    ),
)


def _lines(block: str) -> Iterator[tuple[str, str]]:
    for line in block.strip().splitlines():
        methods, template = line.split()
        yield from ((method, template) for method in methods.split(","))


TABLE = {
    **{("GET", template): Attribution(form, shows)
       for form, shows, block in _READS for template in block.split()},
    **{operation: Attribution(form) for form, block in _WRITES for operation in _lines(block)},
}  # fmt: skip
"""By method and template."""


def attribution_of(method: str, match: Match) -> Attribution:
    """How the operation names its boards; OutsideScope if it cannot be attributed to any."""
    found = TABLE.get((method, match.route.template))
    if found is None:
        raise OutsideScope("This operation belongs to no board; ask the operator to do it.")
    return found


def owned_kind(match: Match) -> str:
    """The kind of the object that the path of an owned operation names."""
    return ROOTS[match.segments[0]]
