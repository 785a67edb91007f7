"""Attachments of cards and exports of boards: what is known of them, and their bytes."""

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
from proxy.fake_trello.routes.cards import LIMITS
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import State, position

_PNG = b"\x89PNG\r\n\x1a\n"
_PREVIEWS = ((70, 50, False), (250, 150, False), (150, 0, True), (300, 0, True), (600, 0, True))

_NAMED_PREVIEWS = frozenset({"preview", "preview2x"})


def _on_card(state: State, call: Request) -> Obj:
    card = access.card(state, call, call.ids[0])
    return access.on_card(card, state.attachments.find(call.ids[1]))


def _of_card(state: State, call: Request) -> list[Obj]:
    found = access.card(state, call, call.ids[0])
    seen = nested_resources.attachments(
        state, call, found, nested_resources.fields_of(call, "fields")
    )
    if call.text("filter") == "cover":
        return [each for each in seen if each["id"] == found["idAttachmentCover"]]
    return seen


def _get(state: State, call: Request) -> Obj:
    return view(
        state,
        ATTACHMENT,
        _on_card(state, call),
        call.asker,
        nested_resources.fields_of(call, "fields"),
    )


def _create(state: State, call: Request) -> Obj:
    card = access.card(state, call, call.ids[0])
    if call.upload is None and not call.text("url").startswith(("http://", "https://")):
        raise invalid("url")
    made = _upload(state, call, card) if call.upload else _link(state, call, card)
    state.attachments.put(made)
    if call.flag("setCover") and made["previews"]:
        card["idAttachmentCover"] = made["id"]
    extra = {"attachment": actions.ref(made)}
    actions.changed(state, call, "addAttachmentToCard", card, extra)
    return view(state, ATTACHMENT, made, call.asker)


def _bare(state: State, call: Request, card: Obj) -> Obj:
    return {
        "id": state.new_id(),
        "idCard": card["id"],
        "bytes": None,
        "date": state.now(),
        "edgeColor": None,
        "idMember": call.asker.member_id,
        "isUpload": False,
        "isMalicious": False,
        "mimeType": call.text("mimeType"),
        "name": call.text("name"),
        "previews": [],
        "url": call.text("url"),
        "pos": position("bottom", state.attachments.of(card["id"])),
        "fileName": None,
        "limits": {},
    }


def _link(state: State, call: Request, card: Obj) -> Obj:
    made = _bare(state, call, card)
    made["name"] = made["name"] or made["url"]
    return made


def _upload(state: State, call: Request, card: Obj) -> Obj:
    file = call.upload or File("", "", b"")
    made = _bare(state, call, card)
    base = f"https://trello.com/1/cards/{card['id']}/attachments/{made['id']}"
    made |= {
        "bytes": len(file.body),
        "isUpload": True,
        "mimeType": made["mimeType"] or file.content_type,
        "name": made["name"] or file.name,
        "fileName": file.name,
        "url": f"{base}/download/{quote(file.name)}",
    }
    state.files[made["id"]] = File(file.name, made["mimeType"], file.body)
    if file.body.startswith(_PNG):
        made["edgeColor"] = "#fbfbfb"
        made["previews"] = [_preview(state, base, file, size) for size in _sizes(file.body)]
    return made


def _sizes(png: bytes) -> list[tuple[int, int, bool]]:
    width, height = struct.unpack(">II", png[16:24])
    scaled = [(w, h or max(1, height * w // width), kept) for w, h, kept in _PREVIEWS]
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


def _delete(state: State, call: Request) -> Obj:
    card = access.card(state, call, call.ids[0])
    found = access.on_card(card, state.attachments.find(call.ids[1]))
    state.forget_attachment(found)
    if card["idAttachmentCover"] == found["id"]:
        card["idAttachmentCover"] = None
    extra = {"attachment": actions.ref(found)}
    actions.changed(state, call, "deleteAttachmentFromCard", card, extra)
    return LIMITS


def _download(state: State, call: Request) -> Download:
    found = _on_card(state, call)
    if not found["isUpload"]:
        raise not_found()
    return Download(found["id"], found["fileName"])


def _download_preview(state: State, call: Request) -> Download:
    found = _on_card(state, call)
    if found["previews"] and call.ids[2] in _NAMED_PREVIEWS:
        return Download(found["previews"][-1]["id"], found["fileName"])
    for preview in found["previews"]:
        if preview["id"] == call.ids[2]:
            return Download(preview["id"], found["fileName"])
    raise not_found()


def _create_export(state: State, call: Request) -> Obj:
    board = access.board(state, call, call.ids[0])
    whole = Request("GET", (board["id"],), _EVERYTHING, call.asker)
    body = json.dumps(nested_resources.board(state, whole, board)).encode()
    made = {
        "id": state.new_id(),
        "idBoard": board["id"],
        "status": {"attempts": 1, "finished": True, "stage": "Export_complete"},
        "startedAt": state.now(),
        "size": f"{len(body)} bytes",
        "exportUrl": None,
    }
    state.files[made["id"]] = File(f"{board['shortLink']}.json", "application/json", body)
    return view(state, EXPORT, state.exports.put(made), call.asker)


_EVERYTHING: dict[str, Any] = {
    "fields": "all",
    **dict.fromkeys(("cards", "lists", "labels", "members", "checklists", "actions"), "all"),
}


def _export(state: State, call: Request) -> Obj:
    board = access.board(state, call, call.ids[0])
    kept = state.exports.of(board["id"])
    wanted = [each for each in kept if len(call.ids) == 1 or each["id"] == call.ids[1]]
    if not wanted:
        raise not_found()
    return wanted[-1]


def _get_export(state: State, call: Request) -> Obj:
    return view(state, EXPORT, _export(state, call), call.asker)


def _delete_export(state: State, call: Request) -> Obj:
    found = _export(state, call)
    state.exports.drop(found)
    state.files.pop(found["id"], None)
    return LIMITS


def _download_export(state: State, call: Request) -> Download:
    found = _export(state, call)
    return Download(found["id"], state.files[found["id"]].name)


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
"""The routes that hear no credentials but those of the Authorization header."""

DOWNLOADS = HEADER_ONLY | {_download_export}
"""The routes that give bytes, behind a redirect."""
