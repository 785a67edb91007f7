"""Form and JSON bodies: credential removed, other parameters read (D50). Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, quote_from_bytes

from proxy.credentials.extraction import (
    NOTHING,
    ExtractedCredential,
    extracted_from,
    part_of,
    strip_parameters,
)
from proxy.errors import BodyTooLarge
from proxy.http_semantics.content import media_type_of
from proxy.http_semantics.parameters import (
    BOM,
    MAX_MEMBERS,
    Parameter,
    leaves_of,
    members_of,
    read_form,
    read_json,
    scalar_text,
)

BodyForm = Literal["form", "json", "multipart", "opaque"]

MAX_DEPTH = 100
"""Levels of nesting in JSON; Trello's own bodies have four."""
MAX_PARAMS = 64
"""Parameters of one body that are read."""
MAX_VALUE_CHARS = 4096
"""A longer parameter is not read."""

_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_LOOKS_LIKE_FORM = re.compile(rb"[\w%.\[\]+~*/-]{1,256}=", re.A)
_FORM_TYPE = "application/x-www-form-urlencoded"

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(_STRING + rb"|[\[\]{}:,]", re.S)
_STRUCTURE = re.compile(rb'(?:[^"\[\]{},]++|' + _STRING + rb")*+([\[\]{},])", re.S)
"""The next bracket or comma that is not within a string."""


@dataclass(frozen=True, slots=True)
class ParsedBody:
    """A form or JSON body and its parameters."""

    body: bytes = field(repr=False)
    """Without credentials; all other bytes unchanged."""
    credential: ExtractedCredential
    params: dict[str, str] = field(repr=False)
    """Scalars by name, the last of a name; bounded in number and length."""
    parameters: tuple[Parameter, ...] = field(repr=False)
    """All parameters in every reading of the body that a receiver may choose."""


def body_form(content_type: str | None, head: bytes) -> BodyForm:
    """The format of a body that begins with `head`.

    Clients mislabel: a body that begins like an object is JSON, one that begins like `name=` is a
    form, with any Content-Type or none; only multipart is taken from it unseen.
    """
    media_type = media_type_of(content_type or "")
    start = head.removeprefix(BOM).lstrip()[:1]
    if media_type.startswith("multipart/") and start != b"{":
        return "multipart"
    if _LOOKS_LIKE_FORM.match(head):
        return "form"
    if start in (b"{", b"[") or _is_json_type(media_type):
        return "json"
    return "form" if media_type == _FORM_TYPE else "opaque"


def _is_json_type(media_type: str) -> bool:
    return media_type == "application/json" or media_type.endswith("+json")


def parse_form(body: bytes) -> ParsedBody:
    """An `application/x-www-form-urlencoded` body; BodyTooLarge for too many parameters."""
    _check_number(body)
    kept, found = strip_parameters(body.decode("latin-1"), "form")
    stripped = kept.encode("latin-1") if found.locations else body
    parameters = read_form(stripped.decode("utf-8", "replace"))
    return ParsedBody(stripped, found, _bounded(parameters), tuple(parameters))


def parse_json(body: bytes, content_type: str = "") -> ParsedBody:
    """A JSON body; members of its outermost object may be credentials.

    With another Content-Type than JSON, a receiver may also read it as a form. BodyTooLarge for too
    many values or too deep nesting, MalformedJson, CharsetNotUtf8.
    """
    _check_size(body)
    document = read_json(body)
    as_form: list[Parameter] = []
    if not _is_json_type(media_type_of(content_type)):
        _check_number(body)
        as_form = read_form(body.decode())[1:]  # no parameter's name begins like JSON
    stripped, found = _strip_json(body, document)
    scalars = [(name, scalar_text(value)) for name, value in members_of(document)]
    kept = [(name, value) for name, value in scalars if value is not None and not part_of(name)]
    return ParsedBody(stripped, found, _bounded(kept), (*leaves_of(document), *as_form))


def form_query(body: bytes) -> str:
    """A form as a raw query."""
    return quote_from_bytes(body, safe=_PRINTABLE)


def _strip_json(body: bytes, document: object) -> tuple[bytes, ExtractedCredential]:
    """The body without credentials, in any spelling of their names; other members unchanged.

    Only members of the outermost object are credentials.
    """
    if not any(part_of(name) for name, _ in members_of(document)):
        return body, NOTHING
    opening = body.find(b"{")
    found, kept, end = NOTHING, [], opening + 1
    for (name, value), (start, end) in zip(
        members_of(document), _spans(body, opening), strict=True
    ):
        part = part_of(name)
        if part:
            text = value if isinstance(value, str) else None
            found = found.merge(extracted_from("json", part, text))
        else:
            kept.append(body[start:end])
    return body[: opening + 1] + b",".join(kept) + body[end:], found


def json_query(body: bytes) -> str:
    """The members of a JSON object as a raw query; empty for any other value, and an empty body.

    An array of scalars becomes Trello's comma-separated list; deeper members are omitted.
    """
    pairs = [(name, _listed(value)) for name, value in members_of(read_json(body))]
    return "&".join(
        f"{quote(name, safe='', errors='replace')}={quote(value, safe='', errors='replace')}"
        for name, value in pairs
        if value is not None
    )


def _spans(body: bytes, opening: int) -> Iterator[tuple[int, int]]:
    """The (start, end) of each member of the object that begins at `opening`, in valid JSON.

    A member extends from the comma or brace before it to the one after it, both excluded.
    """
    depth, start = 0, opening + 1
    for token in _TOKEN.finditer(body, opening):
        symbol = token[0]
        if depth == 1 and symbol in (b",", b"}"):
            yield start, token.start()
            start = token.end()
        depth += (symbol in (b"{", b"[")) - (symbol in (b"}", b"]"))
        if depth == 0:
            return


def _check_number(body: bytes) -> None:
    """BodyTooLarge for a form of too many parameters."""
    if body.count(b"&") + body.count(b";") >= MAX_MEMBERS:
        raise BodyTooLarge(f"Send a form of at most {MAX_MEMBERS:,} parameters.")


def _check_size(body: bytes) -> None:
    """BodyTooLarge for a JSON document of too many values or too deep nesting."""
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


def _listed(value: object) -> str | None:
    if not isinstance(value, list):
        return scalar_text(value)
    items = [item for item in map(scalar_text, value) if item is not None]
    return ",".join(items) if len(items) == len(value) else None


def _bounded(pairs: list[tuple[str, str]]) -> dict[str, str]:
    return dict([pair for pair in pairs if len(pair[1]) <= MAX_VALUE_CHARS][:MAX_PARAMS])
