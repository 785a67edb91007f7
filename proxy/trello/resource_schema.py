"""Resource schema: Trello's kinds, their fields, and routes whose responses can be projected (D30).

It lists fields of the official description or of recorded responses, and nested parameters whose
added member is known and is no field's name. Requests with any other name are forwarded.
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
"""Path segments of the kinds that are read by id."""

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

INCONSISTENT_FIELDS = frozenset({"checkItemStates"})
"""Fields with different values for one object: null in a list, an array when read singly."""

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
"""Prefixes of the parameters that refine what a switch adds."""


@dataclass(frozen=True, slots=True)
class ResourceForm:
    """Form of a route's responses."""

    kind: str
    many: bool = False
    """An array of such objects."""
    whole: bool = False
    """Whether `fields=all` is the default."""
    has_filter: bool = False
    """Whether `filter`, or the last segment, selects by `closed`."""
    filter: str = ""
    """Default of `filter`; "" if unknown."""
    pass_through_params: frozenset[str] = frozenset()
    """Other parameters, which must be equal."""
    may_widen: bool = False
    """Whether all fields are requested when several sets of them are in demand."""

    def switch_of(self, name: str) -> str | None:
        """The nested parameter that this one is, or refines."""
        switches = _SWITCHES.get(self.kind, "").split()
        if name in switches:
            return name
        for switch in switches:
            if name.startswith(tuple(_WITH.get(switch, "").split()) or (" ",)):
                return switch
        return None


_PAGED = frozenset({"limit", "since", "before"})
_FILTERED = frozenset({"filter"})

RESOURCE_FORMS: Mapping[str, ResourceForm] = {
    "/boards/{id}": ResourceForm("board", may_widen=True),
    "/boards/{id}/cards": ResourceForm(
        "card",
        many=True,
        has_filter=True,
        filter="visible",
        pass_through_params=_PAGED,
        may_widen=True,
    ),
    "/boards/{id}/cards/{filter}": ResourceForm(
        "card", many=True, has_filter=True, pass_through_params=_PAGED, may_widen=True
    ),
    "/boards/{id}/checklists": ResourceForm("checklist", many=True, pass_through_params=_FILTERED),
    "/boards/{id}/labels": ResourceForm("label", many=True, pass_through_params=_PAGED),
    "/boards/{id}/lists": ResourceForm(
        "list", many=True, whole=True, has_filter=True, filter="open", may_widen=True
    ),
    "/boards/{id}/lists/{filter}": ResourceForm(
        "list", many=True, whole=True, has_filter=True, may_widen=True
    ),
    "/boards/{id}/members": ResourceForm("member", many=True, pass_through_params=_FILTERED),
    "/cards/{id}": ResourceForm("card", may_widen=True),
    "/cards/{id}/attachments": ResourceForm(
        "attachment", many=True, pass_through_params=_FILTERED, may_widen=True
    ),
    "/cards/{id}/board": ResourceForm("board"),
    "/cards/{id}/checklists": ResourceForm("checklist", many=True, pass_through_params=_FILTERED),
    "/cards/{id}/list": ResourceForm("list"),
    "/cards/{id}/members": ResourceForm("member", many=True),
    "/checklists/{id}": ResourceForm("checklist", whole=True),
    "/labels/{id}": ResourceForm("label", whole=True),
    "/lists/{id}": ResourceForm("list", may_widen=True),
    "/lists/{id}/board": ResourceForm("board"),
    "/lists/{id}/cards": ResourceForm(
        "card", many=True, has_filter=True, pass_through_params=_PAGED, may_widen=True
    ),
    "/lists/{id}/cards/{filter}": ResourceForm(
        "card", many=True, has_filter=True, pass_through_params=_PAGED, may_widen=True
    ),
    "/members/{id}": ResourceForm("member", may_widen=True),
    "/members/{id}/boards": ResourceForm("board", many=True, pass_through_params=_FILTERED),
    "/organizations/{id}": ResourceForm("organization", may_widen=True),
    "/organizations/{id}/boards": ResourceForm("board", many=True, pass_through_params=_FILTERED),
}
"""By route template."""

SINGLE: Mapping[str, str] = {
    f"/{plural}/{{id}}/{{field}}": kind for kind, plural in PLURALS.items() if kind != "label"
}
"""Templates that read one field of an object, with its kind; a label's is not recorded."""

CHILDREN: Mapping[str, tuple[str, str]] = {
    "cards": ("card", "card_fields"),
    "lists": ("list", "list_fields"),
}
"""Nested parameters of a board whose members are the responses of `/boards/{id}/…`."""
