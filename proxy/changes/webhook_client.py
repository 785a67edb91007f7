"""Webhook client: lists, creates, repairs and removes webhooks with the stored credential.

Trello lists webhooks only under a path that contains the token, which is put into the request line
and nowhere else.
"""

import json
from collections.abc import Mapping
from typing import assert_never
from urllib.parse import quote

from proxy.cache.write_through import WriteThrough
from proxy.credentials.identity import StoredCredential
from proxy.errors import InvalidResponse
from proxy.http_semantics.cache_control import NONE
from proxy.model import CacheKey, Priority
from proxy.trello.message import ApiRequest
from proxy.trello.routes import RouteTable
from proxy.trello.webhook_api import (
    Create,
    Remove,
    Repair,
    Step,
    Webhook,
    webhooks_in,
)
from proxy.upstream.exchange import BufferedResponse, UpstreamExchange

DESCRIPTION = "trello-proxy"
_TOKEN_PLACEHOLDER = "-"  # noqa: S105 — stands for a token


class WebhookClient:
    """Manages the webhooks of one callback URL."""

    def __init__(
        self,
        *,
        callback_url: str,
        stored: StoredCredential,
        exchange: UpstreamExchange,
        writes: WriteThrough,
        table: RouteTable,
    ) -> None:
        self._callback_url = callback_url
        self._stored = stored
        self._exchange = exchange
        self._writes = writes
        self._table = table

    async def webhooks(self) -> tuple[Webhook, ...]:
        """The webhooks at Trello with our callback; UpstreamError if they cannot be listed."""
        token = quote(self._stored.credential.token, safe="")
        request = self._request(
            "GET", f"tokens/{_TOKEN_PLACEHOLDER}/webhooks", sent_path=f"tokens/{token}/webhooks"
        )
        fetched = await self._exchange.fetch(request)
        if not isinstance(fetched, BufferedResponse):
            await fetched.body.aclose()
            raise InvalidResponse("The token has more webhooks than can be read.")
        listed = webhooks_in(fetched.plain, self._callback_url) if fetched.status == 200 else None
        if listed is None:
            raise InvalidResponse(f"Trello answered {fetched.status} when asked for the webhooks.")
        return listed

    async def apply(self, step: Step) -> tuple[int, bytes]:
        """Status and body of Trello's response to a step; UpstreamError if there is none."""
        match step:
            case Create(model):
                body = {
                    "callbackURL": self._callback_url,
                    "idModel": model,
                    "description": DESCRIPTION,
                }
                return await self._write("POST", "webhooks", body)
            case Repair(webhook):
                return await self._write("PUT", f"webhooks/{webhook.id}", {"active": True})
            case Remove(webhook):
                return await self._write("DELETE", f"webhooks/{webhook.id}", {})
            case never:
                assert_never(never)

    async def _write(self, method: str, path: str, body: Mapping[str, object]) -> tuple[int, bytes]:
        response = await self._writes.serve(self._request(method, path, body=body))
        if isinstance(response.body, bytes):
            return response.status, response.body
        await response.body.aclose()
        raise InvalidResponse("Trello's answer is too long for a webhook.")

    def _request(
        self,
        method: str,
        path: str,
        *,
        sent_path: str | None = None,
        body: Mapping[str, object] | None = None,
    ) -> ApiRequest:
        """`path` below /1/, with a placeholder for the token; `sent_path` as Trello needs it."""
        return ApiRequest(
            effective_method=method,
            method=method,
            target=f"/1/{sent_path or path}",
            match=self._table.classify(method, path.split("/")),
            query_names=frozenset(),
            key=CacheKey(""),
            credential=self._stored.credential,
            uses_stored_credential=True,
            directives=NONE,
            fields=(("Content-Type", "application/json"),) if body else (),
            body=json.dumps(body).encode() if body else None,
            priority=Priority.BACKGROUND,
        )
