"""What an attachment's metadata says of its file."""

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
"""The name at the end of a URL; behind it may stand what signs a link."""
_LENGTH = re.compile("[0-9]{1,15}")
_SIZE = re.compile(r"/([0-9]{1,5})x([0-9]{1,5})/")
"""Width and height of a preview, in the storage address that links of 2020 carry."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file of Trello's."""

    id: str
    """Of the attachment, or of its preview."""
    name: str
    """As it was stored at Trello."""
    segment: str
    """The same, as Trello spells it in URLs; empty where it does not tell."""
    length: int | None
    content_type: str
    preview: str = ""
    """The preview's part of `id`; empty for the file itself."""
    modified_at: int | None = None
    """POSIX seconds: when it was attached, and nothing changes it later; None: not told."""


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


AttachmentInfo = UploadedFile | Link | Malicious | Unreadable


def parse_attachment(metadata: bytes, preview: str | None = None) -> AttachmentInfo:
    """The file that the metadata, an attachment as JSON, names; or its preview.

    A preview that is not in the list has a name of its own, as in `preview2x`: Trello knows.
    """
    if len(metadata) > _REMEMBERED_BYTES:
        return _parse(metadata, preview)
    return _describe_again(metadata, preview)


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


_describe_again = lru_cache(maxsize=1024)(_parse)
"""The same few files are asked for again and again."""
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
    """The stored name: `name` is the user's to change, and the last segment of `url` is not."""
    return _text(shown, "fileName") or unquote(_last_of(shown)) or _text(shown, "name")


def _last_of(shown: Mapping[str, object]) -> str:
    """What stands behind `/download/` in a URL of Trello's, as it is spelt there."""
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
    """The date of attaching in whole POSIX seconds; None where it is not told."""
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
