"""Every operation of Trello's is decided: work on boards, or for the operator to allow."""

import re
from pathlib import Path

import pytest

from proxy.trello.read_operations import READS
from proxy.trello.routes import RouteTable
from proxy.trello.write_operations import operations

OPERATIONS = Path(__file__).parents[2] / "../shared/trello/operations.txt"
TABLE = RouteTable()

WORK = """
POST            /cards
PUT,DELETE      /cards/{id}
PUT             /cards/{id}/{field}
PUT             /cards/{id}/idBoard
POST            /cards/{id}/actions/comments
PUT,DELETE      /cards/{id}/actions/{idAction}/comments
POST            /cards/{id}/attachments
PUT,DELETE      /cards/{id}/attachments/{idAttachment}
PUT,DELETE      /cards/{id}/checkItem/{idCheckItem}
POST            /cards/{id}/checklist/{idChecklist}/checkItem
PUT,DELETE      /cards/{id}/checklist/{idChecklist}/checkItem/{idCheckItem}
PUT             /cards/{id}/checklist/{idChecklist}/checkItem/{idCheckItem}/{field}
POST            /cards/{id}/checklists
DELETE          /cards/{id}/checklists/{idChecklist}
PUT             /cards/{id}/customField/{idCustomField}/item
PUT             /cards/{id}/customFields
POST,PUT        /cards/{id}/idLabels
DELETE          /cards/{id}/idLabels/{idLabel}
POST,PUT        /cards/{id}/idMembers
DELETE          /cards/{id}/idMembers/{idMember}
POST            /cards/{id}/labels
POST            /cards/{id}/markAssociatedNotificationsRead
POST            /cards/{id}/membersVoted
DELETE          /cards/{id}/membersVoted/{idMember}
POST            /cards/{id}/stickers
PUT,DELETE      /cards/{id}/stickers/{idSticker}
PUT,DELETE      /actions/{id}
PUT             /actions/{id}/text
POST            /actions/{id}/reactions
DELETE          /actions/{id}/reactions/{idReaction}
POST            /checklists
PUT,DELETE      /checklists/{id}
PUT             /checklists/{id}/{field}
POST            /checklists/{id}/checkItems
PUT,DELETE      /checklists/{id}/checkItems/{idCheckItem}
POST            /labels
PUT,DELETE      /labels/{id}
PUT             /labels/{id}/{field}
POST            /customFields
PUT,DELETE      /customFields/{id}
PUT             /customFields/{id}/{field}
POST            /customFields/{id}/options
PUT,DELETE      /customFields/{id}/options/{idCustomFieldOption}
POST            /lists
PUT             /lists/{id}
PUT             /lists/{id}/{field}
PUT             /lists/{id}/closed
PUT             /lists/{id}/idBoard
POST            /lists/{id}/archiveAllCards
POST            /lists/{id}/moveAllCards
POST            /lists/{id}/cards
POST            /boards
PUT             /boards/{id}
PUT             /boards/{id}/{field}
PUT             /boards/{id}/prefs/{field}
PUT             /boards/{id}/labelNames/{color}
POST            /boards/{id}/labels
POST            /boards/{id}/lists
POST            /boards/{id}/idTags
POST            /boards/{id}/markAsViewed
POST            /boards/{id}/markedAsViewed
POST            /members/{id}/boardStars
PUT,DELETE      /members/{id}/boardStars/{idStar}
POST            /members/{id}/boardBackgrounds
PUT,DELETE      /members/{id}/boardBackgrounds/{idBackground}
POST            /members/{id}/customBoardBackgrounds
PUT,DELETE      /members/{id}/customBoardBackgrounds/{idBackground}
POST            /members/{id}/customEmoji
POST            /members/{id}/customStickers
DELETE          /members/{id}/customStickers/{idSticker}
POST            /members/{id}/savedSearches
PUT,DELETE      /members/{id}/savedSearches/{idSearch}
POST            /notifications/all/read
PUT             /notifications/{id}
PUT             /notifications/{id}/{field}
PUT             /notifications/{id}/unread
"""
"""Boards' own settings are looked into (`test_privilege`); cards, lists, labels and the like, and
what the account keeps for its work: stars, searches, backgrounds, stickers, read notifications."""

