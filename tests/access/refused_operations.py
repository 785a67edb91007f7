"""Refused operations: those of Trello's that no client with a scope may use.

`proxy/access/attribution.py` has all others, and refuses what it does not have. A test compares
both with Trello's operations, so that each refusal is a decision.
"""

REFUSED = """
GET                  /actions/{id}/organization
GET                  /applications/{key}/compliance
GET                  /boards/{id}/deltas
GET                  /boards/{id}/exports/mostRecent
GET,DELETE           /boards/{id}/exports/{idExport}
GET                  /boards/{id}/exports/{idExport}/download
POST                 /boards/{id}/boardPlugins
DELETE               /boards/{id}/boardPlugins/{idPlugin}
POST                 /boards/{id}/calendarKey/generate
POST                 /boards/{id}/emailKey/generate
POST                 /boards/{id}/exports
PUT                  /boards/{id}/myPrefs/{field}
PUT                  /boards/{id}/myPrefs/emailPosition
PUT                  /boards/{id}/myPrefs/idEmailList
PUT                  /boards/{id}/myPrefs/showSidebar
PUT                  /boards/{id}/myPrefs/showSidebarActivity
PUT                  /boards/{id}/myPrefs/showSidebarBoardActions
PUT                  /boards/{id}/myPrefs/showSidebarMembers
GET                  /enterprises/{id}
GET                  /enterprises/{id}/admins
PUT,DELETE           /enterprises/{id}/admins/{idMember}
GET                  /enterprises/{id}/auditlog
GET                  /enterprises/{id}/claimableOrganizations
PUT                  /enterprises/{id}/enterpriseJoinRequest/bulk
GET                  /enterprises/{id}/members
GET                  /enterprises/{id}/members/query
GET                  /enterprises/{id}/members/{idMember}
PUT                  /enterprises/{id}/members/{idMember}/deactivated
PUT                  /enterprises/{id}/members/{idMember}/licensed
GET,PUT              /enterprises/{id}/organizations
DELETE               /enterprises/{id}/organizations/{idOrg}
GET                  /enterprises/{id}/organizations/bulk/{idOrganizations}
GET                  /enterprises/{id}/pendingOrganizations
GET                  /enterprises/{id}/signupUrl
POST                 /enterprises/{id}/tokens
GET                  /enterprises/{id}/transferrable/bulk/{idOrganizations}
GET                  /enterprises/{id}/transferrable/organization/{idOrganization}
PUT                  /members/{id}
PUT                  /members/{id}/{field}
POST                 /members/{id}/avatar
GET,POST             /members/{id}/boardBackgrounds
GET,PUT,DELETE       /members/{id}/boardBackgrounds/{idBackground}
GET,PUT,DELETE       /members/{id}/boardStars/{idStar}
GET,POST             /members/{id}/customBoardBackgrounds
GET,PUT,DELETE       /members/{id}/customBoardBackgrounds/{idBackground}
GET,POST             /members/{id}/customEmoji
GET                  /members/{id}/customEmoji/{idEmoji}
GET,POST             /members/{id}/customStickers
GET,DELETE           /members/{id}/customStickers/{idSticker}
GET                  /members/{id}/deltas
GET,PUT              /members/{id}/notificationsChannelSettings
GET,PUT              /members/{id}/notificationsChannelSettings/{channel}
PUT                  /members/{id}/notificationsChannelSettings/{channel}/{blockedKeys}
POST                 /members/{id}/oneTimeMessagesDismissed
PUT                  /members/{id}/prefs/{field}
GET,POST             /members/{id}/savedSearches
GET,PUT,DELETE       /members/{id}/savedSearches/{idSearch}
GET                  /members/{id}/tokens
GET                  /membersSearch
POST                 /notifications/all/read
GET                  /notifications/{id}/organization
POST                 /organizations
PUT,DELETE           /organizations/{id}
PUT                  /organizations/{id}/{field}
GET                  /organizations/{id}/deltas
GET,POST             /organizations/{id}/exports
POST,DELETE          /organizations/{id}/logo
PUT                  /organizations/{id}/members
PUT,DELETE           /organizations/{id}/members/{idMember}
DELETE               /organizations/{id}/members/{idMember}/all
PUT                  /organizations/{id}/members/{idMember}/deactivated
GET                  /organizations/{id}/newBillableGuests/{idBoard}
GET                  /organizations/{id}/pluginData
PUT                  /organizations/{id}/prefs/{field}
DELETE               /organizations/{id}/prefs/associatedDomain
DELETE               /organizations/{id}/prefs/orgInviteRestrict
POST                 /organizations/{id}/tags
DELETE               /organizations/{id}/tags/{idTag}
GET,PUT              /plugins/{id}
GET                  /plugins/{id}/compliance/memberPrivacy
POST                 /plugins/{id}/listing
PUT                  /plugins/{id}/listings/{idListing}
GET                  /search/members
GET,DELETE           /tokens/{token}
GET                  /tokens/{token}/{field}
GET                  /tokens/{token}/member
GET,POST             /tokens/{token}/webhooks
GET,PUT,DELETE       /tokens/{token}/webhooks/{idWebhook}
POST                 /webhooks
GET,PUT,DELETE       /webhooks/{id}
GET,PUT              /webhooks/{id}/{field}
"""
"""Operations of the account, of workspaces as a whole, of Power-Ups and secrets; and exports, whose
content cannot be checked."""
