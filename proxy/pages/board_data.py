"""Cards and their files, read from Trello's answers: whatever is missing there is left out."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from proxy.links.rewrite import LinkRewriter
from proxy.links.signing import FileIds

_MORE = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_FIRST = re.compile(r"[ \t\n\r]*\[[ \t\n\r]*+(?!\])")
_LAST = re.compile(r"[ \t\n\r]*\][ \t\n\r]*\Z")
_decode = json.JSONDecoder().raw_decode


def value_of(body: bytes) -> object:
    """What the JSON says; ValueError when it is none, RecursionError when it goes too deep."""
    text = body.decode()
    first = _FIRST.match(text)
    return _array(text, first.end()) if first else json.loads(text)


def _array(text: str, at: int) -> list[object]:
    """The elements of an array whose first begins at `at`."""
    found: list[object] = []
    while True:
        value, at = _decode(text, at)
        found.append(value)
        more = _MORE.match(text, at)
        if more is None:
            break
        at = more.end()
    if not _LAST.match(text, at):
        raise ValueError("an array without a clean end")
    return found


Obj = Mapping[str, Any]

CARD_FIELDS = "name,shortLink,url,idBoard,closed"
FILE_FIELDS = "name,fileName,bytes,date,idMember,isUpload,isMalicious,url,previews"

_ID = re.compile(r"[0-9A-Za-z]{1,64}")
_PREVIEW_ID = re.compile(r"[\w-]{1,64}", re.A)
_EXTENSION = re.compile(r"\.([0-9A-Za-z]{1,4})\Z")
_THUMB_PX = 240
"""Twice the width it is shown at, for screens of twice the density."""


@dataclass(frozen=True, slots=True)
class File:
    """An upload, or the address of something elsewhere."""

    name: str
    href: str
    """Where it opens: a path of ours, or another site's address; empty when it must not."""
    is_upload: bool
    is_malicious: bool = False
    badge: str = "FILE"
    size_bytes: float | None = None
    who: str = ""
    date: str = ""
    thumb: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """A card's title and its files."""

    title: str
    short_link: str
    url: str
    """At Trello."""
    id_board: str = ""
    is_closed: bool = False
    files: tuple[File, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Board:
    """A board's title and where it is."""

    title: str
    short_link: str
    url: str


class BoardReader:
    """Makes cards of Trello's objects; knows the members' names and how links are made."""

    def __init__(self, links: LinkRewriter, now: float, members: Mapping[str, str]) -> None:
        self._links = links
        self._now = now
        self._members = members

    def card(self, card: Obj) -> Card:
        """A card with its attachments."""
        attachments = card.get("attachments")
        made = (self._file(_text(card, "id"), each) for each in _objects(attachments))
        return Card(
            title=_text(card, "name") or "Untitled card",
            short_link=_id(card, "shortLink"),
            url=_web(_text(card, "url")),
            id_board=_id(card, "idBoard"),
            is_closed=card.get("closed") is True,
            files=tuple(file for file in made if file is not None),
        )

    def _file(self, card_id: str, attachment: Obj) -> File | None:
        file_id = _id(attachment, "id")
        if not (file_id and _ID.fullmatch(card_id)):
            return None
        name = _text(attachment, "name") or _text(attachment, "fileName") or "Untitled file"
        who = self._members.get(_text(attachment, "idMember"), "")
        date = _text(attachment, "date")
        if attachment.get("isUpload") is not True:
            href = _web(_text(attachment, "url"))
            return File(name, href, is_upload=False, badge="LINK", who=who, date=date)
        stored_name = _text(attachment, "fileName") or name
        extension = _EXTENSION.search(stored_name)
        bytes_ = attachment.get("bytes")
        return File(
            name=name,
            href=self._href(FileIds(card_id, file_id), stored_name),
            is_upload=True,
            is_malicious=attachment.get("isMalicious") is True,
            badge=extension[1].upper() if extension else "FILE",
            size_bytes=bytes_ if isinstance(bytes_, int | float) and bytes_ >= 0 else None,
            who=who,
            date=date,
            thumb=self._thumb(card_id, file_id, attachment, stored_name),
        )

    def _thumb(self, card_id: str, file_id: str, attachment: Obj, name: str) -> str:
        """The path of the smallest preview that is large enough, or of the largest."""
        previews = [
            (width, preview_id)
            for each in _objects(attachment.get("previews"))
            if _PREVIEW_ID.fullmatch(preview_id := _text(each, "id"))
            and isinstance(width := each.get("width"), int)
        ]
        if not previews or attachment.get("isMalicious") is True:
            return ""
        large = [each for each in previews if each[0] >= _THUMB_PX]
        preview_id = min(large)[1] if large else max(previews)[1]
        return self._href(FileIds(card_id, file_id, preview_id), name)

    def _href(self, file: FileIds, name: str) -> str:
        middle = f"/previews/{file.preview}" if file.preview else ""
        # An encoded slash would make the path ambiguous; the name decides nothing.
        last = quote(name.replace("/", "_").replace("\\", "_"), safe="", errors="replace")
        path = f"/1/cards/{file.card}/attachments/{file.attachment}{middle}/download/{last}"
        return self._links.href(file, path, self._now)


def matching(cards: Sequence[Card], query: str) -> list[Card]:
    """The cards with the files in which every word is found: in name, card title or uploader."""
    words = query.casefold().split()
    found = []
    for card in cards:
        files = tuple(file for file in card.files if _has(card, file, words))
        if files:
            found.append(_with(card, files))
    return found


def sliced(cards: Sequence[Card], start: int, count: int) -> list[Card]:
    """The cards with only those of their files that are in this slice of all of them."""
    shown, at = [], 0
    for card in cards:
        files = card.files[max(0, start - at) : max(0, start + count - at)]
        at += len(card.files)
        if files:
            shown.append(_with(card, files))
    return shown


def count_of(cards: Sequence[Card]) -> int:
    """How many files they have."""
    return sum(len(card.files) for card in cards)


def board_of(board: Obj, name: str) -> Board:
    """A board that was asked for by `name`."""
    short_link = _id(board, "shortLink") or name
    return Board(_text(board, "name") or "Untitled board", short_link, _web(_text(board, "url")))


def members_of(members: object) -> dict[str, str]:
    """Names by id."""
    return {
        _text(each, "id"): _text(each, "fullName") or _text(each, "username")
        for each in _objects(members)
    }


def _with(card: Card, files: tuple[File, ...]) -> Card:
    return Card(card.title, card.short_link, card.url, card.id_board, card.is_closed, files)


def _has(card: Card, file: File, words: Sequence[str]) -> bool:
    text = f"{file.name}\n{card.title}\n{file.who}\n{file.badge}".casefold()
    return all(word in text for word in words)


def _objects(value: object) -> Iterator[Obj]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, Mapping))


def _text(value: Obj, name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _id(value: Obj, name: str) -> str:
    found = _text(value, name)
    return found if _ID.fullmatch(found) else ""


def _web(url: str) -> str:
    """An http(s) address; empty for anything a browser would run."""
    return url if url.lower().startswith(("http://", "https://")) else ""
