"""Object factory: new objects with Trello's fields, except derived ones."""

from typing import Any

from proxy.fake_trello.request import Obj
from proxy.fake_trello.state import State, position

LABEL_COLORS = ("green", "yellow", "orange", "red", "purple", "blue")
_ALL_COLORS = (*LABEL_COLORS, "sky", "lime", "pink", "black")


def member(state: State, username: str, full_name: str) -> Obj:
    """Create and store a member."""
    obj: Obj = {
        "id": state.new_id(),
        "username": username,
        "fullName": full_name,
        "initials": "".join(word[0] for word in full_name.split()).upper(),
        "activityBlocked": False,
        "avatarHash": None,
        "avatarUrl": None,
        "avatarSource": "none",
        "bio": "",
        "bioData": None,
        "confirmed": True,
        "email": f"{username}@example.invalid",
        "gravatarHash": None,
        "idEnterprise": None,
        "idMemberReferrer": None,
        "idPremOrgsAdmin": [],
        "loginTypes": ["password"],
        "memberType": "normal",
        "nonPublic": {},
        "nonPublicAvailable": True,
        "oneTimeMessagesDismissed": [],
        "prefs": {"sendSummaries": True, "minutesBetweenSummaries": 60, "locale": "en-GB"},
        "premiumFeatures": [],
        "products": [],
        "status": "disconnected",
        "trophies": [],
        "uploadedAvatarHash": None,
        "url": f"https://trello.com/{username}",
        "ixUpdate": 1,
        "limits": {},
    }
    state.members[obj["id"]] = obj
    state.aliases[username] = obj["id"]
    return obj


def organization(state: State, name: str, display_name: str, admin_id: str) -> Obj:
    """Create and store a workspace with one admin."""
    obj: Obj = {
        "id": state.new_id(),
        "name": name,
        "displayName": display_name,
        "desc": "",
        "descData": None,
        "url": f"https://trello.com/w/{name}",
        "website": None,
        "teamType": None,
        "logoHash": None,
        "logoUrl": None,
        "products": [],
        "powerUps": [],
        "premiumFeatures": [],
        "prefs": {"permissionLevel": "private", "boardVisibilityRestrict": {"private": "org"}},
        "idMemberCreator": admin_id,
        "memberships": [membership(state, admin_id, "admin")],
        "dateLastActivity": state.now(),
        "ixUpdate": 1,
        "limits": {},
    }
    state.organizations[obj["id"]] = obj
    state.aliases[name] = obj["id"]
    return obj


def membership(state: State, member_id: str, kind: str) -> Obj:
    """A membership of a board or workspace; type is admin, normal or observer."""
    return {
        "id": state.new_id(),
        "idMember": member_id,
        "memberType": kind,
        "unconfirmed": False,
        "deactivated": False,
    }


def board(state: State, name: str, admin_id: str, organization_id: str | None) -> Obj:
    """Create and store an empty board with one admin."""
    obj: Obj = {
        "id": state.new_id(),
        "name": name,
        "desc": "",
        "descData": None,
        "closed": False,
        "idOrganization": organization_id,
        "idEnterprise": None,
        "idMemberCreator": admin_id,
        "idBoardSource": None,
        "pinned": False,
        "shortLink": state.ids.short_link(),
        "labelNames": dict.fromkeys(_ALL_COLORS, ""),
        "prefs": _prefs(organization_id),
        "memberships": [membership(state, admin_id, "admin")],
        "dateLastActivity": state.now(),
        "datePluginDisable": None,
        "creationMethod": None,
        "enterpriseOwned": False,
        "powerUps": [],
        "idTags": [],
        "premiumFeatures": [],
        "templateGallery": None,
        "limits": {},
        "ixUpdate": 1,
        "lastIdShort": 0,
        "viewed": {},
        "subscribers": [],
    }
    state.boards[obj["id"]] = obj
    state.aliases[obj["shortLink"]] = obj["id"]
    return obj


