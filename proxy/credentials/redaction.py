"""Redaction of the proxy's secrets: each is replaced by asterisks of the same length. Pure.

Covered: a secret in plain text, in a URL's encoding, and with every character percent-encoded
(`%41`) or JSON-escaped (`\\u0041`), hex digits in either case. Not covered: encodings of a whole
text (base64, gzip), mixed spellings, and a truncated secret or one in another letter case.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote

MIN_SECRET_CHARS = 8
"""A shorter secret would match ordinary text."""

MAX_ADDED = 64
"""Secrets added after the start: many times as many as are in use."""

_MARKS = (b"%", b"\\u00")
"""Prefixes of two hex digits."""
_LONGEST_SPELLING = len(r"\u0041")


class Redactor:
    """Replaces secrets in bodies and texts; its repr shows none."""

    __slots__ = ("_added", "_encoded", "_initial", "_plain", "_secret", "max_secret_bytes")

    def __init__(self, secrets: Iterable[str]) -> None:
        """ValueError for a secret that is short, not ASCII, or contains an asterisk."""
        self._initial = tuple(secrets)
        self._added: tuple[str, ...] = ()
        self.add_secret(())

    def add_secret(self, secrets: Iterable[str]) -> None:
        """Redact these too; ValueError as above, without any change.

        Of more than MAX_ADDED, those added least recently are dropped.
        """
        new = tuple(secrets)
        added = (*(each for each in self._added if each not in new), *new)[-MAX_ADDED:]
        active = sorted({each.encode() for each in self._initial + added}, key=len, reverse=True)
        if not all(map(_is_distinct, active)):
            raise ValueError(f"a secret needs {MIN_SECRET_CHARS} ASCII characters, no asterisk")
        self._added = added
        quoted = [quote(secret, safe="").encode() for secret in active]
        encoded = [_any_of([_encoded(mark, secret) for secret in active]) for mark in _MARKS]
        self._plain = tuple(dict.fromkeys(active + quoted))
        self._encoded = tuple(
            (mark, re.compile(p)) for mark, p in zip(_MARKS, encoded, strict=True)
        )
        self._secret = re.compile(_any_of([*map(re.escape, self._plain), *encoded]))
        self.max_secret_bytes = max(map(len, active), default=0) * _LONGEST_SPELLING
        """The length of the longest spelling of a secret."""

    def contains_secret(self, data: bytes | str) -> bool:
        """Whether the data contains a secret in any covered spelling."""
        body = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
        return any(secret in body for secret in self._plain) or any(
            mark in body and encoded.search(body) for mark, encoded in self._encoded
        )

    def redact(self, body: bytes) -> bytes:
        """The body with its secrets replaced, at the same length; the same object if none."""
        return self._secret.sub(_asterisks, body) if self.contains_secret(body) else body

    def redact_text(self, text: str) -> str:
        """As `redact`, for text."""
        body = text.encode("utf-8", "surrogatepass")
        return self.redact(body).decode("utf-8", "surrogatepass")

    def stream(self) -> "RedactionStream":
        """As `redact`, for a body in chunks."""
        return RedactionStream(self)

    def redact_until(self, body: bytes, until: int) -> tuple[bytes, bytes]:
        """The part of the body whose secrets begin before `until`, redacted; and the rest."""
        if not self.contains_secret(body):
            return body[:until], body[until:]
        redacted: list[bytes] = []
        at = 0
        for match in self._secret.finditer(body):
            if match.start() >= until:
                break
            redacted += (body[at : match.start()], _asterisks(match))
            at = match.end()
        until = max(at, until)
        return b"".join((*redacted, body[at:until])), body[until:]


class RedactionStream:
    """Incremental `redact` of one body; buffers less than the longest spelling of a secret."""

    __slots__ = ("_buffer", "_redactor")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._buffer = b""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that can be sent after `chunk`.

        A secret that begins `max_secret_bytes` or more before the end is complete.
        """
        buffer = self._buffer + chunk
        until = len(buffer) - max(0, self._redactor.max_secret_bytes - 1)
        if until <= 0:
            self._buffer = buffer
            return b""
        redacted, self._buffer = self._redactor.redact_until(buffer, until)
        return redacted

    def finish(self) -> bytes:
        """The rest of the body; call it after the last chunk."""
        buffer, self._buffer = self._buffer, b""
        return self._redactor.redact(buffer)


def _is_distinct(secret: bytes) -> bool:
    """Whether replacing the secret damages no text, and replacing another cannot produce it."""
    return len(secret) >= MIN_SECRET_CHARS and secret.isascii() and b"*" not in secret


def _any_of(patterns: list[bytes]) -> bytes:
    return b"|".join(patterns) or rb"(?!)"


def _encoded(mark: bytes, secret: bytes) -> bytes:
    """A pattern of the secret with each character as `mark` and two hex digits, in either case."""
    digits = (f"{character:02x}" for character in secret)
    return b"".join(re.escape(mark) + b"".join(map(_either_case, pair)) for pair in digits)


def _either_case(digit: str) -> bytes:
    return f"[{digit}{digit.upper()}]".encode() if digit.isalpha() else digit.encode()


def _asterisks(match: re.Match[bytes]) -> bytes:
    return b"*" * len(match[0])
