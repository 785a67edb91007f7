"""A client that reads every byte of an answer, whatever it is, and has it searched."""

import asyncio
from typing import NamedTuple

from proxy.cli.leak_check.canaries import RESPONSES, CanarySearch

TIMEOUT_S = 15.0


class Request(NamedTuple):
    """One request; `label` names it without a canary."""

    label: str
    method: str
    target: str
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Client:
    """Asks one question on each connection."""

    def __init__(self, port: int, search: CanarySearch) -> None:
        self._port = port
        self._search = search
        self.statuses: list[int] = []
        """Of every answer; 0 where there was none."""

    async def send(self, request: Request) -> bytes:
        """The answer, searched; empty where the connection broke."""
        response = await self._read_response(request)
        begins = response.split(b" ", 2)
        is_answer = len(begins) == 3 and begins[1].isdigit()
        self.statuses.append(int(begins[1]) if is_answer else 0)
        self._search.search(RESPONSES, f"the answer to {request.method} {request.label}", response)
        return response

    async def _read_response(self, request: Request) -> bytes:
        heard = b""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(self._spelled(request))
            async with asyncio.timeout(TIMEOUT_S):
                while chunk := await reader.read(1 << 16):
                    heard += chunk
        except (ConnectionError, TimeoutError):
            pass
        finally:
            writer.close()
        return heard

    def _spelled(self, request: Request) -> bytes:
        length = (("Content-Length", str(len(request.body))),) if request.body else ()
        fields = (("Host", f"127.0.0.1:{self._port}"), ("Connection", "close"), *length)
        lines = "".join(f"{name}: {value}\r\n" for name, value in (*fields, *request.fields))
        head = f"{request.method} {request.target} HTTP/1.1\r\n{lines}\r\n"
        return head.encode("latin-1") + request.body
