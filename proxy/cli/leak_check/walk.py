"""Walk of the leak check: sends every request to a proxy, with every fault of Trello's."""

import asyncio
from dataclasses import replace

from proxy.cli.leak_check.client import LeakCheckClient, Request
from proxy.cli.leak_check.requests import RequestSet
from proxy.fake_trello.faults import Fault, Kind
from proxy.fake_trello.request import File
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential
from proxy.runtime.clock import FakeClock

STEP_S = 0.2
"""Of the proxy's clock after each request, so that none is queued for Trello's limits."""
PAUSE_S = 0.05
"""Of real time; a request without a response by then may wait for the proxy's clock."""
WAITED_S = 5.0
RECOVERED_S = 60.0
"""After faults, until every circuit breaker has recovered."""
_KINDS: tuple[Kind, ...] = ("status", "html", "reset", "cut", "too_long", "too_short")
_STATUSES = (200, 302, 401, 404, 429, 500)


class ProxyWalk:
    """Sends every request in turn, moving the proxy's clock meanwhile."""

    def __init__(
        self,
        fake_trello: FakeTrello,
        credential: Credential,
        clock: FakeClock,
        requests: RequestSet,
        client: LeakCheckClient,
    ) -> None:
        self._fake_trello = fake_trello
        self._credential = credential
        self._clock = clock
        self._requests = requests
        self._client = client

    async def run(self) -> None:
        """Send everything."""
        requests = self._requests
        for request in requests.reads():
            await self._send(request)
        await self._downloads()
        await self._faults()
        for request in (*requests.operator_pages(), *requests.malformed(), *requests.writes()):
            await self._send(request)
        await self._send(Request("/metrics", "GET", "/metrics"))

    async def _send(self, request: Request) -> None:
        sending = asyncio.ensure_future(self._client.send(request))
        while not sending.done():
            await asyncio.wait({sending}, timeout=PAUSE_S)
            self._clock.advance(STEP_S if sending.done() else WAITED_S)
        sending.result()

    async def _downloads(self) -> None:
        """Downloads with and without a signed storage URL, complete and broken."""
        faults = self._fake_trello.faults
        for kind in (None, *_KINDS):
            for path in ("*/download/*", "/files/*"):
                faults.clear()
                faults.direct_downloads = path != "/files/*"
                if kind is not None:
                    faults.add(replace(self._fault(kind, 200), path=path))
                target = self._upload()
                for fields in ((), (("Range", "bytes=1-"),)):
                    await self._send(Request("an attachment", "GET", target, fields))
                self._clock.advance(RECOVERED_S)
        faults.clear()

    async def _faults(self) -> None:
        """Every failure of Trello's, with our credential in its response."""
        refusals = [self._fault("status", status) for status in _STATUSES]
        for fault in (*refusals, *(self._fault(kind, 200) for kind in _KINDS[1:])):
            self._fake_trello.faults.clear()
            self._fake_trello.faults.add(fault)
            for request in self._requests.faults(f"{fault.kind}{fault.status}"):
                await self._send(request)
            self._clock.advance(RECOVERED_S)
        self._fake_trello.faults.clear()

    def _fault(self, kind: Kind, status: int) -> Fault:
        key, token = self._credential.key, self._credential.token
        body = f'{{"message": "no: OAuth oauth_consumer_key={key}, oauth_token={token}"}}'
        fields = (("X-Echo", token), ("Location", f"https://trello.com/?token={token}"))
        return Fault(kind, times=None, status=status, body=body, fields=fields)

    def _upload(self) -> str:
        """The path of a new attachment, which contains our token."""
        trello, content = self._fake_trello.trello, f"token: {self._credential.token}\n" * 100
        file = File("notes.txt", "text/plain", content.encode())
        attachment = trello.upload(trello.example_card, file)
        return str(attachment["url"]).removeprefix("https://trello.com")
