"""Boards, their cards and all their files, asked for ahead: a client of the running proxy.

The one process that owns the store keeps what is fetched, so nothing is lost when this one ends.
Must not know what the store looks like: what was kept before, the proxy says in Cache-Status.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import aiohttp
from yarl import URL

from proxy import __version__
from proxy.cli.warm_report import (
    CacheResult,
    FileToWarm,
    WarmStats,
    board_target,
    cards_target,
    parse_cache_status,
    parse_cards,
    plan_text,
    problem_detail,
    progress_line,
    summary,
)
from proxy.config.units import Rate
from proxy.links.rewrite import LinkRewriter
from proxy.ratelimit.share import (
    MAX_BURST,
    delay_s,
    share_of,
)
from proxy.runtime.clock import Clock
from proxy.trello.rate_limits import (
    PREFETCH_USER_AGENT,
)

FILES_AT_ONCE = 4
CHUNK_BYTES = 256 * 1024
MOST_BYTES = 64 * 1024 * 1024
"""As much JSON as a board's page is made of."""
_REASON_BYTES = 4096
_CONNECT_S = 10
_SILENCE_S = 300
"""The proxy may wait for Trello, and try again, before it has anything to say."""


class ProxyUnreachable(Exception):
    """Nothing answers where the proxy should be; `str()` says how that was noticed."""


@dataclass(frozen=True, slots=True)
class ProgressOutput:
    """Where progress is written, and how: over itself on a terminal, else line by line."""

    write: Callable[[bytes], None]
    is_terminal: bool = False

    @property
    def interval_s(self) -> float:
        return 0.2 if self.is_terminal else 5.0

    def write_line(self, line: str) -> None:
        """One more line of progress."""
        self.write((f"\r\x1b[K{line}" if self.is_terminal else f"{line}\n").encode())

    def end(self) -> None:
        """What follows stands on a line of its own."""
        if self.is_terminal:
            self.write(b"\n")


