"""One object, however it is named: what answers teach, and what is known when one is asked for.

Two spellings share one stored response and one flight as soon as it is known that they are one.
What a spelling alone was told, that there is no such thing, stays its own.
"""

import asyncio
from dataclasses import replace

from proxy.clock import Clock
from proxy.flow.ask import Ask
from proxy.model import FOR_EVER, CacheKey, Fact
from proxy.policy.aliases import OWNERS, about_name, facts_in, holding_tags, may_change
from proxy.policy.answers import is_id
from proxy.policy.cache_key import key_of
from proxy.policy.known import NOTHING, Known
from proxy.policy.tags import ROOTS
from proxy.policy.target import target_of
from proxy.store.responses import Responses

_ASIDE_BYTES = 64 * 1024
"""A longer answer is read beside the loop: it takes milliseconds."""


class Naming:
    """Asks the store what is known; tells it what was learned."""

    def __init__(self, responses: Responses, clock: Clock) -> None:
        self._responses = responses
        self._clock = clock

    def keyed(self, ask: Ask) -> Ask:
        """The Ask under the key of the object's id, where its spelling is known to mean that."""
        spelled = replace(ask, key=ask.spelled_key, spelled_key=None) if ask.spelled_key else ask
        known_id = self._id_of(ask)
        if known_id is None or is_id(ask.match.segments[1]):
            return spelled
        root, _, *rest = ask.match.segments
        target = target_of((root, known_id, *rest), ask.target.partition("?")[2])
        key = key_of(ask.partition, target)
        return replace(spelled, key=key, spelled_key=spelled.key)

    def keys_for(self, ask: Ask) -> tuple[CacheKey, ...]:
        """Where a 200 is kept.

        A username is kept by itself too: when it is no longer known whose it is, its last answer
        still is.
        """
        ask = self.keyed(ask)
        if ask.spelled_key is None:
            return (ask.key,)
        root, name = ask.match.segments[:2]
        return (ask.key, ask.spelled_key) if may_change(ROOTS[root], name) else (ask.key,)

    def known(self, ask: Ask) -> Known:
        """What is known of the object in the path, and has not been invalidated since."""
        if len(ask.match.segments) < 2 or ask.match.segments[0] not in ROOTS:
            return NOTHING
        kind, name = ROOTS[ask.match.segments[0]], ask.match.segments[1]
        known_id = self._id_of(ask)
        fact = self._find(f"{kind}:{known_id}") if kind in OWNERS and known_id else None
        owners = dict(zip(OWNERS[kind], fact.ids, strict=True)) if fact else {}
        return Known(known_id, not is_id(name) and may_change(kind, name), owners)

    async def learn(self, ask: Ask, plain: bytes, asked_at: float, seq: int) -> None:
        """Remember what the answer shows."""
        own_id = self._id_of(ask)
        asked = (asked_at, seq)
        if len(plain) <= _ASIDE_BYTES:
            facts = facts_in(ask.match, own_id, ask.partition, plain, asked)
        else:
            facts = await asyncio.to_thread(
                facts_in, ask.match, own_id, ask.partition, plain, asked
            )
        self._responses.learn(facts)

    def _id_of(self, ask: Ask) -> str | None:
        """The id of the object that the path names; None where it is not known."""
        root, *rest = ask.match.segments
        if root not in ROOTS or not rest:
            return None
        if is_id(rest[0]):
            return rest[0]
        about = about_name(ROOTS[root], rest[0], ask.partition)
        fact = self._find(about) if about is not None else None
        return fact.ids[0] if fact else None

    def _find(self, about: str) -> Fact | None:
        fact = self._responses.aliases.get(about)
        if fact is None or fact.until == FOR_EVER:
            return fact
        if not fact.asked_at <= self._clock.now() < fact.until:
            return None
        return fact if self._responses.holds(holding_tags(fact), fact.asked_seq) else None
