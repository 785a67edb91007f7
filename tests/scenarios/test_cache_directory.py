"""`cache.directory`: one process owns it, and what is removed from it is made anew."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.app.storage_monitor import LOOK_S
from proxy.cache.store.disk_tier import REOPEN_AFTER_S
from proxy.cli import main
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from proxy.runtime.directory import DirectoryLock
from tests.scenarios.conftest import (
    BREATH_S,
    UNPROVEN,
    Proxy,
    StartProxy,
    turns,
    until,
)

ONLY_IF_CACHED = {"Cache-Control": "only-if-cached"}
DATABASE = "responses.sqlite"
ONE_ANSWER = 8 * 2000
"""Room in memory for next to nothing: what is asked again comes from disk."""


def whole(directory: Path) -> None:
    shutil.rmtree(directory)


def files(directory: Path) -> None:
    shutil.rmtree(directory / "files")


def blobs(directory: Path) -> None:
    shutil.rmtree(directory / "files" / "blobs")


def catalog(directory: Path) -> None:
    for path in (directory / "files").glob("files.sqlite*"):
        path.unlink()


def catalogs_journal(directory: Path) -> None:
    (directory / "files" / "files.sqlite-wal").unlink()


def database(directory: Path) -> None:
    for path in directory.glob(f"{DATABASE}*"):
        path.unlink()


def journal(directory: Path) -> None:
    (directory / f"{DATABASE}-wal").unlink()


def everything_in_it(directory: Path) -> None:
    for path in directory.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def exchanged_for_a_copy(directory: Path) -> None:
    directory.rename(directory.with_name("old"))
    shutil.copytree(directory.with_name("old"), directory)


def exchanged_for_an_empty_one(directory: Path) -> None:
    directory.rename(directory.with_name("old"))
    directory.mkdir()


def in_the_way(directory: Path) -> None:
    directory.write_text("")


def out_of_the_way(directory: Path) -> None:
    directory.unlink()


RESPONSES, FILES = "store failed", "attachment store failed"
LOSSES: dict[Callable[[Path], None], set[str]] = {
    whole: {RESPONSES, FILES},
    everything_in_it: {RESPONSES, FILES},
    exchanged_for_a_copy: {RESPONSES, FILES},
    exchanged_for_an_empty_one: {RESPONSES, FILES},
    files: {FILES},
    blobs: {FILES},
    catalog: {FILES},
    catalogs_journal: {FILES},
    database: {RESPONSES},
    journal: {RESPONSES},
}


async def kept(proxy: Proxy, board: str, file: str) -> None:
    """Return when a board's answer and a file are on disk."""
    for target in (f"/1/boards/{board}/lists", file):
        assert (await proxy.get(target)).status == 200
    async with asyncio.timeout(10):
        while await proxy.metric("trello_proxy_attachments") == 0:
            await turns(5)
    assert (await proxy("POST", "/1/notifications/all/read")).status == 200  # waits for the disk


async def ready(proxy: Proxy, clock: FakeClock) -> None:
    """Return when all is well again, within a minute of the clock's."""
    for _ in range(int((60 - LOOK_S) / REOPEN_AFTER_S)):
        clock.advance(REOPEN_AFTER_S)
        for _ in range(100):
            if (await proxy.get("/readyz")).json["status"] == "ready":
                return
            await asyncio.sleep(BREATH_S)
    raise AssertionError((await proxy.get("/readyz")).json)


def told(proxy: Proxy) -> set[str]:
    return {message for message in (RESPONSES, FILES) if proxy.logged(message)}


@pytest.mark.parametrize("loss", LOSSES.items(), ids=[lose.__name__ for lose in LOSSES])
async def test_what_is_removed_while_it_is_used_is_noticed_told_and_made_anew(
    start_proxy: StartProxy,
    standin: FakeTrello,
    clock: FakeClock,
    board: str,
    directory: Path,
    loss: tuple[Callable[[Path], None], set[str]],
) -> None:
    (lose, messages), file = loss, standin.trello.example_attachment_path
    proxy = await start_proxy(limits=UNPROVEN)
    await kept(proxy, board, file)
    lose(directory)
    clock.advance(LOOK_S)
    await until(lambda: told(proxy) == messages)
    await ready(proxy, clock)
    clock.advance(60)
    await kept(proxy, board, file)
    await proxy.app.stop()
    assert all(len(proxy.logged(message)) == 1 for message in messages)
    proxy = await start_proxy()
    heard = await proxy.get(f"/1/boards/{board}/lists", headers=ONLY_IF_CACHED)
    assert heard.status == 200
    assert (await proxy.get(file)).cache.startswith("hit")


async def test_nobody_notices_while_it_is_gone(
    proxy: Proxy, standin: FakeTrello, board: str, directory: Path
) -> None:
    file = standin.trello.example_attachment_path
    await kept(proxy, board, file)
    before = await proxy.get(file)
    shutil.rmtree(directory)
    assert (await proxy.get(f"/1/boards/{board}/lists")).cache.startswith("hit")
    assert (await proxy.get(f"/1/boards/{board}/cards")).status == 200
    assert (await proxy("PUT", f"/1/boards/{board}?name=After")).status == 200
    assert (await proxy.get(f"/1/boards/{board}")).json["name"] == "After"
    for _ in range(2):
        again = await proxy.get(file)
        assert (again.status, again.body) == (200, before.body)


