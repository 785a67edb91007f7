"""Looks after the stored credential: is it accepted, how long will it be, is there a new one?

A new one is used only when Trello accepts it and says that it is the same member's, for what is
stored is that member's. It is used by everybody from one moment to the next.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from proxy.clock import Clock
from proxy.errors import UpstreamError
from proxy.flow.identity import StoredIdentity
from proxy.flow.inquiry import Inquiry, NotAccepted
from proxy.flow.outlook import Outlook
from proxy.log import Log
from proxy.model import Credential
from proxy.policy.token_facts import days_left

LEARN_AGAIN_S = 86_400.0
LEARN_RETRY_S = 60.0
WARN_DAYS = 14
"""A token that ends sooner is told of in the log and in /readyz."""


class Custodian:
    """Owns the tasks that ask about the credential."""

    def __init__(
        self,
        stored: StoredIdentity,
        inquiry: Inquiry,
        outlook: Outlook,
        clock: Clock,
        log: Log,
        keep: Callable[[Credential, str], None],
    ) -> None:
        """`keep` remembers whose a credential is, for the next start; it blocks."""
        self._stored = stored
        self._inquiry = inquiry
        self._outlook = outlook
        self._clock = clock
        self._log = log
        self._keep = keep
        self._expires_at: float | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.on_use: list[Callable[[], None]] = []
        """Told when another credential is in use."""

    def start(self, *, learns: bool) -> None:
        """Watch over it; `learns`: also ask whose it is and how long it will be accepted."""
        self._begin(self._recover())
        if learns:
            self._begin(self._learn())

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

    async def offer(self, credential: Credential) -> bool:
        """Use another one, if it is good; whether that is decided: if not, offer it again."""
        if credential == self._stored.credential:
            return True
        try:
            self._inquiry.conceal(credential, self._stored.credential)
            member = await self._inquiry.member(credential)
        except ValueError:
            self._log.event("error", "new credentials refused", reason="not whole; copy all")
            return True
        except NotAccepted:
            self._log.event("error", "new credentials refused", reason="not accepted")
            return True
        except UpstreamError as error:
            self._log.event("warning", "new credentials not verified", reason=error.slug)
            return False
        if self._stored.member not in ("", member.id):
            reason = "they are another member's; restart with another cache.directory"
            self._log.event("error", "new credentials refused", reason=reason)
            return True
        await self._use(credential, member.id)
        self._log.event("info", "new credentials in use")
        return True

    async def _use(self, credential: Credential, member: str) -> None:
        self._stored.use(credential, member)
        self._outlook.accepted()
        await asyncio.to_thread(self._keep, credential, member)
        for told in self.on_use:
            told()
        await self.stop()
        self._tasks.clear()
        self.start(learns=True)

    async def _recover(self) -> None:
        """While Trello refuses it, ask whether it still does, more and more seldom."""
        token = self._outlook.token
        while True:
            await token.news.wait()
            try:
                await self._inquiry.member(self._stored.credential)
            except (NotAccepted, UpstreamError):
                pause_s = token.postpone(self._clock.monotonic(), self._outlook.jitter())
                await self._clock.sleep(pause_s)
            else:
                self._outlook.accepted()

    async def _learn(self) -> None:
        """Ask once a day, and soon again where there is no answer."""
        while True:
            known = await self._ask_about()
            await self._clock.sleep(LEARN_AGAIN_S if known else LEARN_RETRY_S)

    async def _ask_about(self) -> bool:
        credential = self._stored.credential
        try:
            facts = await self._inquiry.token(credential)
        except NotAccepted:
            self._outlook.distrust()
            return False
        except UpstreamError:
            return False
        self._expires_at = facts.expires_at
        if self.is_expiring and facts.expires_at is not None:
            days = days_left(facts.expires_at, self._clock.now())
            self._log.event("warning", "token expires soon", days=days)
        if facts.member != self._stored.member:
            self._stored.use(credential, facts.member)
            await asyncio.to_thread(self._keep, credential, facts.member)
        return True

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))  # noqa: TID251 — owned here, see stop
