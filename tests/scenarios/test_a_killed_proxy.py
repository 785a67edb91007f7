"""kill -9 in the middle of a download: nothing short is ever served, nothing is left behind."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.redis_server import free_port
from tests.scenarios.conftest import (
    KEY,
    TOKEN,
    turns,
)
from tests.scenarios.test_files import (
    BODY,
    attach,
    kept,
    partial,
)

ROOT = Path(__file__).parents[2]
Run = Callable[[], Awaitable[tuple[asyncio.subprocess.Process, str]]]


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/readyz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


@pytest.fixture
async def run(standin: FakeTrello, directory: Path, tmp_path: Path) -> AsyncIterator[Run]:
    """Starts `trello-proxy serve`, again and again on the same directory."""
    started: list[asyncio.subprocess.Process] = []

    async def serve() -> tuple[asyncio.subprocess.Process, str]:
        port, config = free_port(), tmp_path / "proxy.yaml"
        config.write_text(
            f"listen: 127.0.0.1:{port}\n"
            f"upstream: {{url: '{standin.url}', storage_hosts: ['{standin.storage_host}']}}\n"
            f"cache: {{directory: {directory}}}\n"
        )
        command = [sys.executable, "-m", "proxy", "serve", "--config", str(config)]
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env={"TRELLO_KEY": KEY, "TRELLO_TOKEN": TOKEN},
            stderr=asyncio.subprocess.DEVNULL,
        )
        started.append(process)
        url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(20), aiohttp.ClientSession() as session:
            while not await _is_ready(session, url):  # noqa: ASYNC110 — another process
                await asyncio.sleep(0.02)
        return process, url

    yield serve
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_proxy_killed_in_mid_download_starts_clean(
    run: Run, standin: FakeTrello, card: str, directory: Path, clock: FakeClock
) -> None:
    path = attach(standin, card)
    standin.faults.add(Fault("slow", "/files/*", bytes_per_s=100_000))
    process, url = await run()
    async with aiohttp.ClientSession() as session:
        async with session.get(url + path) as cut:
            assert await cut.content.readexactly(1000) == BODY[:1000]
            clock.advance(1.0)
            assert await cut.content.readexactly(150_000) == BODY[1000:151_000]
            process.send_signal(signal.SIGKILL)
            with pytest.raises(aiohttp.ClientError):
                await cut.content.read()
        await process.wait()
        assert len(partial(directory)) == 1
        process, url = await run()
        assert (partial(directory), kept(directory)) == ([], [])
        async with session.get(url + path) as again:
            assert await again.read() == BODY
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    clock.advance(1.0)
    await turns()
