"""Validators of ours, and a client's own preconditions (RFC 9110 §8.8.3, §13.1.2)."""

import hashlib


def etag_of(plain: bytes) -> str:
    """A strong validator made of the identity bytes alone: the same on every instance."""
    return hashlib.blake2b(plain, digest_size=15).hexdigest()


def for_coding(etag: str, *, gzip: bool) -> str:
    """The quoted entity-tag of one representation; codings must differ (§8.8.3.3)."""
    return f'"{etag}-gzip"' if gzip else f'"{etag}"'


def not_modified(if_none_match: str, etag: str) -> bool:
    """Whether the client holds the selected representation; comparison is weak (§13.1.2)."""
    candidates = (part.strip() for part in if_none_match.split(","))
    return any(candidate == "*" or candidate.removeprefix("W/") == etag for candidate in candidates)
