"""CPU work off the event loop, in threads, where it is long enough to delay other requests."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

OFFLOAD_BYTES = 64 * 1024
"""Work in proportion to fewer bytes than this is done at once: a thread switch costs more."""
CLIENT_INLINE_BYTES = 4 * 1024
"""The same for Python code over a client's body, which costs up to 20 times as much a byte."""

_CLIENT_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="client-bodies")
_P = ParamSpec("_P")
_T = TypeVar("_T")


async def run_if_large(
    size_bytes: int, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """The result of `work`; in a thread where it has more than OFFLOAD_BYTES to go through."""
    if size_bytes <= OFFLOAD_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


async def run_for_client(
    size_bytes: int, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """The result of `work` over a client's bytes; in the one thread for such work where long.

    The event loop waits for whichever thread holds the interpreter: with one thread for all
    clients that is a few milliseconds, however many of them send long bodies at once.
    """
    if size_bytes <= CLIENT_INLINE_BYTES:
        return work(*args, **kwargs)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_CLIENT_THREAD, lambda: work(*args, **kwargs))
