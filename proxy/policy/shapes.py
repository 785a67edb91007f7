"""Trello's kinds, their fields, and the routes whose answers are known well enough to be cut (D30).

A field stands here when the official description, or recorded answers, know it; a nested parameter
when the member it adds is known and is no field's name. What is missing is asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PLURALS = {
    "board": "boards",
    "card": "cards",
    "checklist": "checklists",
    "label": "labels",
    "list": "lists",
    "member": "members",
    "organization": "organizations",
}
"""What paths call the kinds that are read by their id."""

_BOARD = (
    "id name desc descData closed idOrganization idEnterprise idMemberCreator idBoardSource pinned "
    "url shortUrl shortLink labelNames prefs memberships dateLastActivity dateLastView "
    "datePluginDisable creationMethod enterpriseOwned powerUps idTags premiumFeatures "
    "templateGallery subscribed starred ixUpdate limits"
)
_CARD = (
    "id checkItemStates closed dateLastActivity desc descData dueReminder idBoard idList "
    "idMembersVoted idShort idAttachmentCover idLabels manualCoverAttachment name pos shortLink "
    "isTemplate cardRole dueComplete due start email labels shortUrl url cover idMembers "
    "idChecklists badges subscribed address locationName coordinates creationMethod limits"
)
_MEMBER = (
    "id username activityBlocked avatarHash avatarUrl avatarSource bio bioData confirmed email "
    "fullName gravatarHash idBoards idEnterprise idMemberReferrer idOrganizations idPremOrgsAdmin "
    "initials ixUpdate limits loginTypes memberType nonPublic nonPublicAvailable "
    "oneTimeMessagesDismissed prefs premiumFeatures products status trophies uploadedAvatarHash url"
)
FIELDS: Mapping[str, frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in {
        "attachment": (
            "id bytes date edgeColor idMember isUpload isMalicious mimeType name previews url pos "
            "fileName"
        ),
        "board": _BOARD,
        "card": _CARD,
        "checklist": "id name idCard pos idBoard checkItems",
        "label": "id idBoard name color",
        "list": "id name closed pos softLimit idBoard subscribed limits",
        "member": _MEMBER,
        "organization": (
            "id name displayName desc descData url website teamType logoHash logoUrl products "
            "powerUps premiumFeatures prefs idMemberCreator memberships dateLastActivity ixUpdate "
            "idBoards limits"
        ),
    }.items()
}
"""Names that `fields` may hold, by kind."""

UNEVEN = frozenset({"checkItemStates"})
"""Fields recorded with different values for one object: null in a list, an array by itself."""

_SWITCHES = {
    "board": (
        "actions boardStars cards checklists customFields labels lists members myPrefs "
        "organization pluginData tags"
    ),
    "card": (
        "actions attachments board checklists customFieldItems customFields list members "
        "membersVoted pluginData stickers"
    ),
    "list": "board cards",
    "member": "boards cards organizations",
}
"""Parameters that add a member of their own name."""

_WITH = {
    "actions": "action_ actions_",
    "attachments": "attachment_ attachments_",
    "board": "board_",
    "boards": "board_ boards_",
    "cards": "card_ cards_",
    "checklists": "checklist_ checklists_",
    "labels": "label_ labels_",
    "list": "list_",
    "lists": "list_ lists_",
    "members": "member_ members_",
    "membersVoted": "memberVoted_",
    "organization": "organization_",
    "organizations": "organization_ organizations_",
    "stickers": "sticker_ stickers_",
}
"""How the names of the parameters begin that say more about what a switch adds."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a route's answers are."""

    kind: str
    many: bool = False
    """An array of such objects."""
    whole: bool = False
    """`fields` left out means `fields=all`."""
    has_filter: bool = False
    """`filter`, or a last segment that says the same, chooses by `closed`."""
    filter: str = ""
    """What `filter` is when left out; "" where that is not known."""
    loose: frozenset[str] = frozenset()
    """Other parameters, which must be the same."""
    is_widened: bool = False
    """Whether all fields are asked for when several sets of them are in demand."""

    def switch_of(self, name: str) -> str | None:
        """The nested parameter that this one is, or says more about."""
        switches = _SWITCHES.get(self.kind, "").split()
        if name in switches:
            return name
        for switch in switches:
            if name.startswith(tuple(_WITH.get(switch, "").split()) or (" ",)):
                return switch
        return None


_PAGED = frozenset({"limit", "since", "before"})
_FILTERED = frozenset({"filter"})

FORMS: Mapping[str, Form] = {
    "/boards/{id}": Form("board", is_widened=True),
    "/boards/{id}/cards": Form(
        "card", many=True, has_filter=True, filter="visible", loose=_PAGED, is_widened=True
    ),
    "/boards/{id}/cards/{filter}": Form(
        "card", many=True, has_filter=True, loose=_PAGED, is_widened=True
    ),
    "/boards/{id}/checklists": Form("checklist", many=True, loose=_FILTERED),
    "/boards/{id}/labels": Form("label", many=True, loose=_PAGED),
    "/boards/{id}/lists": Form(
        "list", many=True, whole=True, has_filter=True, filter="open", is_widened=True
    ),
    "/boards/{id}/lists/{filter}": Form(
        "list", many=True, whole=True, has_filter=True, is_widened=True
    ),
    "/boards/{id}/members": Form("member", many=True, loose=_FILTERED),
    "/cards/{id}": Form("card", is_widened=True),
    "/cards/{id}/attachments": Form("attachment", many=True, loose=_FILTERED, is_widened=True),
    "/cards/{id}/board": Form("board"),
    "/cards/{id}/checklists": Form("checklist", many=True, loose=_FILTERED),
    "/cards/{id}/list": Form("list"),
    "/cards/{id}/members": Form("member", many=True),
    "/checklists/{id}": Form("checklist", whole=True),
    "/labels/{id}": Form("label", whole=True),
    "/lists/{id}": Form("list", is_widened=True),
    "/lists/{id}/board": Form("board"),
    "/lists/{id}/cards": Form("card", many=True, has_filter=True, loose=_PAGED, is_widened=True),
    "/lists/{id}/cards/{filter}": Form(
        "card", many=True, has_filter=True, loose=_PAGED, is_widened=True
    ),
    "/members/{id}": Form("member", is_widened=True),
    "/members/{id}/boards": Form("board", many=True, loose=_FILTERED),
    "/organizations/{id}": Form("organization", is_widened=True),
    "/organizations/{id}/boards": Form("board", many=True, loose=_FILTERED),
}
"""By route template."""

SINGLE: Mapping[str, str] = {
    f"/{plural}/{{id}}/{{field}}": kind for kind, plural in PLURALS.items() if kind != "label"
}
"""Templates that read one field of an object, and its kind; nobody has seen a label's."""

CHILDREN: Mapping[str, tuple[str, str]] = {
    "cards": ("card", "card_fields"),
    "lists": ("list", "list_fields"),
}
"""Nested parameters of a board whose members are what `/boards/{id}/…` gives."""
