"""Serve process: the program as a process of its own, for tests to signal and to wait for."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path
from typing import Any

READY_S = 60.0


class ServeProcess:
    """Launch it once at a time; end it with `kill` whatever happens."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._process: Process | None = None

    @property
    def log_file(self) -> Path:
        return self.directory / "log"

    @property
    def events(self) -> list[dict[str, Any]]:
        lines, _, _ = self.log_file.read_bytes().rpartition(b"\n")
        return [json.loads(line) for line in lines.splitlines()]

    def logged(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.events if line["message"] == message]

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def launch(self, file: Path, program: Path, environ: dict[str, str]) -> Process:
        """`serve` with this configuration, by the program in a directory; its log is added to."""
        with self.log_file.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "proxy", "serve", "--config", str(file)),
                cwd=program,
                env=environ,
                stderr=log,
            )

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def ended(self) -> int:
        """Its exit code, when it has ended."""
        assert self._process is not None
        async with asyncio.timeout(READY_S):
            code = await self._process.wait()
        self._process = None
        return code

    async def kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self.ended()
