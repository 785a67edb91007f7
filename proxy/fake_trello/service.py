"""The state with hands: what the API does, done as if in Trello's own UI, behind the API's back."""

import json
from typing import Any
from urllib.parse import parse_qsl, unquote

from proxy.fake_trello import object_factory
from proxy.fake_trello.errors import no_route
from proxy.fake_trello.ids import iso
from proxy.fake_trello.request import (
    Download,
    File,
    Obj,
    Request,
    Requester,
)
from proxy.fake_trello.routes import (
    attachments,
    boards,
    cards,
    checklists,
    comments,
    custom_fields,
    lists,
    members,
    organizations,
    others,
    pages,
    search,
    tokens,
)
from proxy.fake_trello.routing import Found, Routes
from proxy.fake_trello.state import State
from proxy.runtime.clock import Clock

ROUTES = Routes(
    (
        attachments.TABLE,
        boards.TABLE,
        cards.TABLE,
        checklists.TABLE,
        comments.TABLE,
        custom_fields.TABLE,
        lists.TABLE,
        members.TABLE,
        organizations.TABLE,
        others.TABLE,
        pages.TABLE,
        search.TABLE,
        tokens.TABLE,
    )
)


def segments_of(path: str) -> tuple[str, ...] | None:
    """The segments below /1, decoded, empty ones left out; None for a path elsewhere."""
    parts = tuple(unquote(part) for part in path.split("/") if part)
    return parts[1:] if parts and parts[0] == "1" else None


def find_route(method: str, path: str) -> Found:
    """The route of a path, its ids checked; 404 and 400 are Trello's."""
    segments = segments_of(path)
    found = ROUTES.find(method, segments) if segments else None
    if found is None:
        raise no_route(method, path)
    found.check()
    return found


class Trello(State):
    """The state of the stand-in, and whoever sits in front of it."""

    def __init__(self, clock: Clock, *, key: str, token: str) -> None:
        super().__init__(clock)
        self.keys = {key}
        self.me = object_factory.member(self, "demo", "Dana Demo")
        self._key = key
        self.add_token(token, self.me["id"])
        self.example_board = ""
        """A board's id, once there are samples; likewise the two below."""
        self.example_card = ""
        self.example_attachment_path = ""
        """The path of a download, beginning with /1/."""

    def add_token(
        self,
        token: str,
        member_id: str,
        *,
        key: str | None = None,
        expires: float | None = None,
        write: bool = True,
    ) -> None:
        """Let a token speak for a member; `expires` in POSIX seconds, None for never."""
        key = key or self._key
        self.keys.add(key)
        grant = {"read": True, "write": write}
        self.tokens[token] = {
            "id": self.new_id(),
            "token": token,
            "key": key,
            "write": write,
            "expires": expires,
            "identifier": "trello-proxy demo",
            "idMember": member_id,
            "dateCreated": self.now(),
            "dateExpires": None if expires is None else iso(expires),
            "permissions": [
                {"idModel": member_id, "modelType": "Member", **grant},
                {"idModel": "*", "modelType": "Board", **grant},
                {"idModel": "*", "modelType": "Organization", **grant},
            ],
        }

    def revoke(self, token: str) -> None:
        """The token is good for nothing from now on; its webhooks are gone."""
        if token in self.tokens:
            tokens.revoke(self, self.tokens[token])

    def add_member(self, username: str, full_name: str) -> str:
        """A member's id; give them boards with PUT /1/boards/{id}/members/{id}."""
        return str(object_factory.member(self, username, full_name)["id"])

    def edit(self, method: str, path: str, params: Obj | None = None, *, by: str = "") -> Any:
        """Do what a request would, as `me` or the member `by`; Refusal when Trello refuses."""
        return self._act(method, path, params or {}, None, by)

    def request(self, path: str, *, by: str = "") -> Any:
        """What a GET would answer now, uncounted."""
        return self._act("GET", path, {}, None, by)

    def upload(self, card: str, file: File, params: Obj | None = None, *, by: str = "") -> Any:
        """Attach a file to a card."""
        return self._act("POST", f"/1/cards/{card}/attachments", params or {}, file, by)

    def _act(self, method: str, path: str, params: Obj, file: File | None, by: str) -> Any:
        bare, _, query = path.partition("?")
        found = find_route(method, bare)
        every = dict(parse_qsl(query, keep_blank_values=True)) | params
        asker = Requester(by or self.me["id"], may_write=True)
        response = found.handler(self, Request(method, found.ids, every, asker, file))
        if isinstance(response, File | Download):
            return response
        return json.loads(json.dumps(response))
