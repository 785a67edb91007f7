"""Read operations: Trello's safe operations with their lifetimes (D2).

One template per line; `{name}` matches one segment, `{name=a|b}` one of these words. If a path
matches two templates, the one with the earlier literal segment applies.
"""

from proxy.model import Kind, Lifetimes

MINUTE_S = 60.0
HOUR_S = 60 * MINUTE_S
DAY_S = 24 * HOUR_S

CONTENT = Lifetimes(30.0, MINUTE_S, DAY_S, lifetime_watched_s=10 * MINUTE_S)
"""Boards, lists, cards, checklists: edited all day, and an edit moves the board's activity date."""

BOARD_LISTS = Lifetimes(30.0, MINUTE_S, DAY_S, lifetime_watched_s=5 * MINUTE_S)
"""The boards of a member; those of the stored account are the boards that the poller lists."""

ACROSS_BOARDS = Lifetimes(30.0, MINUTE_S, DAY_S)
"""Lists over many boards, some of which may not be watched."""

UNANNOUNCED = Lifetimes(MINUTE_S, 2 * MINUTE_S, DAY_S)
"""Labels, custom fields, preferences, plugin data: edited rarely, but no change feed shows it."""

ATTACHMENTS = Lifetimes(MINUTE_S, 2 * MINUTE_S, DAY_S)
"""They authorize reading the file, so their age is bounded even if watched."""

ACTIONS = Lifetimes(15.0, 30.0, DAY_S, lifetime_watched_s=10 * MINUTE_S)
"""Feeds are read to see what is new."""

PEOPLE = Lifetimes(5 * MINUTE_S, 10 * MINUTE_S, DAY_S)
"""Members and organizations change seldom, and have a low rate limit at Trello."""

NOTIFICATIONS = Lifetimes(10.0, 20.0, HOUR_S)
"""Read to see what is new."""

SEARCH = Lifetimes(5.0, 0.0, 10 * MINUTE_S)
"""Trello's index lags by seconds already."""

SHORT = Lifetimes(10.0, 0.0, HOUR_S)
"""Read while it changes: webhooks, audit logs, transfers."""

FIXED = Lifetimes(DAY_S, DAY_S, 7 * DAY_S)
"""Emoji and plugins: catalogues that Trello itself maintains."""

LIBRARY = Lifetimes(HOUR_S, DAY_S, 7 * DAY_S)
"""client.js: a program, the same for all clients."""

NEVER = Lifetimes(0.0)
"""Secrets, polled progress, cursors: a stored response is useless or harmful."""

