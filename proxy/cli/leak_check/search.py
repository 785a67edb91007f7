"""Search for canaries (credentials that open nothing) in what a proxy sends, logs and stores."""

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

RESPONSES = "responses"
"""The kind of data in which a client's own canary may stand."""

_SQLITE = b"SQLite format 3"
_GZIP = re.compile(b"\x1f\x8b\x08")
_MAX_PLAIN_BYTES = 64 * 1024 * 1024
_PART_CHARS = 16
"""The first or last characters of a secret that count as a leak."""


def stored_data(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Location and bytes of every file name, file and database value below a directory.

    A value is whole there, however the pages of the database divide it.
    """
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        yield f"the name of {name}", name.encode()
        if path.is_file():
            content = path.read_bytes()
            yield name, content
            if content.startswith(_SQLITE):
                for value in _database_values(path):
                    yield f"a value in {name}", value


def _database_values(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 — its own
                for value in row:
                    yield value if isinstance(value, bytes) else str(value).encode()


Spelling = Literal["plain", "part", "reversed", "URL-encoded", "escaped", "hex", "base64"]

_ESCAPES: tuple[tuple[bytes, Spelling], ...] = (
    (b"%", "URL-encoded"),
    (b"\\u00", "escaped"),
    (b"\\x", "escaped"),
)


def spellings(secret: str) -> dict[bytes, Spelling]:
    """Every spelling of a secret that is searched for, the plainest first."""
    plain = secret.encode()
    forms: dict[bytes, Spelling] = {plain: "plain", plain.lower(): "plain", plain.upper(): "plain"}
    forms.setdefault(quote(secret, safe="").encode(), "URL-encoded")
    for escape, spelling in _ESCAPES:
        for digits in ("%02x", "%02X"):
            forms[b"".join(escape + digits.encode() % each for each in plain)] = spelling
    forms[plain.hex().encode()] = forms[plain.hex().upper().encode()] = "hex"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):  # the bytes before it shift it within its group of three
            forms[encode(b"x" * before + plain)[4:-4]] = "base64"
    forms.setdefault(plain[::-1], "reversed")
    for part in (plain[:_PART_CHARS], plain[-_PART_CHARS:]):
        forms.setdefault(part, "part")
    return forms


def decompressed(data: bytes) -> Iterator[bytes]:
    """The data, and the content of every gzip member in it."""
    yield data
    for start in _GZIP.finditer(data):
        try:
            yield zlib.decompressobj(31).decompress(data[start.start() :], _MAX_PLAIN_BYTES)
        except zlib.error:
            continue


@dataclass(frozen=True, slots=True)
class Canary:
    """A secret that must not appear anywhere."""

    name: str
    text: str = field(repr=False)
    may_be_returned: bool = False
    """Whether it may appear in responses to the client that sends it."""


class Leak(NamedTuple):
    """A canary where it must not appear."""

    canary: str
    spelling: Spelling
    where: str


class CanarySearch:
    """Search of many pieces of data for all canaries."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        self.leaks: dict[Leak, None] = {}
        """In the order of discovery, each once."""
        self.searched: dict[str, int] = {}
        """Number of pieces by kind."""
        self._forms = [(canary, spellings(canary.text)) for canary in canaries]

    @property
    def scope(self) -> str:
        """What was searched: `712 responses, 90 log lines`."""
        return ", ".join(f"{count:,} {kind}" for kind, count in self.searched.items())

    def search(self, kind: str, where: str, data: bytes) -> None:
        """Search one piece of a kind."""
        self.searched[kind] = self.searched.get(kind, 0) + 1
        for content in decompressed(data):
            for canary, forms in self._forms:
                if kind == RESPONSES and canary.may_be_returned:
                    continue
                found = next((each for form, each in forms.items() if form in content), None)
                if found is not None:
                    self.leaks[Leak(canary.name, found, where)] = None
