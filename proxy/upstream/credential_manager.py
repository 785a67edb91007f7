"""Looks after the stored credential: is it accepted, how long will it be, is there a new one?

A new one is used only when Trello accepts it and says that it is the same member's, for what is
stored is that member's. It is used by everybody from one moment to the next.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

from proxy.credentials.identity import StoredCredential
from proxy.errors import InvalidResponse, UpstreamError
from proxy.http_semantics.cache_control import NONE
from proxy.model import CacheKey, Credential
from proxy.observability.log import Log
from proxy.runtime.clock import Clock
from proxy.trello.failures import is_credential_rejected
from proxy.trello.message import ApiRequest
from proxy.trello.routes import RouteTable
from proxy.trello.token_info import (
    FIELDS,
    MEMBER_FIELDS,
    Member,
    TokenInfo,
    days_left,
    member_in,
    token_in,
)
from proxy.upstream.availability import CircuitBreakers
from proxy.upstream.exchange import BufferedResponse, UpstreamExchange

_HIDDEN = "-"
"""Stands for a token in what is seen of a path."""


class CredentialRefused(Exception):
    """Trello says that a key or a token is no good."""


class TokenInspector:
    """Asks in the name of the credential that it is about, whether or not it is the stored one."""

    def __init__(self, exchange: UpstreamExchange, table: RouteTable) -> None:
        self._exchange = exchange
        self._table = table

    def redact(self, *credentials: Credential) -> None:
        """Mask these from here on, the last of them the longest; ValueError for short ones."""
        for credential in credentials:
            self._exchange.redact(credential)

    async def member(self, credential: Credential) -> Member:
        """Whose it is; NotAccepted, or UpstreamError when Trello does not say."""
        path = f"members/me?fields={MEMBER_FIELDS}"
        member = member_in(await self._get(credential, path, path))
        if member is None:
            raise InvalidResponse(
                "Trello does not say whose the key and token are; try again later."
            )
        return member

    async def token(self, credential: Credential) -> TokenInfo:
        """What it may do and until when; raises as `member`."""
        token = quote(credential.token, safe="")
        shown, sent = (f"tokens/{each}?fields={FIELDS}" for each in (_HIDDEN, token))
        entries = token_in(await self._get(credential, shown, sent))
        if entries is None:
            raise InvalidResponse("Trello does not say what the token may do; try again later.")
        return entries

    async def _get(self, credential: Credential, shown: str, sent: str) -> bytes:
        """The body of a 200; `shown` is the target below /1/ as it may be seen."""
        request = ApiRequest(
            effective_method="GET",
            method="GET",
            target=f"/1/{sent}",
            match=self._table.classify("GET", shown.partition("?")[0].split("/")),
            query_names=frozenset({"fields"}),
            key=CacheKey(""),
            credential=credential,
            uses_stored_credential=False,
            directives=NONE,
        )
        fetched = await self._exchange.fetch(request)
        if not isinstance(fetched, BufferedResponse):
            await fetched.chunks.aclose()
            raise InvalidResponse("Trello's answer about a credential is too long.")
        if is_credential_rejected(fetched.status, fetched.plain):
            raise CredentialRefused
        if fetched.status != 200:
            raise InvalidResponse(
                f"Trello answered {fetched.status} when asked about a credential."
            )
        return fetched.plain


TOKEN_INFO_REFRESH_S = 86_400.0
TOKEN_INFO_RETRY_S = 60.0
WARN_DAYS = 14
"""A token that ends sooner is told of in the log and in /readyz."""


class CredentialManager:
    """Owns the tasks that ask about the credential."""

    def __init__(
        self,
        stored: StoredCredential,
        inquiry: TokenInspector,
        availability: CircuitBreakers,
        clock: Clock,
        log: Log,
        keep: Callable[[Credential, str], None],
    ) -> None:
        """`keep` remembers whose a credential is, for the next start; it blocks."""
        self._stored = stored
        self._inspector = inquiry
        self._availability = availability
        self._clock = clock
        self._log = log
        self._remember = keep
        self._expires_at: float | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.on_switch: list[Callable[[], None]] = []
        """Told when another credential is in use."""

    def start(self, *, learns: bool) -> None:
        """Watch over it; `learns`: also ask whose it is and how long it will be accepted."""
        self._spawn(self._probe_until_accepted())
        if learns:
            self._spawn(self._refresh_token_info())

    async def stop(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def expires_in_s(self) -> float | None:
        """Seconds until the token ends; None: never, or not known."""
        return None if self._expires_at is None else self._expires_at - self._clock.now()

    @property
    def is_expiring(self) -> bool:
        """Whether somebody should get a new token."""
        left = self._expires_at
        return left is not None and days_left(left, self._clock.now()) < WARN_DAYS

    async def replace(self, credential: Credential) -> bool:
        """Use another one, if it is good; whether that is decided: if not, offer it again."""
        if credential == self._stored.credential:
            return True
        try:
            self._inspector.redact(credential, self._stored.credential)
            member = await self._inspector.member(credential)
        except ValueError:
            self._log.event(
                "error", "credential replacement rejected", reason="not whole; copy all"
            )
            return True
        except CredentialRefused:
            self._log.event("error", "credential replacement rejected", reason="not accepted")
            return True
        except UpstreamError as error:
            self._log.event("warning", "credential not verified", reason=error.slug)
            return False
        if self._stored.member not in ("", member.id):
            reason = "they are another member's; restart with another cache.directory"
            self._log.event("error", "credential replacement rejected", reason=reason)
            return True
        await self._switch_to(credential, member.id)
        self._log.event("info", "credential replaced")
        return True

    async def _switch_to(self, credential: Credential, member: str) -> None:
        self._stored.use(credential, member)
        self._availability.mark_accepted()
        await asyncio.to_thread(self._remember, credential, member)
        for told in self.on_switch:
            told()
        await self.stop()
        self._tasks.clear()
        self.start(learns=True)

    async def _probe_until_accepted(self) -> None:
        """While Trello refuses it, ask whether it still does, more and more seldom."""
        token = self._availability.token
        while True:
            await token.refused.wait()
            try:
                await self._inspector.member(self._stored.credential)
            except (CredentialRefused, UpstreamError):
                pause_s = token.postpone_probe(self._clock.monotonic(), self._availability.jitter())
                await self._clock.sleep(pause_s)
            else:
                self._availability.mark_accepted()

    async def _refresh_token_info(self) -> None:
        """Ask once a day, and soon again where there is no answer."""
        while True:
            known = await self._inspect()
            await self._clock.sleep(TOKEN_INFO_REFRESH_S if known else TOKEN_INFO_RETRY_S)

    async def _inspect(self) -> bool:
        credential = self._stored.credential
        try:
            entries = await self._inspector.token(credential)
        except CredentialRefused:
            self._availability.mark_refused()
            return False
        except UpstreamError:
            return False
        self._expires_at = entries.expires_at
        if self.is_expiring and entries.expires_at is not None:
            days = days_left(entries.expires_at, self._clock.now())
            self._log.event("warning", "token expires soon", days=days)
        if entries.member != self._stored.member:
            self._stored.use(credential, entries.member)
            await asyncio.to_thread(self._remember, credential, entries.member)
        return True

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))  # noqa: TID251 — owned here, see stop
