"""Conditional and range requests: validators, preconditions, ranges (RFC 9110 §8.8, §13, §14)."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Validators:
    """Validators of a representation whose bytes never change.

    Both are strong, the date because the bytes cannot change within its second (§8.8.2.2).
    """

    etag: str
    """With its quotes."""
    modified_at: int | None = None
    """POSIX seconds; None if unknown."""

    @property
    def last_modified(self) -> str:
        """The Last-Modified field value; empty if unknown."""
        return "" if self.modified_at is None else formatdate(self.modified_at, usegmt=True)

    def is_precondition_failed(self, if_match: str, if_unmodified_since: str) -> bool:
        """Whether a request gets 412 (§13.2.2); the date counts only without an entity-tag."""
        if if_match:
            return not any(tag.strip() in ("*", self.etag) for tag in if_match.split(","))
        since = parse_http_date(if_unmodified_since)
        return since is not None and self.modified_at is not None and self.modified_at > since

    def is_not_modified(self, if_none_match: str, if_modified_since: str) -> bool:
        """Whether a GET or HEAD gets 304 (§13.2.2); the date counts only without an entity-tag."""
        if if_none_match:
            return not_modified(if_none_match, self.etag)
        since = parse_http_date(if_modified_since)
        return since is not None and self.modified_at is not None and self.modified_at <= since

    def match_if_range(self, if_range: str) -> bool:
        """Whether an If-Range names this representation exactly (§13.1.5)."""
        validator = if_range.strip(" \t")
        return bool(validator) and validator in (self.etag, self.last_modified)


def parse_http_date(http_date: str) -> int | None:
    """POSIX seconds of an HTTP-date in any of its three forms (§5.6.7); None if it is invalid."""
    try:
        date = parsedate_to_datetime(http_date)
        return int(date.replace(tzinfo=date.tzinfo or UTC).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def etag_of(plain: bytes) -> str:
    """A strong validator: a digest of the identity bytes, the same on every instance."""
    return hashlib.blake2b(plain, digest_size=15).hexdigest()


def etag_for_encoding(etag: str, *, gzip: bool) -> str:
    """The quoted entity-tag of one coding's representation; codings must differ (§8.8.3.3)."""
    return f'"{etag}-gzip"' if gzip else f'"{etag}"'


def not_modified(if_none_match: str, etag: str) -> bool:
    """Whether If-None-Match names the selected representation; comparison is weak (§13.1.2)."""
    candidates = (part.strip() for part in if_none_match.split(","))
    return any(candidate == "*" or candidate.removeprefix("W/") == etag for candidate in candidates)


_ANY_CASE = re.ASCII | re.IGNORECASE
"""Of ASCII letters: else `s` would match the long s, U+017F."""
_ONE_RANGE = re.compile(
    r"bytes=[ \t]*(?:(?P<first>[0-9]{1,40})-(?P<last>[0-9]{0,40})|-(?P<suffix>[0-9]{1,40}))[ \t]*",
    _ANY_CASE,
)
"""Several ranges and other units are ignored, as §14.2 allows."""
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", _ANY_CASE)


@dataclass(frozen=True, slots=True)
class Whole:
    """The whole representation: 200."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The bytes from `start` up to `end`, exclusive: 206."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """No byte of the representation: 416."""


Part = Whole | Slice | Unsatisfiable
WHOLE = Whole()
UNSATISFIABLE = Unsatisfiable()


def resolve(range_: str, if_range: str, validators: Validators, length: int | None) -> Part:
    """The requested part of a representation of `length` bytes with these validators.

    Whole if Range is absent, malformed, in another unit, has several ranges, or its If-Range names
    another representation; also while the length is unknown.
    """
    found = _ONE_RANGE.fullmatch(range_.strip(" \t"))
    if found is None or length is None or (if_range and not validators.match_if_range(if_range)):
        return WHOLE
    if found["suffix"] is not None:
        return _suffix_slice(int(found["suffix"]), length)
    first = int(found["first"])
    end = int(found["last"]) + 1 if found["last"] else length
    if end <= first and found["last"]:
        return WHOLE
    return Slice(first, min(end, length)) if first < length else UNSATISFIABLE


def content_range(part: Slice | Unsatisfiable, length: int) -> str:
    """The Content-Range field value of a 206 or a 416 (§14.4)."""
    match part:
        case Slice(start, end):
            return f"bytes {start}-{end - 1}/{length}"
        case Unsatisfiable():
            return f"bytes */{length}"


def resume_offset(content_range: str) -> tuple[int, int] | None:
    """First byte and complete length in the Content-Range of an upstream 206; None if invalid."""
    found = _CONTENT_RANGE.fullmatch(content_range.strip(" \t"))
    if found is None:
        return None
    first, last, length = map(int, found.groups())
    return (first, length) if first <= last < length else None


def _suffix_slice(suffix: int, length: int) -> Part:
    if suffix == 0:
        return UNSATISFIABLE
    # A suffix of an empty body is all of it, which Content-Range cannot express (§14.1.2).
    return Slice(max(0, length - suffix), length) if length else WHOLE
