"""Which bytes of a file a request asks for (RFC 9110 §13.1.5, §14.2, §15.5.17)."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Validators:
    """Validators of a representation whose bytes never change.

    Both are strong: the date too, since nothing can change twice within its second (§8.8.2.2).
    """

    etag: str
    """Quoted."""
    modified_at: int | None = None
    """POSIX seconds; None where that is not known."""

    @property
    def last_modified(self) -> str:
        """The Last-Modified field; empty where that is not known."""
        return "" if self.modified_at is None else formatdate(self.modified_at, usegmt=True)

    def is_not_modified(self, if_none_match: str, if_modified_since: str) -> bool:
        """Whether a GET or HEAD gets 304 (§13.2.2); the date counts only without If-None-Match."""
        if if_none_match:
            return not_modified(if_none_match, self.etag)
        since = parse_http_date(if_modified_since)
        return since is not None and self.modified_at is not None and self.modified_at <= since

    def match_if_range(self, if_range: str) -> bool:
        """Whether an If-Range names this representation exactly (§13.1.5)."""
        given = if_range.strip(" \t")
        return bool(given) and given in (self.etag, self.last_modified)


def parse_http_date(http_date: str) -> int | None:
    """POSIX seconds of an HTTP-date in any of its three forms (§5.6.7); None for what is none."""
    try:
        moment = parsedate_to_datetime(http_date)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def etag_of(plain: bytes) -> str:
    """A strong validator made of the identity bytes alone: the same on every instance."""
    return hashlib.blake2b(plain, digest_size=15).hexdigest()


def etag_for_encoding(etag: str, *, gzip: bool) -> str:
    """The quoted entity-tag of one representation; codings must differ (§8.8.3.3)."""
    return f'"{etag}-gzip"' if gzip else f'"{etag}"'


def not_modified(if_none_match: str, etag: str) -> bool:
    """Whether the client holds the selected representation; comparison is weak (§13.1.2)."""
    candidates = (part.strip() for part in if_none_match.split(","))
    return any(candidate == "*" or candidate.removeprefix("W/") == etag for candidate in candidates)


_ONE_RANGE = re.compile(
    r"bytes=[ \t]*(?:(?P<first>[0-9]{1,40})-(?P<last>[0-9]{0,40})|-(?P<suffix>[0-9]{1,40}))[ \t]*",
    re.IGNORECASE,
)
"""More than one, and other units, may be ignored (§14.2)."""
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Whole:
    """All of it: 200."""


@dataclass(frozen=True, slots=True)
class Slice:
    """From `start` up to `end`, exclusive: 206."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """Nothing that is there: 416."""


Part = Whole | Slice | Unsatisfiable
WHOLE = Whole()
UNSATISFIABLE = Unsatisfiable()


def resolve(range_: str, if_range: str, validators: Validators, length: int | None) -> Part:
    """The part asked for of a representation with these validators.

    Whole where a Range is absent, malformed, in another unit, of several ranges, or conditional on
    another representation; also while the length is unknown.
    """
    asked = _ONE_RANGE.fullmatch(range_.strip(" \t"))
    if asked is None or length is None or (if_range and not validators.match_if_range(if_range)):
        return WHOLE
    if asked["suffix"] is not None:
        return _suffix_slice(int(asked["suffix"]), length)
    first = int(asked["first"])
    end = int(asked["last"]) + 1 if asked["last"] else length
    if end <= first and asked["last"]:
        return WHOLE
    return Slice(first, min(end, length)) if first < length else UNSATISFIABLE


def content_range(part: Slice | Unsatisfiable, length: int) -> str:
    """The field of a 206, or of a 416 (§14.4)."""
    match part:
        case Slice(start, end):
            return f"bytes {start}-{end - 1}/{length}"
        case Unsatisfiable():
            return f"bytes */{length}"


def resume_offset(content_range: str) -> tuple[int, int] | None:
    """First byte and whole length that a 206 of somebody else's names; None when it is no use."""
    named = _CONTENT_RANGE.fullmatch(content_range.strip(" \t"))
    if named is None:
        return None
    first, last, length = map(int, named.groups())
    return (first, length) if first <= last < length else None


def _suffix_slice(suffix: int, length: int) -> Part:
    if suffix == 0:
        return UNSATISFIABLE
    # The last bytes of nothing are all of it, which no Content-Range can say (§14.1.2).
    return Slice(max(0, length - suffix), length) if length else WHOLE
