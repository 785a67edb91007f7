"""A secret, searched for in everything that is said and kept."""

import base64
import re
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from proxy.credentials.redaction import Redactor
from tests.server.conftest import (
    KEY,
    TOKEN,
    Proxy,
)


def spellings(secret: str) -> Iterator[bytes]:
    """The secret as it might be written down, whole or by its halves."""
    plain = secret.encode()
    yield from (plain, plain[:16], plain[-16:], plain[::-1], plain.lower(), plain.upper())
    yield quote(secret, safe="").encode()
    for form in ("%%%02x", "%%%02X", "\\u%04x", "\\x%02x"):
        yield b"".join(form.encode() % char for char in plain)
    yield from (plain.hex().encode(), plain.hex().upper().encode())
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            yield encode(b"x" * before + plain)[4:-4]


def shown_in(data: bytes, *secrets: str) -> list[bytes]:
    found = [each for secret in secrets for each in spellings(secret) if each in data]
    for start in re.finditer(b"\x1f\x8b\x08", data):
        try:
            plain = zlib.decompressobj(31).decompress(data[start.start() :])
        except zlib.error:
            continue
        found += [each for secret in secrets for each in spellings(secret) if each in plain]
    return found


def kept(directory: Path) -> Iterator[bytes]:
    """Everything on disk: names, bytes, and each value of each database."""
    for path in sorted(directory.rglob("*")):
        yield str(path.relative_to(directory)).encode()
        if not path.is_file():
            continue
        yield path.read_bytes()
        if path.read_bytes().startswith(b"SQLite format 3"):
            yield from _values(path)


def _values(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 — its own
                for value in row:
                    yield value if isinstance(value, bytes) else str(value).encode()


async def nothing_stays(proxy: Proxy, caplog: pytest.LogCaptureFixture, *secrets: str) -> None:
    """Stop it, and look at its metrics, log and disk."""
    metrics = await proxy.get("/metrics")
    assert shown_in(metrics.raw, *secrets) == []
    assert list(kept(proxy.directory))
    for data in kept(proxy.directory):
        assert shown_in(data, *secrets) == []
    await proxy.stop()
    for data in (*kept(proxy.directory), proxy.log, caplog.text.encode()):
        assert shown_in(data, *secrets) == []
    assert "unexpected" not in proxy.log.decode()
    assert caplog.records == []


def shows(raw: bytes) -> bool:
    """Whether the proxy's own credential stands there, in a spelling it answers for."""
    return Redactor((KEY, TOKEN)).contains_secret(raw)