class Warm:
    """One run; `url` is the proxy's origin, `rate` what Trello allows the token."""

    def __init__(
        self, url: str, links: LinkRewriter, rate: Rate, clock: Clock, told: ProgressOutput
    ) -> None:
        self.stats = WarmStats()
        self._url = url
        self._links = links
        self._rate = _RateGovernor(rate, clock)
        self._clock = clock
        self._progress = told
        self._started_at = self._reported_at = clock.monotonic()
        self._unreachable = False

    async def run(self, boards: Sequence[str], *, dry: bool) -> str:
        """What came of it, or what would, in words; NoProxy when nothing answers at first.

        Cancelling it ends it early; it then returns what is done so far.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
        session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"{PREFETCH_USER_AGENT}{__version__}"},
            timeout=timeout,
        )
        async with session:
            try:
                files = await self._find(session, boards)
                if dry:
                    return plan_text(self.stats)
                await self._fetch_all(session, files)
            except asyncio.CancelledError:
                self.stats.is_interrupted = True
        return summary(self.stats, self._elapsed_s)

    @property
    def _elapsed_s(self) -> float:
        return self._clock.monotonic() - self._started_at

    async def _find(
        self, session: aiohttp.ClientSession, boards: Sequence[str]
    ) -> list[FileToWarm]:
        """The files of all these boards; a board that cannot be read is a failure."""
        found: list[FileToWarm] = []
        for board in dict.fromkeys(boards):
            try:
                await self._read(session, board_target(board))
                cards, files = parse_cards(await self._read(session, cards_target(board)))
            except aiohttp.ClientConnectorError as error:
                raise ProxyUnreachable(error.strerror or str(error.os_error)) from None
            except _RequestRefused as refused:
                self.stats.failures.append(f"board {board}: {refused}")
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                self.stats.failures.append(f"board {board}: {_named(error)}")
            else:
                self.stats.add_file(cards, files)
                found += files
        return found

    async def _read(self, session: aiohttp.ClientSession, target: str) -> bytes:
        """A 200's body; _Refused for anything else."""
        await self._rate.acquire(1)
        async with session.get(self._address(target), allow_redirects=False) as response:
            if parse_cache_status(response.headers.get("Cache-Status", "")) is CacheResult.HIT:
                self._rate.release()
            if response.status != 200:
                raise await _refusal_reason(response)
            held = bytearray()
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                held += chunk
                if len(held) > MOST_BYTES:
                    raise _RequestRefused("its cards are more than can be read at once")
            return bytes(held)

    async def _fetch_all(self, session: aiohttp.ClientSession, files: Sequence[FileToWarm]) -> None:
        left = iter(files)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(FILES_AT_ONCE, len(files))):
                    group.create_task(self._work(session, left))
        finally:
            self._progress.write_line(progress_line(self.stats, self._elapsed_s))
            self._progress.end()

    async def _work(self, session: aiohttp.ClientSession, left: Iterator[FileToWarm]) -> None:
        """Take files until none is left, or the proxy is not there any more."""
        for file in left:
            await self._rate.acquire(MAX_BURST)
            if self._unreachable:
                return
            try:
                await self._fetch(session, file)
            except aiohttp.ClientConnectorError:
                self._abort()
            except _RequestRefused as refused:
                self.stats.add_failure(file, str(refused))
            except (aiohttp.ClientError, TimeoutError) as error:
                self.stats.add_failure(file, _named(error))
            self._report()

    async def _fetch(self, session: aiohttp.ClientSession, file: FileToWarm) -> None:
        """Have the proxy keep a file: read it to its end, unless it is kept or will not be."""
        target = self._links.href(file.ids, file.path, self._clock.now())
        async with session.get(self._address(target), allow_redirects=False) as response:
            if response.status != 200:
                raise await _refusal_reason(response)
            match parse_cache_status(response.headers.get("Cache-Status", "")):
                case CacheResult.HIT:
                    self._rate.release()
                    self.stats.hits += 1
                    self.stats.hit_bytes += file.length
                    response.close()
                case CacheResult.BYPASS:
                    response.close()
                    raise _RequestRefused(
                        "not kept: too large for attachments.max_file, or no room"
                    )
                case CacheResult.DOWNLOADED:
                    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                        self.stats.downloaded_bytes += len(chunk)
                        self._report()
                    self.stats.downloaded += 1

    def _abort(self) -> None:
        """The proxy is not there any more: one failure, not one for every file that is left."""
        if not self._unreachable:
            self._unreachable = True
            self.stats.failures.append("the proxy does not answer any more; start it, and go on")

    def _address(self, target: str) -> URL:
        return URL(self._url + target, encoded=True)

    def _report(self) -> None:
        """Progress, every now and then."""
        now = self._clock.monotonic()
        if now - self._reported_at >= self._progress.interval_s:
            self._reported_at = now
            self._progress.write_line(progress_line(self.stats, self._elapsed_s))


class _RateGovernor:
    """Holds back what would ask Trello more often than its share."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._spent = deque[float](maxlen=share_of(rate.count))

    async def acquire(self, cost: int) -> None:
        """Return when so many requests more are within the share; they count from then on."""
        while (delay_s := self._delay_s(cost)) > 0:
            await self._clock.sleep(delay_s)
        self._spent.extend([self._clock.monotonic()] * cost)

    def release(self) -> None:
        """One request was not needed."""
        if self._spent:
            self._spent.pop()

    def _delay_s(self, cost: int) -> float:
        now, rate = self._clock.monotonic(), self._rate
        return delay_s(self._spent, cost, now, rate.count, rate.window_s)


class _RequestRefused(Exception):
    """An answer that is not what was asked for; `str()` says why."""


async def _refusal_reason(response: aiohttp.ClientResponse) -> _RequestRefused:
    return _RequestRefused(
        problem_detail(response.status, await response.content.read(_REASON_BYTES))
    )


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
