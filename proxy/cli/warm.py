"""`warm`: downloads boards, their cards and attachments through the running proxy, ahead of use.

Only a client (D24): the proxy stores the downloads, and its Cache-Status says which were stored
before. Connections are those of the standard library, each request in a thread: importing
aiohttp takes longer than everything else here.
"""

import asyncio
import signal
import socket
import sys
from argparse import Namespace
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead

from proxy import __version__
from proxy.app.from_config import build_link_rewriter
from proxy.cli.console import INTERRUPTED, CommandFailed, to_stderr
from proxy.cli.options import config_loader, read_config
from proxy.cli.proxy_connection import connection_to
from proxy.cli.warm_report import (
    AttachmentToWarm,
    CacheResult,
    InvalidBoardName,
    WarmStats,
    parse_board_name,
    parse_cache_status,
    parse_cards,
    plan_text,
    problem_detail,
    progress_line,
    stats_json,
    summary,
)
from proxy.links.rewrite import LinkRewriter
from proxy.model import Rate, Secret
from proxy.pages.board_data import board_target, cards_target
from proxy.ratelimit.share import MAX_BURST, delay_s, share_of
from proxy.runtime.clock import Clock, SystemClock
from proxy.trello.failures import PREFETCH_USER_AGENT

MAX_CONCURRENT = 4
CHUNK_BYTES = 256 * 1024
MAX_JSON_BYTES = 64 * 1024 * 1024
"""Largest list of cards that is read."""
_REASON_BYTES = 4096
_CONNECT_TIMEOUT_S = 10
_READ_TIMEOUT_S = 300
"""Longer than the proxy queues a request for Trello and retries it."""

_NO_KEY = "trello-proxy: clients.access is keys; set admin.token, which warm sends as its key"


def run(options: Namespace) -> int:
    """The exit code."""
    config, clock = read_config(config_loader(options)), SystemClock()
    if config.clients.access == "keys" and config.admin.token is None:
        raise CommandFailed(_NO_KEY, 2)
    links = build_link_rewriter(config, config.origin)
    progress = ProgressOutput(to_stderr, is_terminal=sys.stderr.isatty())
    connect = partial(connection_to, config, config.listen, _CONNECT_TIMEOUT_S)
    warm = Warm(connect, links, config.limits.token, clock, progress, key=config.admin.token)
    try:
        boards = [parse_board_name(each, links, clock.now()) for each in options.boards]
        text = asyncio.run(_until_interrupted(warm, boards, dry=options.dry_run))
    except InvalidBoardName as error:
        raise CommandFailed(f"trello-proxy: {error}", 2) from None
    except ProxyUnreachable as error:
        message = f"trello-proxy: no proxy responds at {config.listen}: {error}"
        raise CommandFailed(message) from None
    print(stats_json(warm.stats) if options.json else text)
    if warm.stats.is_interrupted:
        return INTERRUPTED
    return 0 if warm.stats.is_complete else 1


async def _until_interrupted(warm: "Warm", boards: list[str], *, dry: bool) -> str:
    task = asyncio.ensure_future(warm.run(boards, dry=dry))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


class ProxyUnreachable(Exception):
    """No connection to the proxy; `str()` is the system's reason."""


@dataclass(frozen=True, slots=True)
class ProgressOutput:
    """Where progress is written: on a terminal each line replaces the last."""

    write: Callable[[bytes], None]
    is_terminal: bool = False

    @property
    def interval_s(self) -> float:
        return 0.2 if self.is_terminal else 5.0

    def write_line(self, line: str) -> None:
        """The next state of the progress."""
        self.write((f"\r\x1b[K{line}" if self.is_terminal else f"{line}\n").encode())

    def end(self) -> None:
        """Leave the last line as it is."""
        if self.is_terminal:
            self.write(b"\n")