READS: tuple[tuple[Kind, Lifetimes, str], ...] = (
    (
        Kind.READ,
        CONTENT,
        """
        /boards/{id}
        /boards/{id}/{field}
        /boards/{id}/cards
        /boards/{id}/cards/{filter=all|closed|complete|incomplete|none|open|visible}
        /boards/{id}/cards/{idCard}
        /boards/{id}/checklists
        /boards/{id}/lists
        /boards/{id}/lists/{filter}
        /boards/{id}/members
        /boards/{id}/members/{filter}
        /boards/{id}/members/{idMember}/cards
        /boards/{id}/memberships
        /boards/{id}/memberships/{idMembership}
        /cards/{id}
        /cards/{id}/{field}
        /cards/{id}/board
        /cards/{id}/checkItem/{idCheckItem}
        /cards/{id}/checkItemStates
        /cards/{id}/checklists
        /cards/{id}/customFieldItems
        /cards/{id}/list
        /cards/{id}/members
        /cards/{id}/membersVoted
        /checklists/{id}
        /checklists/{id}/{field}
        /checklists/{id}/board
        /checklists/{id}/cards
        /checklists/{id}/checkItems
        /checklists/{id}/checkItems/{idCheckItem}
        /lists/{id}
        /lists/{id}/{field}
        /lists/{id}/board
        /lists/{id}/cards
        /lists/{id}/cards/{filter}
        """,
    ),
    (
        Kind.READ,
        BOARD_LISTS,
        """
        /members/{id}/boards
        /members/{id}/boards/{filter}
        """,
    ),
    (
        Kind.READ,
        ACROSS_BOARDS,
        """
        /members/{id}/boardsInvited
        /members/{id}/cards
        /members/{id}/cards/{filter}
        /organizations/{id}/boards
        /organizations/{id}/boards/{filter}
        """,
    ),
    (
        Kind.READ,
        UNANNOUNCED,
        """
        /boards/{id}/boardPlugins
        /boards/{id}/boardStars
        /boards/{id}/customFields
        /boards/{id}/labels
        /boards/{id}/labels/{idLabel}
        /boards/{id}/myPrefs
        /boards/{id}/pluginData
        /boards/{id}/plugins
        /cards/{id}/pluginData
        /cards/{id}/stickers
        /cards/{id}/stickers/{idSticker}
        /customFields/{id}
        /customFields/{id}/{field}
        /customFields/{id}/options
        /customFields/{id}/options/{idCustomFieldOption}
        /labels/{id}
        /labels/{id}/{field}
        /members/{id}/boardStars
        /members/{id}/boardStars/{idStar}
        /members/{id}/notificationsChannelSettings
        /members/{id}/notificationsChannelSettings/{channel}
        /members/{id}/savedSearches
        /members/{id}/savedSearches/{idSearch}
        /organizations/{id}/pluginData
        /organizations/{id}/tags
        """,
    ),
    (
        Kind.READ,
        ATTACHMENTS,
        """
        /cards/{id}/attachments
        /cards/{id}/attachments/{idAttachment}
        """,
    ),
    (
        Kind.READ,
        ACTIONS,
        """
        /actions/{id}
        /actions/{id}/{field}
        /actions/{id}/board
        /actions/{id}/card
        /actions/{id}/list
        /actions/{id}/member
        /actions/{id}/memberCreator
        /actions/{id}/organization
        /actions/{id}/reactions
        /actions/{id}/reactions/{idReaction}
        /actions/{id}/reactionsSummary
        /boards/{id}/actions
        /boards/{id}/actions/{filter}
        /cards/{id}/actions
        /cards/{id}/actions/{filter}
        /lists/{id}/actions
        /members/{id}/actions
        /organizations/{id}/actions
        """,
    ),
    (
        Kind.READ,
        PEOPLE,
        """
        /members/{id}
        /members/{id}/{field}
        /members/{id}/boardBackgrounds
        /members/{id}/boardBackgrounds/{idBackground}
        /members/{id}/customBoardBackgrounds
        /members/{id}/customBoardBackgrounds/{idBackground}
        /members/{id}/customEmoji
        /members/{id}/customEmoji/{idEmoji}
        /members/{id}/customStickers
        /members/{id}/customStickers/{idSticker}
        /members/{id}/organizations
        /members/{id}/organizations/{filter}
        /members/{id}/organizationsInvited
        /organizations/{id}
        /organizations/{id}/{field}
        /organizations/{id}/members
        /organizations/{id}/members/{filter}
        /organizations/{id}/memberships
        /organizations/{id}/memberships/{idMembership}
        /organizations/{id}/newBillableGuests/{idBoard}
        """,
    ),
    (
        Kind.READ,
        NOTIFICATIONS,
        """
        /members/{id}/notifications
        /members/{id}/notifications/{filter}
        /notifications/{id}
        /notifications/{id}/{field}
        /notifications/{id}/board
        /notifications/{id}/card
        /notifications/{id}/list
        /notifications/{id}/member
        /notifications/{id}/memberCreator
        /notifications/{id}/organization
        """,
    ),
    (
        Kind.READ,
        SEARCH,
        """
        /membersSearch
        /search
        /search/members
        """,
    ),
    (
        Kind.READ,
        SHORT,
        """
        /enterprises/{id}
        /enterprises/{id}/admins
        /enterprises/{id}/auditlog
        /enterprises/{id}/claimableOrganizations
        /enterprises/{id}/members
        /enterprises/{id}/members/query
        /enterprises/{id}/members/{idMember}
        /enterprises/{id}/organizations
        /enterprises/{id}/organizations/bulk/{idOrganizations}
        /enterprises/{id}/pendingOrganizations
        /enterprises/{id}/transferrable/bulk/{idOrganizations}
        /enterprises/{id}/transferrable/organization/{idOrganization}
        /webhooks/{id}
        /webhooks/{id}/{field}
        """,
    ),
    (
        Kind.READ,
        FIXED,
        """
        /emoji
        /plugins/{id}
        """,
    ),
    (
        Kind.READ,
        NEVER,
        """
        /applications/{key}/compliance
        /boards/{id}/deltas
        /boards/{id}/exports/mostRecent
        /boards/{id}/exports/{idExport}
        /enterprises/{id}/signupUrl
        /members/{id}/deltas
        /members/{id}/tokens
        /organizations/{id}/deltas
        /organizations/{id}/exports
        /plugins/{id}/compliance/memberPrivacy
        /tokens/{token}
        /tokens/{token}/{field}
        /tokens/{token}/member
        /tokens/{token}/webhooks
        /tokens/{token}/webhooks/{idWebhook}
        """,
    ),
    (
        Kind.FILE,
        NEVER,
        """
        /boards/{id}/exports/{idExport}/download
        /cards/{id}/attachments/{idAttachment}/download
        /cards/{id}/attachments/{idAttachment}/download/{name}
        /cards/{id}/attachments/{idAttachment}/previews/download
        /cards/{id}/attachments/{idAttachment}/previews/{idPreview}/download
        /cards/{id}/attachments/{idAttachment}/previews/{idPreview}/download/{name}
        """,
    ),
    (Kind.BATCH, NEVER, "/batch"),
    (Kind.SCRIPT, LIBRARY, "/client.js"),
    (
        Kind.AUTHORIZATION_PAGE,
        NEVER,
        """
        /OAuthAuthorizeToken
        /OAuthGetAccessToken
        /OAuthGetRequestToken
        /appKey/generate
        /authorize
        /connect
        /tokens/approve
        """,
    ),
)
