"""`warm`: what was downloaded ahead of use is there when Trello is not."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from itertools import pairwise
from typing import Any, ParamSpec, TypeVar

import pytest

from proxy.app.from_config import build_signer
from proxy.cli.warm import (
    ProgressOutput,
    ProxyUnreachable,
    Warm,
)
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.links.rewrite import LinkRewriter
from proxy.model import Rate, Secret
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    Proxy,
    StartProxy,
    turns,
    until,
)
from tests.scenarios.test_files import (
    attach,
    metadata_of,
    slowly,
)

RATE = Rate(1000, 10.0)
P = ParamSpec("P")
T = TypeVar("T")


def _connecting(port: int) -> Callable[[], HTTPConnection]:
    return partial(HTTPConnection, "127.0.0.1", port, timeout=10)


class Threads(ThreadPoolExecutor):
    """The event loop's threads; knows whether one of them works."""

    def __init__(self) -> None:
        super().__init__()
        self._working: set[Future[Any]] = set()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future = super().submit(fn, *args, **kwargs)
        self._working.add(future)
        # Later than the loop's own callback: until that has run, the loop does not know the result.
        asyncio.get_running_loop().call_soon(future.add_done_callback, self._working.discard)
        return future

    async def idle(self) -> None:
        """Return when neither a thread nor the event loop has anything to do."""
        await turns()
        while self._working:
            await until(lambda: not self._working)
            await turns()


@pytest.fixture
async def threads() -> Threads:
    threads = Threads()
    asyncio.get_running_loop().set_default_executor(threads)
    return threads


def warm_of(
    proxy: Proxy, clock: FakeClock, rate: Rate = RATE, progress: ProgressOutput | None = None
) -> Warm:
    config = proxy.app._config
    links, quiet = (
        LinkRewriter(proxy.url, build_signer(config.links)),
        ProgressOutput(lambda _: None),
    )
    return Warm(_connecting(proxy.app.port), links, rate, clock, progress or quiet)


@pytest.fixture
def files(standin: FakeTrello, board: str) -> list[str]:
    """The paths of all uploads on the board."""
    cards = standin.trello.request(f"/1/boards/{board}/cards?attachments=true")
    attached = [each for card in cards for each in card["attachments"] if each["isUpload"]]
    return [str(each["url"]).removeprefix("https://trello.com") for each in attached]


def attach_small(fake_trello: FakeTrello, card: str, count: int) -> None:
    for number in range(count):
        attach(fake_trello, card, b"%d" % number, f"{number}.txt", "text/plain")


async def test_what_is_warmed_opens_while_trello_is_down(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, files: list[str]
) -> None:
    warm = warm_of(proxy, clock)
    said = await warm.run([board, board], dry=False)
    assert warm.stats.is_complete
    assert (warm.stats.boards, warm.stats.downloaded) == (1, len(files))
    assert f"downloaded {len(files)} files" in said
    clock.advance(3600)
    standin.faults.add(Fault("status", "/1/*", status=503, times=None))
    for path in files:
        assert (await proxy.get(path)).status == 200
    page = await proxy.get(f"/b/{board}")
    assert page.status == 200


async def test_what_was_stored_before_is_not_downloaded_again(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, files: list[str]
) -> None:
    await warm_of(proxy, clock).run([board], dry=False)
    downloads = standin.request_log.downloads
    again = warm_of(proxy, clock)
    assert f"already stored {len(files)}" in await again.run([board], dry=False)
    assert (again.stats.hits, again.stats.downloaded_bytes) == (len(files), 0)
    assert standin.request_log.downloads == downloads


async def test_a_dry_run_counts_and_downloads_nothing(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, files: list[str]
) -> None:
    said = await warm_of(proxy, clock).run([board], dry=True)
    assert f"{len(files)} files, " in said
    assert standin.request_log.downloads == 0


async def test_failures_are_named_and_counted_and_the_rest_is_downloaded(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, files: list[str]
) -> None:
    standin.faults.add(
        Fault("status", f"{metadata_of(files[0])}/download*", status=403, body="no", times=None)
    )
    warm = warm_of(proxy, clock)
    said = await warm.run(["0" * 24, board], dry=False)
    assert warm.stats.failed == 1
    assert warm.stats.downloaded == len(files) - 1
    assert f"failed: board {'0' * 24}: 404" in said
    assert ": 403 no" in said
    assert not warm.stats.is_complete


