"""Attachments of cards and exports of boards: metadata and downloads."""

import json
import struct
from typing import Any
from urllib.parse import quote

from proxy.fake_trello import access, actions, nested_resources
from proxy.fake_trello.errors import invalid, not_found
from proxy.fake_trello.field_selection import (
    ATTACHMENT,
    EXPORT,
    view,
)
from proxy.fake_trello.request import (
    Download,
    File,
    Obj,
    Request,
)
from proxy.fake_trello.routes.cards import EMPTY_LIMITS
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import State, position

_PNG = b"\x89PNG\r\n\x1a\n"
_PREVIEWS = ((70, 50, False), (250, 150, False), (150, 0, True), (300, 0, True), (600, 0, True))

_NAMED_PREVIEWS = frozenset({"preview", "preview2x"})


def _on_card(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    return access.require_on_card(card, state.attachments.find(request.ids[1]))


def _of_card(state: State, request: Request) -> list[Obj]:
    attachment = access.card(state, request, request.ids[0])
    rendered = nested_resources.attachments(
        state, request, attachment, nested_resources.fields_of(request, "fields")
    )
    if request.text("filter") == "cover":
        return [each for each in rendered if each["id"] == attachment["idAttachmentCover"]]
    return rendered


def _get(state: State, request: Request) -> Obj:
    return view(
        state,
        ATTACHMENT,
        _on_card(state, request),
        request.requester,
        nested_resources.fields_of(request, "fields"),
    )


def _create(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    if request.upload is None and not request.text("url").startswith(("http://", "https://")):
        raise invalid("url")
    created = _upload(state, request, card) if request.upload else _link(state, request, card)
    state.attachments.put(created)
    if request.flag("setCover") and created["previews"]:
        card["idAttachmentCover"] = created["id"]
    extra = {"attachment": actions.reference(created)}
    actions.record_on_card(state, request, "addAttachmentToCard", card, extra)
    return view(state, ATTACHMENT, created, request.requester)


def _bare(state: State, request: Request, card: Obj) -> Obj:
    return {
        "id": state.new_id(),
        "idCard": card["id"],
        "bytes": None,
        "date": state.now(),
        "edgeColor": None,
        "idMember": request.requester.member_id,
        "isUpload": False,
        "isMalicious": False,
        "mimeType": request.text("mimeType"),
        "name": request.text("name"),
        "previews": [],
        "url": request.text("url"),
        "pos": position("bottom", state.attachments.of(card["id"])),
        "fileName": None,
        "limits": {},
    }


def _link(state: State, request: Request, card: Obj) -> Obj:
    created = _bare(state, request, card)
    created["name"] = created["name"] or created["url"]
    return created


def _upload(state: State, request: Request, card: Obj) -> Obj:
    file = request.upload or File("", "", b"")
    created = _bare(state, request, card)
    base = f"https://trello.com/1/cards/{card['id']}/attachments/{created['id']}"
    created |= {
        "bytes": len(file.body),
        "isUpload": True,
        "mimeType": created["mimeType"] or file.content_type,
        "name": created["name"] or file.name,
        "fileName": file.name,
        "url": f"{base}/download/{quote(file.name)}",
    }
    state.files[created["id"]] = File(file.name, created["mimeType"], file.body)
    if file.body.startswith(_PNG):
        created["edgeColor"] = "#fbfbfb"
        created["previews"] = [_preview(state, base, file, size) for size in _sizes(file.body)]
    return created


def _sizes(png: bytes) -> list[tuple[int, int, bool]]:
    width, height = struct.unpack(">II", png[16:24])
    scaled = [(w, h or max(1, height * w // width), exports) for w, h, exports in _PREVIEWS]
    return [*scaled, (width, height, True)]


def _preview(state: State, base: str, file: File, size: tuple[int, int, bool]) -> Obj:
    preview_id = state.new_id()
    state.files[preview_id] = file
    return {
        "id": preview_id,
        "_id": preview_id,
        "scaled": size[2],
        "url": f"{base}/previews/{preview_id}/download/{quote(file.name)}",
        "bytes": len(file.body),
        "height": size[1],
        "width": size[0],
    }


def _delete(state: State, request: Request) -> Obj:
    card = access.card(state, request, request.ids[0])
    attachment = access.require_on_card(card, state.attachments.find(request.ids[1]))
    state.forget_attachment(attachment)
    if card["idAttachmentCover"] == attachment["id"]:
        card["idAttachmentCover"] = None
    extra = {"attachment": actions.reference(attachment)}
    actions.record_on_card(state, request, "deleteAttachmentFromCard", card, extra)
    return EMPTY_LIMITS


def _download(state: State, request: Request) -> Download:
    attachment = _on_card(state, request)
    if not attachment["isUpload"]:
        raise not_found()
    return Download(attachment["id"], attachment["fileName"])


def _download_preview(state: State, request: Request) -> Download:
    attachment = _on_card(state, request)
    if attachment["previews"] and request.ids[2] in _NAMED_PREVIEWS:
        return Download(attachment["previews"][-1]["id"], attachment["fileName"])
    for preview in attachment["previews"]:
        if preview["id"] == request.ids[2]:
            return Download(preview["id"], attachment["fileName"])
    raise not_found()


def _create_export(state: State, request: Request) -> Obj:
    board = access.board(state, request, request.ids[0])
    everything = Request("GET", (board["id"],), _EVERYTHING, request.requester)
    body = json.dumps(nested_resources.board(state, everything, board)).encode()
    created = {
        "id": state.new_id(),
        "idBoard": board["id"],
        "status": {"attempts": 1, "finished": True, "stage": "Export_complete"},
        "startedAt": state.now(),
        "size": f"{len(body)} bytes",
        "exportUrl": None,
    }
    state.files[created["id"]] = File(f"{board['shortLink']}.json", "application/json", body)
    return view(state, EXPORT, state.exports.put(created), request.requester)


_EVERYTHING: dict[str, Any] = {
    "fields": "all",
    **dict.fromkeys(("cards", "lists", "labels", "members", "checklists", "actions"), "all"),
}


def _export(state: State, request: Request) -> Obj:
    board = access.board(state, request, request.ids[0])
    exports = state.exports.of(board["id"])
    selected = [each for each in exports if len(request.ids) == 1 or each["id"] == request.ids[1]]
    if not selected:
        raise not_found()
    return selected[-1]


def _get_export(state: State, request: Request) -> Obj:
    return view(state, EXPORT, _export(state, request), request.requester)


def _delete_export(state: State, request: Request) -> Obj:
    attachment = _export(state, request)
    state.exports.drop(attachment)
    state.files.pop(attachment["id"], None)
    return EMPTY_LIMITS


def _download_export(state: State, request: Request) -> Download:
    attachment = _export(state, request)
    return Download(attachment["id"], state.files[attachment["id"]].name)


_ONE = "cards/{card}/attachments/{attachment}"

TABLE: Table = {
    ("GET", "cards/{card}/attachments"): _of_card,
    ("POST", "cards/{card}/attachments"): _create,
    ("GET", _ONE): _get,
    ("DELETE", _ONE): _delete,
    ("GET", f"{_ONE}/download/{{name}}"): _download,
    ("GET", f"{_ONE}/previews/{{preview}}/download"): _download_preview,
    ("GET", f"{_ONE}/previews/{{preview}}/download/{{name}}"): _download_preview,
    ("POST", "boards/{board}/exports"): _create_export,
    ("GET", "boards/{board}/exports/mostRecent"): _get_export,
    ("GET", "boards/{board}/exports/{export}"): _get_export,
    ("DELETE", "boards/{board}/exports/{export}"): _delete_export,
    ("GET", "boards/{board}/exports/{export}/download"): _download_export,
}

HEADER_ONLY = frozenset({_download, _download_preview})
"""Routes that accept a credential in the Authorization header only."""

DOWNLOADS = HEADER_ONLY | {_download_export}
"""Routes that redirect to a file."""
