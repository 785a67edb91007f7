"""The one thread for work in proportion to a client's body.

The event loop waits for every thread that has the interpreter: with one at a time that is a few
milliseconds, however many clients send long bodies at once.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

INLINE_BYTES = 4 * 1024
"""Work on a shorter body is done at once."""

_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bodies")
_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


async def work_on(
    body: bytes, work: Callable[_Given, _Made], *given: _Given.args, **named: _Given.kwargs
) -> _Made:
    """What the work gives; done in the thread where the body is long."""
    if len(body) <= INLINE_BYTES:
        return work(*given, **named)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_THREAD, lambda: work(*given, **named))