async def test_an_attachment_that_is_not_stored_is_a_failure(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str, card: str
) -> None:
    proxy = await start_proxy(attachments={"max_file_bytes": 500_000})
    attach(standin, card)
    warm = warm_of(proxy, clock)
    assert "not stored: too large" in await warm.run([board], dry=False)
    assert warm.stats.failed == 1


async def test_signed_links_are_signed(
    start_proxy: StartProxy, clock: FakeClock, board: str, files: list[str]
) -> None:
    keys = (Secret("link-key-0123456789"),)
    proxy = await start_proxy(links={"sign": True, "keys": keys})
    warm = warm_of(proxy, clock)
    await warm.run([board], dry=False)
    assert (warm.stats.downloaded, warm.stats.failures) == (len(files), [])


async def test_it_takes_no_more_than_a_fifth_of_the_limit(
    threads: Threads, proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, card: str,
    files: list[str],
) -> None:  # fmt: skip
    attach_small(standin, card, 4)
    warm = warm_of(proxy, clock, Rate(20, 10.0))
    run = asyncio.ensure_future(warm.run([board], dry=False))
    sent = [0]
    while not run.done():
        await threads.idle()
        sent.append(standin.request_log.total)
        clock.advance(10.0)
    await run
    assert warm.stats.downloaded == len(files) + 4
    assert max(later - before for before, later in pairwise(sent)) <= 4
    assert len(sent) > 4


async def test_what_took_no_request_does_not_count(
    threads: Threads, proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, card: str,
    files: list[str],
) -> None:  # fmt: skip
    attach_small(standin, card, 5)
    await warm_of(proxy, clock).run([board], dry=False)
    total = standin.request_log.total
    again = warm_of(proxy, clock, Rate(20, 10.0))
    run = asyncio.ensure_future(again.run([board], dry=False))
    for _ in range(2):
        await threads.idle()
        clock.advance(10.0)
    await until(run.done)  # seven files, two at once: 30 s if they counted twice
    assert (again.stats.hits, standin.request_log.total) == (len(files) + 5, total)


async def test_interrupting_it_loses_nothing(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, card: str, files: list[str]
) -> None:
    warm = warm_of(proxy, clock)
    await warm.run([board], dry=False)
    attach(standin, card)
    clock.advance(3600)
    slowly(standin)
    warm = warm_of(proxy, clock)
    run = asyncio.ensure_future(warm.run([board], dry=False))
    await until(lambda: warm.stats.hits == len(files) and warm.stats.downloaded_bytes > 0)
    run.cancel()
    said = await run
    assert "interrupted: stored files remain" in said
    assert not warm.stats.is_complete
    assert (await proxy.get(files[0])).cache == "hit"


async def test_a_proxy_that_is_not_running_is_reported(clock: FakeClock) -> None:
    links = LinkRewriter("http://127.0.0.1:9")
    warm = Warm(_connecting(9), links, RATE, clock, ProgressOutput(lambda _: None))
    with pytest.raises(ProxyUnreachable):
        await warm.run(["AbCd1234"], dry=False)


async def test_a_proxy_that_ends_in_between_is_one_failure(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, card: str
) -> None:
    attach_small(standin, card, 6)
    warm = warm_of(proxy, clock, Rate(20, 10.0))
    run = asyncio.ensure_future(warm.run([board], dry=False))
    await until(lambda: clock.sleepers > 2)
    await proxy.app.stop()
    while not run.done():
        await turns(20)
        clock.advance(10.0)
    assert (await run).count("does not respond any more") == 1


async def test_progress_is_one_line_on_a_terminal_and_lines_elsewhere(
    proxy: Proxy, clock: FakeClock, board: str, files: list[str]
) -> None:
    written: list[bytes] = []
    for is_terminal in (True, False):
        await warm_of(proxy, clock, progress=ProgressOutput(written.append, is_terminal)).run(
            [board], dry=False
        )
    count = len(files)
    assert written[0].startswith(b"\r\x1b[K[####")
    assert b"%d/%d file" % (count, count) in written[0]
    assert written[1] == b"\n"
    assert written[2].startswith(b"[####")
    assert written[2].endswith(b"\n")
