"""Administrative operations: the table of what `clients.writes: allow` leaves out, and why.

They change who may see something or who is a member, make or show a credential, a secret address or
a callback, belong to the account itself, or remove a board or a workspace. The others of the route
tables are work on boards and cards. A write that no table has is administrative (D47).
"""

UNKNOWN_WRITE = "A write that the proxy does not know"
_CREDENTIAL = "A token"
_WEBHOOK = "A webhook"
_ADDRESS = "A secret address or key of a board"
_MEMBERS = "Who is a member of a board"
_REMOVAL = "Deleting a board"
_EXPORT = "An export"
_POWER_UP = "A Power-Up"
_APPLICATION = "An application's compliance report"
_PROFILE = "The account's own profile and settings"
_WORKSPACE = "A workspace"
_ENTERPRISE = "An enterprise"

ROOTS = {"applications": _APPLICATION, "enterprises": _ENTERPRISE, "webhooks": _WEBHOOK}
"""Whatever path begins with one of these is administrative, known or not, to read too."""

_ROUTES = (
    (
        _CREDENTIAL,
        """
        DELETE               /tokens/{token}
        GET                  /members/{id}/tokens
        """,
    ),
    (
        _WEBHOOK,
        """
        GET,POST             /tokens/{token}/webhooks
        GET,PUT,DELETE       /tokens/{token}/webhooks/{idWebhook}
        """,
    ),
    (
        _ADDRESS,
        """
        POST                 /boards/{id}/calendarKey/generate
        POST                 /boards/{id}/emailKey/generate
        GET                  /boards/{id}/myPrefs
        PUT                  /boards/{id}/myPrefs/{field}
        PUT                  /boards/{id}/myPrefs/emailPosition
        PUT                  /boards/{id}/myPrefs/idEmailList
        PUT                  /boards/{id}/myPrefs/showSidebar
        PUT                  /boards/{id}/myPrefs/showSidebarActivity
        PUT                  /boards/{id}/myPrefs/showSidebarBoardActions
        PUT                  /boards/{id}/myPrefs/showSidebarMembers
        """,
    ),
    (
        _MEMBERS,
        """
        PUT                  /boards/{id}/members
        PUT,DELETE           /boards/{id}/members/{idMember}
        PUT                  /boards/{id}/memberships/{idMembership}
        """,
    ),
    (_REMOVAL, "DELETE /boards/{id}"),
    (
        _EXPORT,
        """
        POST                 /boards/{id}/exports
        DELETE               /boards/{id}/exports/{idExport}
        GET                  /organizations/{id}/exports
        """,
    ),
    (
        _POWER_UP,
        """
        POST                 /boards/{id}/boardPlugins
        DELETE               /boards/{id}/boardPlugins/{idPlugin}
        PUT                  /plugins/{id}
        GET                  /plugins/{id}/compliance/memberPrivacy
        POST                 /plugins/{id}/listing
        PUT                  /plugins/{id}/listings/{idListing}
        """,
    ),
    (
        _PROFILE,
        """
        PUT                  /members/{id}
        PUT                  /members/{id}/{field}
        PUT                  /members/{id}/prefs/{field}
        POST                 /members/{id}/avatar
        PUT                  /members/{id}/notificationsChannelSettings
        PUT                  /members/{id}/notificationsChannelSettings/{channel}
        PUT                  /members/{id}/notificationsChannelSettings/{channel}/{blockedKeys}
        POST                 /members/{id}/oneTimeMessagesDismissed
        """,
    ),
    (
        _WORKSPACE,
        """
        POST                 /organizations
        PUT,DELETE           /organizations/{id}
        PUT                  /organizations/{id}/{field}
        POST                 /organizations/{id}/exports
        POST,DELETE          /organizations/{id}/logo
        PUT                  /organizations/{id}/members
        PUT,DELETE           /organizations/{id}/members/{idMember}
        DELETE               /organizations/{id}/members/{idMember}/all
        PUT                  /organizations/{id}/members/{idMember}/deactivated
        PUT                  /organizations/{id}/prefs/{field}
        DELETE               /organizations/{id}/prefs/associatedDomain
        DELETE               /organizations/{id}/prefs/orgInviteRestrict
        POST                 /organizations/{id}/tags
        DELETE               /organizations/{id}/tags/{idTag}
        """,
    ),
)

_REASONS = {
    (method, template): reason
    for reason, block in _ROUTES
    for methods, template in (line.split() for line in block.strip().splitlines())
    for method in methods.split(",")
}


def reason_of(method: str, template: str) -> str:
    """Why an operation of the tables is administrative, as a noun phrase; empty where it is not."""
    return ROOTS.get(template.split("/")[1], "") or _REASONS.get((method, template), "")
