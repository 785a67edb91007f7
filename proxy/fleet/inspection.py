"""Inspection of the fleet for `check --online`: leader and members, by the register in Redis."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from proxy.cache.store.redis_connection import RedisConnection
from proxy.errors import StoreError
from proxy.fleet.timing import TIMEOUT_S
from proxy.runtime.clock import Clock


async def inspect_fleet(url: str, name: str, clock: Clock) -> tuple[str, ...]:
    """Lines to print: which node leads, and which members accept connections from here."""
    connection = RedisConnection(url, clock)
    try:
        await connection.open()
        leader_of: Callable[[], Any] = partial(
            connection.client.hget, f"{{{name}}}:leader", "address"
        )
        leader = (await connection.run(leader_of) or b"").decode()
        members = [each.decode() async for each, _ in connection.pairs(f"{{{name}}}:members")]
    except StoreError as error:
        return (f"fleet:   {error}",)
    finally:
        await connection.close()
    lines = [f"fleet:   {leader} leads" if leader else "fleet:   no node has led yet"]
    for address in sorted(members):
        state = "reachable" if await _is_reachable(address) else "cannot be reached from here"
        lines.append(f"member:  {address}, {state}")
    return tuple(lines)


async def _is_reachable(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(TIMEOUT_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            writer.close()
            return True
    return False
