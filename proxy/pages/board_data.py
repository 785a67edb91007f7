"""Boards, cards and files parsed from Trello's JSON; a field that is missing or odd is left out."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from proxy.links.rewrite import LinkRewriter
from proxy.links.signing import FileIds

CARD_FIELDS = "name,shortLink,url,idBoard,closed"
FILE_FIELDS = "name,fileName,bytes,date,idMember,isUpload,isMalicious,url,previews"

_ARRAY_START = re.compile(r"[ \t\n\r]*\[[ \t\n\r]*+(?!\])")
_COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_ARRAY_END = re.compile(r"[ \t\n\r]*\][ \t\n\r]*\Z")
_decode = json.JSONDecoder().raw_decode

_ID = re.compile(r"[0-9A-Za-z]{1,64}")
_PREVIEW_ID = re.compile(r"[\w-]{1,64}", re.A)
_EXTENSION = re.compile(r"\.([0-9A-Za-z]{1,4})\Z")
_THUMBNAIL_PX = 240
"""Minimal width of a preview: twice the displayed width, for high-density screens."""

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class File:
    """An attachment: an uploaded file, or a link to another site."""

    name: str
    href: str
    """A path of the proxy's, or the other site's URL; empty when it must not open."""
    is_upload: bool
    is_malicious: bool = False
    badge: str = "FILE"
    size_bytes: float | None = None
    uploader: str = ""
    date: str = ""
    """ISO 8601, as Trello sends it."""
    thumbnail: str = ""
    """The path of a preview; empty for none."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card's title and its files."""

    title: str
    short_link: str
    url: str
    """At Trello."""
    is_closed: bool = False
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class Board:
    """A board's title and addresses."""

    title: str
    short_link: str
    url: str
    """At Trello."""


def load_json(body: bytes) -> object:
    """The JSON value; ValueError when malformed, RecursionError when nested too deep.

    json.loads holds the interpreter until it is done, 15 ms for each megabyte, also in a thread. A
    top-level array is decoded element by element, so that other threads run in between.
    """
    text = body.decode()
    start = _ARRAY_START.match(text)
    return _load_array(text, start.end()) if start else json.loads(text)


def _load_array(text: str, at: int) -> list[object]:
    """The elements of the array whose first element begins at `at`."""
    elements: list[object] = []
    while True:
        value, at = _decode(text, at)
        elements.append(value)
        comma = _COMMA.match(text, at)
        if comma is None:
            break
        at = comma.end()
    if not _ARRAY_END.match(text, at):
        raise ValueError("malformed array")
    return elements


