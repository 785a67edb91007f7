"""Fault injection: sends a response, damaged or replaced as a Fault says."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from aiohttp import web

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.responses import Response
from proxy.runtime.clock import Clock

MakeResponse = Callable[[], Awaitable[Response]]
_FOREVER_S = 1e12
_GATEWAY = "<!doctype html><html><title>Trello</title><h1>We'll be back soon</h1></html>"


def complete(api_response: Response) -> web.Response:
    """The undamaged response."""
    response = web.Response(
        status=api_response.status, body=api_response.body, headers=api_response.fields
    )
    response.headers.setdefault("Content-Type", api_response.content_type)
    return response


async def respond(
    request: web.Request, make_response: MakeResponse, fault: Fault | None, clock: Clock
) -> web.StreamResponse:
    """The response of `make_response`, subject to `fault`."""
    if fault is None:
        return complete(await make_response())
    if fault.kind in _REPLACEMENTS:
        if fault.applied:
            await make_response()
        return await _REPLACEMENTS[fault.kind](request, fault, clock)
    if fault.kind == "late":
        return await _late(make_response, fault, clock)
    return await _DAMAGES[fault.kind](request, await make_response(), fault, clock)


async def _late(make_response: MakeResponse, fault: Fault, clock: Clock) -> web.Response:
    if fault.applied:
        response = await make_response()
        await clock.sleep(fault.delay_s)
        return complete(response)
    await clock.sleep(fault.delay_s)
    return complete(await make_response())


async def _status(request: web.Request, fault: Fault, _: Clock) -> web.StreamResponse:
    await request.read()
    fields = {"Content-Type": fault.content_type, **dict(fault.fields)}
    return web.Response(status=fault.status, body=fault.body.encode(), headers=fields)


async def _html(request: web.Request, fault: Fault, _: Clock) -> web.StreamResponse:
    await request.read()
    fields = {"Content-Type": "text/html; charset=utf-8", **dict(fault.fields)}
    return web.Response(body=_GATEWAY.encode(), headers=fields)


async def _reset(request: web.Request, _: Fault, __: Clock) -> web.StreamResponse:
    """Reset the TCP connection: closing without lingering discards unsent data."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


async def _hang(_: web.Request, __: Fault, clock: Clock) -> web.StreamResponse:
    await clock.sleep(_FOREVER_S)
    return web.Response()


async def _begin(request: web.Request, api_response: Response, length: int) -> web.StreamResponse:
    """Send the header with this Content-Length."""
    response = web.StreamResponse(status=api_response.status, headers=api_response.fields)
    response.headers.setdefault("Content-Type", api_response.content_type)
    response.content_length = max(0, length)
    await response.prepare(request)
    return response


async def _break(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Close the connection after the bytes written: the client sees a premature end."""
    response.force_close()
    if request.transport is not None:
        request.transport.close()
    await asyncio.sleep(0)
    return response


async def _cut(
    request: web.Request, api_response: Response, fault: Fault, _: Clock
) -> web.StreamResponse:
    response = await _begin(request, api_response, len(api_response.body))
    await response.write(api_response.body[: fault.after_bytes])
    return await _break(request, response)


async def _too_long(
    request: web.Request, api_response: Response, fault: Fault, _: Clock
) -> web.StreamResponse:
    response = await _begin(request, api_response, len(api_response.body) + fault.after_bytes)
    await response.write(api_response.body)
    return await _break(request, response)


async def _too_short(
    request: web.Request, api_response: Response, fault: Fault, _: Clock
) -> web.StreamResponse:
    """Send more bytes than announced, past aiohttp, which would not."""
    announced = max(0, len(api_response.body) - fault.after_bytes)
    response = await _begin(request, api_response, announced)
    await response.write(api_response.body[:announced])
    if request.transport is not None:
        request.transport.write(api_response.body[announced:])
    return await _break(request, response)


async def _slow(
    request: web.Request, api_response: Response, fault: Fault, clock: Clock
) -> web.StreamResponse:
    response = await _begin(request, api_response, len(api_response.body))
    chunk_bytes = max(1, int(fault.bytes_per_s * fault.every_s))
    for start in range(0, len(api_response.body), chunk_bytes):
        if start:
            await clock.sleep(fault.every_s)
        await response.write(api_response.body[start : start + chunk_bytes])
    await response.write_eof()
    return response


_REPLACEMENTS: dict[str, Callable[[web.Request, Fault, Clock], Awaitable[web.StreamResponse]]] = {
    "status": _status,
    "html": _html,
    "reset": _reset,
    "hang": _hang,
}
_DAMAGES: dict[
    str, Callable[[web.Request, Response, Fault, Clock], Awaitable[web.StreamResponse]]
] = {"cut": _cut, "too_long": _too_long, "too_short": _too_short, "slow": _slow}
