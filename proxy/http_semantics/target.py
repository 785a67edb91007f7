"""Request targets: decoded once, routed, and sent upstream in one canonical form (D5).

Of all spellings of a target (RFC 3986 §6.2.2: letter case, percent-encoding, empty segments, order
of parameters) exactly one is ever sent upstream, and the cache key is a digest of it: a client
chooses the resource, never the spelling.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, quote_from_bytes, unquote, unquote_to_bytes

from proxy.errors import InvalidTarget
from proxy.http_semantics.parameters import MAX_MEMBERS

_HOST = re.compile(r"(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?\Z")


def host_name(host: str) -> str | None:
    """The host of a Host field in lower case, without port or brackets; None if malformed."""
    lower = host.lower()
    if not _HOST.match(lower):
        return None
    if lower.startswith("["):
        return lower[1:].partition("]")[0]
    return lower.partition(":")[0]


MAX_TARGET_BYTES = 32 * 1024
"""The longest target that is accepted from a client or sent to Trello."""

_PRINTABLE = re.compile(r"[!-~]*\Z")
_SEPARATOR = re.compile(r"%(?:2f|5c)|\\", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CANONICAL = re.compile(r"[A-Za-z0-9_.~,-]*\Z")
_ABSOLUTE = re.compile(r"https?://(?P<authority>[^/?#]+)(?P<rest>.*)\Z", re.IGNORECASE | re.DOTALL)
_CARDS = frozenset({"card", "cards"})
_MEMBER_END = re.compile(r"[/?&;,]|%2c|%26|%3b|%3f", re.I)
"""What ends a segment, a parameter or a list member, also if it is encoded once more."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed origin-form target (RFC 9112 §3.2.1)."""

    query: str
    """The raw query without the `?`; empty if there is none."""
    segments: tuple[str, ...]
    """Decoded path segments, without empty ones."""


def split_absolute(raw: str) -> tuple[str, str]:
    """The authority and the origin-form target of an absolute-form one (RFC 9112 §3.2.2).

    A target of another form is returned unchanged, with an empty authority.
    """
    found = _ABSOLUTE.match(raw)
    if found is None:
        return "", raw
    rest = found["rest"]
    return found["authority"], rest if rest.startswith("/") else f"/{rest}"


def check_target_size(raw: str) -> None:
    """InvalidTarget for more than MAX_MEMBERS segments, parameters and list members."""
    if len(raw) > MAX_MEMBERS and len(_MEMBER_END.findall(raw)) > MAX_MEMBERS:
        raise InvalidTarget(f"Send at most {MAX_MEMBERS:,} parameters, segments and list members.")


def parse(raw: str) -> Target:
    """The parsed target; InvalidTarget if two parsers could disagree about it."""
    if not raw.startswith("/"):
        raise InvalidTarget("Send a path that begins with '/', not a whole URL.")
    if raw.startswith("//"):
        raise InvalidTarget("Begin the path with one '/'.")
    if not _PRINTABLE.match(raw):
        raise InvalidTarget("Percent-encode everything outside printable ASCII.")
    if "#" in raw:
        raise InvalidTarget("Leave the fragment out; a literal '#' is %23.")
    path, _, query = raw.partition("?")
    *parents, last = [part for part in path.split("/") if part] or [""]
    segments = [_decoded(part) for part in parents]
    if last:
        segments.append(_file_name(last) if _is_download(segments) else _decoded(last))
    return Target(query, tuple(segments))


def target_of(segments: Sequence[str], query: str) -> str:
    """The canonical target, below `/1`, of decoded segments and a canonical query."""
    path = "/1" + "".join([f"/{quote(segment, safe=',')}" for segment in segments])
    return f"{path}?{query}" if query else path


def canonical_query(raw: str, *, ordered: bool = False) -> str:
    """The canonical spelling of a raw query: all octets encoded but unreserved ones and commas.

    Parameters are sorted by name, stably; `ordered` keeps their order. `+` and `%20` are a space,
    only `&` separates (application/x-www-form-urlencoded); a parameter without `=` has an empty
    value.
    """
    pairs = [_pair(part) for part in raw.split("&") if part]
    if not ordered:
        pairs.sort(key=lambda pair: pair[0])
    return "&".join([f"{name}={value}" for name, value in pairs])


def with_parameters(query: str, others: str) -> str:
    """The raw query `query`, and those parameters of `others` whose names it does not have."""
    parts = [part for part in query.split("&") if part]
    names = {_pair(part)[0] for part in parts}
    added = [part for part in others.split("&") if part and _pair(part)[0] not in names]
    return "&".join(parts + added) if added else query


def names_in(query: str) -> frozenset[str]:
    """The decoded names of a raw query's parameters."""
    return frozenset([name for name, _ in parse_qsl(query, keep_blank_values=True)])


def _pair(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return _encoded(name), _encoded(value)


def _encoded(text: str) -> str:
    if _CANONICAL.match(text):
        return text
    return quote_from_bytes(unquote_to_bytes(text.replace("+", " ")), safe=",")


def _decoded(part: str) -> str:
    """A segment, percent-decoded once; InvalidTarget if it could become another path."""
    if _CANONICAL.match(part):
        return _no_dots(part)
    if _SEPARATOR.search(part):
        raise InvalidTarget("Encoded slashes and backslashes are not accepted in a path.")
    try:
        segment = unquote(part, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidTarget("Percent-encoded text in a path must be UTF-8.") from error
    if _CONTROL.search(segment):
        raise InvalidTarget("Control characters are not accepted in a path.")
    return _no_dots(segment)


def _file_name(part: str) -> str:
    """The segment after `download`: any octets, as nothing is decided by it."""
    return _no_dots(unquote(part, errors="replace"))


def _no_dots(segment: str) -> str:
    if segment in {".", ".."}:
        raise InvalidTarget("Dot segments are not accepted; send the path that they resolve to.")
    return segment


def _is_download(segments: Sequence[str]) -> bool:
    """Whether the next segment is the file name of an attachment or a preview."""
    if segments[-1:] and segments[-1].lower() != "download":
        return False
    match [segment.lower() for segment in segments]:
        case ["1", cards, _, "attachments", _, "download"] if cards in _CARDS:
            return True
        case ["1", cards, _, "attachments", _, "previews", _, "download"] if cards in _CARDS:
            return True
    return False
