"""A damaged store is a miss, and is replaced (D1); a damaged catalogue of files is, too."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from proxy.app.storage_monitor import LOOK_S
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    BREATH_S,
    UNPROVEN,
    Proxy,
    StartProxy,
    answering,
    reopened,
    until,
)

DATABASE = "responses.sqlite"
ONLY_IF_CACHED = {"Cache-Control": "only-if-cached"}
ONE_ANSWER = 8 * 2000
"""Room in memory for next to nothing: what is asked again comes from disk."""


def _overwritten(directory: Path, start: int = 0) -> None:
    path = directory / DATABASE
    length = path.stat().st_size - start
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xffgarbage" * (length // 8))


def _cut(directory: Path) -> None:
    path = directory / DATABASE
    path.write_bytes(path.read_bytes()[:5000])


def _damaged_rows(directory: Path) -> None:
    with closing(sqlite3.connect(directory / DATABASE)) as other, other:
        changed = other.execute("UPDATE responses SET value = substr(value, 1, length(value) - 1)")
        assert changed.rowcount > 0


def _rows_of_something_else(directory: Path) -> None:
    with closing(sqlite3.connect(directory / DATABASE)) as other, other:
        other.execute("UPDATE responses SET value = x'80049503'")


DAMAGE = {
    "overwritten": _overwritten,
    "cut": _cut,
    "every answer cut": _damaged_rows,
    "answers of another program": _rows_of_something_else,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
async def test_a_store_found_damaged_is_a_miss_and_works_from_then_on(
    start_proxy: StartProxy,
    standin: FakeTrello,
    board: str,
    directory: Path,
    damage: Callable[[Path], None],
) -> None:
    proxy = await start_proxy()
    before = await proxy.get(f"/1/boards/{board}")
    await proxy.app.stop()
    damage(directory)
    proxy = await start_proxy()
    after = await proxy.get(f"/1/boards/{board}")
    assert (after.status, after.body) == (200, before.body)
    assert after.cache == "fwd=uri-miss; fwd-status=200; stored"
    await proxy.app.stop()
    proxy = await start_proxy()
    assert (await proxy.get(f"/1/boards/{board}")).cache == "hit; ttl=30"
    assert standin.request_log.total == 2


async def test_a_damaged_file_takes_its_journal_with_it(
    start_proxy: StartProxy, board: str, directory: Path, tmp_path: Path
) -> None:
    """A journal belongs to one database; beside another it would be read into that."""
    left = tmp_path / "left"
    proxy = await start_proxy()
    for number in range(30):
        await proxy.get(f"/1/boards/{board}/cards?_={number}")
    await proxy.app.stop()
    proxy = await start_proxy()
    await proxy("PUT", f"/1/boards/{board}", params={"name": "After"})
    shutil.copytree(directory, left)
    assert (left / f"{DATABASE}-wal").stat().st_size > 0
    _overwritten(left)
    proxy = await start_proxy(cache={"directory": str(left)})
    assert await proxy.metric("trello_proxy_store_up") == 1
    await proxy.get(f"/1/boards/{board}?fields=name")
    await proxy.app.stop()
    with closing(sqlite3.connect(left / DATABASE)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM responses").fetchall() == [(1,)]


async def test_a_store_that_is_damaged_while_it_is_used_is_a_miss_and_is_made_anew(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str, directory: Path
) -> None:
    standin.faults.add(answering(50_000))
    proxy = await start_proxy(cache={"memory_bytes": ONE_ANSWER})
    targets = [f"/1/boards/{board}/cards?_={number}" for number in range(10)]
    for target in targets:
        await proxy.get(target)
    await proxy.app.stop()
    proxy = await start_proxy(cache={"memory_bytes": ONE_ANSWER})
    assert (await proxy.get(targets[0])).cache == "hit; ttl=30"
    _overwritten(directory, start=10 * 4096)
    heard = [await proxy.get(target) for target in targets]
    assert {each.status for each in heard} == {200}
    assert len({each.body for each in heard}) == 1
    assert await proxy.metric("trello_proxy_store_errors_total") >= 1
    assert len(proxy.logged("store failed")) == 1
    await reopened(proxy, clock)
    for target in targets:
        await proxy.get(target)
    assert len(proxy.logged("store failed")) == 1
    await proxy.app.stop()
    proxy = await start_proxy(cache={"memory_bytes": ONE_ANSWER})
    heard = [await proxy.get(target, headers=ONLY_IF_CACHED) for target in targets]
    assert {each.status for each in heard} == {200}


def _overwritten_catalog(directory: Path, start: int = 0) -> None:
    path = directory / "files" / "files.sqlite"
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xffgarbage" * ((path.stat().st_size - start) // 8))


def _long_catalog(directory: Path) -> None:
    """Rows for more pages than SQLite keeps in memory."""
    rows = [(f"{number:024x}", "0" * 64, "text/plain") for number in range(40_000)]
    with closing(sqlite3.connect(directory / "files" / "files.sqlite")) as other, other:
        other.executemany("INSERT INTO files VALUES (?, ?, ?)", rows)


async def _stored(proxy: Proxy, file: str) -> None:
    """Request a file until it is stored."""
    async with asyncio.timeout(10):
        while (await proxy.get(file)).cache != "hit":  # noqa: ASYNC110 — stored by a task
            await asyncio.sleep(BREATH_S)


async def test_a_damaged_catalogue_is_set_aside_at_the_start(
    start_proxy: StartProxy, standin: FakeTrello, directory: Path
) -> None:
    file = standin.trello.example_attachment_path
    proxy = await start_proxy()
    await _stored(proxy, file)
    await proxy.app.stop()
    _overwritten_catalog(directory)
    proxy = await start_proxy()
    assert (await proxy.get(file)).cache == "fwd=uri-miss; fwd-status=200; stored"
    await _stored(proxy, file)
    assert (directory / "files" / "files.damaged").read_bytes().startswith(b"\xffgarbage")


async def test_a_catalogue_damaged_while_it_is_used_is_set_aside_within_a_minute(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, directory: Path
) -> None:
    file = standin.trello.example_attachment_path
    proxy = await start_proxy(limits=UNPROVEN)
    await proxy.app.stop()
    _long_catalog(directory)
    proxy = await start_proxy(limits=UNPROVEN)
    _overwritten_catalog(directory, start=4096)
    assert (await proxy.get(file)).status == 200
    await until(lambda: bool(proxy.logged("attachment store failed")))
    clock.advance(LOOK_S)
    await _stored(proxy, file)
    assert len(proxy.logged("attachment store failed")) == 1
    assert (directory / "files" / "files.damaged").exists()