class Warm:
    """One run against a proxy; `rate` is Trello's limit for the token, `key` the operator's."""

    def __init__(
        self,
        connect: Callable[[], HTTPConnection],
        links: LinkRewriter,
        rate: Rate,
        clock: Clock,
        progress: ProgressOutput,
        *,
        key: Secret | None = None,
    ) -> None:
        self.stats = WarmStats()
        self._connection = connect
        self._links = links
        self._fields = {"User-Agent": PREFETCH_USER_AGENT + __version__}
        if key is not None:
            self._fields["Authorization"] = f"Bearer {key.reveal()}"
        self._rate = _RateGovernor(rate, clock)
        self._clock = clock
        self._progress = progress
        self._started_at = self._reported_at = clock.monotonic()
        self._unreachable = False

    async def run(self, boards: Sequence[str], *, dry: bool) -> str:
        """The result in words, with `dry` the plan; ProxyUnreachable before the first response.

        Cancellation ends the run, which then returns what was done until then.
        """
        try:
            attachments = await self._read_boards(boards)
            if dry:
                return plan_text(self.stats)
            await self._download_all(attachments)
        except asyncio.CancelledError:
            self.stats.is_interrupted = True
        return summary(self.stats, self._elapsed_s)

    @property
    def _elapsed_s(self) -> float:
        return self._clock.monotonic() - self._started_at

    async def _read_boards(self, boards: Sequence[str]) -> list[AttachmentToWarm]:
        """The attachments of these boards; a board that cannot be read is a failure."""
        found: list[AttachmentToWarm] = []
        for board in dict.fromkeys(boards):
            try:
                await self._read(board_target(board))
                cards, attachments = parse_cards(await self._read(cards_target(board)))
            except _RequestRefused as refused:
                self.stats.failures.append(f"board {board}: {refused}")
            except (OSError, HTTPException, ValueError) as error:
                self.stats.failures.append(f"board {board}: {_error_text(error)}")
            else:
                self.stats.add_board(cards, attachments)
                found += attachments
        return found

    async def _read(self, target: str) -> bytes:
        """The body of a 200; _RequestRefused otherwise."""
        await self._rate.acquire(1)
        async with self._get(target) as response:
            if _cache_result(response) is CacheResult.HIT:
                self._rate.release()
            held = bytearray()
            async for chunk in _chunks(response):
                held += chunk
                if len(held) > MAX_JSON_BYTES:
                    raise _RequestRefused("its cards are more than can be read at once")
            return bytes(held)

    async def _download_all(self, attachments: Sequence[AttachmentToWarm]) -> None:
        remaining = iter(attachments)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(MAX_CONCURRENT, len(attachments))):
                    group.create_task(self._work(remaining))
        finally:
            self._progress.write_line(progress_line(self.stats, self._elapsed_s))
            self._progress.end()

    async def _work(self, remaining: Iterator[AttachmentToWarm]) -> None:
        """Download attachments until none is left or the proxy is gone."""
        for attachment in remaining:
            await self._rate.acquire(MAX_BURST)
            if self._unreachable:
                return
            try:
                await self._download(attachment)
            except ProxyUnreachable:
                self._abort()
            except _RequestRefused as refused:
                self.stats.add_failure(attachment, str(refused))
            except (OSError, HTTPException) as error:
                self.stats.add_failure(attachment, _error_text(error))
            self._report()

    async def _download(self, attachment: AttachmentToWarm) -> None:
        """Read an attachment to its end, unless it is stored or will not be stored."""
        target = self._links.href(attachment.ids, attachment.path, self._clock.now())
        async with self._get(target) as response:
            match _cache_result(response):
                case CacheResult.HIT:
                    self._rate.release()
                    self.stats.hits += 1
                    self.stats.hit_bytes += attachment.length
                case CacheResult.BYPASS:
                    raise _RequestRefused(
                        "not stored: too large for attachments.max_file, or no space"
                    )
                case CacheResult.DOWNLOADED:
                    async for chunk in _chunks(response):
                        self.stats.downloaded_bytes += len(chunk)
                        self._report()
                    self.stats.downloaded += 1

    @asynccontextmanager
    async def _get(self, target: str) -> AsyncIterator[HTTPResponse]:
        """A 200 whose body is unread; _RequestRefused, ProxyUnreachable, OSError, HTTPException."""
        connection = self._connection()
        try:
            await asyncio.to_thread(connection.connect)
        except OSError as error:
            raise ProxyUnreachable(error.strerror or str(error)) from None
        sock = connection.sock
        try:
            response = await asyncio.to_thread(_send, connection, target, self._fields)
            if response.status != 200:
                body = await asyncio.to_thread(response.read, _REASON_BYTES)
                raise _RequestRefused(problem_detail(response.status, body))
            yield response
        finally:
            with suppress(OSError):  # not connected any more
                sock.shutdown(socket.SHUT_RDWR)  # wakes a thread that still reads
            connection.close()

    def _abort(self) -> None:
        """The proxy is gone: one failure instead of one for each attachment left."""
        if not self._unreachable:
            self._unreachable = True
            self.stats.failures.append(
                "the proxy does not respond any more; start it and run the command again"
            )

    def _report(self) -> None:
        """Write the progress, at most once per interval."""
        now = self._clock.monotonic()
        if now - self._reported_at >= self._progress.interval_s:
            self._reported_at = now
            self._progress.write_line(progress_line(self.stats, self._elapsed_s))


def _send(connection: HTTPConnection, target: str, fields: Mapping[str, str]) -> HTTPResponse:
    connection.sock.settimeout(_READ_TIMEOUT_S)
    connection.request("GET", target, headers=fields)
    return connection.getresponse()


async def _chunks(response: HTTPResponse) -> AsyncIterator[bytes]:
    """The body; IncompleteRead when the connection ends before it does."""
    length, received = response.length, 0
    while received != length and (chunk := await asyncio.to_thread(response.read1, CHUNK_BYTES)):
        received += len(chunk)
        yield chunk
    if length is not None and received < length:
        raise IncompleteRead(b"", length - received)


def _cache_result(response: HTTPResponse) -> CacheResult:
    return parse_cache_status(response.headers.get("Cache-Status", ""))


class _RateGovernor:
    """Delays requests to the background share of Trello's limit."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._sent_at = deque[float](maxlen=share_of(rate.count))

    async def acquire(self, cost: int) -> None:
        """Wait until `cost` further requests are within the share, and count them."""
        while (delay_s := self._delay_s(cost)) > 0:
            await self._clock.sleep(delay_s)
        self._sent_at.extend([self._clock.monotonic()] * cost)

    def release(self) -> None:
        """One request fewer was sent to Trello."""
        if self._sent_at:
            self._sent_at.pop()

    def _delay_s(self, cost: int) -> float:
        now, rate = self._clock.monotonic(), self._rate
        return delay_s(self._sent_at, cost, now, rate.count, rate.window_s)


class _RequestRefused(Exception):
    """A response other than 200; `str()` is its reason."""


def _error_text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
