"""The oracle: what is true of every target since when, and how stale an answer therefore is."""

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from proxy.fake_trello.service import Trello

_REMEMBERED = 2_000


@dataclass(frozen=True, slots=True)
class Target:
    """Something that is read again and again, and what it shows."""

    path: str
    """Path and query."""
    board: str = ""
    """An id; empty when it shows every board."""
    card: str = ""
    """An id; empty when it shows more than one card of the board."""

    def shows(self, board: str, card: str) -> bool:
        """Whether a change of this card, or with "" of any, may be seen in it."""
        return self.board in ("", board) and (not self.card or card in ("", self.card))


@dataclass(frozen=True, slots=True)
class Change:
    """From `at` on `digest` is true."""

    at: float
    digest: bytes
    is_signalled: bool
    """Whether the boards' own figures tell of it (the question that a watcher asks)."""
    is_own: bool
    """Whether it was made by the way that is judged."""


@dataclass(frozen=True, slots=True)
class Staleness:
    """How long, in seconds, an answer has not been true; 0 when it is."""

    any_s: float = 0.0
    signalled_s: float = 0.0
    """Since the first change that the boards' figures told of."""
    own_s: float = 0.0
    """Since the first change of one's own."""
    was_true: bool = True
    """False for an answer that never was."""


FRESH = Staleness()


@dataclass(slots=True)
class Oracle:
    """Asks the state itself, behind everybody's back."""

    trello: Trello
    _histories: dict[Target, list[Change]] = field(default_factory=dict)
    _shown: dict[str, list[Target]] = field(default_factory=dict)
    _signals: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    _digests: dict[bytes, list[bytes]] = field(default_factory=dict)

    def follow(self, targets: Iterable[Target]) -> None:
        """Know the truth of these from now on."""
        for target in targets:
            if target not in self._histories:
                change = Change(self._now(), self._truth(target), is_signalled=True, is_own=False)
                self._histories[target] = [change]
                self._shown.setdefault(target.board, []).append(target)
        for board in self.trello.boards:
            self._is_signalled(board)

    def changed(self, board: str, card: str, *, own: bool) -> None:
        """Something was changed just now: see what is true of all that shows it."""
        is_signalled = self._is_signalled(board)
        for target in (*self._shown.get(board, ()), *self._shown.get("", ())):
            if not target.shows(board, card):
                continue
            history, digest = self._histories[target], self._truth(target)
            if digest != history[-1].digest:
                history.append(Change(self._now(), digest, is_signalled, own))

    def judge(self, targets: list[Target], body: bytes, began: float) -> list[Staleness]:
        """How stale is an answer, or each part of a batch's, to who asked at `began`?"""
        parts = self._parts(body, is_batch=len(targets) > 1)
        return [
            self._staleness(self._histories[target], digest, began)
            for target, digest in zip(targets, parts, strict=True)
        ]

    def _staleness(self, history: list[Change], digest: bytes, began: float) -> Staleness:
        if history[-1].digest == digest:
            return FRESH
        since: list[Change] = []
        for change in reversed(history):
            if change.digest == digest:
                break
            since.append(change)
        else:
            return Staleness(was_true=False)
        missed = [change for change in reversed(since) if change.at < began]
        return Staleness(
            self._since(missed),
            self._since([change for change in missed if change.is_signalled]),
            self._since([change for change in missed if change.is_own]),
        )

    def _since(self, missed: list[Change]) -> float:
        return self._now() - missed[0].at if missed else 0.0

    def _parts(self, body: bytes, *, is_batch: bool) -> list[bytes]:
        found = self._digests.get(body)
        if found is None:
            plain = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
            value = json.loads(plain)
            found = [_digest(each.get("200")) for each in value] if is_batch else [_digest(value)]
            if len(self._digests) > _REMEMBERED:
                self._digests.clear()
            self._digests[body] = found
        return found

    def _truth(self, target: Target) -> bytes:
        return _digest(self.trello.request(target.path))

    def _is_signalled(self, board: str) -> bool:
        """Whether a board's figures are others than when last looked at."""
        shown = self.trello.request(f"/1/boards/{board}?fields=dateLastActivity,ixUpdate")
        figures = shown.get("dateLastActivity"), shown.get("ixUpdate")
        before, self._signals[board] = self._signals.get(board), figures
        return figures != before

    def _now(self) -> float:
        return self.trello.clock.now()


def _digest(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=12).digest()
