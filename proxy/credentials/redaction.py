"""Our own secrets never leave: where one stands, asterisks of the same length stand instead.

Covered: a secret as it is, in a URL's encoding, and with every character percent-encoded (`%41`) or
JSON-escaped (`\\u0041`), hex digits in either case. Not covered: encodings of a whole text (base64,
gzip), a mixture of spellings, and a secret that is cut or in other letter case.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote

MIN_SECRET_CHARS = 8
"""Anything shorter occurs in innocent text too."""

MAX_ADDED = 64
"""Later than at the start: many times as many as are in use."""

_MARKS = (b"%", b"\\u00")
"""What precedes two hex digits."""
_LONGEST_SPELLING = len(r"\u0041")


class Redactor:
    """Knows the secrets, cannot be printed; none of them is in what it returns."""

    __slots__ = ("_added", "_encoded", "_initial", "_plain", "_secret", "max_secret_bytes")

    def __init__(self, secrets: Iterable[str]) -> None:
        """ValueError for a secret that is short, not ASCII, or has an asterisk."""
        self._initial = tuple(secrets)
        self._added: tuple[str, ...] = ()
        self.add_secret(())

    def add_secret(self, secrets: Iterable[str]) -> None:
        """From here on these are secrets too; ValueError as above, and nothing is learnt then.

        Beyond MOST_LEARNT, those that were learnt longest ago are forgotten.
        """
        new = tuple(secrets)
        learnt = (*(each for each in self._added if each not in new), *new)[-MAX_ADDED:]
        known = sorted({each.encode() for each in self._initial + learnt}, key=len, reverse=True)
        if not all(map(_is_distinct, known)):
            raise ValueError(f"a secret needs {MIN_SECRET_CHARS} ASCII characters, no asterisk")
        self._added = learnt
        quoted = [quote(secret, safe="").encode() for secret in known]
        encoded = [_any_of([_encoded(mark, secret) for secret in known]) for mark in _MARKS]
        self._plain = tuple(dict.fromkeys(known + quoted))
        self._encoded = tuple(
            (mark, re.compile(p)) for mark, p in zip(_MARKS, encoded, strict=True)
        )
        self._secret = re.compile(_any_of([*map(re.escape, self._plain), *encoded]))
        self.max_secret_bytes = max(map(len, known), default=0) * _LONGEST_SPELLING
        """The longest that a secret can be spelt."""

    def contains_secret(self, data: bytes | str) -> bool:
        """Whether a secret stands there."""
        body = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
        return any(secret in body for secret in self._plain) or any(
            mark in body and encoded.search(body) for mark, encoded in self._encoded
        )

    def redact(self, body: bytes) -> bytes:
        """The body without secrets, as long as before; the same object if it has none."""
        return self._secret.sub(_asterisks, body) if self.contains_secret(body) else body

    def redact_text(self, text: str) -> str:
        """As `whole`, for a text."""
        body = text.encode("utf-8", "surrogatepass")
        return self.redact(body).decode("utf-8", "surrogatepass")

    def stream(self) -> "RedactionStream":
        """As `whole`, for a body that comes in chunks."""
        return RedactionStream(self)

    def redact_until(self, body: bytes, until: int) -> tuple[bytes, bytes]:
        """What begins before `until`, scrubbed, and the rest, untouched."""
        if not self.contains_secret(body):
            return body[:until], body[until:]
        settled: list[bytes] = []
        at = 0
        for match in self._secret.finditer(body):
            if match.start() >= until:
                break
            settled += (body[at : match.start()], _asterisks(match))
            at = match.end()
        until = max(at, until)
        return b"".join((*settled, body[at:until])), body[until:]


class RedactionStream:
    """One body on its way; holds back less than the longest spelling of a secret."""

    __slots__ = ("_held", "_redactor")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """What can be sent on, now that `chunk` has come.

        A secret that begins further from the end than it can reach is there in full.
        """
        held = self._held + chunk
        until = len(held) - max(0, self._redactor.max_secret_bytes - 1)
        settled, self._held = self._redactor.redact_until(held, until) if until > 0 else (b"", held)
        return settled

    def finish(self) -> bytes:
        """The rest."""
        held, self._held = self._held, b""
        return self._redactor.redact(held)


def _is_distinct(secret: bytes) -> bool:
    """Whether replacing it spoils no body, and replacing another cannot make it."""
    return len(secret) >= MIN_SECRET_CHARS and secret.isascii() and b"*" not in secret


def _any_of(patterns: list[bytes]) -> bytes:
    return b"|".join(patterns) or rb"(?!)"


def _encoded(mark: bytes, secret: bytes) -> bytes:
    """A pattern of the secret with every character as `mark` and two hex digits, in either case."""
    digits = (f"{character:02x}" for character in secret)
    return b"".join(re.escape(mark) + b"".join(map(_either_case, pair)) for pair in digits)


def _either_case(digit: str) -> bytes:
    return f"[{digit}{digit.upper()}]".encode() if digit.isalpha() else digit.encode()


def _asterisks(match: re.Match[bytes]) -> bytes:
    return b"*" * len(match[0])
