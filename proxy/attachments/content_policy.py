"""Users' files share the API's origin: how they may be shown, and where they may come from.

Bytes are never changed. What a browser may do with them is decided by their type alone, never by
their name.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import quote

from proxy.model import Fields

_SHOWN = frozenset(
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
"""Passive types; everything else is saved, not shown. Audio and video are matched by their tree."""
_SHOWN_TREES = ("audio/", "video/")

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
"""Unregistered names of passive types, as clients send them."""

UNTYPED = "application/octet-stream"
_SAYS_NOTHING = frozenset({UNTYPED, "binary/octet-stream", "application/x-unknown", ""})
_WORD = r"[A-Za-z0-9!#$&^_.+-]{1,64}"
_CONTENT_TYPE = re.compile(rf"({_WORD}/{_WORD})[ \t]*(;[ -~]*)?")
_CHARSET = re.compile(rf";[ \t]*charset=\"?({_WORD})\"?[ \t]*(?:;|\Z)", re.IGNORECASE)

_PASSIVE_CSP = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
)
_PDF_CSP = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'"
"""Without `sandbox`: browsers do not open their PDF viewer in one, and a PDF's scripts cannot
leave the viewer."""

MAX_AGE_S = 3600
"""For so long a browser that has a file need not ask whether it still may have it."""
_NAME_CHARS = 180
_SUFFIX_CHARS = 20
_SEPARATORS = str.maketrans("/\\:", "___")


def first_content_type(named: Iterable[str]) -> str:
    """The first of these types that says something, under its registered name.

    No parameter stays but `charset`.
    """
    for each in named:
        found = _CONTENT_TYPE.fullmatch(each.strip())
        if found is None or found[1].lower() in _SAYS_NOTHING:
            continue
        media_type = _ALIASES.get(found[1].lower(), found[1].lower())
        charset = _CHARSET.search(found[2] or "")
        return f"{media_type}; charset={charset[1]}" if charset else media_type
    return UNTYPED


def is_inline(content_type: str) -> bool:
    """Whether a browser may show it: of a passive type, without scripts."""
    media_type = content_type.partition(";")[0].strip().lower()
    in_tree = media_type.startswith(_SHOWN_TREES) and not media_type.endswith("+xml")
    return media_type in _SHOWN or in_tree


def safe_fields(content_type: str) -> Fields:
    """No sniffing, no scripts, no same origin; what is shown, and pictures, any page may embed.

    SVG is saved when it is opened, and a picture in an `<img>`, where its scripts do not run.
    """
    media_type = content_type.partition(";")[0].strip().lower()
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
    """A strong validator: the bytes of an attachment or a preview never change (§8.8.1).

    Known before they are there, so it is one for a file that arrives and the same that is kept.
    """
    return f'"{quote(file_id, safe="/")}"'


@lru_cache(maxsize=1024)
def disposition(content_type: str, name: str, *, save: bool = False) -> str:
    """Content-Disposition: inline for passive types, else attachment (RFC 6266, RFC 8187)."""
    kind = "inline" if is_inline(content_type) and not save else "attachment"
    harmless = safe_name(name)
    return (
        f'{kind}; filename="{_plain_name(name, harmless)}"; '
        f"filename*=UTF-8''{quote(harmless, safe='')}"
    )


def _plain_name(name: str, harmless: str) -> str:
    """The `filename` parameter: plain ASCII, different for different names.

    Where characters had to be replaced, a digest of the name follows (RFC 6266 §4.3).
    """
    plain = "".join(
        char if char.isascii() and char.isprintable() and char not in '"%' else "_"
        for char in harmless
    )
    if plain == name:
        return plain
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    stem, dot, suffix = plain.rpartition(".")
    return f"{stem}-{digest}.{suffix}" if stem and dot else f"{plain}-{digest}"


def safe_name(name: str) -> str:
    """The name without what deceives or escapes: controls, direction marks, path separators."""
    seen = "".join(char for char in name if unicodedata.category(char) not in _UNSEEN)
    flat = seen.translate(_SEPARATORS).strip(" ")
    if len(flat) > _NAME_CHARS:
        stem, dot, suffix = flat.rpartition(".")
        ending = dot + suffix if stem and len(suffix) <= _SUFFIX_CHARS else ""
        flat = flat[: _NAME_CHARS - len(ending)] + ending
    return flat if flat.strip(". ") else "file"


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of what cannot be seen; the marks that reverse a text are Cf."""


def is_storage_host(host: str, port: int | None, allowed: Iterable[str]) -> bool:
    """Whether a download may be redirected there: `host`, `host:port` or `*.suffix`, as listed."""
    name = host.lower()
    for entry in allowed:
        listed, listed_port = _split(entry)
        if listed_port and listed_port != str(port):
            continue
        if name == listed or (listed.startswith("*.") and name.endswith(listed[1:])):
            return True
    return False


def is_listed_by_name(host: str, port: int | None, allowed: Iterable[str]) -> bool:
    """As `is_storage_host`, without the patterns."""
    return is_storage_host(host, port, (each for each in allowed if not each.startswith("*.")))


def _split(entry: str) -> tuple[str, str]:
    """Host, without an IPv6 address's brackets, and port or nothing."""
    if entry.startswith("["):
        listed, _, rest = entry[1:].lower().partition("]")
        return listed, rest.removeprefix(":")
    listed, _, port = entry.lower().partition(":")
    return listed, port
