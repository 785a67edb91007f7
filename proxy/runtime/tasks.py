"""Tasks and threads: background tasks with an owner, and CPU work off the event loop.

The only caller of `asyncio.create_task`. Work is done in a thread if it is long enough to delay
other requests.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

OFFLOAD_BYTES = 64 * 1024
"""Work on fewer bytes is done on the event loop: a thread switch costs more."""
CLIENT_INLINE_BYTES = 4 * 1024
"""The same for Python code over a client's body, up to 20 times as slow per byte."""

_CLIENT_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="client-bodies")
_P = ParamSpec("_P")
_T = TypeVar("_T")


async def run_if_large(
    size_bytes: int, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """The result of `work`; in a thread if it processes more than OFFLOAD_BYTES."""
    if size_bytes <= OFFLOAD_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


async def run_for_client(
    size_bytes: int, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """The result of `work` on a client's bytes; in the only thread for such work if it is long.

    The event loop waits for the thread that holds the interpreter: with one thread for all
    clients that takes a few milliseconds, however many of them send long bodies at once.
    """
    if size_bytes <= CLIENT_INLINE_BYTES:
        return work(*args, **kwargs)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_CLIENT_THREAD, lambda: work(*args, **kwargs))


T = TypeVar("T")


class TaskSet:
    """The background tasks of one owner, which stops them with `stop`."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], None] = {}
        """In the order in which they were started."""

    def __len__(self) -> int:
        """Number of running tasks."""
        return len(self._tasks)

    def __iter__(self) -> Iterator[asyncio.Task[Any]]:
        return iter(tuple(self._tasks))

    def spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start a task; its exception counts as retrieved, whether or not it is awaited."""
        task = asyncio.create_task(work)  # noqa: TID251 — owned by this set
        self._tasks[task] = None
        task.add_done_callback(self._finished)
        return task

    async def stop(self) -> None:
        """Cancel every task, and return when all have ended."""
        while self._tasks:
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for task in tasks:
                self._tasks.pop(task, None)

    def _finished(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()
