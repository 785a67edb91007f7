"""Credential manager: probes a refused credential, follows its expiry, replaces it.

A new credential is used only if Trello accepts it and reports the same member, as stored responses
belong to that member. All requests use it from that moment on.
"""

import asyncio
from collections.abc import Callable
from urllib.parse import quote

from proxy.credentials.identity import StoredCredential
from proxy.errors import InvalidResponse, UpstreamError
from proxy.http_semantics.cache_control import NONE
from proxy.model import CacheKey, Credential
from proxy.observability.log import Log
from proxy.runtime.clock import Clock
from proxy.runtime.randomness import RandomBytes, uniform
from proxy.runtime.tasks import TaskSet
from proxy.trello.failures import is_credential_refused
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

_REDACTED = "-"
"""Stands for a token in a path that is classified, logged and counted."""


class CredentialRefused(Exception):
    """Trello refuses a key or a token."""


class TokenInspector:
    """Requests about a credential, sent with that credential; no response is stored."""

    def __init__(self, exchange: UpstreamExchange, table: RouteTable) -> None:
        self._exchange = exchange
        self._table = table

    def redact(self, *credentials: Credential) -> None:
        """Redact these from now on, the last of them longest; ValueError if one is too short."""
        for credential in credentials:
            self._exchange.redact(credential)

    async def member(self, credential: Credential) -> Member:
        """The credential's member; CredentialRefused, or UpstreamError without a response."""
        path = f"members/me?fields={MEMBER_FIELDS}"
        member = member_in(await self._get(credential, path, path))
        if member is None:
            raise InvalidResponse(
                "Trello does not say whose the key and token are; try again later."
            )
        return member

    async def token(self, credential: Credential) -> TokenInfo:
        """Member, scopes and expiry of the token; raises as `member`."""
        token = quote(credential.token, safe="")
        shown, sent = (f"tokens/{each}?fields={FIELDS}" for each in (_REDACTED, token))
        info = token_in(await self._get(credential, shown, sent))
        if info is None:
            raise InvalidResponse("Trello does not say what the token may do; try again later.")
        return info

    async def _get(self, credential: Credential, shown: str, sent: str) -> bytes:
        """The body of a 200; `shown` is `sent`, a target below /1/, with the token redacted."""
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
        response = await self._exchange.fetch(request)
        if not isinstance(response, BufferedResponse):
            await response.body.aclose()
            raise InvalidResponse("Trello's response about a credential is too long.")
        if is_credential_refused(response.status, response.plain):
            raise CredentialRefused
        if response.status != 200:
            raise InvalidResponse(
                f"Trello answered {response.status} when asked about a credential."
            )
        return response.plain


TOKEN_INFO_REFRESH_S = 86_400.0
TOKEN_INFO_RETRY_S = 60.0
WARN_DAYS = 14
"""Days before a token expires from which the log and /readyz warn."""


class CredentialManager:
    """Owns the tasks that watch over the stored credential."""

    def __init__(
        self,
        stored: StoredCredential,
        inspector: TokenInspector,
        availability: CircuitBreakers,
        *,
        clock: Clock,
        log: Log,
        random_bytes: RandomBytes,
        remember: Callable[[Credential, str], None],
        on_switch: Callable[[], None] | None,
    ) -> None:
        """`remember` saves the member of a credential for the next start; it blocks.

        `on_switch` is called after the credential was replaced.
        """
        self._stored = stored
        self._inspector = inspector
        self._availability = availability
        self._clock = clock
        self._log = log
        self._random_bytes = random_bytes
        self._remember = remember
        self._on_switch = on_switch
        self._expires_at: float | None = None
        self._tasks = TaskSet()

    def start(self, *, learns: bool) -> None:
        """Probe the credential while it is refused; `learns`: also follow member and expiry."""
        self._tasks.spawn(self._probe_until_accepted())
        if learns:
            self._tasks.spawn(self._refresh_token_info())

    async def stop(self) -> None:
        """Cancel the tasks."""
        await self._tasks.stop()

    def expires_in_s(self) -> float | None:
        """Seconds until the token expires; None: never, or not known."""
        return None if self._expires_at is None else self._expires_at - self._clock.now()

    @property
    def is_expiring(self) -> bool:
        """Whether the token expires within WARN_DAYS."""
        expires_at = self._expires_at
        return expires_at is not None and days_left(expires_at, self._clock.now()) < WARN_DAYS

    async def replace(self, credential: Credential) -> bool:
        """Use another credential if it is valid.

        False if Trello could not be reached: the caller tries again later.
        """
        if credential == self._stored.credential:
            return True
        try:
            self._inspector.redact(credential, self._stored.credential)
            member = await self._inspector.member(credential)
        except ValueError:
            return self._reject("not whole; copy all")
        except CredentialRefused:
            return self._reject("not accepted")
        except UpstreamError as error:
            self._log.event("warning", "credential not verified", reason=error.slug)
            return False
        if self._stored.member not in ("", member.id):
            return self._reject("they are another member's; restart with another cache.directory")
        await self._switch_to(credential, member.id)
        self._log.event("info", "credential replaced")
        return True

    def _reject(self, reason: str) -> bool:
        self._log.event("error", "credential replacement rejected", reason=reason)
        return True

    async def _switch_to(self, credential: Credential, member: str) -> None:
        self._stored.use(credential, member)
        self._availability.mark_accepted()
        await asyncio.to_thread(self._remember, credential, member)
        if self._on_switch is not None:
            self._on_switch()
        await self._tasks.stop()
        self.start(learns=True)

    async def _probe_until_accepted(self) -> None:
        """While the credential is refused, probe it at growing intervals."""
        token = self._availability.token
        while True:
            await token.refused.wait()
            try:
                await self._inspector.member(self._stored.credential)
            except (CredentialRefused, UpstreamError):
                jitter = uniform(self._random_bytes)
                pause_s = token.postpone_probe(self._clock.monotonic(), jitter)
                await self._clock.sleep(pause_s)
            else:
                self._availability.mark_accepted()

    async def _refresh_token_info(self) -> None:
        """Inspect the token once a day, and sooner after a failure."""
        while True:
            is_known = await self._inspect()
            await self._clock.sleep(TOKEN_INFO_REFRESH_S if is_known else TOKEN_INFO_RETRY_S)

    async def _inspect(self) -> bool:
        credential = self._stored.credential
        try:
            info = await self._inspector.token(credential)
        except CredentialRefused:
            self._availability.mark_refused()
            return False
        except UpstreamError:
            return False
        self._expires_at = info.expires_at
        if self.is_expiring and info.expires_at is not None:
            days = days_left(info.expires_at, self._clock.now())
            self._log.event("warning", "token expires soon", days=days)
        if info.member != self._stored.member:
            self._stored.use(credential, info.member)
            await asyncio.to_thread(self._remember, credential, info.member)
        return True
