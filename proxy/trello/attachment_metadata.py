"""Attachment metadata: the file, link or refusal that an attachment's JSON describes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import unquote

from proxy.http_semantics.json_members import object_of

_SEGMENT = re.compile(
    r"/download/((?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)(?:\?[^/]*)?\Z"
)
"""The name at the end of a URL, before a signature."""
_LENGTH = re.compile("[0-9]{1,15}")
_SIZE = re.compile(r"/([0-9]{1,5})x([0-9]{1,5})/")
"""Width and height of a preview, in the storage URL of links of 2020."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file stored at Trello."""

    id: str
    """Of the attachment, or of its preview."""
    name: str
    """Its name at Trello."""
    segment: str
    """The name as spelled in Trello's URLs; empty if unknown."""
    length: int | None
    content_type: str
    preview: str = ""
    """The preview's part of `id`; empty for the file itself."""
    modified_at: int | None = None
    """POSIX seconds when it was attached; files never change. None: unknown."""


@dataclass(frozen=True, slots=True)
class Link:
    """A URL elsewhere, not a file."""

    url: str


@dataclass(frozen=True, slots=True)
class Malicious:
    """A file that Trello calls malicious."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Not an attachment's metadata."""


AttachmentInfo = UploadedFile | Link | Malicious | Unreadable


def parse_attachment(metadata: bytes, preview: str | None = None) -> AttachmentInfo:
    """The file described by an attachment's JSON, or one of its previews.

    A preview that is not listed is one with its own name (`preview2x`), which Trello resolves.
    """
    if len(metadata) > _REMEMBERED_BYTES:
        return _parse(metadata, preview)
    return _parse_remembered(metadata, preview)


def _parse(metadata: bytes, preview: str | None) -> AttachmentInfo:
    shown = object_of(metadata)
    identity = shown.get("id")
    if not isinstance(identity, str) or not identity:
        return Unreadable()
    if shown.get("isMalicious") is True:
        return Malicious()
    if shown.get("isUpload") is False:
        return Link(_text(shown, "url"))
    segment, name, date = _last_of(shown), name_of(shown), _date(shown)
    if preview is None:
        length, content_type = _length(shown), _text(shown, "mimeType")
        return UploadedFile(identity, name, segment, length, content_type, modified_at=date)
    segment = _last_of(_listed(shown, preview))
    name = unquote(segment) or name
    return UploadedFile(f"{identity}/{preview}", name, segment, None, "", preview, date)


_parse_remembered = lru_cache(maxsize=1024)(_parse)
"""The same few files are requested repeatedly."""
_REMEMBERED_BYTES = 8 * 1024


def preview_of_size(metadata: bytes, backing_url: str) -> str | None:
    """The id of the preview of the size in a `backingUrl` of 2020; None for the file itself."""
    size = _SIZE.search(backing_url)
    if size is None:
        return None
    for each in _previews(object_of(metadata)):
        if (str(each.get("width")), str(each.get("height"))) == size.groups():
            return _text(each, "id") or None
    return None


def name_of(shown: Mapping[str, object]) -> str:
    """The name at Trello; `name` can be edited, the last segment of `url` cannot."""
    return _text(shown, "fileName") or unquote(_last_of(shown)) or _text(shown, "name")


def _last_of(shown: Mapping[str, object]) -> str:
    """The encoded name after `/download/` in Trello's URL."""
    found = _SEGMENT.search(_text(shown, "url"))
    return found[1] if found else ""


def _listed(shown: Mapping[str, object], preview: str) -> Mapping[str, object]:
    return next((each for each in _previews(shown) if each.get("id") == preview), {})


def _previews(shown: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    listed = shown.get("previews")
    yield from (
        each for each in (listed if isinstance(listed, list) else ()) if isinstance(each, dict)
    )


def _text(shown: Mapping[str, object], key: str) -> str:
    value = shown.get(key)
    return value if isinstance(value, str) else ""


def _date(shown: Mapping[str, object]) -> int | None:
    """The date of attaching in whole POSIX seconds; None if absent or invalid."""
    try:
        moment = datetime.fromisoformat(_text(shown, "date"))
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    except (ValueError, OverflowError):
        return None


def _length(shown: Mapping[str, object]) -> int | None:
    value = shown.get("bytes")
    if isinstance(value, str) and _LENGTH.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
