"""HTTP client that reads every byte of a response, whatever it is, and has it searched."""

import asyncio
from typing import NamedTuple

from proxy.cli.leak_check.search import RESPONSES, CanarySearch

TIMEOUT_S = 15.0


class Request(NamedTuple):
    """One request; `label` names it without a canary."""

    label: str
    method: str
    target: str
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class LeakCheckClient:
    """Sends one request per connection."""

    def __init__(self, port: int, search: CanarySearch) -> None:
        self._port = port
        self._search = search
        self.statuses: list[int] = []
        """Of every response; 0 where there was none."""

    async def send(self, request: Request) -> bytes:
        """The response, searched; empty where the connection broke."""
        response = await self._exchange(request)
        words = response.split(b" ", 2)
        has_status = len(words) == 3 and words[1].isdigit()
        self.statuses.append(int(words[1]) if has_status else 0)
        where = f"the response to {request.method} {request.label}"
        self._search.search(RESPONSES, where, response)
        return response

    async def _exchange(self, request: Request) -> bytes:
        received = b""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(self._serialize(request))
            async with asyncio.timeout(TIMEOUT_S):
                while chunk := await reader.read(1 << 16):
                    received += chunk
        except (ConnectionError, TimeoutError):
            pass
        finally:
            writer.close()
        return received

    def _serialize(self, request: Request) -> bytes:
        length = (("Content-Length", str(len(request.body))),) if request.body else ()
        fields = (("Host", f"127.0.0.1:{self._port}"), ("Connection", "close"), *length)
        lines = "".join(f"{name}: {value}\r\n" for name, value in (*fields, *request.fields))
        head = f"{request.method} {request.target} HTTP/1.1\r\n{lines}\r\n"
        return head.encode("latin-1") + request.body