async def test_an_older_copy_in_its_place_revives_nothing(
    start_proxy: StartProxy, clock: FakeClock, board: str, directory: Path, tmp_path: Path
) -> None:
    proxy = await start_proxy(limits=UNPROVEN, cache={"memory_bytes": ONE_ANSWER})
    before = await proxy.get(f"/1/boards/{board}?fields=name")
    assert (await proxy("POST", "/1/notifications/all/read")).status == 200
    shutil.copytree(directory, tmp_path / "copy")
    assert (await proxy("PUT", f"/1/boards/{board}?name=After")).status == 200
    shutil.rmtree(directory)
    (tmp_path / "copy").rename(directory)
    clock.advance(LOOK_S)
    await until(lambda: told(proxy) == {RESPONSES, FILES})
    await ready(proxy, clock)
    assert (await proxy("POST", "/1/notifications/all/read")).status == 200
    await proxy.app.stop()
    proxy = await start_proxy()
    after = await proxy.get(f"/1/boards/{board}?fields=name")
    assert before.json["name"] != "After"
    assert after.json["name"] == "After"


async def test_what_cannot_be_opened_is_told_once_and_opened_when_it_can_be(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str, directory: Path
) -> None:
    in_the_way(directory)
    proxy = await start_proxy(limits=UNPROVEN)
    report = (await proxy.get("/readyz")).json
    assert report["status"] == "degraded"
    assert report["store"] == "failing; responses are stored in memory only"
    assert report["files"] == "failing; files are not stored"
    for _ in range(4):
        clock.advance(LOOK_S)
        assert (await proxy.get(f"/1/boards/{board}")).status == 200
    out_of_the_way(directory)
    clock.advance(LOOK_S)
    await ready(proxy, clock)
    await kept(proxy, board, standin.trello.example_attachment_path)
    assert [len(proxy.logged(message)) for message in (RESPONSES, FILES)] == [1, 1]


async def test_a_directory_that_another_process_has_taken_meanwhile_is_left_to_it(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str, directory: Path
) -> None:
    proxy = await start_proxy(limits=UNPROVEN)
    await kept(proxy, board, standin.trello.example_attachment_path)
    (directory / "lock").unlink()
    other = DirectoryLock(directory)
    other.own()
    clock.advance(LOOK_S)
    await until(lambda: told(proxy) == {RESPONSES, FILES})
    assert "another process" in (await proxy.get("/readyz")).json["store"]
    assert "another process" in (await proxy.get("/readyz")).json["files"]
    other.release()
    clock.advance(LOOK_S)
    await ready(proxy, clock)


class TestTwoProcesses:
    async def test_the_second_keeps_answers_in_memory_only_and_says_so(
        self, start_proxy: StartProxy, standin: FakeTrello, board: str, directory: Path
    ) -> None:
        first = await start_proxy(limits=UNPROVEN)
        await kept(first, board, standin.trello.example_attachment_path)
        known = (directory / "identity.json").read_bytes()
        second = await start_proxy(limits=UNPROVEN)
        for message in (RESPONSES, FILES):
            (line,) = second.logged(message)
            assert line["error"] == "another process uses cache.directory"
        report = (await second.get("/readyz")).json
        assert report["status"] == "degraded"
        assert report["store"].startswith("another process uses cache.directory; responses")
        assert report["files"].startswith("another process uses cache.directory; files")
        assert (await second.get(f"/1/boards/{board}")).cache.startswith("fwd=uri-miss")
        assert (await second.get(f"/1/boards/{board}")).cache.startswith("hit")
        assert (await second.get(standin.trello.example_attachment_path)).status == 200
        assert (await first.get("/readyz")).json["status"] == "ready"
        await second.app.stop()
        assert (directory / "identity.json").read_bytes() == known
        assert (await first.get(standin.trello.example_attachment_path)).cache.startswith("hit")

    async def test_it_takes_over_when_the_first_has_ended(
        self, start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
    ) -> None:
        file = standin.trello.example_attachment_path
        first = await start_proxy(limits=UNPROVEN)
        await kept(first, board, file)
        second = await start_proxy(limits=UNPROVEN)
        await first.app.stop()
        clock.advance(LOOK_S)
        await ready(second, clock)
        heard = await second.get(f"/1/boards/{board}/lists", headers=ONLY_IF_CACHED)
        assert heard.status == 200
        assert (await second.get(file)).cache.startswith("hit")
        await second.app.stop()
        third = await start_proxy()
        assert not told(third)

    async def test_what_it_wrote_meanwhile_holds_for_what_it_takes_over(
        self, start_proxy: StartProxy, clock: FakeClock, board: str
    ) -> None:
        first = await start_proxy(limits=UNPROVEN)
        second = await start_proxy(limits=UNPROVEN)
        for number in range(3):  # the first is ahead in its count of changes
            assert (await first("PUT", f"/1/boards/{board}?desc={number}")).status == 200
        await first.get(f"/1/boards/{board}?fields=name")
        assert (await second("PUT", f"/1/boards/{board}?name=After")).status == 200
        await first.app.stop()
        clock.advance(LOOK_S)
        await ready(second, clock)
        assert (await second.get(f"/1/boards/{board}?fields=name")).json["name"] == "After"

    async def test_check_says_that_it_is_in_use(
        self, start_proxy: StartProxy, directory: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = directory.with_name("proxy.yaml")
        config.write_text(
            f"cache: {{directory: '{directory}'}}\n"
            "credentials: {key: dummy-key, token: dummy-token}"
        )
        assert main.run(["check", "--config", str(config)]) == 0
        assert "uses cache.directory" not in capsys.readouterr().err
        await start_proxy()
        assert main.run(["check", "--config", str(config)]) == 0
        assert "a proxy uses cache.directory now" in capsys.readouterr().err
