"""What is stored outlives the process; a store that fails costs hits and nothing else (D1)."""

import asyncio
import resource
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    Proxy,
    StartProxy,
    answering,
    reopened,
    until,
)

JSON = "application/json; charset=utf-8"
DATABASE = "responses.sqlite"
REOPENED_S = 5
ONLY_IF_CACHED = {"Cache-Control": "only-if-cached"}
ONE_ANSWER = 8 * 2000
"""Room in memory for next to nothing: what is asked again comes from disk."""


def _make(directory: Path) -> None:
    directory.mkdir(mode=0o755)


def _modes(directory: Path) -> dict[str, int]:
    """The permissions of the directory, where there is one, and of all that is in it."""
    paths = [directory, *directory.rglob("*")] if directory.exists() else []
    return {path.name: path.stat().st_mode & 0o777 for path in paths}


def _folders(directory: Path) -> set[str]:
    return {path.name for path in directory.rglob("*") if path.is_dir()}


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


async def _lasting(proxy: Proxy, target: str) -> str:
    """What the second of two GETs says of itself; the first must be answered too."""
    assert (await proxy.get(target)).status == 200
    heard = await proxy.get(target)
    assert heard.status == 200
    return heard.cache


async def test_answers_survive_a_restart(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    targets = (f"/1/boards/{board}", f"/1/boards/{board}?fields=id", f"/1/boards/{'f' * 24}")
    proxy = await start_proxy()
    before = [await proxy.get(target, headers={"Accept-Encoding": "gzip"}) for target in targets]
    await proxy.app.stop()
    clock.advance(3)
    proxy = await start_proxy()
    after = [await proxy.get(target, headers={"Accept-Encoding": "gzip"}) for target in targets]
    assert [each.cache for each in after] == ["hit; ttl=27", "hit; ttl=27", "hit; ttl=2"]
    assert [each.fields["Age"] for each in after] == ["3"] * 3
    for name in ("ETag", "Content-Encoding", "Content-Type", "Vary"):
        assert [x.fields.get(name) for x in after] == [x.fields.get(name) for x in before]
    assert [(x.status, x.body) for x in after] == [(x.status, x.body) for x in before]
    assert standin.request_log.total == 2  # the second is contained in the first


async def test_answers_that_are_being_written_survive_a_restart(
    start_proxy: StartProxy, standin: FakeTrello, board: str, directory: Path
) -> None:
    standin.faults.add(answering(2 << 20))
    targets = [f"/1/boards/{board}/cards?_={number}" for number in range(12)]
    proxy = await start_proxy()
    for target in targets:
        await proxy.get(target)
    await until(lambda: _size(directory) > 4 << 20)
    await proxy.app.stop()
    proxy = await start_proxy()
    heard = [await proxy.get(target, headers=ONLY_IF_CACHED) for target in targets]
    assert [each.status for each in heard] == [200] * len(targets)


async def test_a_write_that_stopping_cuts_off_counts_as_done(
    start_proxy: StartProxy,
    standin: FakeTrello,
    board: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.app.listeners.SHUTDOWN_S", 0.05)
    path = f"/1/boards/{board}"
    proxy = await start_proxy(upstream={"read_timeout_s": 30.0})
    await proxy.get(path)
    standin.faults.add(Fault("late", method="PUT", applied=True))
    writing = asyncio.ensure_future(proxy("PUT", path, params={"name": "After"}))
    await until(lambda: standin.request_log.count("PUT", path) == 1)
    await proxy.app.stop()
    assert isinstance((await asyncio.gather(writing, return_exceptions=True))[0], Exception)
    proxy = await start_proxy()
    assert (await proxy.get(path)).json["name"] == "After"


async def test_a_stale_answer_survives_a_restart_while_trello_is_down(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    proxy = await start_proxy()
    before = await proxy.get(f"/1/boards/{board}")
    await proxy.app.stop()
    clock.advance(3600)
    standin.faults.add(Fault("reset", times=None))
    proxy = await start_proxy()
    heard = await proxy.get(f"/1/boards/{board}")
    assert (heard.status, heard.body, heard.fields["Age"]) == (200, before.body, "3600")
    assert heard.cache == "fwd=stale; fwd-status=502; detail=stale-if-error"


@pytest.mark.parametrize("cause", ["write", "purge"])
async def test_an_invalidation_survives_a_restart(
    start_proxy: StartProxy, board: str, other_board: str, cause: str
) -> None:
    proxy = await start_proxy()
    for each in (board, other_board):
        await proxy.get(f"/1/boards/{each}?fields=name")
    await proxy.app.stop()
    proxy = await start_proxy()
    if cause == "write":
        await proxy("PUT", f"/1/boards/{board}", params={"name": "After"})
    else:
        await proxy("POST", "/-/purge")
    await proxy.app.stop()
    proxy = await start_proxy()
    heard = await proxy.get(f"/1/boards/{board}?fields=name")
    assert heard.cache.startswith("fwd=uri-miss")
    other = await proxy.get(f"/1/boards/{other_board}?fields=name")
    assert other.cache.startswith("hit" if cause == "write" else "fwd=uri-miss")


async def test_a_writes_invalidation_survives_a_crash(
    start_proxy: StartProxy, board: str, other_board: str, directory: Path, tmp_path: Path
) -> None:
    """What lies on disk when the client hears that it was written is all that is left."""
    proxy = await start_proxy()
    for each in (board, other_board):
        await proxy.get(f"/1/boards/{each}?fields=name")
    await proxy.app.stop()
    proxy = await start_proxy()
    await proxy("PUT", f"/1/boards/{board}", params={"name": "After"})
    shutil.copytree(directory, tmp_path / "left")
    proxy = await start_proxy(cache={"directory": str(tmp_path / "left")})
    assert (await proxy.get(f"/1/boards/{board}?fields=name")).json["name"] == "After"
    assert (await proxy.get(f"/1/boards/{other_board}?fields=name")).cache.startswith("hit")


async def test_a_write_while_the_store_fails_is_not_forgotten(
    start_proxy: StartProxy, clock: FakeClock, board: str, directory: Path
) -> None:
    proxy = await start_proxy()
    await proxy.get(f"/1/boards/{board}?fields=name")
    await proxy.app.stop()
    proxy = await start_proxy()
    with closing(sqlite3.connect(directory / DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        written = await proxy("PUT", f"/1/boards/{board}", params={"name": "After"})
        assert written.status == 200
        assert (await proxy.get(f"/1/boards/{board}?fields=name")).json["name"] == "After"
        await until(lambda: bool(proxy.logged("store failed")))
        other.execute("ROLLBACK")
    await reopened(proxy, clock)
    await proxy.app.stop()
    proxy = await start_proxy()
    assert (await proxy.get(f"/1/boards/{board}?fields=name")).json["name"] == "After"


def _a_file_for_a_directory(directory: Path) -> None:
    directory.write_bytes(b"")


def _a_directory_for_a_file(directory: Path) -> None:
    (directory / DATABASE).mkdir(parents=True)


def _a_loop(directory: Path) -> None:
    directory.symlink_to(directory)


BROKEN: dict[str, Callable[[Path], None]] = {
    "a file where the directory should be": _a_file_for_a_directory,
    "a directory where the file should be": _a_directory_for_a_file,
    "a link to itself": _a_loop,
}


@pytest.mark.parametrize("spoil", BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_store_is_a_miss_a_metric_and_one_log_line(
    start_proxy: StartProxy, directory: Path, board: str, spoil: Callable[[Path], None]
) -> None:
    spoil(directory)
    await _check_degraded(await start_proxy(), board)


@pytest.mark.parametrize("is_full_at", ["the start", "a write"])
async def test_a_full_store_is_a_miss_a_metric_and_one_log_line(
    start_proxy: StartProxy, clock: FakeClock, board: str, is_full_at: str
) -> None:
    """No file may grow: SQLite is told what it is told when a disk is full."""
    proxy = await start_proxy() if is_full_at == "a write" else None
    bounds = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, bounds[1]))
    try:
        proxy = proxy or await start_proxy()
        await _check_degraded(proxy, board)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, bounds)
    await reopened(proxy, clock)
    await proxy.get(f"/1/boards/{board}/lists")
    await proxy.app.stop()
    proxy = await start_proxy()
    assert (await proxy.get(f"/1/boards/{board}/lists")).cache == "hit; ttl=30"


async def _check_degraded(proxy: Proxy, board: str) -> None:
    """It answers from memory and from Trello, and tells the operator, once."""
    assert await _lasting(proxy, f"/1/boards/{board}/cards?attachments=true") == "hit; ttl=30"
    written = await proxy("PUT", f"/1/boards/{board}", params={"name": "After"})
    assert written.status == 200
    assert (await proxy.get(f"/1/boards/{board}")).json["name"] == "After"
    await until(lambda: bool(proxy.logged("store failed")))
    for number in range(20):
        assert (await proxy.get(f"/1/boards/{board}?_={number}")).status == 200
    assert len(proxy.logged("store failed")) == 1
    assert await proxy.metric("trello_proxy_store_errors_total") >= 1
    assert await proxy.metric("trello_proxy_store_up") == 0
    ready = await proxy.get("/readyz")
    assert (ready.status, ready.json["status"]) == (200, "degraded")


async def test_a_locked_store_is_a_miss_and_works_again_when_it_is_let_go(
    start_proxy: StartProxy, clock: FakeClock, board: str, directory: Path
) -> None:
    _make(directory)
    with closing(sqlite3.connect(directory / DATABASE, isolation_level=None)) as other:
        other.execute("CREATE TABLE held (x)")
        other.execute("BEGIN EXCLUSIVE")
        proxy = await start_proxy()
        assert len(proxy.logged("store failed")) == 1
        assert await _lasting(proxy, f"/1/boards/{board}") == "hit; ttl=30"
        other.execute("ROLLBACK")
    await reopened(proxy, clock)
    assert await proxy.metric("trello_proxy_store_up") == 1
    await proxy.get(f"/1/boards/{board}/lists")
    await proxy.app.stop()
    proxy = await start_proxy()
    assert (await proxy.get(f"/1/boards/{board}/lists")).cache == "hit; ttl=30"


async def test_only_its_owner_may_read_what_is_stored(
    start_proxy: StartProxy, standin: FakeTrello, board: str, directory: Path
) -> None:
    _make(directory)
    proxy = await start_proxy()
    await proxy.get(f"/1/boards/{board}")
    await proxy.get(standin.trello.example_attachment_path)
    await proxy("PUT", f"/1/boards/{board}", params={"name": "After"})
    modes = _modes(directory)
    assert modes.pop(directory.name) == 0o700
    assert DATABASE in modes
    folders = _folders(directory)
    assert {name for name in folders if len(name) > 2} == {"files", "blobs", "partial"}
    assert {modes.pop(name) for name in folders} == {0o700}
    assert set(modes.values()) == {0o600}


async def test_what_lies_on_disk_stays_within_its_bound_and_goes_on_working(
    start_proxy: StartProxy, standin: FakeTrello, board: str, directory: Path
) -> None:
    bound, path = 16 << 20, f"/1/boards/{board}/cards"
    standin.faults.add(answering(100_000))
    proxy = await start_proxy(cache={"disk_bytes": bound, "memory_bytes": ONE_ANSWER})
    for number in range(300):
        await proxy.get(f"{path}?_={number}")
        assert _size(directory) <= bound
        if number % 15 == 0:  # a write waits until what was stored before it is on disk
            await proxy("POST", "/1/notifications/all/read")
    assert await proxy.metric('trello_proxy_store_evictions_total{tier="disk"}') > 100
    assert await proxy.metric("trello_proxy_store_up") == 1
    assert not proxy.logged("store failed")
    await proxy.app.stop()
    assert _size(directory) <= bound
    proxy = await start_proxy(cache={"disk_bytes": bound, "memory_bytes": ONE_ANSWER})
    kept = [await proxy.get(f"{path}?_={n}", headers=ONLY_IF_CACHED) for n in range(300)]
    hits = [heard.status for heard in kept].count(200)
    assert bound // 2 < hits * 100_000 < bound


async def test_in_memory_only_nothing_touches_the_disk(
    start_proxy: StartProxy, standin: FakeTrello, board: str, directory: Path
) -> None:
    proxy = await start_proxy(cache={"backend": "memory"})
    assert await _lasting(proxy, f"/1/boards/{board}") == "hit; ttl=30"
    file = await proxy.get(standin.trello.example_attachment_path)
    assert (file.status, file.cache) == (200, "fwd=bypass; detail=insufficient-space")
    await proxy.app.stop()
    assert not _modes(directory)
    proxy = await start_proxy(cache={"backend": "memory"})
    assert (await proxy.get(f"/1/boards/{board}")).cache.startswith("fwd=uri-miss")
