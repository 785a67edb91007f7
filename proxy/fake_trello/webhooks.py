"""Webhook deliveries: signed, sent one after the other by one task."""

import asyncio
import base64
import hmac
import json
from dataclasses import dataclass

import aiohttp

from proxy.fake_trello.errors import Refusal, json_refusal
from proxy.fake_trello.field_selection import (
    BOARD,
    CARD,
    LIST,
    MEMBER,
    ORGANIZATION,
    WEBHOOK,
    view,
)
from proxy.fake_trello.request import Obj, Requester
from proxy.fake_trello.state import State
from proxy.runtime.tasks import TaskSet

_MOST_WAITING = 1000
_PATIENCE_S = 10.0
_OK = 200
_GONE = 410


@dataclass(frozen=True, slots=True)
class _Delivery:
    webhook: Obj
    body: bytes
    client: str | None


class Deliveries:
    """Delivers actions to webhooks; failed deliveries are counted and not retried."""

    def __init__(self, state: State, secret: str) -> None:
        self._state = state
        self._secret = secret.encode()
        self._queue: asyncio.Queue[_Delivery] = asyncio.Queue(_MOST_WAITING)
        self._session: aiohttp.ClientSession | None = None
        self._tasks = TaskSet()
        self._unsettled = 0
        self.dropped = 0
        """Number of deliveries dropped because the queue was full."""
        state.listeners.append(self._on_action)

    async def start(self) -> None:
        """Start delivering."""
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        self._session = aiohttp.ClientSession(timeout=timeout)
        self._tasks.spawn(self._work())

    async def stop(self) -> None:
        """Stop; queued deliveries are dropped."""
        await self._tasks.stop()
        if self._session is not None:
            await self._session.close()

    @property
    def are_settled(self) -> bool:
        """Whether all queued deliveries were made or have failed."""
        return not self._unsettled

    async def settled(self) -> None:
        """Wait until all queued deliveries were made or have failed."""
        await self._queue.join()

    async def probe(self, url: str) -> None:
        """Send HEAD to the callback; 400 unless it responds with 200."""
        if self._session is None or not url.startswith(("http://", "https://")):
            raise Refusal(400, "invalid value for callbackURL")
        try:
            async with self._session.head(url) as response:
                status = str(response.status)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            status = "no response"
        if status != str(_OK):
            message = f"URL ({url}) did not return 200 status code, got {status}"
            raise json_refusal(400, "ERROR", message)

    def signature(self, body: bytes, callback_url: str) -> str:
        """The value of X-Trello-Webhook for a body."""
        digest = hmac.digest(self._secret, body + callback_url.encode(), "sha1")
        return base64.b64encode(digest).decode()

    def _on_action(self, action: Obj, client: str | None) -> None:
        model_ids = _model_ids(action)
        for webhook in self._state.webhooks.all():
            if webhook["active"] and webhook["idModel"] in model_ids:
                self._enqueue(webhook, action, client)

    def _enqueue(self, webhook: Obj, action: Obj, client: str | None) -> None:
        requester = Requester(action["idMemberCreator"])
        payload = {
            "action": action,
            "model": self._model(webhook["idModel"], requester),
            "webhook": view(self._state, WEBHOOK, webhook, requester),
        }
        body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
        try:
            self._queue.put_nowait(_Delivery(webhook, body, client))
            self._unsettled += 1
        except asyncio.QueueFull:
            self.dropped += 1

    def _model(self, model_id: str, requester: Requester) -> Obj:
        state = self._state
        candidates = (
            (BOARD, state.boards.get(model_id)),
            (CARD, state.cards.find(model_id)),
            (LIST, state.lists.find(model_id)),
            (MEMBER, state.members.get(model_id)),
            (ORGANIZATION, state.organizations.get(model_id)),
        )
        for shape, obj in candidates:
            if obj is not None:
                return view(state, shape, obj, requester)
        return {"id": model_id}

    async def _work(self) -> None:
        while True:
            delivery = await self._queue.get()
            try:
                self._note_result(delivery.webhook, await self._post(delivery))
            finally:
                self._queue.task_done()
                self._unsettled -= 1

    async def _post(self, delivery: _Delivery) -> int:
        """The callback's status; 0 for no response."""
        url = delivery.webhook["callbackURL"]
        fields = {
            "Content-Type": "application/json; charset=utf-8",
            "X-Trello-Webhook": self.signature(delivery.body, url),
        }
        if delivery.client:
            fields["X-Trello-Client-Identifier"] = delivery.client
        if self._session is None:
            return 0
        try:
            async with self._session.post(url, data=delivery.body, headers=fields) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return 0

    def _note_result(self, webhook: Obj, status: int) -> None:
        if status == _GONE:
            self._state.webhooks.drop(webhook)
        elif status == _OK:
            webhook |= {"consecutiveFailures": 0, "firstConsecutiveFailDate": None}
        else:
            webhook["consecutiveFailures"] += 1
            webhook["firstConsecutiveFailDate"] = (
                webhook["firstConsecutiveFailDate"] or self._state.now()
            )


def _model_ids(action: Obj) -> set[str]:
    """Ids of the models whose webhooks receive an action."""
    data = action["data"]
    names = ("board", "card", "list", "listBefore", "listAfter", "organization", "member")
    ids = {data[name]["id"] for name in names if isinstance(data.get(name), dict)}
    return ids | {action["idMemberCreator"], data.get("idMember")}
