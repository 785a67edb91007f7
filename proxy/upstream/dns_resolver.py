"""Resolver that asks the DNS servers of `upstream.resolve` alone: no hosts file, no search list."""

import asyncio
import socket

import aiodns
from aiohttp.abc import AbstractResolver, ResolveResult

_FAMILIES = {"A": socket.AF_INET, "AAAA": socket.AF_INET6}
_RESOLUTION_DELAY_S = 0.05
"""For the other record type once one has addresses (RFC 8305 §3)."""


class DnsResolver(AbstractResolver):
    """Queries, not getaddrinfo(): that reads the hosts file unless the channel has `lookups`, which
    pycares frees before c-ares copies it; such a channel may resolve nothing until a restart.
    """

    def __init__(self, servers: tuple[str, ...]) -> None:
        self._dns = aiodns.DNSResolver(nameservers=servers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The IPv4 addresses, then the IPv6 ones; OSError if there are none.

        Waits as long as c-ares tries: at most 14 s for a server that is silent.
        """
        kinds = [kind for kind, each in _FAMILIES.items() if family in (each, socket.AF_UNSPEC)]
        queries = [asyncio.ensure_future(self._query(host, port, kind)) for kind in kinds]
        try:
            await asyncio.wait(queries, return_when=asyncio.FIRST_COMPLETED)
            is_answered = any(each.done() and not each.exception() for each in queries)
            await asyncio.wait(queries, timeout=_RESOLUTION_DELAY_S if is_answered else None)
        finally:
            for each in queries:
                each.cancel()
        results = await asyncio.gather(*queries, return_exceptions=True)
        found = [each for result in results if isinstance(result, list) for each in result]
        if not found:
            raise next(each for each in results if isinstance(each, OSError))
        return found

    async def close(self) -> None:
        await self._dns.close()

    async def _query(self, host: str, port: int, kind: str) -> list[ResolveResult]:
        family = _FAMILIES[kind]
        try:
            result = await self._dns.query_dns(host, kind)
        except aiodns.error.DNSError as error:
            raise OSError(None, error.args[1]) from error
        addresses = [each.data.addr for each in result.answer if hasattr(each.data, "addr")]
        if not addresses:
            raise OSError(None, "no address")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=family,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]
