"""Log: one line per request or event, as JSON or text, written in batches; no credentials."""

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Sequence
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
_JSON_TIMING = ',"wait_ms":%.3f,"upstream_ms":%.3f'
_TEXT_TIMING = " wait=%.3fms upstream=%.3fms"
_DIGITS = tuple(f"{number:03d}" for number in range(1000))
_MILLISECONDS = tuple(f"0.{digits}" for digits in _DIGITS)
"""By number of microseconds: formatting is slow."""
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
    level: Level = "info"


LineTemplate = tuple[str, str, str, str, str, str]
"""The constant parts of a line, around the five values of a RepeatedLine."""
RepeatedLine = tuple[LineTemplate, float, str, str, float, int]
"""Of one request: template, when it ended in POSIX seconds, id, client, duration in seconds, and
the bytes sent of the body."""


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
        self.before_line: Callable[[], None] = _no_lines
        """Called before a line is added or the lines are flushed: adds lines that come first."""
        self._millisecond = self._second = -1
        self._now = self._stamp = ""
        self._told_at: dict[str, float] = {}

    def event(self, level: Level, message: str, **fields: str | float | None) -> None:
        """Write an event for the operator at once."""
        if _LEVELS[level] < self._threshold:
            return
        values = {
            "time": self._time(self._clock.now()),
            "level": level,
            "message": message,
            **fields,
        }
        if self._form == "json":
            line = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        else:
            line = " ".join(_text(name, value) for name, value in values.items())
        self.before_line()
        self._append(self._scrub(line))
        self.flush()

    def event_once_a_minute(self, level: Level, message: str, **fields: str | float | None) -> None:
        """As `event`, at most once per message and minute; `message` is a literal."""
        now = self._clock.monotonic()
        if now - self._told_at.get(message, -inf) >= _MINUTE_S:
            self._told_at[message] = now
            self.event(level, message, **fields)

    def request(self, line: RequestLine) -> None:
        """Buffer the line of one request that ends now."""
        if _LEVELS[line.level] < self._threshold:
            return
        self.before_line()
        now, template = self._clock.now(), self.template(line)
        self.repeat(
            [(template, now, line.request_id, line.client, line.duration_s, line.sent_bytes)]
        )

    def template(self, line: RequestLine) -> LineTemplate:
        """The line's constant parts, for `repeat`: all but what is in a RepeatedLine."""
        return self._json_template(line) if self._form == "json" else self._text_template(line)

    def repeat(self, lines: Iterable[RepeatedLine]) -> None:
        """Buffer the lines of requests that have ended."""
        if self._threshold > _LEVELS["info"]:
            return
        if self._form == "json":
            made = [
                f"{a}{self._time(now)}{b}{request_id}{c}{client}{d}{_milliseconds(duration_s)}{e}"
                f"{sent}{f}"
                for (a, b, c, d, e, f), now, request_id, client, duration_s, sent in lines
            ]
        else:
            made = [
                f"{a}{self._time(now)}{b}{client}{c}{_milliseconds(duration_s)}{d}{sent}{e}"
                f"{request_id}{f}"
                for (a, b, c, d, e, f), now, request_id, client, duration_s, sent in lines
            ]
        self._append(*made)

    def flush(self) -> None:
        """Write the buffered lines."""
        self.before_line()
        self._write_lines()

    def _write_lines(self) -> None:
        if self._lines:
            lines, self._lines, self._buffered = self._lines, [], 0
            self._write(("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))

    def _append(self, *lines: str) -> None:
        self._lines += lines
        self._buffered += sum(map(len, lines))
        if self._buffered > BUFFER_BYTES:
            self._write_lines()

    def _json_template(self, line: RequestLine) -> LineTemplate:
        detail = "" if line.detail is None else f',"detail":"{line.detail}"'
        timing = line.timing and _JSON_TIMING % tuple(each * 1000 for each in line.timing)
        trace = line.trace and f',"trace_id":"{line.trace}"'
        name = line.name and f',"name":{self._tool(line.name)}'
        result = (
            f'","method":"{line.method}","route":"{line.route}","status":{line.status},'
            f'"cache":"{line.cache}"{detail},"duration_ms":'
        )
        return (
            '{"time":"',
            f'","level":"{line.level}","message":"request","id":"',
            '","client":"',
            result,
            f'{timing or ""},"bytes":',
            f',"tool":{self._tool(line.user_agent)}{trace}{name}}}',
        )

    def _text_template(self, line: RequestLine) -> LineTemplate:
        timing = line.timing and _TEXT_TIMING % tuple(each * 1000 for each in line.timing)
        trace = line.trace and f" trace_id={line.trace}"
        name = line.name and f" name={self._tool(line.name)}"
        return (
            "",
            f" {line.level} ",
            f" {line.method} {line.route} {line.status} {line.cache} ",
            "ms ",
            "B ",
            f" {self._tool(line.user_agent)}{timing or ''}{trace}{name}",
        )

    def _quoted(self, tool: str) -> str:
        return json.dumps(self._scrub(tool)[:120])

    def _time(self, now: float) -> str:
        millisecond = int(now * 1000)
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            second = millisecond // 1000
            if second != self._second:
                self._second = second
                self._stamp = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
            self._now = f"{self._stamp}{_DIGITS[millisecond % 1000]}Z"
        return self._now


def _no_lines() -> None:
    return None


def _milliseconds(duration_s: float) -> str:
    """The duration with three decimals."""
    microseconds = int(duration_s * 1_000_000 + 0.5)
    return _MILLISECONDS[microseconds] if 0 <= microseconds < 1000 else f"{duration_s * 1000:.3f}"


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
