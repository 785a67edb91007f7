"""Boards, cards and files parsed from Trello's JSON; a field that is missing or odd is left out."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from proxy.links.rewrite import LinkRewriter
from proxy.links.signing import FileIds
from proxy.pages.format import clean_text, parse_time, shortened

MAX_COMMENTS = 50
"""Comments read for a card's page, the newest."""

COMMENT_TYPES = ("commentCard", "copyCommentCard")
"""Actions that are comments; the latter came with a card that was copied."""

_CARD = "name,shortLink,url,idBoard,idList,pos,closed,due,dueComplete,labels"
_FILES = (
    "attachments=true&attachment_fields="
    "name,fileName,bytes,date,idMember,isUpload,isMalicious,url,previews"
)
_BOARD_QUERY = (
    "fields=name,shortLink,url&lists=all&list_fields=name,closed,pos"
    "&members=all&member_fields=fullName,username"
)
_CARD_QUERY = (
    f"fields={_CARD},desc&{_FILES}&checklists=all&checklist_fields=all"
    "&members=true&member_fields=fullName,username"
    f"&actions={','.join(COMMENT_TYPES)}&actions_limit={MAX_COMMENTS}&action_fields=data,date,type"
)

_ID = re.compile(r"[0-9A-Za-z]{1,64}")
_PREVIEW_ID = re.compile(r"[\w-]{1,64}", re.A)
_EXTENSION = re.compile(r"\.([0-9A-Za-z]{1,4})\Z")
_NAME_CHARS = 300
"""Of a file, a list or a member: Trello allows 16,384, which no list shows well."""
_LABEL_CHARS = 100
_COLORS = {"green", "yellow", "orange", "red", "purple", "blue", "sky", "lime", "pink", "black"}
_VIEWERS = {
    **dict.fromkeys(("PNG", "APNG", "JPG", "JPEG", "GIF", "WEBP", "AVIF", "BMP", "SVG"), "image"),
    "PDF": "pdf",
}
"""By file extension; the media type decides what a browser does with it."""
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

    @property
    def viewer(self) -> str:
        """How a page's script shows it, `image` or `pdf`; empty if it does not."""
        is_shown = self.is_upload and bool(self.href) and not self.is_malicious
        return _VIEWERS.get(self.badge, "") if is_shown else ""


@dataclass(frozen=True, slots=True)
class Label:
    """A label: its name, or its colour's where it has none."""

    name: str
    color: str
    """One of Trello's ten base colours; empty for none."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card as a board shows it, with its files."""

    title: str
    short_link: str
    url: str
    """At Trello."""
    is_closed: bool = False
    files: tuple[File, ...] = ()
    list_id: str = ""
    position: float = 0.0
    """Of the card in its list."""
    labels: tuple[Label, ...] = ()
    due: datetime | None = None
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class BoardList:
    """A list of a board."""

    id: str
    title: str
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Board:
    """A board's title and addresses, its lists by position, and its members' names by id."""

    title: str
    short_link: str
    url: str
    """At Trello."""
    lists: tuple[BoardList, ...] = ()
    member_names: Mapping[str, str] = field(default_factory=dict)


def board_target(board: str) -> str:
    """The API target of a board with its lists and members."""
    return f"/1/boards/{board}?{_BOARD_QUERY}"


def cards_target(board: str) -> str:
    """The API target of a board's open cards with their attachments."""
    return f"/1/boards/{board}/cards?fields={_CARD}&{_FILES}"


def card_target(card: str) -> str:
    """The API target of everything that a card's page shows."""
    return f"/1/cards/{card}?{_CARD_QUERY}"


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
        card_id = id_of(card, "id")
        files = (self._file(card_id, each) for each in objects_in(card.get("attachments")))
        return Card(
            title=text_of(card, "name") or "Untitled card",
            short_link=id_of(card, "shortLink"),
            url=web_url(card.get("url")),
            is_closed=card.get("closed") is True,
            files=tuple(file for file in files if file is not None),
            list_id=id_of(card, "idList"),
            position=position_of(card),
            labels=tuple(map(_label, objects_in(card.get("labels")))),
            due=parse_time(text_of(card, "due")),
            is_done=card.get("dueComplete") is True,
        )

    def _file(self, card_id: str, attachment: JsonObject) -> File | None:
        file_id = id_of(attachment, "id")
        if not (file_id and card_id):
            return None
        title = text_of(attachment, "name") or text_of(attachment, "fileName")
        name = shortened(title, _NAME_CHARS) or "Untitled file"
        uploader = self._member_names.get(text_of(attachment, "idMember"), "")
        date = text_of(attachment, "date")
        if attachment.get("isUpload") is not True:
            url = web_url(attachment.get("url"))
            return File(name, url, is_upload=False, badge="LINK", uploader=uploader, date=date)
        stored_name = text_of(attachment, "fileName") or title
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
            for each in objects_in(attachment.get("previews"))
            if _PREVIEW_ID.fullmatch(preview_id := text_of(each, "id"))
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


def board_id_of(card: object) -> str:
    """The id of a card's board; empty when it is not given."""
    return id_of(card, "idBoard") if isinstance(card, Mapping) else ""


def card_named(cards: Iterable[object], name: str) -> object | None:
    """The card with this id or shortLink, of those of a board; None if it is not there."""
    found = (
        each
        for each in cards
        if isinstance(each, Mapping) and name in (each.get("id"), each.get("shortLink"))
    )
    return next(found, None)


def parse_board(board: object, name: str) -> Board:
    """The board; `name` is the id or shortLink that it was requested by."""
    board = board if isinstance(board, Mapping) else {}
    lists = sorted(objects_in(board.get("lists")), key=position_of)
    return Board(
        title=text_of(board, "name") or "Untitled board",
        short_link=id_of(board, "shortLink") or name,
        url=web_url(board.get("url")),
        lists=tuple(
            BoardList(
                list_id,
                shortened(text_of(each, "name"), _NAME_CHARS) or "Untitled list",
                each.get("closed") is True,
            )
            for each in lists
            if (list_id := id_of(each, "id"))
        ),
        member_names={
            id_of(each, "id"): name_of(each) for each in objects_in(board.get("members"))
        },
    )


def name_of(member: JsonObject) -> str:
    """A member's display name."""
    name = text_of(member, "fullName") or text_of(member, "username")
    return shortened(name, _NAME_CHARS)


def _label(label: JsonObject) -> Label:
    color = text_of(label, "color").partition("_")[0]
    color = color if color in _COLORS else ""
    return Label(shortened(text_of(label, "name"), _LABEL_CHARS) or color or "no name", color)


def objects_in(value: object) -> Iterator[JsonObject]:
    """The objects of an array; none of anything else."""
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, Mapping))


def text_of(value: JsonObject, name: str) -> str:
    """A text without control characters; empty when it is missing."""
    member = value.get(name)
    return clean_text(member) if isinstance(member, str) else ""


def id_of(value: JsonObject, name: str) -> str:
    """An id or a shortLink; empty for anything else."""
    member = value.get(name)
    return member if isinstance(member, str) and _ID.fullmatch(member) else ""


def position_of(value: JsonObject) -> float:
    """The `pos` of a list, a card or a checklist; 0 for none."""
    position = value.get("pos")
    return position if isinstance(position, int | float) else 0.0


def web_url(url: object) -> str:
    """The URL if it is http(s); empty for any other scheme, as a browser would run some."""
    is_web = isinstance(url, str) and url.lower().startswith(("http://", "https://"))
    return str(url) if is_web else ""
