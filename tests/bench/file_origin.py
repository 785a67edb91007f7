"""A Trello with files that costs next to nothing: metadata, a redirect, and bytes at a set pace.

An attachment's id says what it is: 12 hex digits of length, 6 of how many milliseconds its bytes
take to come in all, 6 to tell it from others. `/asked` says how many downloads there were so far.
"""

import argparse
import asyncio
import json
import re
from contextlib import suppress

_TARGET = re.compile(
    rb"GET (?:/1/cards/[^/]+/attachments/([0-9a-f]{24})(/download/f\.bin)?"
    rb"|/files/([0-9a-f]{24})|(/1/boards/[^ ]*)|/asked) "
)
_RANGE = re.compile(rb"\r\nRange: *bytes=(\d+)-", re.IGNORECASE)
BLOCK = bytes(range(256)) * 256
"""What every file is made of, again and again."""
_STEPS = 50


def file_id(length: int, milliseconds: int = 0, number: int = 0) -> str:
    """The id of a file like this."""
    return f"{length:012x}{milliseconds:06x}{number:06x}"


def bytes_of(length: int, start: int = 0) -> bytes:
    """Bytes of a file from `start` on; short ones only."""
    shift = start % len(BLOCK)
    return (BLOCK * (length // len(BLOCK) + 2))[shift : shift + length]


class Origin:
    """Answers one request after the other."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._downloads = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                header = await reader.readuntil(b"\r\n\r\n")
                await self._answer(writer, header)
                await writer.drain()
        writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, header: bytes) -> None:
        target = _TARGET.match(header)
        if target is None:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        elif target[3]:
            await self._send(writer, target[3].decode(), header)
        elif target[2]:
            where = b"http://127.0.0.1:%d/files/%b" % (self._port, target[1])
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % where)
        else:
            _write_json(writer, self._described(target))

    def _described(self, target: re.Match[bytes]) -> object:
        if target[4]:
            return [{"id": "0" * 24, "name": "x" * 1000}]
        if not target[1]:
            return self._downloads
        attachment = target[1].decode()
        return {
            "id": attachment,
            "bytes": int(attachment[:12], 16),
            "isUpload": True,
            "mimeType": "application/octet-stream",
            "fileName": "f.bin",
            "url": f"https://trello.com/1/cards/c/attachments/{attachment}/download/f.bin",
            "previews": [],
        }

    async def _send(self, writer: asyncio.StreamWriter, file: str, header: bytes) -> None:
        self._downloads += 1
        length, pause_s = int(file[:12], 16), int(file[12:18], 16) / 1000 / _STEPS
        asked = _RANGE.search(header)
        at = int(asked[1]) if asked else 0
        part = b"Content-Range: bytes %d-%d/%d\r\n" % (at, length - 1, length) if asked else b""
        writer.write(
            b"HTTP/1.1 %b\r\nContent-Type: application/octet-stream\r\nCache-Control: max-age=3600"
            b'\r\nAccept-Ranges: bytes\r\nETag: "%b"\r\n%bContent-Length: %d\r\n\r\n'
            % (b"206 Partial" if asked else b"200 OK", file.encode(), part, length - at)
        )
        step = len(BLOCK) if not pause_s else -(-length // _STEPS)
        while at < length:
            writer.write(bytes_of(min(step, length - at), at) if at % len(BLOCK) or pause_s
                         else BLOCK[: length - at])  # fmt: skip
            at += step
            await writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)


def _write_json(writer: asyncio.StreamWriter, value: object) -> None:
    body = json.dumps(value).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(body) + body)


async def _run(port: int) -> None:
    server = await asyncio.start_server(Origin(port).serve, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    asyncio.run(_run(parser.parse_args().port))
