"""Rendered body: chunks made in a thread, each when the client has received the one before."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from proxy.errors import InvalidResponse
from proxy.runtime.tasks import run_for_client

_STEP_BYTES = 1024 * 1024
"""What one chunk is taken for: it is always made in a thread."""


class RenderedBody:
    """A body of chunks; nothing is rendered for a client that does not read."""

    def __init__(self, first: bytes, chunks: Iterator[bytes]) -> None:
        self._first = first
        self._chunks = chunks

    @classmethod
    async def start(cls, chunks: Iterator[bytes]) -> "RenderedBody":
        """The body, of which the first chunk is rendered; InvalidResponse."""
        return cls(await cls._next(chunks) or b"", chunks)

    @staticmethod
    async def _next(chunks: Iterator[bytes]) -> bytes | None:
        with readable():
            return await run_for_client(_STEP_BYTES, next, chunks, None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._first
        while (chunk := await self._next(self._chunks)) is not None:
            yield chunk

    async def aclose(self) -> None:
        """Nothing is open."""


@contextmanager
def readable() -> Iterator[None]:
    """InvalidResponse for JSON that turns out to be unreadable."""
    try:
        yield
    except (ValueError, RecursionError) as error:
        raise InvalidResponse("Trello sent unreadable JSON; try again later.") from error
