"""CPU time of short commands, and of `serve` to its first responses: python -m tests.bench.startup

Medians of nine runs of the Python that runs this, children included. A busy machine shows more.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

RUNS = 9
ROOT = Path(__file__).parents[2]
COMMANDS = (
    ("--version",),
    ("--help",),
    ("config",),
    ("check",),
    ("link", "https://trello.com/c/AbCd1234"),
    ("explain", "/1/members/me"),
    ("purge",),
    ("warm", "AbCd1234"),
)
"""The last three find no proxy."""
BOARD = "5" * 24
READ = f"/1/boards/{BOARD}"
CONFIG = """\
listen: 127.0.0.1:0
cache: {{directory: {directory}/cache}}
upstream: {{url: "http://127.0.0.1:{port}"}}
routes: [{{match: "/boards/*", lifetime: 1h}}]
freshness: {{watch: off}}
"""
FIRST = (
    ("until it listens", "", ""),
    ("to its first response", "/healthz", ""),
    ("to a hit that was stored before it started", READ, "; hit"),
)
_CPUCLOCK_SCHED = 2
"""From the Linux kernel's include/linux/posix-timers.h: the clock of a process, in nanoseconds."""


def command_cpu_s(arguments: tuple[str, ...], directory: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        cwd=directory,
        env=environment(),
        capture_output=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class Upstream(BaseHTTPRequestHandler):
    """Responds to everything with one board."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b'{"id":"%b","name":"A board"}' % BOARD.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        with suppress(ConnectionError):  # of a proxy that has ended
            super().handle()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Served:
    """A `serve`, from the start of its process on."""

    def __init__(self, directory: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "proxy", "serve"],
            cwd=directory,
            env=environment() | {"TRELLO_KEY": "0" * 32, "TRELLO_TOKEN": "1" * 64},
            stderr=subprocess.PIPE,
        )
        self._address = ""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            event = json.loads(line)
            if event["message"] == "listening":
                self._address = event["address"]
                break

    @property
    def cpu_s(self) -> float:
        """CPU time of the process so far, ended threads included."""
        return time.clock_gettime((~self._process.pid << 3) | _CPUCLOCK_SCHED)

    def get(self, path: str) -> str:
        """The Cache-Status of a response, which must be 200."""
        connection = HTTPConnection(self._address)
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        connection.close()
        assert response.status == 200, response.status
        return response.headers["Cache-Status"] or ""

    def end(self) -> None:
        """Stop it as a service manager does."""
        self._process.terminate()
        self._process.communicate()


def serve_cpu_s(directory: str, path: str = "", cached: str = "") -> float:
    """From the start of the process until it listens, or to the response for `path`."""
    served = Served(directory)
    if path:
        status = served.get(path)
        assert cached in status, status
    spent_s = served.cpu_s
    served.end()
    return spent_s


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        config = "listen: 127.0.0.1:9\n"
        for arguments in COMMANDS:
            Path(directory, "proxy.yaml").write_text(config)
            figures = [command_cpu_s(arguments, directory) for _ in range(RUNS)]
            print(f"{statistics.median(figures):.3f} s  {' '.join(arguments)}")
        with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as upstream:
            Thread(target=upstream.serve_forever, daemon=True).start()
            text = CONFIG.format(directory=directory, port=upstream.server_port)
            Path(directory, "proxy.yaml").write_text(text)
            serve_cpu_s(directory, READ)
            for name, path, cached in FIRST:
                figures = [serve_cpu_s(directory, path, cached) for _ in range(RUNS)]
                print(f"{statistics.median(figures):.3f} s  serve, {name}")
            upstream.shutdown()


if __name__ == "__main__":
    main()
