"""How long the event loop did nothing else."""

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Heartbeat:
    """Beats once in every turn of the loop."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        """CPU time of this process between two beats: what other programs took is not in it."""

    async def _beat(self) -> None:
        before = time.process_time()
        while True:
            await asyncio.sleep(0)
            now = time.process_time()
            self.longest_s = max(self.longest_s, now - before)
            before = now


@asynccontextmanager
async def beating() -> AsyncIterator[Heartbeat]:
    """The heart, while it beats; threads leave the interpreter to the loop as under `serve`."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    gc.disable()  # what all tests before have left is looked through in hundreds of milliseconds
    heart = Heartbeat()
    task = asyncio.ensure_future(heart._beat())
    await asyncio.sleep(0)
    try:
        yield heart
    finally:
        task.cancel()
        gc.enable()
        sys.setswitchinterval(interval_s)
