"""Everything that lies in a directory, as bytes: names, contents, and values of databases."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

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
