"""A response body that arrived whole: its identity form, clean, and the form to keep. Pure.

Linear in the body, and slow enough to be done in a thread where it is long.
"""

from dataclasses import dataclass, field

from proxy.credentials.redaction import Redactor
from proxy.http_semantics.content import (
    gunzip,
    gzipped,
    identity_length,
)
from proxy.links.rewrite import LinkRewriter

MAX_PLAIN_BYTES = 32 * 1024 * 1024
"""The identity form of a body that is held whole; a longer one is streamed."""
_LONG_BYTES = 64 * 1024
_LONG_GZIP_BYTES = _LONG_BYTES // 8
"""What Trello sends is an eighth of its identity form, and less."""


@dataclass(frozen=True, slots=True)
class Representation:
    """One body in both forms (RFC 9110 §8.4)."""

    body: bytes = field(repr=False)
    """To be kept: as it came, or as it had to become. Gzip is one member."""
    plain: bytes = field(repr=False)
    """The identity form."""
    gzip: bool
    was_scrubbed: bool
    """Whether a secret of ours stood in it."""


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What is done to a body before anybody has it."""

    scrubber: Redactor
    links: LinkRewriter | None
    """What rewrites attachment links, where that is wanted (D4)."""
    now: float

    def of(self, body: bytes, *, gzip: bool) -> Representation:
        """The body in both forms; BadCoding when it is no gzip, TooLong beyond MAX_PLAIN_BYTES."""
        gzip = gzip and bool(body)
        plain = gunzip(body, MAX_PLAIN_BYTES) if gzip else body
        scrubbed = self.scrubber.redact(plain)
        was_scrubbed = scrubbed is not plain
        if was_scrubbed:
            body, plain, gzip = scrubbed, scrubbed, False
        linked = plain if self.links is None else self.links.rewrite(plain, self.now)
        if not gzip:
            body = linked
        elif linked is not plain or identity_length(body) != len(plain):
            body = gzipped(linked)
        return Representation(body, linked, gzip, was_scrubbed)


def is_long(body: bytes, *, gzip: bool) -> bool:
    """Whether what `Cleaning.of` does takes more than a millisecond or so."""
    if gzip:
        return len(body) > _LONG_GZIP_BYTES or identity_length(body) > _LONG_BYTES
    return len(body) > _LONG_BYTES
