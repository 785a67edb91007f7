"""Validators of ours, and a client's own preconditions (RFC 9110 §8.8, §13.1)."""

import hashlib
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

    def are_held(self, if_none_match: str, if_modified_since: str) -> bool:
        """Whether a GET or HEAD gets 304 (§13.2.2); the date counts only without If-None-Match."""
        if if_none_match:
            return not_modified(if_none_match, self.etag)
        since = seconds_of(if_modified_since)
        return since is not None and self.modified_at is not None and self.modified_at <= since

    def match(self, if_range: str) -> bool:
        """Whether an If-Range names this representation exactly (§13.1.5)."""
        given = if_range.strip(" \t")
        return bool(given) and given in (self.etag, self.last_modified)


def seconds_of(http_date: str) -> int | None:
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
