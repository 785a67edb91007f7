"""State with the API's operations, for changes made at Trello itself: not in the request log."""

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
from proxy.fake_trello.routing import RouteMatch, Routes
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
    """The decoded segments below /1, without empty ones; None for other paths."""
    parts = tuple(unquote(part) for part in path.split("/") if part)
    return parts[1:] if parts and parts[0] == "1" else None


def find_route(method: str, path: str) -> RouteMatch:
    """The route of a path; 404 for none, 400 for a malformed id."""
    segments = segments_of(path)
    match = ROUTES.find(method, segments) if segments else None
    if match is None:
        raise no_route(method, path)
    match.check_ids()
    return match


class Trello(State):
    """The state, with operations on behalf of its members."""

    def __init__(self, clock: Clock, *, key: str, token: str, ids_at: float | None = None) -> None:
        super().__init__(clock, ids_at)
        self.keys = {key}
        self.me = object_factory.member(self, "demo", "Dana Demo")
        self._key = key
        self.add_token(token, self.me["id"])
        self.example_board = ""
        """A board's id, set with the samples; likewise the two below."""
        self.example_card = ""
        self.example_attachment_path = ""
        """The path of a file download, beginning with /1/."""

    def add_token(
        self,
        token: str,
        member_id: str,
        *,
        key: str | None = None,
        expires: float | None = None,
        write: bool = True,
    ) -> None:
        """Add a token of a member; `expires` in POSIX seconds, None for never."""
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
        """Revoke a token and delete its webhooks."""
        if token in self.tokens:
            tokens.revoke(self, self.tokens[token])

    def add_member(self, username: str, full_name: str) -> str:
        """Create a member and return its id; PUT /1/boards/{id}/members/{id} adds it to a board."""
        return str(object_factory.member(self, username, full_name)["id"])

    def edit(self, method: str, path: str, params: Obj | None = None, *, by: str = "") -> Any:
        """Run a request as `me` or the member `by`; Refusal as Trello's error response."""
        return self._run(method, path, params or {}, None, by)

    def request(self, path: str, *, by: str = "") -> Any:
        """The response to a GET, not logged."""
        return self._run("GET", path, {}, None, by)

    def upload(self, card: str, file: File, params: Obj | None = None, *, by: str = "") -> Any:
        """Attach a file to a card."""
        return self._run("POST", f"/1/cards/{card}/attachments", params or {}, file, by)

    def _run(self, method: str, path: str, params: Obj, file: File | None, by: str) -> Any:
        bare, _, query = path.partition("?")
        match = find_route(method, bare)
        parameters = dict(parse_qsl(query, keep_blank_values=True)) | params
        requester = Requester(by or self.me["id"], may_write=True)
        response = match.handler(self, Request(method, match.ids, parameters, requester, file))
        if isinstance(response, File | Download):
            return response
        return json.loads(json.dumps(response))
