"""Collapser of relayed reads: of equal requests that wait, one is sent to the leader for all.

A request never shares a response that was requested before it arrived: another client's write may
have been acknowledged in between. So those that arrive while one is on its way share the next.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
_MAX_KEYS = 2000
"""Beyond it requests are not collapsed."""


class _Group(Generic[T]):
    """Requests that share a response; `shared` is None if each needs its own."""

    def __init__(self) -> None:
        self.is_over = asyncio.Event()
        self.shared: T | None = None
        self.was_sent = False


class Collapser(Generic[T]):
    """At most one group of each key is on its way, and one waits."""

    def __init__(self) -> None:
        self._sent: dict[Hashable, _Group[T]] = {}
        self._waiting: dict[Hashable, _Group[T]] = {}

    async def run(
        self, key: Hashable, send: Callable[[], Awaitable[T]], may_share: Callable[[T], bool]
    ) -> tuple[T, bool]:
        """The result of `send`, or of another's call of it that began later; whether it was."""
        while (before := self._sent.get(key)) is not None:
            group = self._waiting.get(key)
            if group is not None:
                await group.is_over.wait()
                if group.shared is not None:
                    return group.shared, True
                if group.was_sent:
                    return await send(), False
                continue  # its sender has left
            group = self._waiting[key] = _Group()
            try:
                await before.is_over.wait()
            except BaseException:
                self._end(self._waiting, key, group)
                raise
            del self._waiting[key]
            return await self._send(key, group, send, may_share), False
        if len(self._sent) >= _MAX_KEYS:
            return await send(), False
        return await self._send(key, _Group(), send, may_share), False

    async def _send(
        self,
        key: Hashable,
        group: _Group[T],
        send: Callable[[], Awaitable[T]],
        may_share: Callable[[T], bool],
    ) -> T:
        self._sent[key] = group
        try:
            result = await send()
            group.was_sent = True
            group.shared = result if may_share(result) else None
            return result
        finally:
            self._end(self._sent, key, group)

    def _end(self, groups: dict[Hashable, _Group[T]], key: Hashable, group: _Group[T]) -> None:
        if groups.get(key) is group:
            del groups[key]
        group.is_over.set()
