"""A world with a board that a client may see, and others of which every name holds a canary."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from proxy.access.attribution import TABLE
from proxy.access.client_keys import digest_of
from proxy.fake_trello.request import File
from proxy.fake_trello.service import Trello
from tests.access.refused_operations import REFUSED
from tests.scenarios.conftest import OTHER_KEY, OTHER_TOKEN, Heard

CLIENT_KEY = "tpk_" + "5c0be" * 12
AS_CLIENT = {"Authorization": f"Bearer {CLIENT_KEY}"}
AS_MEMBER = {
    "Authorization": f'OAuth oauth_consumer_key="{OTHER_KEY}", oauth_token="{OTHER_TOKEN}"'
}
CANARY = "CaNaRy"
UNAUTHORIZED = (401, b"unauthorized permission requested")
Ids = dict[str, str]


def scoped_to(
    boards: str = "", *, workspaces: str = "", writes: str = "all", exposed: str = ""
) -> str:
    """A configuration with one client that may see these boards and workspaces."""
    return (
        f"clients: {{boards: [{exposed}], keys: [{{name: ci, digest: '{digest_of(CLIENT_KEY)}', "
        f"boards: [{boards}], workspaces: [{workspaces}], writes: {writes}}}]}}"
    )


_PARAM = re.compile(r"\{(\w+)\}")
_KINDS = {
    "actions": "action", "boards": "board", "cards": "card", "checklists": "checklist",
    "customFields": "customField", "labels": "label", "lists": "list", "members": "member",
    "organizations": "organization",
}  # fmt: skip
_OTHERS = {"field": "name", "filter": "all", "name": "plain.txt", "token": "t", "key": "k",
           "channel": "email", "blockedKeys": "x"}  # fmt: skip
NO_OBJECT = "5f" + "0" * 22


def filled(template: str, ids: Ids) -> str:
    """The target of a template, with these ids in it."""
    root = template.split("/")[1]

    def value(found: "re.Match[str]") -> str:
        name = found[1]
        if name in _OTHERS:
            return _OTHERS[name]
        kind = _KINDS.get(root, root) if name == "id" else name.removeprefix("id")
        return ids.get(kind[0].lower() + kind[1:], NO_OBJECT)

    return "/1" + _PARAM.sub(value, template)


def operations(*methods: str) -> list[str]:
    """The templates of all operations with these methods, refused ones too."""
    refused = (line.split() for line in REFUSED.strip().splitlines())
    listed = [(method, template) for several, template in refused for method in several.split(",")]
    return sorted({template for method, template in (*TABLE, *listed) if method in methods})


@dataclass(frozen=True)
class World:
    """Ids of one object of each kind, on the visible and on a hidden board."""

    trello: Trello
    visible: Ids
    hidden: Ids
    hidden_ids: frozenset[str]
    member: str
    """Who is on the visible board only, and whose token is OTHER_TOKEN."""

    def traces_in(self, heard: Heard, target: str) -> list[str]:
        """What a response shows of hidden boards, besides what its request named."""
        shown = heard.body.decode("latin-1") + str(heard.fields)
        found = [CANARY] if CANARY.lower() in shown.lower() else []
        return found + [each for each in self.hidden_ids if each in shown and each not in target]


def make_world(trello: Trello) -> World:
    """Add hidden boards to the samples, and a member's token who is on the first board only."""
    member = trello.aliases["robin"]
    trello.add_token(OTHER_TOKEN, member, key=OTHER_KEY)
    stranger = trello.add_member("sam", "Sam Stranger")  # profiles are public at Trello
    workspace = trello.edit("POST", "/1/organizations", {"displayName": f"{CANARY} workspace"})
    hidden_board = trello.edit(
        "POST", "/1/boards", {"name": f"{CANARY} board", "idOrganization": workspace["id"],
                              "desc": f"{CANARY} desc"},
    )["id"]  # fmt: skip
    trello.edit("PUT", f"/1/boards/{hidden_board}/members/{stranger}", {"type": "normal"})
    for board in trello.boards.values():
        if board["id"] not in (trello.example_board, hidden_board):
            board["name"] = f"{CANARY} {board['name']}"
    visible = _ids(trello, trello.example_board, "plain")
    hidden = _ids(trello, hidden_board, CANARY)
    hidden["organization"], hidden["member"] = workspace["id"], stranger
    visible["member"] = member
    visible["organization"] = trello.boards[visible["board"]]["idOrganization"]
    trello.edit("POST", "/1/members/me/boardStars", {"idBoard": hidden_board})
    return World(trello, visible, hidden, frozenset(_hidden_ids(trello)), member)


def _ids(trello: Trello, board: str, name: str) -> Ids:
    def made(path: str, **params: Any) -> Any:
        return trello.edit("POST", path, params)["id"]

    list_ = made("/1/lists", name=f"{name} list", idBoard=board)
    label = made("/1/labels", name=f"{name} label", color="red", idBoard=board)
    card = made("/1/cards", name=f"{name} card", desc=f"{name} desc", idList=list_,
                idLabels=label, idMembers=trello.me["id"])  # fmt: skip
    checklist = made("/1/checklists", idCard=card, name=f"{name} checklist")
    field = {"idModel": board, "modelType": "board", "name": f"{name} field", "type": "list"}
    custom = trello.edit("POST", "/1/customFields", field | {"options": [{"value": "x"}]})
    return {
        "board": board,
        "list": list_,
        "label": label,
        "card": card,
        "checklist": checklist,
        "checkItem": made(f"/1/checklists/{checklist}/checkItems", name=f"{name} item"),
        "customField": custom["id"],
        "customFieldOption": custom["options"][0]["id"],
        "action": made(f"/1/cards/{card}/actions/comments", text=f"{name} comment"),
        "attachment": trello.upload(card, File(f"{name}.txt", "text/plain", b"x"))["id"],
        "sticker": made(f"/1/cards/{card}/stickers", image="check"),
        "export": made(f"/1/boards/{board}/exports"),
        "membership": trello.boards[board]["memberships"][0]["id"],
    }


def _hidden_ids(trello: Trello) -> Iterator[str]:
    """Ids and shortLinks of all hidden boards, and of everything on them."""
    own = trello.example_board
    tables = trello.lists, trello.labels, trello.cards, trello.custom_fields, trello.actions
    for board in trello.boards.values():
        if board["id"] == own:
            continue
        yield from (board["id"], board["shortLink"])
        for table in tables:
            for each in table.of(board["id"]):
                yield each["id"]
                if "shortLink" in each:
                    yield each["shortLink"]


class Member:
    """A client of Trello's own, with the token of the member."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def __call__(self, method: str, target: str, **options: Any) -> Heard:
        url = URL(self._url + target, encoded=True)
        async with self._session.request(
            method, url, headers=AS_MEMBER, allow_redirects=False, **options
        ) as response:
            return Heard(response.status, response.headers, await response.read())


def is_refusal(heard: Heard) -> bool:
    """Whether nothing but a refusal was sent."""
    return (heard.status, heard.body) == UNAUTHORIZED or heard.problem in {
        "outside-scope", "administrative", "method-not-allowed", "jsonp-denied", "tunnel-denied",
        "token-protected",
    }  # fmt: skip
