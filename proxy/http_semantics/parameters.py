"""Parameters of queries, forms, JSON bodies: the one reader for all rules about them (D53). Pure.

Facts:
- A receiver that nests parameters (Express with `qs`) reads `a[b]`, `a[]`, `a[0]`, `[a]` as `a`.
- Trello separates the words of a name by `/` or `_`: `prefs/permissionLevel`, `board_fields`.
- JSON is strict (RFC 8259): a text that a lenient receiver could read differently is refused.
"""

import json
import re
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qsl, unquote

from proxy.errors import CharsetNotUtf8, MalformedJson

MAX_MEMBERS = 2000
"""Parameters, list members, path segments or JSON values that one part of a request may have: to
read them takes time in proportion, on the event loop."""

Parameter = tuple[str, str]
"""A decoded name and a decoded value; a name nested in JSON has brackets: `prefs[background]`."""

METHOD_PARAMETER = "_method"
"""The parameter that overrides the request's method."""
BOM = b"\xef\xbb\xbf"
"""UTF-8's byte order mark, with which a JSON text may begin (RFC 8259 §8.1)."""
MAX_DECODINGS = 3
"""Of text that is percent-encoded more than once."""
_BLANKS = "".join(map(chr, range(0x21))) + "\x7f\x85\xa0\u200b\u2028\u2029\ufeff"
"""White space and control characters."""
_BRACKET = re.compile(r"[\[\]]")
_WORD = re.compile("[0-9a-z]+")
_NAME_CHARS = 200
"""Length to which the path of a nested JSON member is cut."""


class JsonObject(tuple[tuple[str, object], ...]):
    """The members of a JSON object in order; a name may occur more than once."""

    __slots__ = ()


def root_of(name: str) -> str:
    """The case-folded parameter that a decoded name sets: `[Key ][x]` sets `key`."""
    folded = name.casefold().lstrip(_BLANKS + "?[")
    return _BRACKET.split(folded, maxsplit=1)[0].rstrip(_BLANKS)


def words_of(text: str) -> tuple[str, ...]:
    """The case-folded words of a decoded name, value or path segment.

    All characters but ASCII letters and digits separate them; numbers (array indices) do not count.
    """
    return tuple(word for word in _WORD.findall(text.casefold()) if not word.isdigit())


def words_in_any_encoding(text: str) -> Iterator[tuple[str, ...]]:
    """The words of a text as it is, and percent-decoded up to MAX_DECODINGS times."""
    for _ in range(MAX_DECODINGS):
        yield words_of(text)
        if "%" not in text:
            return
        text = unquote(text)
    yield words_of(text)


def read_form(text: str) -> list[Parameter]:
    """The parameters of a raw query or form, those with empty values included."""
    return parse_qsl(text, keep_blank_values=True, errors="replace")


def read_json(body: bytes) -> object:
    """The value of a JSON text: objects as JsonObject, numbers as text; None for an empty text.

    MalformedJson for a text that RFC 8259 does not allow, CharsetNotUtf8.
    """
    try:
        text = body.removeprefix(BOM).decode()
        return _DECODER.decode(text) if text.strip() else None
    except UnicodeDecodeError:
        raise CharsetNotUtf8("This JSON is not valid UTF-8.") from None
    except (ValueError, RecursionError):
        raise MalformedJson(
            "Send one JSON document as RFC 8259 has it, and nothing before or behind it."
        ) from None


def leaves_of(document: object, within: str = "") -> Iterator[Parameter]:
    """All scalars of a JSON document, named by the path of their members, without array indices."""
    members = members_of(document)
    if isinstance(document, list):
        members = [("", each) for each in document]
    for name, value in members:
        yield from leaves_of(value, f"{within[:_NAME_CHARS]}[{name}]" if within else name)
    if not members:
        yield within, scalar_text(document) or ""


def scalar_text(value: object) -> str | None:
    """A JSON scalar as a parameter's value, numbers as written; None for any other value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else None


def members_of(document: object) -> Sequence[tuple[str, object]]:
    """The members of a JSON object; none for any other value."""
    return document if isinstance(document, JsonObject) else ()


def _refuse_constant(name: str) -> object:
    """ValueError for NaN and Infinity, which are not JSON."""
    raise ValueError(name)


_DECODER = json.JSONDecoder(
    parse_int=str,
    parse_float=str,
    parse_constant=_refuse_constant,
    object_pairs_hook=JsonObject,
)
