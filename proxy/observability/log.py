"""Log: one line per request or event, as JSON or text, written in batches; no credentials."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from math import inf
from typing import Literal, NamedTuple

from proxy.model import Detail, FetchedParts
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import TaskSet

Level = Literal["debug", "info", "warning", "error"]
_LEVELS: dict[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_BARE = re.compile(r"[!#-~]+\Z")
_JSON_TIMING = ',"wait_ms":{:.3f},"upstream_ms":{:.3f}'
_TEXT_TIMING = " wait={:.3f}ms upstream={:.3f}ms"
BUFFER_BYTES = 32 * 1024
_MINUTE_S = 60.0


class RequestLine(NamedTuple):
    """Log record of one request: no target, no query value, no field except the client's name."""

    request_id: str
    client: str
    method: str
    route: str
    status: int
    cache: str
    detail: Detail | FetchedParts | None
    duration_s: float
    sent_bytes: int
    user_agent: str
    timing: tuple[float, float] | None = None
    """Seconds in the rate limit queue and for Trello's response, if a request was sent."""
    trace: str = ""
    """The trace-id (W3C Trace Context §3.2.2.3)."""
    name: str = ""
    """The client's name; empty if anonymous."""


class Log:
    """Buffers lines; `flush` passes them to `write`, complete lines only."""

    def __init__(
        self,
        write: Callable[[bytes], None],
        clock: Clock,
        level: Level = "info",
        form: Literal["json", "text"] = "json",
        scrub: Callable[[str], str] = str,
    ) -> None:
        self._write = write
        self._clock = clock
        self._threshold = _LEVELS[level]
        self._form = form
        self._scrub = scrub
        self._tool = lru_cache(maxsize=1024)(self._quoted)
        self._lines: list[str] = []
        self._buffered = 0
        self._second = -1
        self._stamp = ""
        self._told_at: dict[str, float] = {}

    def event(self, level: Level, message: str, **fields: str | float | None) -> None:
        """Write an event for the operator at once."""
        if _LEVELS[level] < self._threshold:
            return
        values = {"time": self._time(), "level": level, "message": message, **fields}
        if self._form == "json":
            line = json.dumps(values, ensure_ascii=False)
        else:
            line = " ".join(_text(name, value) for name, value in values.items())
        self._append(self._scrub(line))
        self.flush()

    def event_once_a_minute(self, level: Level, message: str, **fields: str | float | None) -> None:
        """As `event`, at most once per message and minute; `message` is a literal."""
        now = self._clock.monotonic()
        if now - self._told_at.get(message, -inf) >= _MINUTE_S:
            self._told_at[message] = now
            self.event(level, message, **fields)

    def request(self, line: RequestLine) -> None:
        """Buffer the line of one request."""
        if self._threshold > _LEVELS["info"]:
            return
        self._append(self._as_json(line) if self._form == "json" else self._as_text(line))

    def flush(self) -> None:
        """Write the buffered lines."""
        if self._lines:
            lines, self._lines, self._buffered = self._lines, [], 0
            self._write(("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))

    def _append(self, line: str) -> None:
        self._lines.append(line)
        self._buffered += len(line)
        if self._buffered > BUFFER_BYTES:
            self.flush()

    def _as_json(self, line: RequestLine) -> str:
        detail = "" if line.detail is None else f',"detail":"{line.detail}"'
        timing = line.timing and _JSON_TIMING.format(*(each * 1000 for each in line.timing))
        trace = line.trace and f',"trace":"{line.trace}"'
        name = line.name and f',"name":{self._tool(line.name)}'
        return (
            f'{{"time":"{self._time()}","level":"info","message":"request","id":"{line.request_id}",'
            f'"client":"{line.client}","method":"{line.method}","route":"{line.route}",'
            f'"status":{line.status},"cache":"{line.cache}"{detail},'
            f'"duration_ms":{line.duration_s * 1000:.3f}{timing or ""},"bytes":{line.sent_bytes},'
            f'"tool":{self._tool(line.user_agent)}{trace}{name}}}'
        )

    def _as_text(self, line: RequestLine) -> str:
        timing = line.timing and _TEXT_TIMING.format(*(each * 1000 for each in line.timing))
        trace = line.trace and f" trace={line.trace}"
        name = line.name and f" name={self._tool(line.name)}"
        return (
            f"{self._time()} info {line.client} {line.method} {line.route} {line.status}"
            f" {line.cache} {line.duration_s * 1000:.3f}ms {line.sent_bytes}B"
            f" {line.request_id} {self._tool(line.user_agent)}{timing or ''}{trace}{name}"
        )

    def _quoted(self, tool: str) -> str:
        return json.dumps(self._scrub(tool)[:120])

    def _time(self) -> str:
        now = self._clock.now()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._stamp}.{int((now - second) * 1000):03d}Z"


def _text(name: str, value: str | float | None) -> str:
    plain = str(value)
    if name in {"time", "level", "message"}:
        return plain
    return f"{name}={plain if _BARE.match(plain) else json.dumps(plain)}"


FLUSH_S = 0.2


class LogFlusher:
    """Flushes the log periodically, in one task."""

    def __init__(self, log: Log, ticks: Sequence[Callable[[], None]]) -> None:
        """`ticks` are called at every flush: the history of minutes, and the clock monitor."""
        self._log = log
        self._ticks = ticks
        self._tasks = TaskSet()

    def start(self) -> None:
        """Start the task."""
        self._tasks.spawn(self._run())

    async def stop(self) -> None:
        """Stop the task and flush."""
        await self._tasks.stop()
        self._log.flush()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self._log.flush()
            for tick in self._ticks:
                tick()