FOR_THE_OPERATOR = """
DELETE          /boards/{id}
PUT             /boards/{id}/members
PUT,DELETE      /boards/{id}/members/{idMember}
PUT             /boards/{id}/memberships/{idMembership}
POST            /boards/{id}/calendarKey/generate
POST            /boards/{id}/emailKey/generate
POST            /boards/{id}/exports
DELETE          /boards/{id}/exports/{idExport}
POST            /boards/{id}/boardPlugins
DELETE          /boards/{id}/boardPlugins/{idPlugin}
PUT             /boards/{id}/myPrefs/{field}
PUT             /boards/{id}/myPrefs/emailPosition
PUT             /boards/{id}/myPrefs/idEmailList
PUT             /boards/{id}/myPrefs/showSidebar
PUT             /boards/{id}/myPrefs/showSidebarActivity
PUT             /boards/{id}/myPrefs/showSidebarBoardActions
PUT             /boards/{id}/myPrefs/showSidebarMembers
PUT             /members/{id}
PUT             /members/{id}/{field}
PUT             /members/{id}/prefs/{field}
POST            /members/{id}/avatar
PUT             /members/{id}/notificationsChannelSettings
PUT             /members/{id}/notificationsChannelSettings/{channel}
PUT             /members/{id}/notificationsChannelSettings/{channel}/{blockedKeys}
POST            /members/{id}/oneTimeMessagesDismissed
POST            /organizations
PUT,DELETE      /organizations/{id}
PUT             /organizations/{id}/{field}
POST            /organizations/{id}/exports
POST,DELETE     /organizations/{id}/logo
PUT             /organizations/{id}/members
PUT,DELETE      /organizations/{id}/members/{idMember}
DELETE          /organizations/{id}/members/{idMember}/all
PUT             /organizations/{id}/members/{idMember}/deactivated
PUT             /organizations/{id}/prefs/{field}
DELETE          /organizations/{id}/prefs/associatedDomain
DELETE          /organizations/{id}/prefs/orgInviteRestrict
POST            /organizations/{id}/tags
DELETE          /organizations/{id}/tags/{idTag}
PUT,DELETE      /enterprises/{id}/admins/{idMember}
PUT             /enterprises/{id}/enterpriseJoinRequest/bulk
PUT             /enterprises/{id}/members/{idMember}/deactivated
PUT             /enterprises/{id}/members/{idMember}/licensed
PUT             /enterprises/{id}/organizations
DELETE          /enterprises/{id}/organizations/{idOrg}
POST            /enterprises/{id}/tokens
PUT             /plugins/{id}
POST            /plugins/{id}/listing
PUT             /plugins/{id}/listings/{idListing}
DELETE          /tokens/{token}
POST            /tokens/{token}/webhooks
PUT,DELETE      /tokens/{token}/webhooks/{idWebhook}
POST            /webhooks
PUT,DELETE      /webhooks/{id}
PUT             /webhooks/{id}/{field}
"""

READ_BY_THE_OPERATOR = """
/applications/{key}/compliance
/boards/{id}/myPrefs
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
/enterprises/{id}/signupUrl
/enterprises/{id}/transferrable/bulk/{idOrganizations}
/enterprises/{id}/transferrable/organization/{idOrganization}
/members/{id}/tokens
/organizations/{id}/exports
/plugins/{id}/compliance/memberPrivacy
/tokens/{token}/webhooks
/tokens/{token}/webhooks/{idWebhook}
/webhooks/{id}
/webhooks/{id}/{field}
"""


def pairs(block: str) -> set[tuple[str, str]]:
    lines = (line.split() for line in block.strip().splitlines())
    return {(method, template) for methods, template in lines for method in methods.split(",")}


def segments_of(template: str) -> list[str]:
    return [segment for segment in template.split("/") if segment]


def is_administrative(method: str, template: str) -> bool:
    return bool(TABLE.classify(method, segments_of(template)).route.administrative)


def test_every_write_of_the_tables_is_decided_here_and_once() -> None:
    decided, every = pairs(WORK), {(method, template) for method, template, _ in operations()}
    assert decided | pairs(FOR_THE_OPERATOR) == every
    assert not decided & pairs(FOR_THE_OPERATOR)


@pytest.mark.parametrize(("method", "template"), sorted(pairs(WORK)))
def test_work_on_boards_is_for_every_client(method: str, template: str) -> None:
    assert not is_administrative(method, template)


@pytest.mark.parametrize(("method", "template"), sorted(pairs(FOR_THE_OPERATOR)))
def test_access_and_the_account_are_for_the_operator(method: str, template: str) -> None:
    assert is_administrative(method, template)


def test_of_reads_only_what_shows_a_secret_or_administers_is_for_the_operator() -> None:
    every = {template for _, _, templates in READS for template in templates.split()}
    found = {template for template in every if is_administrative("GET", template)}
    assert found == set(READ_BY_THE_OPERATOR.split())


def test_every_write_of_trellos_description_is_decided() -> None:
    if not OPERATIONS.exists():
        pytest.skip("the list of operations is not here")
    found = re.findall(r"(PUT|POST|DELETE) +(/\S*)", OPERATIONS.read_text())
    assert len(found) == 133
    decided = pairs(WORK) | pairs(FOR_THE_OPERATOR)
    for method, template in found:
        segments = segments_of(template.replace("${", "{"))
        match = TABLE.classify(method, segments)
        assert (method, match.route.template) in decided, (method, template)


UNKNOWN = {
    "a write below boards": ("POST", "/boards/x/inventions", True),
    "a write below cards": ("DELETE", "/cards/x/inventions/y", True),
    "a write to nothing known": ("PUT", "/inventions", True),
    "an unknown method": ("PATCH", "/cards/x", True),
    "a batch that is posted": ("POST", "/batch", True),
    "a write below a workspace, in the singular": ("PUT", "/Organization/x/y/z", True),
    "a read below boards": ("GET", "/boards/x/inventions/y", False),
    "a read below an enterprise": ("GET", "/Enterprise/x/inventions", True),
    "a read below webhooks": ("GET", "/webhook/x/y/z", True),
    "a read below applications": ("GET", "/applications/x/y", True),
    "a path in other letters": ("POST", "/BOARDS/x/EMAILKEY/Generate", True),
    "a path with encoded letters": ("POST", "/boards/x/email%4Bey/generate", True),
}


@pytest.mark.parametrize(("method", "path", "expected"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_no_table_has(method: str, path: str, *, expected: bool) -> None:
    assert is_administrative(method, path) is expected