class CardParser:
    """Parses cards with their attachments; knows member names and makes links."""

    def __init__(self, links: LinkRewriter, now: float, member_names: Mapping[str, str]) -> None:
        """`now`: POSIX seconds, for signatures; `member_names`: by member id."""
        self._links = links
        self._now = now
        self._member_names = member_names

    def parse(self, card: object) -> Card:
        """The card with its attachments."""
        card = card if isinstance(card, Mapping) else {}
        card_id = _id(card, "id")
        files = (self._file(card_id, each) for each in _objects(card.get("attachments")))
        return Card(
            title=_text(card, "name") or "Untitled card",
            short_link=_id(card, "shortLink"),
            url=_web_url(_text(card, "url")),
            is_closed=card.get("closed") is True,
            files=tuple(file for file in files if file is not None),
        )

    def _file(self, card_id: str, attachment: JsonObject) -> File | None:
        file_id = _id(attachment, "id")
        if not (file_id and card_id):
            return None
        name = _text(attachment, "name") or _text(attachment, "fileName") or "Untitled file"
        uploader = self._member_names.get(_text(attachment, "idMember"), "")
        date = _text(attachment, "date")
        if attachment.get("isUpload") is not True:
            url = _web_url(_text(attachment, "url"))
            return File(name, url, is_upload=False, badge="LINK", uploader=uploader, date=date)
        stored_name = _text(attachment, "fileName") or name
        extension = _EXTENSION.search(stored_name)
        size = attachment.get("bytes")
        return File(
            name=name,
            href=self._href(FileIds(card_id, file_id), stored_name),
            is_upload=True,
            is_malicious=attachment.get("isMalicious") is True,
            badge=extension[1].upper() if extension else "FILE",
            size_bytes=size if isinstance(size, int | float) and size >= 0 else None,
            uploader=uploader,
            date=date,
            thumbnail=self._thumbnail(card_id, file_id, attachment, stored_name),
        )

    def _thumbnail(self, card_id: str, file_id: str, attachment: JsonObject, name: str) -> str:
        """The path of the smallest preview that is large enough, else of the largest."""
        previews = [
            (width, preview_id)
            for each in _objects(attachment.get("previews"))
            if _PREVIEW_ID.fullmatch(preview_id := _text(each, "id"))
            and isinstance(width := each.get("width"), int)
        ]
        if not previews or attachment.get("isMalicious") is True:
            return ""
        large = [each for each in previews if each[0] >= _THUMBNAIL_PX]
        preview_id = min(large)[1] if large else max(previews)[1]
        return self._href(FileIds(card_id, file_id, preview_id), name)

    def _href(self, file: FileIds, name: str) -> str:
        preview = f"/previews/{file.preview}" if file.preview else ""
        # An encoded slash would make the path ambiguous; the name is not used to find the file.
        last = quote(name.replace("/", "_").replace("\\", "_"), safe="", errors="replace")
        path = f"/1/cards/{file.card}/attachments/{file.attachment}{preview}/download/{last}"
        return self._links.href(file, path, self._now)


def search_files(cards: Sequence[Card], query: str) -> list[Card]:
    """The cards, each with the files whose name, card title, uploader or type has every word."""
    words = query.casefold().split()
    found = []
    for card in cards:
        files = tuple(file for file in card.files if _matches(card, file, words))
        if files:
            found.append(replace(card, files=files))
    return found


def slice_files(cards: Sequence[Card], start: int, count: int) -> list[Card]:
    """The cards with `count` of all their files together, from number `start` on."""
    shown, at = [], 0
    for card in cards:
        files = card.files[max(0, start - at) : max(0, start + count - at)]
        at += len(card.files)
        if files:
            shown.append(replace(card, files=files))
    return shown


def count_files(cards: Sequence[Card]) -> int:
    """The number of files of all cards."""
    return sum(len(card.files) for card in cards)


def board_id_of(card: object) -> str:
    """The id of a card's board; empty when it is not given."""
    return _id(card, "idBoard") if isinstance(card, Mapping) else ""


def parse_board(board: object, name: str) -> Board:
    """The board; `name` is the id or shortLink that it was requested by."""
    board = board if isinstance(board, Mapping) else {}
    short_link = _id(board, "shortLink") or name
    url = _web_url(_text(board, "url"))
    return Board(_text(board, "name") or "Untitled board", short_link, url)


def parse_member_names(members: object) -> dict[str, str]:
    """Display names by member id."""
    return {
        _text(each, "id"): _text(each, "fullName") or _text(each, "username")
        for each in _objects(members)
    }


def _matches(card: Card, file: File, words: Sequence[str]) -> bool:
    text = f"{file.name}\n{card.title}\n{file.uploader}\n{file.badge}".casefold()
    return all(word in text for word in words)


def _objects(value: object) -> Iterator[JsonObject]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, Mapping))


def _text(value: JsonObject, name: str) -> str:
    member = value.get(name)
    return member if isinstance(member, str) else ""


def _id(value: JsonObject, name: str) -> str:
    member = _text(value, name)
    return member if _ID.fullmatch(member) else ""


def _web_url(url: str) -> str:
    """The URL if it is http(s); empty for any other scheme, as a browser would run some."""
    return url if url.lower().startswith(("http://", "https://")) else ""
