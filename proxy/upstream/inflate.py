"""Gzip inflated beside the event loop, piece by piece: nobody waits for it, and little is held."""

import asyncio
from collections.abc import AsyncGenerator

from proxy.http_semantics.content import Gunzip


async def inflated(inflater: Gunzip, chunk: bytes) -> AsyncGenerator[bytes, None]:
    """What the chunk inflates to, each piece in a thread; BadCoding."""
    pieces = inflater.feed(chunk)
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece
