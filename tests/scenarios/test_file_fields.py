"""What a file is called when it is served: its type, its charset, its name."""

import re
import sqlite3
from pathlib import Path

import pytest

from proxy.attachments.fetcher import AHEAD_BYTES
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.request import File
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import Proxy, StartProxy
from tests.scenarios.test_files import attach, stored

UTF8, LATIN1 = "Grüße aus Köln\n".encode(), "Grüße aus Köln\n".encode("latin-1")
LONG = UTF8 * (AHEAD_BYTES // len(UTF8) + 100)
TEXT, TEXT_IN_UTF8 = "text/plain", "text/plain; charset=utf-8"

TEXTS: dict[str, tuple[bytes, str, str]] = {
    "in UTF-8": (UTF8, TEXT, TEXT_IN_UTF8),
    "in ASCII": (b"hello\n", TEXT, TEXT_IN_UTF8),
    "in Latin-1": (LATIN1, TEXT, TEXT),
    "of UTF-8 but for its last byte": (UTF8 + b"\xff", TEXT, TEXT),
    "that says its charset": (UTF8, f"{TEXT}; charset=latin-1", f"{TEXT}; charset=latin-1"),
    "in columns": (UTF8, "text/csv", "text/csv; charset=utf-8"),
    "of nothing": (b"", TEXT, TEXT_IN_UTF8),
    "that is none": (UTF8, "image/png", "image/png"),
}


@pytest.mark.parametrize("state", ["arriving", "kept", "passing through"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
async def test_a_text_says_that_it_is_utf8_where_it_is(
    start_proxy: StartProxy,
    standin: FakeTrello,
    card: str,
    state: str,
    text: tuple[bytes, str, str],
) -> None:
    body, kind, told = text
    proxy = await start_proxy(attachments={"disk_bytes": 0} if state == "passing through" else {})
    path = attach(standin, card, body, "a.txt", kind)
    if state == "kept":
        await stored(proxy, path)
    heard = await proxy.get(path)
    assert (heard.status, heard.body, heard.fields["Content-Type"]) == (200, body, told)
    assert heard.fields["Content-Length"] == str(len(body))
    if body:
        asked = {"Range": "bytes=1-", "If-Range": heard.fields["ETag"]}
        part = await proxy.get(path, headers=asked)
        assert (part.status, part.body) == (206, body[1:])


@pytest.mark.parametrize(("end", "told"), [(b"", TEXT_IN_UTF8), (b"\xff", TEXT)])
async def test_a_long_text_is_told_of_when_it_is_known_and_kept_by_nobody_before(
    start_proxy: StartProxy, standin: FakeTrello, card: str, end: bytes, told: str
) -> None:
    proxy = await start_proxy()
    path = attach(standin, card, LONG + end, "a.txt", TEXT)
    first = await proxy.get(path)
    assert (first.body, first.fields["Content-Type"]) == (LONG + end, TEXT)
    assert first.fields["Cache-Control"] == "private, no-store"
    await stored(proxy, attach(standin, card, b"x"))  # so it is kept by now
    then = await proxy.get(path)
    assert (then.body, then.fields["Content-Type"]) == (LONG + end, told)
    assert then.fields["ETag"] == first.fields["ETag"]
    assert "immutable" in then.fields["Cache-Control"]
    await proxy.app.stop()
    again = await (await start_proxy()).get(path)
    assert (again.fields["Content-Type"], again.cache) == (told, "hit")


async def test_a_long_text_is_not_waited_for(
    start_proxy: StartProxy, standin: FakeTrello, card: str, clock: FakeClock
) -> None:
    proxy = await start_proxy(upstream={"read_timeout_s": 60.0})
    path = attach(standin, card, LONG, "a.txt", TEXT)
    standin.faults.add(Fault("slow", "/files/*", bytes_per_s=10_000))
    early = await proxy.get(path, headers={"Range": "bytes=0-9"})
    assert (early.status, early.body) == (206, LONG[:10])
    clock.advance(100)


async def test_a_short_text_that_breaks_off_is_resumed_before_a_word_is_said(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    body = UTF8 * 10_000
    path = attach(standin, card, body, "a.txt", TEXT)
    standin.faults.add(Fault("cut", "/files/*", after_bytes=100_001))
    heard = await proxy.get(path)
    assert (heard.body, heard.fields["Content-Type"]) == (body, TEXT_IN_UTF8)
    standin.faults.add(Fault("cut", "/files/*", after_bytes=10, times=None))
    heard = await proxy.get(attach(standin, card, body + b"x", "a.txt", TEXT))
    assert (heard.status, heard.problem) == (502, "incomplete-response")


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("image/jpg", "image/jpeg"),
        ("image/pjpeg", "image/jpeg"),
        ("image/x-png", "image/png"),
        ("application/x-pdf", "application/pdf"),
    ],
)
async def test_an_alias_of_a_passive_type_is_shown(
    proxy: Proxy, standin: FakeTrello, card: str, alias: str, name: str
) -> None:
    path = attach(standin, card, b"x" * 9, "a", alias)
    for _ in range(2):
        heard = await proxy.get(path)
        assert heard.fields["Content-Type"] == name
        assert heard.fields["Content-Disposition"].startswith("inline; ")
        assert heard.fields["X-Content-Type-Options"] == "nosniff"
        await stored(proxy, attach(standin, card, b"y"))


async def test_what_was_kept_under_an_alias_is_shown(
    start_proxy: StartProxy, standin: FakeTrello, card: str, directory: Path
) -> None:
    proxy = await start_proxy()
    path = attach(standin, card)
    await stored(proxy, path)
    await proxy.app.stop()
    with sqlite3.connect(directory / "files" / "files.sqlite") as db:
        db.execute("UPDATE files SET content_type = 'image/x-png'")
    heard = await (await start_proxy()).get(path)
    assert (heard.fields["Content-Type"], heard.cache) == ("image/png", "hit")


async def test_two_names_in_other_letters_stay_two_names(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    names = [await _saved_as(proxy, standin, card, name) for name in ("中文.txt", "日本.txt")]
    assert len(set(names)) == 2
    assert all(re.fullmatch(r"__-[0-9a-f]{8}\.txt", name) for name in names)
    assert await _saved_as(proxy, standin, card, "plain.txt") == "plain.txt"


async def _saved_as(proxy: Proxy, fake_trello: FakeTrello, card: str, name: str) -> str:
    """What `curl -OJ` calls it, which reads `filename` alone."""
    made = fake_trello.trello.upload(card, File(name, TEXT, b"x"))
    path = f"/1/cards/{card}/attachments/{made['id']}/download"
    said = (await proxy.get(path)).fields["Content-Disposition"]
    return str(re.findall(r'filename="([^"]*)"', said)[0])
