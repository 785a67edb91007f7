"""Users' files share the API's origin: how they may be shown, and where they may come from."""

from collections.abc import Iterable
from urllib.parse import quote

from proxy.model import Fields

_SHOWN = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/avif",
        "image/bmp",
        "text/plain",
        "application/pdf",
    }
)
"""Passive types; everything else is saved, not shown. Audio and video are matched by their tree."""

SAFE_FIELDS: Fields = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; sandbox"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
    ("Cache-Control", "private, no-cache"),
)


def disposition(content_type: str, name: str) -> str:
    """Content-Disposition: inline for passive types, else attachment (RFC 6266, RFC 8187)."""
    media_type = content_type.partition(";")[0].strip().lower()
    shown = media_type in _SHOWN or media_type.startswith(("audio/", "video/"))
    kind = "inline" if shown else "attachment"
    plain = "".join(
        char if char.isascii() and char.isprintable() and char not in '"\\%' else "_"
        for char in name
    )
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def is_storage_host(host: str, port: int | None, allowed: Iterable[str]) -> bool:
    """Whether a download may be redirected there: `host`, `host:port` or `*.suffix`, as listed."""
    name = host.lower()
    for entry in allowed:
        listed, _, listed_port = entry.lower().partition(":")
        if listed_port and listed_port != str(port):
            continue
        if name == listed or (listed.startswith("*.") and name.endswith(listed[1:])):
            return True
    return False
