"""The programs that are measured, each its own process on one core, and what they used of it."""

import asyncio
import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from proxy.access.client_keys import digest_of
from tests.bench.upstream import body_of
from tests.redis_server import free_port

KEY, TOKEN = "0123456789abcdef" * 2, "fedcba9876543210" * 4
AUTHORIZATION = f'OAuth oauth_consumer_key="{KEY}", oauth_token="{TOKEN}"'
START_TIMEOUT_S = 20.0
_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, OTHER_CORE = _CORES[0], _CORES[-1]
SEVERAL = -1
SERVER_CORES = set(_CORES[:-1]) if len(_CORES) > 2 else set(_CORES)
"""Of a server with several processes; with two cores it shares the other one."""
_ROOT = Path(__file__).parents[2]

_PROXY = """\
listen: 127.0.0.1:{port}
workers: {workers}
upstream: {{url: "{upstream}"}}
cache: {{directory: {directory}, memory: {memory}}}
routes: [{{match: /boards/*/cards, lifetime: 1h}}]
freshness: {{watch: off}}
limits: {{token: 1000000/1s, key: 1000000/1s}}
log: {{level: info, format: json}}
clients: {{keys: [{keys}]}}
"""
NAMED_KEY = "tpk_" + "0123456789abcdef" * 4
_KEY = "{{name: client{number}, digest: '{digest}', boards: [{boards}]}}"
KEY_BOARDS = 50
"""Boards of each client key but NAMED_KEY."""


def _client_keys(count: int) -> str:
    """Entries of `clients.keys`: NAMED_KEY first."""
    entries = [_KEY.format(number=0, digest=digest_of(NAMED_KEY), boards="")]
    for number in range(1, count):
        boards = ", ".join(f"{number * KEY_BOARDS + each:024x}" for each in range(KEY_BOARDS))
        entries.append(_KEY.format(number=number, digest=digest_of(str(number)), boards=boards))
    return ", ".join(entries)


_NGINX = """\
daemon off;
worker_processes 1;
{user}
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; multi_accept on; }}
http {{
  log_format line escape=json '{{"time":"$time_iso8601","id":"$request_id",'
    '"client":"$remote_addr","status":$status,"cache":"$upstream_cache_status",'
    '"duration_s":$request_time,"bytes":$body_bytes_sent,"tool":"$http_user_agent"}}';
  access_log {directory}/access.log line buffer=64k flush=1s;
  sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_timeout 75s; keepalive_requests 100000000;
  open_file_cache max=10000 inactive=60s;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/temp;
  fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  proxy_cache_path {directory}/cache levels=2 keys_zone=trello:64m max_size=2g inactive=1h
    use_temp_path=off;
  upstream trello {{ server {upstream}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location /1/ {{
      proxy_pass http://trello;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization '{authorization}';
      proxy_cache trello;
      proxy_cache_key $request_uri;
      proxy_cache_lock on;
      proxy_cache_valid 200 1h;
      proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;
      proxy_hide_header Set-Cookie;
      add_header Cache-Status "nginx; $upstream_cache_status";
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """One program that answers requests."""

    name: str
    port: int
    pid: int
    field: str = ""
    """A field line that every request has."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """CPU seconds so far, the system's and its workers' included."""
        return sum(_cpu_s(pid) for pid in (self.pid, *_children(self.pid)))

    def peak_bytes(self) -> int:
        """The largest resident set so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024


