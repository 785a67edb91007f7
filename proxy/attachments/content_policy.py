"""Content policy of attachments: media types, security fields, file names, storage hosts. Pure.

Attachments share the API's origin. Their bytes are never changed; what a browser may do with them
depends on their media type only, never on their name.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import quote

from proxy.http_semantics.content import media_type_of
from proxy.model import Fields

_INLINE = frozenset(
    {
        "image/png",
        "image/apng",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/avif",
        "image/bmp",
        "image/heic",
        "image/heif",
        "image/tiff",
        "image/vnd.microsoft.icon",
        "image/x-icon",
        "text/plain",
        "application/pdf",
    }
)
"""Passive types, displayed inline; all others are saved. Audio and video: see _INLINE_TREES."""
_INLINE_TREES = ("audio/", "video/")

_ALIASES = {
    "application/acrobat": "application/pdf",
    "application/vnd.pdf": "application/pdf",
    "application/x-pdf": "application/pdf",
    "image/bitmap": "image/bmp",
    "image/ico": "image/vnd.microsoft.icon",
    "image/icon": "image/vnd.microsoft.icon",
    "image/jfif": "image/jpeg",
    "image/jpe": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/tif": "image/tiff",
    "image/x-apng": "image/apng",
    "image/x-bmp": "image/bmp",
    "image/x-citrix-jpeg": "image/jpeg",
    "image/x-citrix-png": "image/png",
    "image/x-gif": "image/gif",
    "image/x-ico": "image/vnd.microsoft.icon",
    "image/x-jpeg": "image/jpeg",
    "image/x-jpg": "image/jpeg",
    "image/x-ms-bmp": "image/bmp",
    "image/x-png": "image/png",
    "image/x-tiff": "image/tiff",
    "image/x-webp": "image/webp",
    "image/x-windows-bmp": "image/bmp",
    "text/pdf": "application/pdf",
    "text/x-pdf": "application/pdf",
}
"""Unregistered names of passive types that clients send."""

UNTYPED = "application/octet-stream"
_UNINFORMATIVE = frozenset({UNTYPED, "binary/octet-stream", "application/x-unknown", ""})
_WORD = r"[A-Za-z0-9!#$&^_.+-]{1,64}"
_CONTENT_TYPE = re.compile(rf"({_WORD}/{_WORD})[ \t]*(;[ -~]*)?")
_CHARSET = re.compile(rf";[ \t]*charset=\"?({_WORD})\"?[ \t]*(?:;|\Z)", re.IGNORECASE)

_PASSIVE_CSP = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
)
_PDF_CSP = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'"
"""Without `sandbox`, in which browsers open no PDF viewer; a PDF's scripts cannot leave the viewer
(D22)."""

MAX_AGE_S = 3600
"""Seconds for which a browser may use a file without another request."""
_NAME_CHARS = 180
_SUFFIX_CHARS = 20
_SEPARATORS = str.maketrans("/\\:", "___")


def first_content_type(content_types: Iterable[str]) -> str:
    """The first informative type under its registered name, else UNTYPED.

    All parameters but `charset` are removed.
    """
    for each in content_types:
        found = _CONTENT_TYPE.fullmatch(each.strip())
        if found is None or found[1].lower() in _UNINFORMATIVE:
            continue
        media_type = _ALIASES.get(found[1].lower(), found[1].lower())
        charset = _CHARSET.search(found[2] or "")
        return f"{media_type}; charset={charset[1]}" if charset else media_type
    return UNTYPED


def is_inline(content_type: str) -> bool:
    """Whether a browser may display the file: its type is passive, without scripts."""
    media_type = media_type_of(content_type)
    in_tree = media_type.startswith(_INLINE_TREES) and not media_type.endswith("+xml")
    return media_type in _INLINE or in_tree


def safe_fields(content_type: str) -> Fields:
    """Fields that forbid sniffing, scripts and the origin; inline types and images may be embedded.

    An SVG is saved when it is opened, and displayed in an `<img>`, where its scripts do not run.
    """
    media_type = media_type_of(content_type)
    is_embedded = is_inline(content_type) or media_type.startswith("image/")
    return (
        ("X-Content-Type-Options", "nosniff"),
        (
            "Content-Security-Policy",
            _PDF_CSP if media_type == "application/pdf" else _PASSIVE_CSP,
        ),
        ("Cross-Origin-Resource-Policy", "cross-origin" if is_embedded else "same-origin"),
    )


def etag_of_file(file_id: str) -> str:
    """A strong validator of an attachment or preview, as its bytes never change (RFC 9110 §8.8.1).

    Made of the id, so that it is the same before, during and after the download (D19).
    """
    return f'"{quote(file_id, safe="/")}"'


@lru_cache(maxsize=1024)
def disposition(content_type: str, name: str, *, save: bool = False) -> str:
    """Content-Disposition: inline for passive types, else attachment (RFC 6266, RFC 8187).

    `save`: attachment in any case.
    """
    kind = "inline" if is_inline(content_type) and not save else "attachment"
    safe = safe_name(name)
    return (
        f"{kind}; filename=\"{_ascii_name(name, safe)}\"; filename*=UTF-8''{quote(safe, safe='')}"
    )


def _ascii_name(name: str, safe: str) -> str:
    """The `filename` parameter in ASCII, different for different names (RFC 6266 §4.3).

    If characters had to be replaced, a digest of the name is appended.
    """
    ascii_name = "".join(
        char if char.isascii() and char.isprintable() and char not in '"%' else "_" for char in safe
    )
    if ascii_name == name:
        return ascii_name
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    stem, dot, suffix = ascii_name.rpartition(".")
    return f"{stem}-{digest}.{suffix}" if stem and dot else f"{ascii_name}-{digest}"


def safe_name(name: str) -> str:
    """The name without controls, direction marks and path separators; `file` if nothing is left."""
    visible = "".join(char for char in name if unicodedata.category(char) not in _INVISIBLE)
    flat = visible.translate(_SEPARATORS).strip(" ")
    if len(flat) > _NAME_CHARS:
        stem, dot, suffix = flat.rpartition(".")
        ending = dot + suffix if stem and len(suffix) <= _SUFFIX_CHARS else ""
        flat = flat[: _NAME_CHARS - len(ending)] + ending
    return flat if flat.strip(". ") else "file"


_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of invisible characters; the marks that reverse a text are Cf."""


def is_storage_host(host: str, port: int | None, allowed: Iterable[str]) -> bool:
    """Whether a download may be redirected to a host.

    `allowed`: `host`, `host:port` or `*.suffix`, as in `upstream.storage_hosts`.
    """
    name = host.lower()
    for entry in allowed:
        listed, listed_port = _split(entry)
        if listed_port and listed_port != str(port):
            continue
        if name == listed or (listed.startswith("*.") and name.endswith(listed[1:])):
            return True
    return False


def is_listed_by_name(host: str, port: int | None, allowed: Iterable[str]) -> bool:
    """As `is_storage_host`, without patterns."""
    return is_storage_host(host, port, (each for each in allowed if not each.startswith("*.")))


def _split(entry: str) -> tuple[str, str]:
    """The host, an IPv6 address without brackets, and the port or an empty string."""
    if entry.startswith("["):
        listed, _, rest = entry[1:].lower().partition("]")
        return listed, rest.removeprefix(":")
    listed, _, port = entry.lower().partition(":")
    return listed, port
