"""Field selection: an object's stored and derived fields as the requester gets them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from proxy.fake_trello.access import can_read
from proxy.fake_trello.ids import slug
from proxy.fake_trello.request import (
    Obj,
    Requester,
    names,
)
from proxy.fake_trello.state import State, by_pos

Derive = Callable[[State, Obj, Requester], Any]


@dataclass(frozen=True)
class Shape:
    """Fields of a kind of object in Trello's order: all, the default ones, the derived ones."""

    all: tuple[str, ...]
    default: tuple[str, ...] = ()
    derived: Mapping[str, Derive] = field(default_factory=dict, hash=False)


@lru_cache(maxsize=512)
def _chosen(shape: Shape, fields: str | None) -> tuple[str, ...]:
    if fields is None:
        return shape.default or shape.all
    if fields == "all":
        return shape.all
    chosen = {name.strip() for name in fields.split(",")}
    return tuple(name for name in shape.all if name in chosen)


def view(
    state: State, shape: Shape, obj: Obj, requester: Requester, fields: str | None = None
) -> Obj:
    """The object as this requester gets it; `fields` as in the query, None for the default."""
    selected = {"id": obj["id"]}
    derived = shape.derived
    for name in _chosen(shape, fields):
        if name in state.hidden:
            continue
        derive = derived.get(name)
        selected[name] = obj[name] if derive is None else derive(state, obj, requester)
    return selected


def _labels(state: State, card: Obj, requester: Requester) -> list[Obj]:
    labels = (state.labels.find(label_id) for label_id in card["idLabels"])
    return [view(state, LABEL, label, requester) for label in labels if label]


def _badges(state: State, card: Obj, requester: Requester) -> Obj:
    items = [item for each in state.checklists.of(card["id"]) for item in each["checkItems"]]
    dues = sorted(i["due"] for i in items if i["due"] and i["state"] == "incomplete")
    return {
        "attachmentsByType": {"trello": {"board": 0, "card": 0}},
        "externalSource": None,
        "location": card["coordinates"] is not None,
        "votes": len(card["idMembersVoted"]),
        "viewingMemberVoted": requester.member_id in card["idMembersVoted"],
        "subscribed": requester.member_id in card["subscribers"],
        "fogbugz": "",
        "checkItems": len(items),
        "checkItemsChecked": sum(item["state"] == "complete" for item in items),
        "checkItemsEarliestDue": dues[0] if dues else None,
        "comments": card.get("comments", 0),
        "attachments": len(state.attachments.of(card["id"])),
        "description": bool(card["desc"]),
        "due": card["due"],
        "dueComplete": card["dueComplete"],
        "start": card["start"],
    }


def _cover(state: State, card: Obj, _: Requester) -> Obj:
    attachment_id = card["idAttachmentCover"]
    cover = {"idAttachment": attachment_id, **card["cover"], "brightness": "light"}
    attachment = attachment_id and state.attachments.find(attachment_id)
    if attachment:
        cover |= {"scaled": attachment["previews"], "edgeColor": attachment["edgeColor"]}
    return cover


def _check_item_states(state: State, card: Obj, _: Requester) -> list[Obj]:
    return [
        {"idCheckItem": item["id"], "state": "complete"}
        for checklist in state.checklists.of(card["id"])
        for item in checklist["checkItems"]
        if item["state"] == "complete"
    ]


def _id_checklists(state: State, card: Obj, _: Requester) -> list[str]:
    return [checklist["id"] for checklist in by_pos(state.checklists.of(card["id"]))]


def _subscribed(_: State, obj: Obj, requester: Requester) -> bool:
    return requester.member_id in obj["subscribers"]


def _card_url(_: State, card: Obj, __: Requester) -> str:
    return f"https://trello.com/c/{card['shortLink']}/{card['idShort']}-{slug(card['name'])}"


def _board_url(_: State, board: Obj, __: Requester) -> str:
    return f"https://trello.com/b/{board['shortLink']}/{slug(board['name'])}"


def _starred(state: State, board: Obj, requester: Requester) -> bool:
    return any(star["idBoard"] == board["id"] for star in state.stars.of(requester.member_id or ""))


def _boards_of(state: State, member: Obj, requester: Requester) -> list[str]:
    if requester.member_id != member["id"]:
        return []
    return [board["id"] for board in state.boards.values() if _has(board, member)]


def _organizations_of(state: State, member: Obj, _: Requester) -> list[str]:
    return [each["id"] for each in state.organizations.values() if _has(each, member)]


def _has(group: Obj, member: Obj) -> bool:
    return any(membership["idMember"] == member["id"] for membership in group["memberships"])


