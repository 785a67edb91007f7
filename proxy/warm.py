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
from proxy.clock import Clock
from proxy.policy.limits import WARM
from proxy.policy.links import Links
from proxy.policy.pace import MOST_AT_ONCE, budget_of, wait_s
from proxy.policy.warming import (
    Standing,
    Tally,
    Wanted,
    board_target,
    cards_in,
    cards_target,
    plan_text,
    progress_line,
    reason_of,
    standing_of,
    summary,
)
from proxy.units import Rate

FILES_AT_ONCE = 4
CHUNK_BYTES = 256 * 1024
MOST_BYTES = 64 * 1024 * 1024
"""As much JSON as a board's page is made of."""
_REASON_BYTES = 4096
_CONNECT_S = 10
_SILENCE_S = 300
"""The proxy may wait for Trello, and try again, before it has anything to say."""


class NoProxy(Exception):
    """Nothing answers where the proxy should be; `str()` says how that was noticed."""


@dataclass(frozen=True, slots=True)
class Told:
    """Where progress is written, and how: over itself on a terminal, else line by line."""

    write: Callable[[bytes], None]
    is_terminal: bool = False

    @property
    def every_s(self) -> float:
        return 0.2 if self.is_terminal else 5.0

    def say(self, line: str) -> None:
        """One more line of progress."""
        self.write((f"\r\x1b[K{line}" if self.is_terminal else f"{line}\n").encode())

    def end(self) -> None:
        """What follows stands on a line of its own."""
        if self.is_terminal:
            self.write(b"\n")


class Warm:
    """One run; `url` is the proxy's origin, `rate` what Trello allows the token."""

    def __init__(self, url: str, links: Links, rate: Rate, clock: Clock, told: Told) -> None:
        self.tally = Tally()
        self._url = url
        self._links = links
        self._pace = _Pace(rate, clock)
        self._clock = clock
        self._told = told
        self._began_at = self._said_at = clock.monotonic()
        self._is_lost = False

    async def run(self, boards: Sequence[str], *, dry: bool) -> str:
        """What came of it, or what would, in words; NoProxy when nothing answers at first.

        Cancelling it ends it early; it then returns what is done so far.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
        session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"{WARM}{__version__}"},
            timeout=timeout,
        )
        async with session:
            try:
                files = await self._find(session, boards)
                if dry:
                    return plan_text(self.tally)
                await self._fetch_all(session, files)
            except asyncio.CancelledError:
                self.tally.is_interrupted = True
        return summary(self.tally, self._elapsed_s)

    @property
    def _elapsed_s(self) -> float:
        return self._clock.monotonic() - self._began_at

    async def _find(self, session: aiohttp.ClientSession, boards: Sequence[str]) -> list[Wanted]:
        """The files of all these boards; a board that cannot be read is a failure."""
        found: list[Wanted] = []
        for board in dict.fromkeys(boards):
            try:
                await self._read(session, board_target(board))
                cards, files = cards_in(await self._read(session, cards_target(board)))
            except aiohttp.ClientConnectorError as error:
                raise NoProxy(error.strerror or str(error.os_error)) from None
            except _Refused as refused:
                self.tally.failures.append(f"board {board}: {refused}")
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                self.tally.failures.append(f"board {board}: {_named(error)}")
            else:
                self.tally.want(cards, files)
                found += files
        return found

    async def _read(self, session: aiohttp.ClientSession, target: str) -> bytes:
        """A 200's body; _Refused for anything else."""
        await self._pace.spend(1)
        async with session.get(self._address(target), allow_redirects=False) as answer:
            if standing_of(answer.headers.get("Cache-Status", "")) is Standing.KEPT:
                self._pace.give_back()
            if answer.status != 200:
                raise await _refused(answer)
            held = bytearray()
            async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                held += chunk
                if len(held) > MOST_BYTES:
                    raise _Refused("its cards are more than can be read at once")
            return bytes(held)

    async def _fetch_all(self, session: aiohttp.ClientSession, files: Sequence[Wanted]) -> None:
        left = iter(files)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(FILES_AT_ONCE, len(files))):
                    group.create_task(self._work(session, left))
        finally:
            self._told.say(progress_line(self.tally, self._elapsed_s))
            self._told.end()

    async def _work(self, session: aiohttp.ClientSession, left: Iterator[Wanted]) -> None:
        """Take files until none is left, or the proxy is not there any more."""
        for file in left:
            await self._pace.spend(MOST_AT_ONCE)
            if self._is_lost:
                return
            try:
                await self._fetch(session, file)
            except aiohttp.ClientConnectorError:
                self._lose()
            except _Refused as refused:
                self.tally.refuse(file, str(refused))
            except (aiohttp.ClientError, TimeoutError) as error:
                self.tally.refuse(file, _named(error))
            self._tell()

    async def _fetch(self, session: aiohttp.ClientSession, file: Wanted) -> None:
        """Have the proxy keep a file: read it to its end, unless it is kept or will not be."""
        target = self._links.href(file.ids, file.path, self._clock.now())
        async with session.get(self._address(target), allow_redirects=False) as answer:
            if answer.status != 200:
                raise await _refused(answer)
            match standing_of(answer.headers.get("Cache-Status", "")):
                case Standing.KEPT:
                    self._pace.give_back()
                    self.tally.kept += 1
                    self.tally.kept_bytes += file.length
                    answer.close()
                case Standing.PASSING:
                    answer.close()
                    raise _Refused("not kept: too large for attachments.max_file, or no room")
                case Standing.ARRIVING:
                    async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                        self.tally.fetched_bytes += len(chunk)
                        self._tell()
                    self.tally.fetched += 1

    def _lose(self) -> None:
        """The proxy is not there any more: one failure, not one for every file that is left."""
        if not self._is_lost:
            self._is_lost = True
            self.tally.failures.append("the proxy does not answer any more; start it, and go on")

    def _address(self, target: str) -> URL:
        return URL(self._url + target, encoded=True)

    def _tell(self) -> None:
        """Progress, every now and then."""
        now = self._clock.monotonic()
        if now - self._said_at >= self._told.every_s:
            self._said_at = now
            self._told.say(progress_line(self.tally, self._elapsed_s))


class _Pace:
    """Holds back what would ask Trello more often than its share."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._spent = deque[float](maxlen=budget_of(rate.count))

    async def spend(self, cost: int) -> None:
        """Return when so many requests more are within the share; they count from then on."""
        while (delay_s := self._delay_s(cost)) > 0:
            await self._clock.sleep(delay_s)
        self._spent.extend([self._clock.monotonic()] * cost)

    def give_back(self) -> None:
        """One request was not needed."""
        if self._spent:
            self._spent.pop()

    def _delay_s(self, cost: int) -> float:
        now, rate = self._clock.monotonic(), self._rate
        return wait_s(self._spent, cost, now, rate.count, rate.window_s)


class _Refused(Exception):
    """An answer that is not what was asked for; `str()` says why."""


async def _refused(answer: aiohttp.ClientResponse) -> _Refused:
    return _Refused(reason_of(answer.status, await answer.content.read(_REASON_BYTES)))


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
