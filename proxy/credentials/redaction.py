r"""Redaction of secrets: each is replaced by asterisks of the same length. Pure.

Covered: a secret in any letter case, with any of its letters and digits percent-encoded (`%41`, up
to three times: `%252541`) or JSON-escaped (`\u0041`), and its other characters percent-encoded. Not
covered: encodings of a whole text (base64, gzip), escapes of a part of an escape, and a truncated
secret.
"""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

MIN_SECRET_CHARS = 8
"""A shorter secret would match ordinary text."""

MAX_ADDED = 64
"""Secrets added after the start: many times as many as are in use."""

PIECE_BYTES = 256 * 1024
"""Searched at once."""

_MAX_PERCENTS = 3
"""How often a character may be percent-encoded."""
_LONGEST_SPELLING = len(r"\u0025252541")
_MARKS = (b"%", rb"\u00")
"""Prefixes of two hex digits, in URLs and in JSON."""
_UNRESERVED = rb"(?:25)*(?:2[de]|3[0-9]|[46][1-9a-f]|[57][0-9a]|5f|7e)"
"""Hex digits of what needs no escape anywhere (RFC 3986 §2.3), and so hardly ever has one."""
_SUSPECT = tuple((mark, re.compile(re.escape(mark) + _UNRESERVED)) for mark in _MARKS)
_ESCAPES = tuple(re.compile(re.escape(mark) + rb"([0-7][0-9a-f])") for mark in _MARKS)
"""Of ASCII characters; one pattern for each mark, as a literal prefix is searched fast."""


class SecretFinder:
    """Detects secrets in any covered spelling; its repr shows none."""

    __slots__ = ("_folded", "max_secret_bytes")

    def __init__(self, secrets: Iterable[str]) -> None:
        known = tuple(secrets)
        spellings = (*known, *(quote(each, safe="", errors="surrogateescape") for each in known))
        self._folded = tuple({_bytes_of(each).lower() for each in spellings if each})
        self.max_secret_bytes = max(map(len, map(_bytes_of, known)), default=0) * _LONGEST_SPELLING
        """The length of the longest spelling of a secret."""

    def contains_secret(self, data: bytes | str) -> bool:
        """Whether the data contains a secret: 1 ms for each MB, in which other threads run."""
        text = data if isinstance(data, bytes) else _bytes_of(data)
        reach = max(self.max_secret_bytes, 1)
        return any(
            self._is_in_piece(text[start : start + PIECE_BYTES + reach - 1].lower())
            for start in range(0, len(text), PIECE_BYTES)
        )

    def _is_in_piece(self, folded: bytes) -> bool:
        return self._is_in(folded) or any(
            self._is_in(_unescaped(part)) for part in self._suspect_parts(folded)
        )

    def _is_in(self, folded: bytes) -> bool:
        return any(secret in folded for secret in self._folded)

    def _suspect_parts(self, folded: bytes) -> Iterator[bytes]:
        """The text around each escape that was not needed, as far as a secret can reach."""
        reach = self.max_secret_bytes
        for mark, suspect in _SUSPECT:
            until = 0
            for found in suspect.finditer(folded) if mark in folded else ():
                if found.start() >= until:
                    until = found.start() + reach
                    yield folded[max(0, found.start() - reach) : until + reach]


class Redactor(SecretFinder):
    """Replaces secrets in bodies and texts."""

    __slots__ = ("_active", "_added", "_initial", "_pattern")

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
        active = sorted({*self._initial, *added}, key=len, reverse=True)
        if not all(map(_is_distinct, active)):
            raise ValueError(f"a secret needs {MIN_SECRET_CHARS} ASCII characters, no asterisk")
        super().__init__(active)
        self._added = added
        self._active = tuple(active)
        self._pattern: re.Pattern[bytes] | None = None

    def redact(self, body: bytes) -> bytes:
        """The body with its secrets replaced, at the same length; the same object if none."""
        return self._secret.sub(_asterisks, body) if self.contains_secret(body) else body

    @property
    def _secret(self) -> re.Pattern[bytes]:
        """Every spelling of the secrets; compiled when one has been found, which hardly happens."""
        if self._pattern is None:
            pattern = b"|".join(map(_spellings, self._active)) or rb"(?!)"
            self._pattern = re.compile(pattern, re.IGNORECASE)
        return self._pattern

    def redact_text(self, text: str) -> str:
        """As `redact`, for text."""
        return self.redact(_bytes_of(text)).decode("utf-8", "surrogatepass")

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


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _is_distinct(secret: str) -> bool:
    """Whether replacing the secret damages no text, and replacing another cannot produce it."""
    return len(secret) >= MIN_SECRET_CHARS and secret.isascii() and "*" not in secret


def _unescaped(folded: bytes) -> bytes:
    """The text, in lower case, without escapes, undone as often as is covered."""
    for _ in range(_MAX_PERCENTS):
        for escape in _ESCAPES:
            folded = escape.sub(_character, folded)
    return folded


def _character(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape[1], 16)]).lower()


def _spellings(secret: str) -> bytes:
    """A pattern of the secret, each of its characters plain, percent-encoded or JSON-escaped.

    It ignores letter case.
    """
    percent = rb"(?:%%|\\u0025)(?:25){0,%d}" % (_MAX_PERCENTS - 1)
    return b"".join(
        rb"(?:%b|%b%b|\\u00%b)" % (re.escape(each.encode()), percent, _hex(each), _hex(each))
        for each in secret
    )


def _hex(character: str) -> bytes:
    """A pattern of the hex digits of a character in either letter case."""
    return rb"(?:%02x|%02x)" % (ord(character.lower()), ord(character.upper()))


def _asterisks(match: re.Match[bytes]) -> bytes:
    return b"*" * len(match[0])
