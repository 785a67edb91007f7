"""What an attachment's metadata says of its file."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

_SEGMENT = re.compile(
    r"/download/((?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)(?:\?[^/]*)?\Z"
)
"""The name at the end of a URL; behind it may stand what signs a link."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of Trello's."""

    id: str
    """Of the attachment, or of its preview."""
    name: str
    """As it was stored at Trello."""
    segment: str
    """The same, as Trello spells it in URLs; empty where it does not tell."""
    length: int | None
    content_type: str


@dataclass(frozen=True, slots=True)
class Link:
    """No file: an address elsewhere."""

    url: str


@dataclass(frozen=True, slots=True)
class Malicious:
    """A file that Trello calls malicious."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Not an attachment's metadata."""


Described = Upload | Link | Malicious | Unreadable


def describe(metadata: bytes, preview: str | None = None) -> Described:
    """The file that the metadata, an attachment as JSON, names; or its preview.

    A preview that is not in the list has a name of its own, as in `preview2x`: Trello knows.
    """
    if len(metadata) > _REMEMBERED_BYTES:
        return _describe(metadata, preview)
    return _describe_again(metadata, preview)


def _describe(metadata: bytes, preview: str | None) -> Described:
    shown = _shown(metadata)
    identity = shown.get("id")
    if not isinstance(identity, str) or not identity:
        return Unreadable()
    if shown.get("isMalicious") is True:
        return Malicious()
    if shown.get("isUpload") is False:
        return Link(_text(shown, "url"))
    segment, name = _last_of(shown), name_of(shown)
    if preview is None:
        return Upload(identity, name, segment, _length(shown), _text(shown, "mimeType"))
    segment = _last_of(_listed(shown, preview))
    return Upload(f"{identity}/{preview}", unquote(segment) or name, segment, None, "")


_describe_again = lru_cache(maxsize=1024)(_describe)
"""The same few files are asked for again and again."""
_REMEMBERED_BYTES = 8 * 1024


def name_of(shown: Mapping[str, object]) -> str:
    """The stored name: `name` is the user's to change, and the last segment of `url` is not."""
    return _text(shown, "fileName") or unquote(_last_of(shown)) or _text(shown, "name")


def _last_of(shown: Mapping[str, object]) -> str:
    """What stands behind `/download/` in a URL of Trello's, as it is spelt there."""
    found = _SEGMENT.search(_text(shown, "url"))
    return found[1] if found else ""


def _listed(shown: Mapping[str, object], preview: str) -> Mapping[str, object]:
    listed = shown.get("previews")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and each.get("id") == preview:
            return each
    return {}


def _shown(metadata: bytes) -> Mapping[str, object]:
    try:
        parsed = json.loads(metadata)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _text(shown: Mapping[str, object], key: str) -> str:
    value = shown.get(key)
    return value if isinstance(value, str) else ""


def _length(shown: Mapping[str, object]) -> int | None:
    value = shown.get("bytes")
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
