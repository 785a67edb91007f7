"""Signed links: a file opens only with a signature of ours, for as long as it says. Pure.

`?s={day}.{signature}` signs the ids of card, attachment and preview, and the day the link ends,
counted from 1970 in UTC. The file's name is not signed: it decides nothing. Days, not seconds: an
answer that is fetched twice in a day has the same bytes, and so the same ETag.
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
_SIGNATURE = re.compile(r"(?:\A|&)s=([0-9]{1,7})\.([A-Za-z0-9_-]{43})")
"""Of fixed length: what a text puts right behind a link does no harm."""


@dataclass(frozen=True, slots=True)
class FileIds:
    """What a link to a file names, spelt as in its path."""

    card: str
    attachment: str
    preview: str = ""
    """Empty for the file itself."""


class LinkSigner:
    """Signs with the first key, accepts every one of them; cannot be printed."""

    def __init__(
        self, keys: Sequence[str], lifetime_s: float, revoked: Collection[str] = ()
    ) -> None:
        self._signer = Signer(
            list(reversed(keys)), _SALT, key_derivation="hmac", digest_method=hashlib.sha256
        )
        self._lifetime_s = lifetime_s
        self._revoked = frozenset(revoked)

    def __repr__(self) -> str:
        return "Signing(***)"

    def sign(self, file: FileIds, now: float) -> str:
        """The value of `s`: good for the lifetime, and until the day ends on which it does."""
        day = int((now + self._lifetime_s) // DAY_S) + 1
        return f"{day}.{self._signer.get_signature(_message(file, str(day))).decode()}"

    def check(self, file: FileIds, query: str, now: float) -> None:
        """LinkNotSigned, LinkExpired or LinkRevoked unless the query holds a good signature.

        Signatures are compared in constant time, and before anything is told of the link.
        """
        signed = [
            int(day)
            for day, signature in _SIGNATURE.findall(query)
            if self._signer.verify_signature(_message(file, day), signature)
        ]
        if not signed:
            raise LinkNotSigned("Ask whoever gave you the link for a new one.")
        if now >= max(signed) * DAY_S:
            raise LinkExpired("Ask whoever gave you the link for a new one.")
        if file.attachment in self._revoked:
            raise LinkRevoked("The operator has closed this file.")


def strip_signature(query: str) -> str:
    """A raw query without signatures."""
    return _SIGNATURE.sub("", query).removeprefix("&")


def _message(file: FileIds, day: str) -> str:
    """What is signed; an id holds no slash."""
    return f"{file.card}/{file.attachment}/{file.preview}/{day}"
