"""Form and JSON bodies without the client's credential, and the parameters they carry. Pure."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, quote, quote_from_bytes

from proxy.credentials.extraction import (
    NOTHING,
    ExtractedCredential,
    extracted_from,
    part_of,
    strip_parameters,
)
from proxy.errors import BodyTooLarge
from proxy.http_semantics.media_type import media_type_of

BodyForm = Literal["form", "json", "multipart", "opaque"]

MAX_MEMBERS = 2000
"""Parameters of a form, values of a JSON document at all depths, parts of a multipart body."""
MAX_DEPTH = 100
"""Levels of nesting in JSON; Trello's own bodies have four."""
MAX_PARAMS = 64
"""Parameters kept of one body."""
MAX_VALUE_CHARS = 4096
"""A parameter longer than this is not kept."""

_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_BOM = b"\xef\xbb\xbf"
_LOOKS_LIKE_FORM = re.compile(rb"[\w%.\[\]+~*/-]{1,256}=", re.A)
_FORM_TYPE = "application/x-www-form-urlencoded"

_MAY_NAME_A_CREDENTIAL = re.compile(rb"key|token|oauth_|\\u00", re.I)
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(_STRING + rb"|[\[\]{}:,]", re.S)
_STRUCTURE = re.compile(rb'(?:[^"\[\]{},]++|' + _STRING + rb")*+([\[\]{},])", re.S)
"""The next bracket or comma that is not within a string."""


@dataclass(frozen=True, slots=True)
class ParsedBody:
    """A form or JSON body, understood."""

    body: bytes = field(repr=False)
    """Without credentials; every other byte as sent."""
    credential: ExtractedCredential
    params: dict[str, str] = field(repr=False)


def body_form(content_type: str | None, head: bytes) -> BodyForm:
    """How a body that begins with `head` is written.

    Clients mislabel: what begins like an object is JSON and what begins like `name=` is a form,
    whatever the Content-Type says or does not say; only multipart is believed unseen.
    """
    media_type = media_type_of(content_type or "")
    start = head.removeprefix(_BOM).lstrip()[:1]
    if media_type.startswith("multipart/") and start != b"{":
        return "multipart"
    if _LOOKS_LIKE_FORM.match(head):
        return "form"
    if start in (b"{", b"[") or media_type == "application/json" or media_type.endswith("+json"):
        return "json"
    return "form" if media_type == _FORM_TYPE else "opaque"


def parse_form(body: bytes) -> ParsedBody:
    """An `application/x-www-form-urlencoded` body; BodyTooLarge for too many parameters."""
    if body.count(b"&") + body.count(b";") >= MAX_MEMBERS:
        raise BodyTooLarge(f"Send a form of at most {MAX_MEMBERS:,} parameters.")
    stripped, found = strip_form(body)
    return ParsedBody(stripped, found, form_params(stripped))


def parse_json(body: bytes) -> ParsedBody:
    """A JSON body; BodyTooLarge for too many values or too deep nesting."""
    _check_size(body)
    stripped, found = strip_json(body)
    return ParsedBody(stripped, found, json_params(stripped))


def strip_form(body: bytes) -> tuple[bytes, ExtractedCredential]:
    """An `application/x-www-form-urlencoded` body without credentials; else the same object."""
    kept, found = strip_parameters(body.decode("latin-1"), "form")
    return (kept.encode("latin-1") if found.locations else body), found


def form_params(body: bytes) -> dict[str, str]:
    """A form's decoded parameters, the last of a name; bounded in number and length."""
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    return _bounded(pairs)


def form_query(body: bytes) -> str:
    """A form as the raw query that says the same."""
    return quote_from_bytes(body, safe=_PRINTABLE)


