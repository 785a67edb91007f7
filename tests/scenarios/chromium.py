"""A headless Chromium, controlled over the Chrome DevTools Protocol."""

import asyncio
import base64
import contextlib
import itertools
import json
import re
import shutil
import subprocess
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
PATIENCE_S = 20.0
_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)
_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}


class Tab:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._loads = 0
        self.complaints: list[str] = []
        """Console messages: script errors, and loads that the policy blocked."""

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command; events that arrive before it are processed."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._next()
            if message.get("id") == number:
                assert "error" not in message, message
                return dict(message["result"])

    async def open(self, url: str) -> None:
        """Navigate to a URL and wait for the load event."""
        loads = self._loads
        await self.send("Page.navigate", url=url)
        await self._until_loaded(loads)

    async def click(self, selector: str, *, loads: bool = False) -> None:
        """Click an element; `loads`: and wait for the page it leads to."""
        before = self._loads
        await self.run(f"document.querySelector({json.dumps(selector)}).click()")
        if loads:
            await self._until_loaded(before)

    async def look(self, *, width: int, dark: bool) -> None:
        """Emulate a screen of this width in CSS pixels, in light or dark."""
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])

    async def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        result = await self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until the expression holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not await self.run(script):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)

    async def tab_key(self) -> None:
        await self.press("Tab")

    async def press(self, key: str) -> None:
        """Press a key: Tab, Enter, Escape, ArrowLeft or ArrowRight."""
        named = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        await self.send("Input.dispatchKeyEvent", type="keyDown", **named, **text)
        await self.send("Input.dispatchKeyEvent", type="keyUp", **named)

    async def screenshot(self, path: Path) -> None:
        """The whole page as a PNG."""
        shot = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))

    async def colour(self, x: int, y: int) -> bytes:
        """Red, green and blue of one pixel of the viewport."""
        clip = {"x": x, "y": y, "width": 1, "height": 1, "scale": 1}
        shot = await self.send("Page.captureScreenshot", clip=clip)
        png, at, packed = base64.b64decode(shot["data"]), 8, b""
        while at < len(png):
            length, kind = int.from_bytes(png[at : at + 4]), png[at + 4 : at + 8]
            packed += png[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
            at += length + 12
        return zlib.decompress(packed)[1:4]  # behind the filter, which does nothing to one point

    async def accessible(self) -> list[tuple[str, str]]:
        """Role and name of every node of the accessibility tree."""
        tree = await self.send("Accessibility.getFullAXTree")
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in tree["nodes"]
            if not node.get("ignored")
        ]

    async def _until_loaded(self, before: int) -> None:
        while self._loads == before:
            await self._next()

    async def _next(self) -> dict[str, Any]:
        message = dict(await self._socket.receive_json(timeout=PATIENCE_S))
        if message.get("method") == "Page.loadEventFired":
            self._loads += 1
        if message.get("method") == "Log.entryAdded":
            self.complaints.append(message["params"]["entry"]["text"])
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(message["params"]["exceptionDetails"]))
        return message


@contextlib.contextmanager
def chromium(profile: Path, *switches: str) -> Iterator[int]:
    """A browser with its own profile; yields its debugging port."""
    with subprocess.Popen(
        [str(PROGRAM), *_SWITCHES, *switches, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield _port_of(process)
        finally:
            process.kill()


@contextlib.asynccontextmanager
async def new_tab(port: int) -> AsyncIterator[Tab]:
    """A new page of the browser on this port."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        async with session.put("/json/new?about:blank") as response:
            page = await response.json()
        async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            tab = Tab(socket)
            for domain in ("Page", "Log", "Runtime", "Accessibility"):
                await tab.send(f"{domain}.enable")
            await tab.send("Emulation.setFocusEmulationEnabled", enabled=True)
            yield tab
        async with session.get(f"/json/close/{page['id']}"):
            pass


def _port_of(process: "subprocess.Popen[bytes]") -> int:
    assert process.stderr is not None
    for line in process.stderr:
        found = re.search(rb"DevTools listening on ws://127\.0\.0\.1:(\d+)/", line)
        if found:
            return int(found[1])
    raise RuntimeError("Chromium ended before it listened")
