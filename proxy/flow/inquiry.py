"""The proxy's own questions about a credential; none of their answers is stored."""

from urllib.parse import quote

from proxy.errors import Unusable
from proxy.flow.ask import Ask
from proxy.flow.exchange import Exchange, Whole
from proxy.model import CacheKey, Credential
from proxy.policy.directives import NONE
from proxy.policy.routes import RouteTable
from proxy.policy.token_facts import (
    FIELDS,
    MEMBER_FIELDS,
    Member,
    TokenFacts,
    member_in,
    token_in,
)
from proxy.policy.trouble import refuses_credential

_HIDDEN = "-"
"""Stands for a token in what is seen of a path."""


class NotAccepted(Exception):
    """Trello says that a key or a token is no good."""


class Inquiry:
    """Asks in the name of the credential that it is about, whether or not it is the stored one."""

    def __init__(self, exchange: Exchange, table: RouteTable) -> None:
        self._exchange = exchange
        self._table = table

    def conceal(self, *credentials: Credential) -> None:
        """Mask these from here on, the last of them the longest; ValueError for short ones."""
        for credential in credentials:
            self._exchange.conceal(credential)

    async def member(self, credential: Credential) -> Member:
        """Whose it is; NotAccepted, or UpstreamError when Trello does not say."""
        path = f"members/me?fields={MEMBER_FIELDS}"
        member = member_in(await self._answer(credential, path, path))
        if member is None:
            raise Unusable("Trello does not say whose the key and token are; try again later.")
        return member

    async def token(self, credential: Credential) -> TokenFacts:
        """What it may do and until when; raises as `member`."""
        token = quote(credential.token, safe="")
        shown, sent = (f"tokens/{each}?fields={FIELDS}" for each in (_HIDDEN, token))
        facts = token_in(await self._answer(credential, shown, sent))
        if facts is None:
            raise Unusable("Trello does not say what the token may do; try again later.")
        return facts

    async def _answer(self, credential: Credential, shown: str, sent: str) -> bytes:
        """The body of a 200; `shown` is the target below /1/ as it may be seen."""
        ask = Ask(
            means="GET",
            method="GET",
            target=f"/1/{sent}",
            match=self._table.classify("GET", shown.partition("?")[0].split("/")),
            query_names=frozenset({"fields"}),
            key=CacheKey(""),
            credential=credential,
            own=False,
            directives=NONE,
        )
        fetched = await self._exchange.fetch(ask)
        if not isinstance(fetched, Whole):
            await fetched.chunks.aclose()
            raise Unusable("Trello's answer about a credential is too long.")
        if refuses_credential(fetched.status, fetched.plain):
            raise NotAccepted
        if fetched.status != 200:
            raise Unusable(f"Trello answered {fetched.status} when asked about a credential.")
        return fetched.plain