def strip_json(body: bytes) -> tuple[bytes, ExtractedCredential]:
    """A JSON object without its members that hold credentials; every other member as sent.

    Only members of the outermost object count, under whatever spelling of their name. Anything
    that is not a JSON object is unchanged.
    """
    if not _MAY_NAME_A_CREDENTIAL.search(body) or not _is_json(body):
        return body, NOTHING
    opening = body.find(b"{")
    if body[:opening].removeprefix(_BOM).strip() or opening < 0:
        return body, NOTHING
    found, kept, end = NOTHING, [], opening + 1
    for name, start, value_start, end in _members(body, opening):
        part = part_of(_string(name) or "")
        if part:
            found = found.merge(extracted_from("json", part, _string(body[value_start:end])))
        else:
            kept.append(body[start:end])
    if not found.locations:
        return body, NOTHING
    return body[: opening + 1] + b",".join(kept) + body[end:], found


def json_params(body: bytes) -> dict[str, str]:
    """The scalar members of a JSON object, numbers as written; bounded in number and length."""
    scalars = {name: _scalar(value) for name, value in _object(body).items()}
    return _bounded([(name, value) for name, value in scalars.items() if value is not None])


def json_query(body: bytes) -> str:
    """The members of a JSON object as a raw query; empty for any other value.

    An array of scalars becomes Trello's list, joined by commas; deeper members are left out.
    """
    members = _object(body).items()
    pairs = [(name, _listed(value)) for name, value in members]
    return "&".join(
        f"{quote(name, safe='', errors='replace')}={quote(value, safe='', errors='replace')}"
        for name, value in pairs
        if value is not None
    )


def _members(body: bytes, opening: int) -> Iterator[tuple[bytes, int, int, int]]:
    """(name token, start, start of value, end) of each member of the object opened there.

    A member reaches from the comma before it to the comma or brace after it, both excluded.
    """
    depth, start, value_start, name = 0, opening + 1, 0, b""
    for token in _TOKEN.finditer(body, opening):
        symbol = token[0]
        if depth == 1 and symbol in (b",", b"}") and name:
            yield name, start, value_start, token.start()
            start, name = token.end(), b""
        elif depth == 1 and symbol == b":":
            value_start = token.end()
        elif depth == 1 and not name:
            name = symbol
        depth += (symbol in (b"{", b"[")) - (symbol in (b"}", b"]"))
        if depth == 0:
            return


def _object(body: bytes) -> dict[str, object]:
    """A JSON object, numbers as written; empty for anything else."""
    try:
        document = json.loads(_text(body), parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _check_size(body: bytes) -> None:
    """BodyTooLarge unless the values and the depth of a JSON document are bounded."""
    values, depth, at = 1, 0, 0
    while symbol := _STRUCTURE.match(body, at):
        at = symbol.end()
        match symbol[1]:
            case b",":
                values += 1
            case b"[" | b"{":
                values, depth = values + 1, depth + 1
            case _:
                depth -= 1
        if values > MAX_MEMBERS or depth > MAX_DEPTH:
            raise BodyTooLarge(
                f"Send JSON of at most {MAX_MEMBERS:,} values, nested {MAX_DEPTH} deep at most."
            )


def _is_json(body: bytes) -> bool:
    """Whether a lenient reader takes it for JSON; nesting too deep to tell counts as yes."""
    try:
        json.loads(_text(body), parse_int=str)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _text(body: bytes) -> str:
    return body.removeprefix(_BOM).decode("utf-8", "replace")


def _string(token: bytes) -> str | None:
    """What a JSON string says; None for anything else."""
    try:
        return str(json.loads(_text(token))) if token.lstrip().startswith(b'"') else None
    except ValueError:
        return None


def _scalar(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else None


def _listed(value: object) -> str | None:
    if not isinstance(value, list):
        return _scalar(value)
    items = [item for item in map(_scalar, value) if item is not None]
    return ",".join(items) if len(items) == len(value) else None


def _bounded(pairs: list[tuple[str, str]]) -> dict[str, str]:
    return dict([pair for pair in pairs if len(pair[1]) <= MAX_VALUE_CHARS][:MAX_PARAMS])