class Bench:
    """Starts servers, and ends them all when it is left."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.directory = Path()

    def __enter__(self) -> "Bench":
        made = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="trello-proxy-bench-"))
        self.directory = Path(made)
        os.sched_setaffinity(0, {OTHER_CORE})
        self._stack.callback(os.sched_setaffinity, 0, set(_CORES))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def upstream(self) -> Server:
        """The stand-in for Trello; it shares its core with those who ask."""
        port = free_port()
        return self._start(
            "upstream", port, [sys.executable, "-m", "tests.bench.upstream", str(port)], OTHER_CORE
        )

    def large_boards(self, cards: int) -> Server:
        """A Trello whose boards have this many cards."""
        port = free_port()
        command = [sys.executable, "-m", "tests.bench.large_board", str(port), str(cards)]
        return self._start("upstream", port, command, OTHER_CORE)

    def proxy(
        self, upstream: Server, memory: str = "256MiB", workers: int = 1, client_keys: int = 1
    ) -> Server:
        """This proxy, as an operator would start it: its log in a file, its metrics on."""
        port, directory = free_port(), self._new("proxy")
        config = directory / "proxy.yaml"
        config.write_text(
            _PROXY.format(
                port=port,
                upstream=upstream.url,
                directory=directory / "cache",
                memory=memory,
                workers=workers,
                keys=_client_keys(client_keys),
            )
        )
        command = [sys.executable, "-m", "proxy", "serve", "--config", str(config)]
        core = SERVER_CORE if workers == 1 else SEVERAL
        return self._start("proxy", port, command, core)

    def naive(self, upstream: Server) -> Server:
        """CachedSession behind aiohttp."""
        port, database = free_port(), self._new("naive") / "cache.sqlite"
        arguments = [str(port), upstream.url, str(database), AUTHORIZATION]
        command = [sys.executable, "-m", "tests.bench.naive", *arguments]
        return self._start("naive", port, command)

    def nginx(self, upstream: Server) -> Server | None:
        """nginx's `proxy_cache`, or None where there is no nginx."""
        program = nginx_program()
        if program is None:
            return None
        port, directory = free_port(), self._new("nginx")
        config = directory / "nginx.conf"
        config.write_text(
            _NGINX.format(
                port=port,
                upstream=f"127.0.0.1:{upstream.port}",
                directory=directory,
                authorization=AUTHORIZATION,
                user=f"user {getpass.getuser()};" if os.geteuid() == 0 else "",
            )
        )
        command = [program, "-c", str(config), "-e", str(directory / "error.log")]
        return self._start("nginx", port, command)

    def _new(self, name: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.directory))

    def _start(self, name: str, port: int, command: list[str], core: int = SERVER_CORE) -> Server:
        log = self._stack.enter_context((self.directory / f"{name}-{port}.log").open("wb"))
        environ = {**os.environ, "TRELLO_KEY": KEY, "TRELLO_TOKEN": TOKEN}
        with _pinned(core):
            process = subprocess.Popen(
                command, cwd=_ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._stack.callback(_end, process)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start: {Path(log.name).read_text()[-2000:]}")
            time.sleep(0.02)
        return Server(name, port, process.pid)


async def check(server: Server, targets: list[str], *, hit: bool) -> None:
    """AssertionError unless each target is answered with its own body, and from the cache."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        for target in targets:
            head, body = await ask(reader, writer, server.port, target, server.field)
            assert head.startswith(b"HTTP/1.1 200 "), (server.name, target, head)
            assert body == expected(target), (server.name, target, body[:80])
            is_hit = b"hit" in head.lower().partition(b"cache-status:")[2].partition(b"\r\n")[0]
            assert is_hit or not hit, (server.name, target, head)
            assert TOKEN.encode() not in head, (server.name, target)
            assert b"set-cookie" not in head.lower(), (server.name, target, head)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def ask(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    port: int,
    target: str,
    field: str = "",
) -> tuple[bytes, bytes]:
    """The header and the body of one answer."""
    more = f"{field}\r\n" if field else ""
    writer.write(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{more}\r\n".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    return head, await asyncio.wait_for(reader.readexactly(length), 30)


def expected(target: str) -> bytes:
    """The body that belongs to a target."""
    path, _, query = target.partition("?")
    return body_of(path.split("/")[3], int(query.split("&")[0].removeprefix("limit=")))


def asked(upstream: Server) -> int:
    """How many questions that it lets wait the upstream was asked so far."""

    async def count() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        _, body = await ask(reader, writer, upstream.port, "/asked")
        writer.close()
        return body

    return int(asyncio.run(count()))


@contextmanager
def _pinned(core: int) -> Iterator[None]:
    """What is started inside runs on this core, or on SERVER_CORES if it is SEVERAL."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, SERVER_CORES if core == SEVERAL else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=12)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def nginx_program() -> str | None:
    """Where nginx is; where it is not, says so."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        print("nginx is not installed: going on without it (Debian: apt install nginx)")
    return program


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _cpu_s(pid: int) -> float:
    """Of all its threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((each / "schedstat").read_text().split()[0]) for each in tasks) / 1e9
