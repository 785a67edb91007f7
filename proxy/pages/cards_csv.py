"""CSV of a board's cards (RFC 4180): one row a card, its custom fields as columns (D73).

Cells are other people's text. A cell that a spreadsheet would calculate gets a leading apostrophe,
also behind a semicolon, which divides cells where the decimal separator is a comma. Control
characters and those that turn the direction of writing are left out.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from proxy.pages.board_data import JsonObject, name_of, objects_in, text_of, web_url
from proxy.pages.format import clean_text

COLUMNS = ("name", "list", "labels", "members", "due", "done", "last_activity", "url")
"""Before those of custom fields."""
MAX_FIELDS = 200
"""Columns of custom fields; a board has 50 at most."""
BOM = b"\xef\xbb\xbf"
"""Excel takes a file without it for one in the code page of the system."""
_FIRST_ROWS, _ROWS = 20, 250
"""Rows in the first chunk, and in each further one."""
_SEPARATOR = "; "
"""Between labels, and between members."""

_BOARD_QUERY = (
    "fields=name&lists=all&list_fields=name&members=all&member_fields=fullName,username"
    "&customFields=true"
)
_CARDS_QUERY = (
    "fields=name,idList,labels,idMembers,due,dueComplete,dateLastActivity,shortUrl"
    "&customFieldItems=true"
)

_INVISIBLE = re.compile("[\u061c\u200e\u200f\u2028\u2029\ufeff]")
"""What pages may show and cells should not hold: marks of direction, separators, a BOM."""
_FORMULA = re.compile(r'(^|[;\t\n])(?=[\s"]*[=+\-@\t\uff1d\uff0b\uff0d\uff20])')
_PLAIN = re.compile(r"\w[\w .:/()!?#&-]*|")
"""Most texts: nothing in them is removed or defused."""
_NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?Z")
_QUOTED = re.compile(r'[",;\t\n]|^\s|\s$')


def board_target(board: str) -> str:
    """The API target of the names that cards refer to by ids."""
    return f"/1/boards/{board}?{_BOARD_QUERY}"


def cards_target(board: str) -> str:
    """The API target of a board's open cards."""
    return f"/1/boards/{board}/cards?{_CARDS_QUERY}"


@dataclass(frozen=True, slots=True)
class BoardNames:
    """A board's name, and the names by id of what its cards refer to."""

    title: str
    lists: Mapping[str, str]
    members: Mapping[str, str]
    fields: Mapping[str, str]
    """Of custom fields, in the board's order."""
    options: Mapping[str, str]
    """Of custom fields that are lists."""


def parse_names(board: object) -> BoardNames:
    """The names in a response to `board_target`."""
    board = board if isinstance(board, Mapping) else {}
    fields = list(islice(objects_in(board.get("customFields")), MAX_FIELDS))
    options = [option for field in fields for option in objects_in(field.get("options"))]
    return BoardNames(
        title=text_of(board, "name") or "board",
        lists=_names(board.get("lists"), lambda each: text_of(each, "name")),
        members=_names(board.get("members"), name_of),
        fields=_names(fields, lambda each: text_of(each, "name")),
        options=_names(options, lambda each: text_of(_value(each), "text")),
    )


def csv_chunks(names: BoardNames, cards: Iterable[object], *, has_bom: bool) -> Iterator[bytes]:
    """The CSV in chunks of some rows, the first one short; raises what `cards` raises."""
    head = _line([*COLUMNS, *map(cell, names.fields.values())])
    rows = (_line(_cells(names, card)) for card in cards if isinstance(card, Mapping))
    yield (BOM if has_bom else b"") + head + b"".join(islice(rows, _FIRST_ROWS))
    while chunk := b"".join(islice(rows, _ROWS)):
        yield chunk


def cell(text: str) -> str:
    """Text as a cell that no spreadsheet calculates."""
    if _PLAIN.fullmatch(text):
        return text
    return _FORMULA.sub(r"\1'", _INVISIBLE.sub("", clean_text(text)))


def _cells(names: BoardNames, card: JsonObject) -> Iterator[str]:
    labels = (
        text_of(each, "name") or text_of(each, "color") for each in objects_in(card.get("labels"))
    )
    ids = card.get("idMembers")
    members = (names.members.get(str(each), "") for each in (ids if isinstance(ids, list) else ()))
    yield cell(text_of(card, "name"))
    yield cell(names.lists.get(text_of(card, "idList"), ""))
    yield cell(_SEPARATOR.join(filter(None, labels)))
    yield cell(_SEPARATOR.join(filter(None, members)))
    yield _date(card.get("due"))
    yield _flag(card.get("dueComplete"))
    yield _date(card.get("dateLastActivity"))
    yield cell(web_url(card.get("shortUrl")))
    items = {
        text_of(each, "idCustomField"): each for each in objects_in(card.get("customFieldItems"))
    }
    for field in names.fields:
        yield _field(names, items[field]) if field in items else ""


def _field(names: BoardNames, item: JsonObject) -> str:
    """The value of a custom field; of a list the option's name."""
    value = _value(item)
    if "number" in value:
        number = str(value["number"])
        return number if _NUMBER.fullmatch(number) else cell(number)
    if "checked" in value:
        return _flag(value["checked"])
    if "date" in value:
        return _date(value["date"])
    return cell(text_of(value, "text") or names.options.get(text_of(item, "idValue"), ""))


def _value(item: JsonObject) -> Mapping[str, Any]:
    value = item.get("value")
    return value if isinstance(value, Mapping) else {}


def _names(values: object, name: Callable[[JsonObject], str]) -> dict[str, str]:
    return {text_of(each, "id"): name(each) for each in objects_in(values)}


def _date(value: object) -> str:
    """ISO 8601 in UTC, to the second; empty if there is none."""
    match = _DATE.fullmatch(value) if isinstance(value, str) else None
    return f"{match[1]}Z" if match else ""


def _flag(value: object) -> str:
    return "true" if value in (True, "true") else "false"


def _line(cells: Iterable[str]) -> bytes:
    line = ",".join(map(_quoted, cells))
    return f"{line}\r\n".encode("utf-8", "replace")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
