"""Files, functions and calls that one request passes, by kind of request.

Each request is sent to a real App in front of the fake Trello, over a socket, and every call into
a file of the package is counted from the request's first byte to the response's last; a coroutine
that is resumed counts as called. Work in threads is not counted. Run as `python -m
tests.bench.trace [--files]`; `--files` lists the files of each.
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType, FrameType
from urllib.parse import quote

import proxy
from proxy.app.app import App, SystemPorts
from proxy.config.schema import Config, load
from proxy.fake_trello.samples import fill
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential, Rate
from proxy.runtime.clock import FakeClock

KEY, TOKEN = "c0ffee" + "0" * 26, "ATTA" + "5ec2e7" * 12
_PACKAGE = str(Path(proxy.__file__).parent)
_UNLIMITED = Rate(1_000_000, 1e10)


@dataclass(slots=True)
class Trace:
    """What one request passed."""

    calls: int = 0
    jumps: int = 0
    """Calls into another file than the call before."""
    functions: set[CodeType] = field(default_factory=set)
    _last: str = ""

    @property
    def files(self) -> list[str]:
        """Paths below the package."""
        return sorted({code.co_filename[len(_PACKAGE) + 1 :] for code in self.functions})

    def on_event(self, frame: FrameType, event: str, _: object) -> None:
        """Count a call into the package; what `sys.setprofile` takes."""
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(_PACKAGE):
            return
        if code.co_filename.startswith(f"{_PACKAGE}/fake_trello"):
            return
        self.calls += 1
        self.jumps += code.co_filename != self._last
        self._last = code.co_filename
        self.functions.add(code)


Request = Callable[[str, str], Awaitable[Trace]]
"""Sends one request, by method and target."""


@asynccontextmanager
async def traced_proxy() -> AsyncIterator[tuple[Request, FakeTrello]]:
    """A proxy and a client of it with one connection."""
    clock = FakeClock()
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        trello = FakeTrello(clock, key=KEY, token=TOKEN)
        fill(trello.trello)
        await trello.start()
        stack.push_async_callback(trello.stop)
        ports = SystemPorts(clock=clock, write_log=lambda _: None, random=secrets.token_bytes)
        app = App(_config(trello, directory), Credential(KEY, TOKEN), ports)
        stack.push_async_callback(app.stop)
        await app.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
        stack.callback(writer.close)

        async def request(method: str, target: str) -> Trace:
            head = f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{app.port}\r\n"
            accepted = "Accept-Encoding: gzip\r\nContent-Length: 0\r\n" if method == "PUT" else ""
            trace = Trace()
            sys.setprofile(trace.on_event)
            try:
                writer.write(f"{head}{accepted}\r\n".encode())
                await _response(reader)
            finally:
                sys.setprofile(None)
            clock.advance(1)
            await asyncio.sleep(0.3)  # what goes on in the background is not the next request's
            return trace

        yield request, trello


def _config(trello: FakeTrello, directory: str) -> Config:
    config = load("listen: 127.0.0.1:0\n", "proxy.yaml", {}, str)
    hosts = (trello.storage_host,)
    return replace(
        config,
        upstream=replace(config.upstream, url=trello.url, storage_hosts=hosts),
        cache=replace(config.cache, directory=directory),
        freshness=replace(config.freshness, watch_s="off"),
        limits=replace(config.limits, token=_UNLIMITED, key=_UNLIMITED),
    )


async def _response(reader: asyncio.StreamReader) -> None:
    """Read one response; ValueError unless it is successful."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
    if "content-length" in fields:
        await reader.readexactly(int(fields["content-length"]))
    else:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    if int(head.split()[1]) >= 400:
        raise ValueError(head)


async def traces() -> dict[str, Trace]:
    """One trace for each kind of request."""
    async with traced_proxy() as (request, trello):
        board, card = trello.trello.example_board, trello.trello.example_card
        files = trello.trello.request(f"/1/cards/{card}/attachments")
        file = next(each for each in files if each["isUpload"])
        name = quote(str(file["fileName"]))
        download = f"/1/cards/{card}/attachments/{file['id']}/download/{name}"
        cold = await request("GET", download)
        found = {"download, cold": cold, "download, stored file": await request("GET", download)}
        found["miss, stored"] = await request("GET", f"/1/boards/{board}/lists")
        found["cached GET, ordinary path"] = await request("GET", f"/1/boards/{board}/lists")
        found["cached GET, fast path"] = await request("GET", f"/1/boards/{board}/lists")
        found["write"] = await request("PUT", f"/1/cards/{card}?name=another")
        batch = f"/1/batch?urls=/boards/{board}/labels,/boards/{board}/members"
        found["batch of 2"] = await request("GET", batch)
        await request("GET", f"/c/{card}")
        found["page `/c/{card}`"] = await request("GET", f"/c/{card}")
        return dict(reversed(found.items()))


def main(arguments: list[str] | None = None) -> None:
    """Trace and print; nothing is left running."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.trace")
    parser.add_argument("--files", action="store_true")
    shows_files = parser.parse_args(arguments).files
    print("| request | files passed | distinct functions | calls | jumps from file to file |")
    print("|---|---|---|---|---|")
    for name, trace in asyncio.run(traces()).items():
        counts = len(trace.files), len(trace.functions), trace.calls, trace.jumps
        print(f"| {name} |", " | ".join(map(str, counts)), "|")
        if shows_files:
            print("\n".join(f"    {file}" for file in trace.files))


if __name__ == "__main__":
    main()
