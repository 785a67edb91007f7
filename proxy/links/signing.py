"""Signed links: an attachment opens only with a valid, unexpired signature. Pure.

`?s={day}.{signature}` signs the ids of card, attachment and preview, and the day on which the link
expires, counted from 1970 in UTC. The file name is not signed, as nothing depends on it. Days, not
seconds: a response fetched twice in a day has the same bytes, and so the same ETag (D17).
"""

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from itsdangerous import Signer

from proxy.errors import (
    LinkExpired,
    LinkNotSigned,
    LinkRevoked,
)

DAY_S = 86_400
_SALT = "trello-proxy.link"
_SIGNATURE = re.compile(r"(?:\A|&)s=([0-9]{1,7})\.([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])")
"""A signature has a fixed length: text directly after a link does not become part of it.

The last of its characters has two bits that mean nothing, and are 0.
"""
_ID = re.compile("[0-9A-Fa-f]{24}")


@dataclass(frozen=True, slots=True)
class FileIds:
    """The ids in the path of a file's link, as spelled there."""

    card: str
    attachment: str
    preview: str = ""
    """Empty for the attachment itself."""


class LinkSigner:
    """Signs with the first key and verifies with all of them; its repr shows none."""

    def __init__(
        self, keys: Sequence[str], lifetime_s: float, revoked: Collection[str] = ()
    ) -> None:
        """`revoked`: ids of attachments whose links are refused."""
        self._signer = Signer(
            list(reversed(keys)), _SALT, key_derivation="hmac", digest_method=hashlib.sha256
        )
        self._lifetime_s = lifetime_s
        self._revoked = frozenset(map(_folded, revoked))

    def __repr__(self) -> str:
        return "LinkSigner(***)"

    def sign(self, file: FileIds, now: float) -> str:
        """The value of `s`: valid for `lifetime_s` from `now`, and to the end of that UTC day."""
        day = int((now + self._lifetime_s) // DAY_S) + 1
        return f"{day}.{self._signer.get_signature(_message(file, str(day))).decode()}"

    def check(self, file: FileIds, query: str, now: float) -> float:
        """When the query's signature expires, in POSIX seconds.

        LinkNotSigned, LinkExpired or LinkRevoked unless it has a valid one.

        Comparison takes constant time, and precedes every other fact about the link.
        """
        signed = [
            int(day)
            for day, signature in _SIGNATURE.findall(query)
            if self._signer.verify_signature(_message(file, day), signature)
        ]
        if not signed:
            raise LinkNotSigned("Ask whoever gave you the link for a new one.")
        expires_at = max(signed) * DAY_S
        if now >= expires_at:
            raise LinkExpired("Ask whoever gave you the link for a new one.")
        if _folded(file.attachment) in self._revoked:
            raise LinkRevoked("The operator has closed this file.")
        return expires_at


def strip_signature(query: str) -> str:
    """The raw query without signatures."""
    return _SIGNATURE.sub("", query).removeprefix("&")


def _message(file: FileIds, day: str) -> str:
    """What is signed; an id contains no slash."""
    return "/".join((*map(_folded, (file.card, file.attachment, file.preview)), day))


def _folded(object_id: str) -> str:
    """An id in lower case, as Trello writes it; a shortLink as it is: its letter case counts."""
    return object_id.lower() if _ID.fullmatch(object_id) else object_id
