"""Child: one worker as its parent sees it; started again when it ends, ended when it hangs."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from proxy.app.workers.messages import (
    Alive,
    Check,
    Ready,
    Reload,
    Setup,
    Stop,
    ToWorker,
    line,
    to_parent,
)
from proxy.observability.log import Log
from proxy.observability.transfer import FigureSum
from proxy.runtime.child_process import ChildProcess
from proxy.runtime.tasks import TaskSet

CHECK_S = 0.25
"""From one check to the next."""
MAX_MISSED = 4
"""Checks in a row; a child that replies to none of them, for a second, is killed."""
FIGURES_EVERY = 4
"""Checks that want figures: once a second."""
MIN_RESTART_S, MAX_RESTART_S = 0.2, 10.0
"""Before a child that has ended is started again; doubled each time it ends soon."""
SETTLED_S = 10.0
"""A child that has run for so long did not end soon."""
START_S = 30.0
"""From its start to its first message."""
STOP_S = 4.0
"""For its last requests, then it is killed."""
_LOG_BYTES = 64 * 1024

StartChild = Callable[[list[socket.socket]], Awaitable[ChildProcess]]
"""Starts a worker that accepts from these sockets; OSError."""


class Child:
    """A worker, and the processes that are it one after another."""

    def __init__(
        self,
        number: int,
        sockets: list[socket.socket],
        *,
        start: StartChild,
        setup: Callable[[], Setup],
        on_end: Callable[[], None],
        figures: FigureSum,
        log: Log,
        write_log: Callable[[bytes], None],
    ) -> None:
        """`on_end`: called when a process has ended; `write_log`: gets complete lines."""
        self.number = number
        self.sockets = sockets
        self.restarts = 0
        self.is_ready = asyncio.Event()
        """Set while the process accepts connections."""
        self._start_process = start
        self._setup = setup
        self._on_end = on_end
        self._figures = figures
        self._log = log
        self._write_log = write_log
        self._process: ChildProcess | None = None
        self._sent = self._replied = 0
        """Numbers of the last check, and of the last reply."""
        self._has_replied = asyncio.Event()
        self._is_stopping = False
        self._first: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Whether the first process came up."""
        self._tasks = TaskSet()

    def start(self) -> "asyncio.Future[bool]":
        """Run the process, again and again; whether the first one comes up."""
        self._tasks.spawn(self._run())
        return self._first

    async def stop(self) -> None:
        """Have the process finish its requests and end."""
        self._is_stopping = True
        running = [*self._tasks]
        self.send(Stop())
        if running:
            await asyncio.wait(running, timeout=STOP_S)
        if self._process is not None:
            self._process.kill()
            await asyncio.wait(running, timeout=1.0)
        await self._tasks.stop()

    def reload(self, config: str) -> None:
        """Have it use another configuration, once it is ready."""
        self.send(Reload(config))

    async def refresh(self) -> None:
        """Have its figures sent now; return when they have arrived."""
        if not self.is_ready.is_set():
            return
        self._check(wants_figures=True)
        wanted = self._sent
        while self._replied < wanted and self.is_ready.is_set():
            self._has_replied.clear()
            await self._has_replied.wait()

    def send(self, message: ToWorker) -> None:
        """Hand a message to the channel, if the process runs."""
        if self._process is not None:
            with suppress(OSError, RuntimeError):
                self._process.writer.write(line(message))

    async def _run(self) -> None:
        loop, pause_s = asyncio.get_running_loop(), MIN_RESTART_S
        while not self._is_stopping:
            began = loop.time()
            try:
                await self._run_once()
            except OSError as error:
                self._log.event("error", "worker not started", reason=error.strerror)
            self._note_first(came_up=False)
            if self._is_stopping:
                return
            if loop.time() - began > SETTLED_S:
                pause_s = MIN_RESTART_S
            await asyncio.sleep(pause_s)
            pause_s = min(MAX_RESTART_S, 2 * pause_s)
            self.restarts += 1

    async def _run_once(self) -> None:
        """One process, from its start to its end."""
        child = self._process = await self._start_process(self.sockets)
        tasks = TaskSet()
        tasks.spawn(self._receive(child))
        tasks.spawn(self._keep_checking(child))
        copying = tasks.spawn(self._copy_log(child))
        self.send(self._setup())
        try:
            code = await child.process.wait()
            self.is_ready.clear()
            await asyncio.wait({copying}, timeout=1.0)
            if not self._is_stopping:
                self._log.event("warning", "worker ended", worker=self.number, code=code)
        finally:
            child.kill()
            self.is_ready.clear()
            self._has_replied.set()
            self._on_end()
            self._process = None
            child.writer.close()
            await tasks.stop()

    async def _receive(self, child: ChildProcess) -> None:
        with suppress(OSError, ValueError):
            while text := await child.reader.readline():
                match to_parent(text):
                    case Ready():
                        self._sent = self._replied = 0
                        self.is_ready.set()
                        self._note_first(came_up=True)
                    case Alive(number=number, figures=figures):
                        if figures is not None:
                            self._figures.add(self.number, figures)
                        self._replied = max(self._replied, number)
                        self._has_replied.set()

    async def _keep_checking(self, child: ChildProcess) -> None:
        """Kill the process when it replies no more: the loop of this one runs, as it counts."""
        try:
            async with asyncio.timeout(START_S):
                await self.is_ready.wait()
            missed = 0
            while missed < MAX_MISSED:
                before = self._replied
                self._check(wants_figures=self._sent % FIGURES_EVERY == 0)
                await asyncio.sleep(CHECK_S)
                missed = 0 if self._replied > before or self._is_stopping else missed + 1
        except TimeoutError:
            pass
        self._log.event("error", "worker hangs", worker=self.number)
        child.kill()

    def _note_first(self, *, came_up: bool) -> None:
        if not self._first.done():
            self._first.set_result(came_up)

    def _check(self, *, wants_figures: bool) -> None:
        if not self._is_stopping:
            self._sent += 1
            self.send(Check(self._sent, wants_figures))

    async def _copy_log(self, child: ChildProcess) -> None:
        """Pass on complete lines: those of two processes must not be mixed."""
        rest = b""
        while more := await child.log.read(_LOG_BYTES):
            lines, end, rest = (rest + more).rpartition(b"\n")
            if end:
                self._write_log(lines + end)
        if rest:
            self._write_log(rest + b"\n")
