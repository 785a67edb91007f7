"""An upstream that speaks for Trello byte by byte, and what memory this process takes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1 << 20
_PAGE_BYTES = 4096


def resident() -> int:
    """Bytes of memory that this process takes now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


@dataclass
class Upstream:
    """Speaks for Trello, byte by byte; keeps nothing of what it is sent."""

    url: str = ""
    asked: int = 0
    head: bytes = b""
    received: int = 0
    """Bytes of the body of the last request, as framed."""
    tail: bytes = b""
    """The last of them."""
    sent: int = 0
    is_left: bool = False
    """Whether the proxy hung up on it."""
    answer: Callable[["Upstream", asyncio.StreamWriter], Awaitable[None]] | None = None
    may_read: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.head = await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            await self._read(reader)
            if self.answer is not None:
                await self.answer(self, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.is_left = True
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """A body, whose end the chunked framing or its length tells."""
        self.received, self.tail = 0, b""
        if not self.head.startswith(b"POST"):
            return
        lengths = [x for x in self.head.lower().split(b"\r\n") if x.startswith(b"content-length:")]
        length = int(lengths[0][15:]) if lengths else None
        while self.received != length and not (length is None and self.tail.endswith(b"0\r\n\r\n")):
            await self.may_read.wait()
            data = await reader.read(65536)
            if not data:
                raise ConnectionResetError
            self.received += len(data)
            self.tail = (self.tail + data)[-1000:]

    async def send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()
        self.sent += len(data)
