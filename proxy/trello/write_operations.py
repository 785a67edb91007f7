"""Write operations: Trello's unsafe operations, with the kinds of tags they invalidate.

A word is a kind of tag. `board` means the board named by path, parameters or response, and every
board if there is none; `board:*` means every board in any case; `spanning` is a tag by itself.
"""

CARD = "card list board spanning"
CARD_MOVED = "card list:* board:* spanning"
COMMENT = "action card list board spanning"
ACTION = "action card board spanning"
REACTION = "action"
CHECKLIST = "checklist card board spanning"
LABEL = "label board cards-of spanning"
CUSTOM_FIELD = "customField board cards-of spanning"
LIST = "list board cards-of spanning"
LIST_MOVED = "list:* board:* cards-of:* spanning"
BOARD = "board cards-of spanning member:* organization:*"
BOARD_ONLY = "board spanning"
BOARD_PLUGIN = "board cards-of plugin spanning"
STAR = "member board spanning"
MEMBER = "member"
ORGANIZATION = "organization spanning"
ORGANIZATION_PEOPLE = "organization:* member:* board:* cards-of:* spanning"
ENTERPRISE = "enterprise:* organization:* member:* board:* cards-of:* spanning"
NOTIFICATION = "notification:*"
CARD_NOTIFICATION = "notification:* card list board spanning"
PLUGIN = "plugin:*"
TOKEN = "token:* webhook:* enterprise:*"  # noqa: S105 - words, not a secret

MOVES = {("PUT", "/cards/{id}"): CARD_MOVED, ("PUT", "/lists/{id}"): LIST_MOVED}
"""Effects of a write whose parameters name another board, or are unknown."""