def _prefs(organization_id: str | None) -> Obj:
    return {
        "permissionLevel": "org" if organization_id else "private",
        "hideVotes": False,
        "voting": "disabled",
        "comments": "members",
        "invitations": "members",
        "selfJoin": True,
        "cardCovers": True,
        "isTemplate": False,
        "cardAging": "regular",
        "calendarFeedEnabled": False,
        "background": "blue",
        "backgroundColor": "#0079BF",
        "backgroundImage": None,
        "backgroundImageScaled": None,
        "backgroundTile": False,
        "backgroundBrightness": "dark",
        "backgroundBottomColor": "#0079BF",
        "backgroundTopColor": "#0079BF",
        "canBePublic": True,
        "canBeEnterprise": True,
        "canBeOrg": True,
        "canBePrivate": True,
        "canInvite": True,
    }


def list_(state: State, board_id: str, name: str, pos: Any = "bottom") -> Obj:
    """Create and store an empty list."""
    obj: Obj = {
        "id": state.new_id(),
        "name": name,
        "closed": False,
        "pos": position(pos, state.lists.of(board_id)),
        "softLimit": None,
        "idBoard": board_id,
        "subscribed": False,
        "limits": {},
    }
    return state.lists.put(obj)


def label(state: State, board_id: str, name: str, color: str | None) -> Obj:
    """Create and store a label."""
    obj: Obj = {
        "id": state.new_id(),
        "idBoard": board_id,
        "name": name,
        "color": color,
        "limits": {},
    }
    return state.labels.put(obj)


def card(state: State, list_obj: Obj, name: str) -> Obj:
    """Create and store an empty card at the bottom of a list."""
    board_obj = state.boards[list_obj["idBoard"]]
    board_obj["lastIdShort"] += 1
    obj: Obj = {
        "id": state.new_id(),
        "closed": False,
        "dateLastActivity": state.now(),
        "desc": "",
        "descData": None,
        "dueReminder": None,
        "idBoard": board_obj["id"],
        "idList": list_obj["id"],
        "idMembersVoted": [],
        "idShort": board_obj["lastIdShort"],
        "idAttachmentCover": None,
        "idLabels": [],
        "manualCoverAttachment": False,
        "name": name,
        "pos": position("bottom", state.cards_of_list(list_obj)),
        "shortLink": state.ids.short_link(),
        "isTemplate": False,
        "cardRole": None,
        "dueComplete": False,
        "due": None,
        "start": None,
        "email": None,
        "idMembers": [],
        "cover": {"color": None, "idUploadedBackground": None, "size": "normal"},
        "address": None,
        "locationName": None,
        "coordinates": None,
        "creationMethod": None,
        "limits": {},
        "subscribers": [],
    }
    state.aliases[obj["shortLink"]] = obj["id"]
    return state.cards.put(obj)


def checklist(state: State, card_obj: Obj, name: str, pos: Any = "bottom") -> Obj:
    """Create and store an empty checklist."""
    obj: Obj = {
        "id": state.new_id(),
        "name": name,
        "idCard": card_obj["id"],
        "pos": position(pos, state.checklists.of(card_obj["id"])),
        "idBoard": card_obj["idBoard"],
        "checkItems": [],
        "limits": {},
    }
    return state.checklists.put(obj)


def check_item(state: State, parent: Obj, name: str, pos: Any = "bottom") -> Obj:
    """Create an item in a checklist."""
    obj: Obj = {
        "idChecklist": parent["id"],
        "state": "incomplete",
        "id": state.new_id(),
        "name": name,
        "nameData": None,
        "pos": position(pos, parent["checkItems"]),
        "due": None,
        "dueReminder": None,
        "idMember": None,
        "limits": {},
    }
    parent["checkItems"].append(obj)
    return obj


def custom_field(state: State, board_id: str, name: str, kind: str) -> Obj:
    """Create and store a custom field; kind is text, number, date, checkbox or list."""
    obj: Obj = {
        "id": state.new_id(),
        "idModel": board_id,
        "modelType": "board",
        "fieldGroup": f"{state.ids.new(0):0>64}",
        "display": {"cardFront": True},
        "name": name,
        "pos": position("bottom", state.custom_fields.of(board_id)),
        "type": kind,
        "limits": {
            "customFieldOptions": {"perField": {"status": "ok", "disableAt": 50, "warnAt": 45}}
        },
    }
    if kind == "list":
        obj["options"] = []
    return state.custom_fields.put(obj)
