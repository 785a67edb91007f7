"""Credentials that open nothing, and the search for them in all that is said and kept."""

import base64
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote

_SQLITE = b"SQLite format 3"


def kept(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Where, and what; a value of a database is whole, however its pages cut it."""
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        yield f"the name of {name}", name.encode()
        if path.is_file():
            content = path.read_bytes()
            yield name, content
            if content.startswith(_SQLITE):
                for value in _values(path):
                    yield f"a value in {name}", value


def _values(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 — its own
                for value in row:
                    yield value if isinstance(value, bytes) else str(value).encode()


Spelling = Literal["plain", "cut", "URL-encoded", "escaped", "hex", "base64"]

_PART_CHARS = 16
"""So much of a secret is too much."""
_GZIP = re.compile(b"\x1f\x8b\x08")
_MOST_PLAIN_BYTES = 64 * 1024 * 1024


def spellings(secret: str) -> dict[bytes, Spelling]:
    """Every spelling that is looked for, the plainest first."""
    plain = secret.encode()
    forms: dict[bytes, Spelling] = {plain: "plain", plain.lower(): "plain", plain.upper(): "plain"}
    forms.setdefault(quote(secret, safe="").encode(), "URL-encoded")
    for mark, spelling in _MARKS:
        for digits in ("%02x", "%02X"):
            forms[b"".join(mark + digits.encode() % each for each in plain)] = spelling
    forms[plain.hex().encode()] = forms[plain.hex().upper().encode()] = "hex"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):  # what stands before it shifts it within its group of three
            forms[encode(b"x" * before + plain)[4:-4]] = "base64"
    for part in (plain[:_PART_CHARS], plain[-_PART_CHARS:]):
        forms.setdefault(part, "cut")
    return forms


_MARKS: tuple[tuple[bytes, Spelling], ...] = (
    (b"%", "URL-encoded"),
    (b"\\u00", "escaped"),
    (b"\\x", "escaped"),
)


def layers(data: bytes) -> Iterator[bytes]:
    """The bytes, and whatever in them is gzip, unpacked."""
    yield data
    for start in _GZIP.finditer(data):
        try:
            yield zlib.decompressobj(31).decompress(data[start.start() :], _MOST_PLAIN_BYTES)
        except zlib.error:
            continue


RESPONSES = "answers"


@dataclass(frozen=True, slots=True)
class Canary:
    """A secret that must be nowhere."""

    name: str
    text: str = field(repr=False)
    may_be_returned: bool = False
    """Whether its own sender may hear it again."""


class Leak(NamedTuple):
    """A canary where it must not be."""

    canary: str
    spelling: Spelling
    where: str


class CanarySearch:
    """Looks for the canaries; knows what it found, and in how much it looked."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        self.leaks: dict[Leak, None] = {}
        """In the order they were found; each once."""
        self.searched: dict[str, int] = {}
        """How many answers, log lines and so on."""
        self._forms = [(canary, spellings(canary.text)) for canary in canaries]

    @property
    def scope(self) -> str:
        """In how much it looked."""
        return ", ".join(f"{count:,} {kind}" for kind, count in self.searched.items())

    def search(self, kind: str, where: str, data: bytes) -> None:
        """Search one piece of a kind."""
        self.searched[kind] = self.searched.get(kind, 0) + 1
        for layer in layers(data):
            for canary, forms in self._forms:
                if kind == RESPONSES and canary.may_be_returned:
                    continue
                found = next((each for form, each in forms.items() if form in layer), None)
                if found is not None:
                    self.leaks[Leak(canary.name, found, where)] = None
