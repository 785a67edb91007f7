"""A real redis-server of the tests' own: on a free port, in a directory of its own."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

REDIS_SERVER = shutil.which("redis-server")
MISSING = "redis-server is not installed (apt-get install redis-server)"
needs_redis = pytest.mark.skipif(REDIS_SERVER is None, reason=MISSING)
READY_S = 60.0


class RedisServer:
    """One server; `start` it, and `stop` it whatever happens."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        self.port = free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *options: str) -> None:
        """Return when it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        fixed = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory))
        self._process = subprocess.Popen(
            [str(REDIS_SERVER), *fixed, "--save", "", *self._options, *options],
            stdout=subprocess.DEVNULL,
        )
        ends = time.monotonic() + READY_S  # noqa: TID251 - another process
        while True:
            with self.client() as client:
                try:
                    client.ping()
                except redis.AuthenticationError:
                    return
                except redis.RedisError:
                    pass
                else:
                    return
            assert self._process.poll() is None, f"Redis ended; port {self.port}"
            assert time.monotonic() < ends  # noqa: TID251 - another process
            time.sleep(0.01)

    def client(self, **options: Any) -> redis.Redis:
        retry = Retry(NoBackoff(), 0)
        return redis.Redis(port=self.port, socket_timeout=READY_S, retry=retry, **options)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def refuse(self, user: str) -> None:
        """End the connections of a user, and accept no other."""
        with self.client() as client:
            client.execute_command("ACL", "SETUSER", user, "off")
            client.execute_command("CLIENT", "KILL", "USER", user)

    def accept(self, user: str) -> None:
        """Accept the user's connections again."""
        with self.client() as client:
            client.execute_command("ACL", "SETUSER", user, "on")

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def restart(self, *options: str) -> None:
        """Kill it, and start it on the same port with what it has saved."""
        self.kill()
        await asyncio.to_thread(self.start, *options)


_PORTS = range(16_384, 32_768)
"""No connection is given one of them by the system."""
_given = cycle(_PORTS)
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")  # noqa: TID251
_RUN = os.getppid() if _WORKER else os.getpid()
for _ in range((_RUN * 911 + int(_WORKER[2:] or 0) * 5_461) % len(_PORTS)):
    next(_given)  # workers of one run begin thirds apart


def free_port() -> int:
    """A port that nothing uses, and that is not given again before all others were."""
    while True:
        port = next(_given)
        if is_free(port):
            return port


def is_free(port: int) -> bool:
    """Whether nothing listens there."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One for all tests that leave it as it is."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def shared_redis(redis_server: RedisServer) -> RedisServer:
    """The same, empty and with its first settings."""
    with redis_server.client() as client:
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
        client.flushall()
        client.script_flush()
    return redis_server


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """One for a test that ends, stops or restarts it."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.kill()
