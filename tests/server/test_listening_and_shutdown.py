"""Listening and shutdown: it ends at a signal, in time, after the requests being served."""

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.server.conftest import KEY, TOKEN
from tests.server.raw_upstream import PATIENCE_S, RawUpstream

ROOT = Path(__file__).parents[2]
ME = "/1/members/me"
END_S = 10.0


@asynccontextmanager
async def program(*arguments: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m proxy` with these arguments; killed if it is still there."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "proxy",
        *arguments,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def ended(process: asyncio.subprocess.Process) -> float:
    """Send SIGTERM; the seconds it took to end, which it did without complaint."""
    began = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(2 * END_S):
        _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert b"Traceback" not in errors
    return time.perf_counter() - began


async def line_with(stream: asyncio.StreamReader | None, text: str) -> str:
    assert stream is not None
    async with asyncio.timeout(PATIENCE_S):
        while line := (await stream.readline()).decode():
            if text in line:
                return line
    pytest.fail(f"it ended without saying {text}")


class TestTheEnd:
    async def test_the_demo_shows_what_to_try_and_ends_at_a_signal(self) -> None:
        async with program("demo", "--port", "0") as process:
            line = await line_with(process.stdout, "Base URL")
            port = int(line.split(":")[-1].split("/")[0])
            tried = [await line_with(process.stdout, "curl") for _ in range(3)]
            for curl in tried:
                url = curl.split("'")[1]
                heard = await _get(port, url.removeprefix(f"http://127.0.0.1:{port}"))
                assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
            assert await ended(process) < END_S

    async def test_serve_ends_in_time_though_everything_hangs(
        self, tmp_path: Path, raw_upstream: RawUpstream
    ) -> None:
        async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter, __: bytes) -> None:
            await reader.read()

        raw_upstream.said = hang
        async with served(tmp_path, raw_upstream) as (process, port):
            wires = []
            for said in (
                b"GET /1/members/me HTTP/1.1\r\nHost: localhost\r\n\r\n",
                b"PUT /1/cards/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nname=x",
                b"GET /1/cards/x/attachments/y/download/z HTTP/1.1\r\nHost: localhost\r\n\r\n",
                b"POST /1/cards HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60\r\n\r\nname=x",
                b"GET /1/memb",
                b"",
            ):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(said)
                wires.append((reader, writer))
            await raw_upstream.until_asked(3)
            assert await ended(process) < END_S
            for reader, writer in wires:
                with suppress(ConnectionError):
                    assert b" 200 " not in await reader.read()
                writer.close()

    async def test_what_is_under_way_is_finished_and_logged_first(
        self, tmp_path: Path, raw_upstream: RawUpstream
    ) -> None:
        told = asyncio.Event()

        async def late(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes) -> None:
            await told.wait()
            head = b"Content-Type: application/json\r\nContent-Length: 2\r\n"
            writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n{}" % head)

        raw_upstream.said = late
        async with served(tmp_path, raw_upstream) as (process, port):
            getting = asyncio.gather(_get(port, f"{ME}?fields=s3arched"))
            await raw_upstream.until_asked(1)
            process.send_signal(signal.SIGTERM)
            await _until_closed(port)
            told.set()
            (heard,) = await getting
            assert heard.endswith(b"\r\n\r\n{}")
            _, errors = await process.communicate()
        assert process.returncode == 0
        lines = [json.loads(line) for line in errors.decode().splitlines()]
        assert [line["message"] for line in lines] == ["request", "stopped"]
        for secret in ("s3arched", KEY, TOKEN):
            assert secret.encode() not in errors


@asynccontextmanager
async def served(
    tmp_path: Path, upstream: RawUpstream
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """`serve` before this upstream, and the port where it listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = tmp_path / "proxy.yaml"
    config.write_text(
        f"listen: 127.0.0.1:{port}\n"
        f"upstream: {{url: '{upstream.url}'}}\n"
        f"cache: {{directory: '{tmp_path}/cache'}}\n",
        encoding="utf-8",
    )
    environment = {"TRELLO_KEY": KEY, "TRELLO_TOKEN": TOKEN}
    async with program("serve", "--config", str(config), **environment) as process:
        await line_with(process.stderr, '"listening"')
        yield process, port


async def _get(port: int, target: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE_S):
        heard = await reader.read()
    writer.close()
    return heard


async def _until_closed(port: int) -> None:
    with suppress(OSError):
        while True:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()


async def test_sockets_of_the_service_manager_are_used_and_it_is_told_when_they_are(
    tmp_path: Path,
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(0)
        with socket.create_server(("127.0.0.1", 0)) as held:
            address = f"127.0.0.1:{held.getsockname()[1]}"
            script = (
                f"import os, sys; os.dup2({held.fileno()}, 3); "
                "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); "
                "os.execv(sys.executable, [sys.executable, '-m', 'proxy', *sys.argv[1:]])"
            )
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                script,
                "serve",
                "--listen",
                address,
                cwd=ROOT,
                pass_fds=[held.fileno()],
                env={
                    "PATH": "/usr/bin:/bin",
                    "HOME": str(tmp_path),
                    "NOTIFY_SOCKET": str(tmp_path / "notify"),
                    "WATCHDOG_USEC": "60000000",
                    "TRELLO_KEY": KEY,
                    "TRELLO_TOKEN": TOKEN,
                },
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                loop = asyncio.get_running_loop()
                async with asyncio.timeout(PATIENCE_S):
                    assert await loop.sock_recv(manager, 64) == b"READY=1"
                    assert await loop.sock_recv(manager, 64) == b"WATCHDOG=1"
                host, _, port = address.partition(":")
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")
                writer.close()
                await ended(process)
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()
            with socket.create_connection((host, int(port))):
                pass  # the manager still listens
