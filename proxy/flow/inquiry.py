"""The proxy's own questions about a credential; none of their answers is stored."""

from urllib.parse import quote

from proxy.errors import InvalidResponse
from proxy.flow.ask import ApiRequest
from proxy.flow.exchange import BufferedResponse, UpstreamExchange
from proxy.model import CacheKey, Credential
from proxy.policy.directives import NONE
from proxy.policy.routes import RouteTable
from proxy.policy.token_facts import (
    FIELDS,
    MEMBER_FIELDS,
    Member,
    TokenInfo,
    member_in,
    token_in,
)
from proxy.policy.trouble import is_credential_rejected

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