def _only_own(name: str) -> Derive:
    return lambda _, member, requester: (
        member[name] if requester.member_id == member["id"] else None
    )


LABEL = Shape(names("id idBoard name color"))
LIST = Shape(names("id name closed pos softLimit idBoard subscribed limits"))
CHECK_ITEM = Shape(names("idChecklist state id name nameData pos due dueReminder idMember limits"))
STICKER = Shape(names("id top left zIndex rotate image imageUrl imageScaled"))
EXPORT = Shape(names("id status startedAt size exportUrl"))
STAR = Shape(names("id idBoard pos"))
WEBHOOK = Shape(
    names("id description idModel callbackURL active consecutiveFailures firstConsecutiveFailDate")
)
CUSTOM_FIELD = Shape(
    names("id idModel modelType fieldGroup display name pos type options limits"),
    derived={"options": lambda _, field_, __: field_.get("options")},
)
CUSTOM_ITEM = Shape(names("id value idValue idCustomField idModel modelType"))
ATTACHMENT = Shape(
    names(
        "id bytes date edgeColor idMember isUpload isMalicious mimeType name previews url pos "
        "fileName limits"
    )
)
CHECKLIST = Shape(
    names("id name idCard pos idBoard checkItems"),
    derived={"checkItems": lambda _, checklist, __: by_pos(checklist["checkItems"])},
)
ACTION = Shape(names("id idMemberCreator data type date limits appCreator display entities"))
ACTION_FEED = "idMemberCreator,data,type,date,limits,appCreator"
MEMBER_SHORT = "id,username,fullName"
MEMBER_BRIEF = "username,fullName,initials,avatarHash"
MEMBER_MEDIUM = (
    "username,activityBlocked,avatarHash,avatarUrl,fullName,idMemberReferrer,initials,"
    "nonPublic,nonPublicAvailable"
)
MEMBER = Shape(
    names(
        "id username activityBlocked avatarHash avatarUrl avatarSource bio bioData confirmed email "
        "fullName gravatarHash idBoards idEnterprise idMemberReferrer idOrganizations "
        "idPremOrgsAdmin initials ixUpdate limits loginTypes memberType nonPublic "
        "nonPublicAvailable oneTimeMessagesDismissed prefs premiumFeatures products status "
        "trophies uploadedAvatarHash url"
    ),
    derived={
        "idBoards": _boards_of,
        "idOrganizations": _organizations_of,
        "email": _only_own("email"),
        "loginTypes": _only_own("loginTypes"),
        "prefs": _only_own("prefs"),
        "oneTimeMessagesDismissed": _only_own("oneTimeMessagesDismissed"),
    },
)
ORGANIZATION = Shape(
    names(
        "id name displayName desc descData url website teamType logoHash logoUrl products powerUps "
        "premiumFeatures prefs idMemberCreator memberships dateLastActivity ixUpdate idBoards "
        "limits"
    ),
    derived={
        "idBoards": lambda state, org, requester: [
            each["id"]
            for each in state.boards.values()
            if each["idOrganization"] == org["id"] and can_read(state, requester, each)
        ]
    },
)
BOARD = Shape(
    names(
        "id name desc descData closed idOrganization idEnterprise idMemberCreator idBoardSource "
        "pinned url shortUrl shortLink labelNames prefs memberships dateLastActivity dateLastView "
        "datePluginDisable creationMethod enterpriseOwned powerUps idTags premiumFeatures "
        "templateGallery subscribed starred ixUpdate limits"
    ),
    names(
        "id name desc descData closed idOrganization idEnterprise pinned url shortUrl labelNames "
        "prefs"
    ),
    {
        "url": _board_url,
        "shortUrl": lambda _, board, __: f"https://trello.com/b/{board['shortLink']}",
        "dateLastView": lambda _, board, requester: board["viewed"].get(requester.member_id),
        "subscribed": _subscribed,
        "starred": _starred,
        "ixUpdate": lambda _, board, __: str(board["ixUpdate"]),
    },
)
CARD = Shape(
    names(
        "id checkItemStates closed dateLastActivity desc descData dueReminder idBoard idList "
        "idMembersVoted idShort idAttachmentCover idLabels manualCoverAttachment name pos "
        "shortLink isTemplate cardRole dueComplete due start email labels shortUrl url cover "
        "idMembers idChecklists badges subscribed address locationName coordinates "
        "creationMethod limits"
    ),
    derived={
        "labels": _labels,
        "badges": _badges,
        "cover": _cover,
        "checkItemStates": _check_item_states,
        "idChecklists": _id_checklists,
        "subscribed": _subscribed,
        "url": _card_url,
        "shortUrl": lambda _, card, __: f"https://trello.com/c/{card['shortLink']}",
    },
)
