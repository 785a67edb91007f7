"""What one would write in an afternoon: aiohttp in front of aiohttp-client-cache's own session.

Its access log is off, which halves what it costs.
"""

import argparse
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp_client_cache.backends.sqlite import SQLiteBackend
from aiohttp_client_cache.response import CachedResponse
from aiohttp_client_cache.session import CachedSession


def application(upstream: str, database: str, authorization: str) -> web.Application:
    """Every GET asked through one CachedSession, with our credential in place of the client's."""
    session_key = web.AppKey("session", CachedSession)

    async def session(app: web.Application) -> AsyncIterator[None]:
        backend = SQLiteBackend(database, expire_after=3600)
        async with CachedSession(cache=backend) as app[session_key]:
            yield

    async def handle(request: web.Request) -> web.Response:
        headers = {"Authorization": authorization}
        async with request.app[session_key].get(
            upstream + request.path_qs, headers=headers
        ) as response:
            hit = isinstance(response, CachedResponse) and response.from_cache
            return web.Response(
                status=response.status,
                body=await response.read(),
                content_type="application/json",
                headers={"Cache-Status": "naive; hit" if hit else "naive; fwd=uri-miss"},
            )

    app = web.Application()
    app.cleanup_ctx.append(session)
    app.router.add_get("/{path:.*}", handle)
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("upstream")
    parser.add_argument("database")
    parser.add_argument("authorization")
    given = parser.parse_args()
    web.run_app(
        application(given.upstream, given.database, given.authorization),
        host="127.0.0.1",
        port=given.port,
        access_log=None,
        print=None,
    )
