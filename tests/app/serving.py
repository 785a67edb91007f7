"""A proxy with workers as `serve` runs it, in processes of its own, and connections to it."""

import asyncio
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from proxy.fake_trello.server import FakeTrello
from tests.fleet.nodes import ROOT, now
from tests.redis_server import free_port, is_free
from tests.scenarios.conftest import KEY, TOKEN
from tests.serve_process import READY_S, ServeProcess
from tests.server.conftest import Heard, Wire

ADMIN_TOKEN = "an-admin-token-for-the-tests-of-workers"  # noqa: S105


class ServedProxy(ServeProcess):
    """`start` it, and `kill` it whatever happens."""

    def __init__(self, directory: Path, trello: FakeTrello) -> None:
        super().__init__(directory)
        self.port = free_port()
        self._settings = (
            f"listen: 127.0.0.1:{self.port}\nworkers: 2\n"
            f"upstream: {{url: '{trello.url}', storage_hosts: ['{trello.storage_host}']}}\n"
            f"cache: {{directory: {directory / 'cache'}}}\nfreshness: {{watch: off}}\n"
            "admin: {token: {env: ADMIN}}\n"
            "limits: {token: 100000/10s, key: 100000/10s, memory: 64MiB}\n"
        )

    @property
    def workers(self) -> list[int]:
        """Process ids of its children, of those that have executed the program."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"worker" in command_of(int(pid))]

    def configure(self, settings: str = "", replaced: tuple[str, str] = (" ", " ")) -> Path:
        file = self.directory / "proxy.yaml"
        file.write_text(self._settings.replace(*replaced) + settings)
        return file

    async def start(self, settings: str = "") -> None:
        """Return when it listens."""
        await eventually(partial(is_free, self.port))  # a worker that is ending has it still
        before = self.log_file.exists() and len(self.logged("listening"))
        self._process = await self.run(settings)
        await eventually(lambda: len(self.logged("listening")) > before)

    async def run(self, settings: str = "") -> Process:
        environ = {"TRELLO_KEY": KEY, "TRELLO_TOKEN": TOKEN, "ADMIN": ADMIN_TOKEN}
        return await self.launch(self.configure(settings), ROOT, environ)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Wire]:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port))
        try:
            yield wire
        finally:
            await wire.close()

    @asynccontextmanager
    async def of_each_worker(self) -> AsyncIterator[dict[str, Wire]]:
        """A connection to each of two workers, by the prefix of its request ids."""
        wires: dict[str, Wire] = {}
        tried: list[Wire] = []
        try:
            while len(wires) < 2:
                tried.append(Wire(*await asyncio.open_connection("127.0.0.1", self.port)))
                heard = await self.ask(tried[-1], "GET", "/healthz")
                wires.setdefault(worker_of(heard), tried[-1])
            yield wires
        finally:
            for wire in tried:
                await wire.close()

    async def ask(
        self, wire: Wire, method: str, target: str, *fields: str, body: bytes = b""
    ) -> Heard:
        lines = [f"Host: 127.0.0.1:{self.port}", *fields]
        if body:
            lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
        head = "".join(f"{line}\r\n" for line in lines)
        wire.send(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
        return await wire.hear(method)

    async def get(self, target: str, *fields: str) -> Heard:
        async with self.connected() as wire:
            return await self.ask(wire, "GET", target, *fields)

    async def figures(self, name: str) -> dict[str, float]:
        """A metric's samples, by their labels as text."""
        text = (await self.get("/metrics", f"Authorization: Bearer {ADMIN_TOKEN}")).body.decode()
        samples = [line for line in text.splitlines() if line.startswith(f"trello_proxy_{name}")]
        pairs = (line.removeprefix(f"trello_proxy_{name}").rsplit(" ", 1) for line in samples)
        return {labels: float(value) for labels, value in pairs}


def worker_of(heard: Heard) -> str:
    """The prefix of the response's id, which each process has its own."""
    return heard.fields["x-request-id"].partition("-")[0]


def command_of(pid: int) -> bytes:
    """Its command line; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def eventually(holds: Any, within_s: float = READY_S) -> None:
    ends = now() + within_s
    while not holds():
        assert now() < ends, "it did not come"
        await asyncio.sleep(0.01)
