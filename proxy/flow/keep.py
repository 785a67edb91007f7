"""What becomes of an answer that arrived: is it one, may it be stored, and under which names?"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from proxy.errors import Unusable
from proxy.flow.answers import to_stored
from proxy.flow.ask import Ask
from proxy.flow.exchange import Whole
from proxy.flow.landed import Kept, Passed
from proxy.flow.naming import Naming
from proxy.flow.project import Project
from proxy.metrics import Metrics, count
from proxy.model import CacheKey, Kind, StoredResponse
from proxy.policy.cache_key import missing_key
from proxy.policy.credentials import echoes
from proxy.policy.routes import UNKNOWN
from proxy.policy.script import point_at
from proxy.policy.storability import (
    GONE_LIFETIME_S,
    NotStored,
    Reason,
    Storable,
    may_store,
    why_unusable,
)
from proxy.policy.tags import stored_tags
from proxy.policy.trouble import is_trouble
from proxy.policy.wire import head_of
from proxy.store.responses import Responses

_REFUSALS = frozenset({401, 403, 410})
"""After these what was stored is no longer this member's to see."""


class Keep:
    """Stores answers, and has others learn from them."""

    def __init__(
        self,
        responses: Responses,
        naming: Naming,
        project: Project,
        public_url: str,
        metrics: Metrics,
    ) -> None:
        self._responses = responses
        self._project = project
        self._public_url = public_url
        self._metrics = metrics
        self._naming = naming
        self.on_stored: list[Callable[[Ask, StoredResponse], None]] = []
        """Told of every answer that is stored, once it is."""

    async def take(self, ask: Ask, whole: Whole, asked_at: float, seq: int) -> Kept | Passed:
        """Store what Trello answered at that time and `seq`, if it may be stored."""
        if whole.status == 200:
            await self._naming.learn(ask, whole.plain, asked_at, seq)
        tags = stored_tags(ask.match, ask.query_names, whole.plain, self._naming.known(ask))
        verdict = may_store(
            whole.status,
            ask.match.route.lifetimes,
            tags,
            no_store=ask.directives.no_store,
            echoes=not ask.own and echoes(ask.credential, head_of(whole.fields) + whole.plain),
        )
        match verdict:
            case Storable():
                stored = to_stored(ask, whole, tags, asked_at, seq)
                if stored.status == 404:
                    await self.mark_missing(ask, stored.asked)
                kept = self._keep(ask, stored)
                if kept is None:
                    return self._passed(ask, whole, Reason.INVALIDATED)
                self._project.note(ask, kept.stored, whole.plain)
                return kept
            case NotStored(reason):
                is_word = not is_trouble(whole.status, whole.plain, own=ask.own)
                if whole.status in _REFUSALS and is_word:
                    self.drop(ask)
                return self._passed(ask, whole, reason)
            case never:
                assert_never(never)

    def _keep(self, ask: Ask, stored: StoredResponse) -> Kept | None:
        """Kept, once for every key it is found by; None when it was invalidated meanwhile."""
        is_missing = stored.status == 404
        keys = (missing_key(own_key(ask)),) if is_missing else self._naming.keys_for(ask)
        kept = [replace(stored, key=key) for key in keys]
        if not all(self._responses.put(each) for each in kept):
            return None
        for tell in self.on_stored:
            tell(ask, kept[0])
        return Kept(kept[0])

    async def mark_missing(self, ask: Ask, asked: tuple[int, float]) -> None:
        """Trello answered 404: what is stored is stale, and removed by a second one (D50).

        What is stored under the object's id stays where only a name of it may be gone.
        """
        await self._responses.mark_missing(own_key(ask), asked, GONE_LIFETIME_S)
        if ask.spelled_key is not None:
            confirmed_s = math.inf if self._naming.known(ask).may_change else GONE_LIFETIME_S
            await self._responses.mark_missing(ask.key, asked, confirmed_s)

    def drop(self, ask: Ask) -> None:
        """Forget what is stored for it."""
        for key in {ask.key, own_key(ask)}:
            self._responses.drop(key)

    def _passed(self, ask: Ask, whole: Whole, reason: Reason) -> Passed:
        count(self._metrics.not_stored, reason)
        return Passed(whole, reason, own_key(ask))

    def checked(self, ask: Ask, whole: Whole) -> Whole:
        """The answer, pointed at us where it is Trello's script; Unusable when it is none."""
        if whole.status != 200 or ask.match.route.template == UNKNOWN:
            return whole
        kind = ask.match.route.kind
        reason = why_unusable(
            kind, whole.content_type, whole.plain, length_known=whole.length_known
        )
        if reason is not None:
            raise Unusable(f"Trello sent {reason}; try again later.")
        if kind is Kind.SCRIPT:
            script = point_at(whole.plain, self._public_url)
            return replace(whole, body=script, plain=script, gzip=False)
        return whole


def own_key(ask: Ask) -> CacheKey:
    """The key of the spelling that was used."""
    return ask.spelled_key or ask.key
