"""A store that is damaged is a miss, and is made anew (D1)."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    StartProxy,
    answering,
    reopened,
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
