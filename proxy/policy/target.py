"""One representation of a request target (D5): decided on, and forwarded, as the same bytes."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from proxy.errors import BadTarget

_PLAIN = re.compile(r"[!-~]*\Z")
_FORBIDDEN = re.compile(r"%(?:2f|5c)|\\", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Target:
    """An origin-form target (RFC 9112 §3.2.1)."""

    path: str
    """As sent, percent-encoding and all."""
    query: str
    """As sent, without the `?`; empty when there is none."""
    segments: tuple[str, ...]
    """Decoded, empty ones left out: what a route is found by."""

    @property
    def raw(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


def parse(raw: str) -> Target:
    """The target, or BadTarget where two readers could read it differently."""
    if not raw.startswith("/"):
        raise BadTarget("Send a path that begins with '/', not a whole URL.")
    if raw.startswith("//"):
        raise BadTarget("Begin the path with one '/'.")
    path, _, query = raw.partition("?")
    if not _PLAIN.match(raw):
        raise BadTarget("Percent-encode everything outside printable ASCII.")
    if "#" in raw:
        raise BadTarget("Leave the fragment out; a literal '#' is %23.")
    if _FORBIDDEN.search(path):
        raise BadTarget("Encoded slashes and backslashes are not accepted in a path.")
    segments = tuple(_decode(part) for part in path.split("/") if part)
    return Target(path, query, segments)


def _decode(part: str) -> str:
    try:
        segment = unquote(part, errors="strict")
    except UnicodeDecodeError as error:
        raise BadTarget("Percent-encoded text in a path must be UTF-8.") from error
    if segment in {".", ".."}:
        raise BadTarget("Dot segments are not accepted; send the path they stand for.")
    if _CONTROL.search(segment):
        raise BadTarget("Control characters are not accepted in a path.")
    return segment