WRITES: tuple[tuple[str, str], ...] = (
    (
        CARD,
        """
        POST             /cards
        PUT,DELETE       /cards/{id}
        PUT              /cards/{id}/{field}
        POST             /cards/{id}/actions/comments
        POST             /cards/{id}/attachments
        PUT,DELETE       /cards/{id}/attachments/{idAttachment}
        PUT,DELETE       /cards/{id}/checkItem/{idCheckItem}
        POST             /cards/{id}/checklist/{idChecklist}/checkItem
        PUT,DELETE       /cards/{id}/checklist/{idChecklist}/checkItem/{idCheckItem}
        PUT              /cards/{id}/checklist/{idChecklist}/checkItem/{idCheckItem}/{field}
        POST             /cards/{id}/checklists
        DELETE           /cards/{id}/checklists/{idChecklist}
        PUT              /cards/{id}/customField/{idCustomField}/item
        PUT              /cards/{id}/customFields
        POST,PUT         /cards/{id}/idLabels
        DELETE           /cards/{id}/idLabels/{idLabel}
        POST,PUT         /cards/{id}/idMembers
        DELETE           /cards/{id}/idMembers/{idMember}
        POST             /cards/{id}/membersVoted
        DELETE           /cards/{id}/membersVoted/{idMember}
        POST             /cards/{id}/stickers
        PUT,DELETE       /cards/{id}/stickers/{idSticker}
        POST             /lists/{id}/cards
        """,
    ),
    (CARD_MOVED, "PUT /cards/{id}/idBoard"),
    (CARD_NOTIFICATION, "POST /cards/{id}/markAssociatedNotificationsRead"),
    (
        COMMENT,
        """
        PUT,DELETE       /cards/{id}/actions/{idAction}/comments
        """,
    ),
    (
        ACTION,
        """
        PUT,DELETE       /actions/{id}
        PUT              /actions/{id}/text
        """,
    ),
    (
        REACTION,
        """
        POST             /actions/{id}/reactions
        DELETE           /actions/{id}/reactions/{idReaction}
        """,
    ),
    (
        CHECKLIST,
        """
        POST             /checklists
        PUT,DELETE       /checklists/{id}
        PUT              /checklists/{id}/{field}
        POST             /checklists/{id}/checkItems
        PUT,DELETE       /checklists/{id}/checkItems/{idCheckItem}
        """,
    ),
    (
        LABEL,
        """
        POST             /boards/{id}/labels
        POST             /cards/{id}/labels
        POST             /labels
        PUT,DELETE       /labels/{id}
        PUT              /labels/{id}/{field}
        """,
    ),
    (
        CUSTOM_FIELD,
        """
        POST             /customFields
        PUT,DELETE       /customFields/{id}
        PUT              /customFields/{id}/{field}
        POST             /customFields/{id}/options
        PUT,DELETE       /customFields/{id}/options/{idCustomFieldOption}
        """,
    ),
    (
        LIST,
        """
        POST             /boards/{id}/lists
        POST             /lists
        PUT              /lists/{id}
        PUT              /lists/{id}/{field}
        PUT              /lists/{id}/closed
        """,
    ),
    (
        LIST_MOVED,
        """
        POST             /lists/{id}/archiveAllCards
        POST             /lists/{id}/moveAllCards
        PUT              /lists/{id}/idBoard
        """,
    ),
    (
        BOARD,
        """
        POST             /boards
        PUT,DELETE       /boards/{id}
        PUT              /boards/{id}/{field}
        PUT              /boards/{id}/labelNames/{color}
        PUT              /boards/{id}/members
        PUT,DELETE       /boards/{id}/members/{idMember}
        PUT              /boards/{id}/memberships/{idMembership}
        PUT              /boards/{id}/prefs/{field}
        """,
    ),
    (
        BOARD_ONLY,
        """
        POST             /boards/{id}/calendarKey/generate
        POST             /boards/{id}/emailKey/generate
        POST             /boards/{id}/exports
        DELETE           /boards/{id}/exports/{idExport}
        POST             /boards/{id}/idTags
        POST             /boards/{id}/markAsViewed
        POST             /boards/{id}/markedAsViewed
        PUT              /boards/{id}/myPrefs/{field}
        PUT              /boards/{id}/myPrefs/emailPosition
        PUT              /boards/{id}/myPrefs/idEmailList
        PUT              /boards/{id}/myPrefs/showSidebar
        PUT              /boards/{id}/myPrefs/showSidebarActivity
        PUT              /boards/{id}/myPrefs/showSidebarBoardActions
        PUT              /boards/{id}/myPrefs/showSidebarMembers
        """,
    ),
    (
        BOARD_PLUGIN,
        """
        POST             /boards/{id}/boardPlugins
        DELETE           /boards/{id}/boardPlugins/{idPlugin}
        """,
    ),
    (
        STAR,
        """
        POST             /members/{id}/boardStars
        PUT,DELETE       /members/{id}/boardStars/{idStar}
        """,
    ),
    (
        MEMBER,
        """
        PUT              /members/{id}
        PUT              /members/{id}/{field}
        PUT              /members/{id}/prefs/{field}
        POST             /members/{id}/avatar
        POST             /members/{id}/boardBackgrounds
        PUT,DELETE       /members/{id}/boardBackgrounds/{idBackground}
        POST             /members/{id}/customBoardBackgrounds
        PUT,DELETE       /members/{id}/customBoardBackgrounds/{idBackground}
        POST             /members/{id}/customEmoji
        POST             /members/{id}/customStickers
        DELETE           /members/{id}/customStickers/{idSticker}
        PUT              /members/{id}/notificationsChannelSettings
        PUT              /members/{id}/notificationsChannelSettings/{channel}
        PUT              /members/{id}/notificationsChannelSettings/{channel}/{blockedKeys}
        POST             /members/{id}/oneTimeMessagesDismissed
        POST             /members/{id}/savedSearches
        PUT,DELETE       /members/{id}/savedSearches/{idSearch}
        """,
    ),
    (
        ORGANIZATION,
        """
        PUT              /organizations/{id}
        PUT              /organizations/{id}/{field}
        PUT              /organizations/{id}/prefs/{field}
        DELETE           /organizations/{id}/prefs/associatedDomain
        DELETE           /organizations/{id}/prefs/orgInviteRestrict
        POST             /organizations/{id}/exports
        POST,DELETE      /organizations/{id}/logo
        POST             /organizations/{id}/tags
        DELETE           /organizations/{id}/tags/{idTag}
        """,
    ),
    (
        ORGANIZATION_PEOPLE,
        """
        POST             /organizations
        DELETE           /organizations/{id}
        PUT              /organizations/{id}/members
        PUT,DELETE       /organizations/{id}/members/{idMember}
        DELETE           /organizations/{id}/members/{idMember}/all
        PUT              /organizations/{id}/members/{idMember}/deactivated
        """,
    ),
    (
        ENTERPRISE,
        """
        PUT,DELETE       /enterprises/{id}/admins/{idMember}
        PUT              /enterprises/{id}/enterpriseJoinRequest/bulk
        PUT              /enterprises/{id}/members/{idMember}/deactivated
        PUT              /enterprises/{id}/members/{idMember}/licensed
        PUT              /enterprises/{id}/organizations
        DELETE           /enterprises/{id}/organizations/{idOrg}
        """,
    ),
    (
        NOTIFICATION,
        """
        POST             /notifications/all/read
        PUT              /notifications/{id}
        PUT              /notifications/{id}/{field}
        PUT              /notifications/{id}/unread
        """,
    ),
    (
        PLUGIN,
        """
        PUT              /plugins/{id}
        POST             /plugins/{id}/listing
        PUT              /plugins/{id}/listings/{idListing}
        """,
    ),
    (
        TOKEN,
        """
        POST             /enterprises/{id}/tokens
        DELETE           /tokens/{token}
        POST             /tokens/{token}/webhooks
        PUT,DELETE       /tokens/{token}/webhooks/{idWebhook}
        POST             /webhooks
        PUT,DELETE       /webhooks/{id}
        PUT              /webhooks/{id}/{field}
        """,
    ),
)


def operations() -> list[tuple[str, str, tuple[str, ...]]]:
    """Every unsafe operation: method, template, and words."""
    return [
        (method, template, tuple(words.split()))
        for words, block in WRITES
        for methods, template in (line.split() for line in block.strip().splitlines())
        for method in methods.split(",")
    ]
