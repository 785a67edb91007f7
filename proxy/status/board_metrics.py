"""Board metrics: figures of the boards in `metrics.boards`, from stored responses (D77)."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.cache.boards import WatchedBoards
from proxy.cache.policy import Fresh
from proxy.cache.read_through import ReadThrough
from proxy.cache.store.store import ResponseStore
from proxy.errors import InvalidResponse, NotFoundAtTrello, ProxyError
from proxy.http_semantics.content import identity_of
from proxy.model import StoredResponse
from proxy.observability.metrics import Metric, Reading
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import TaskSet, run_if_large
from proxy.status.board_figures import BOARD_QUERY, CARDS_QUERY, BoardFigures, figures_of
from proxy.trello.message import ApiRequest

WAIT_S = 5.0
"""For boards that are being read; Prometheus waits 10 s by default."""

_OF_BOARD = ("board",)
BOARD_METRICS = tuple(
    Metric(f"trello_board_{name}", "gauge", labels, text)
    for name, labels, text in (
        ("up", _OF_BOARD, "1 if the board could be read, otherwise 0: its other figures are old."),
        (
            "requested_timestamp_seconds",
            _OF_BOARD,
            "When the figures' responses were requested; a watched board has not changed since.",
        ),
        ("cards", (*_OF_BOARD, "list"), "Open cards by list; those of archived lists are not."),
        ("cards_overdue", _OF_BOARD, "Cards past their due date that are not marked done."),
        ("cards_due_1d", _OF_BOARD, "Cards due within a day that are not marked done."),
        ("cards_completed_7d", _OF_BOARD, "Cards marked done and last changed within seven days."),
        ("oldest_card_age_seconds", _OF_BOARD, "Time since the oldest open card was created."),
    )
)


@dataclass(slots=True, eq=False)
class _Board:
    """A board of the setting, and what is known of it."""

    name: str
    """As configured: an id or shortLink."""
    is_up: bool = False
    requested_at: float = 0.0
    source: tuple[str, str] = "", ""
    """ETags of the responses that `figures` are of."""
    figures: BoardFigures | None = None
    is_busy: bool = False


class BoardMetrics:
    """Reads boards at each scrape; owns the reads.

    A watched board is not requested again: its responses hold until the poller notices a change,
    and then the active refresh fetches them in its batches.
    """

    def __init__(
        self,
        boards: Iterable[str],
        reads: ReadThrough,
        responses: ResponseStore,
        watched: WatchedBoards,
        request_of: Callable[[str], ApiRequest],
        clock: Clock,
    ) -> None:
        """`request_of`: a read with the stored credential, by its target."""
        self._boards = [_Board(name) for name in dict.fromkeys(boards)]
        self._reads = reads
        self._responses = responses
        self._watched = watched
        self._request_of = request_of
        self._clock = clock
        self._tasks = TaskSet()

    async def stop(self) -> None:
        """Cancel the reads in progress."""
        await self._tasks.stop()

    async def collect(self) -> Sequence[tuple[Metric, Reading]]:
        """The metrics now; of a board that is not read within WAIT_S, as they were."""
        for board in self._boards:
            if not board.is_busy:
                self._tasks.spawn(self._update(board))
        if len(self._tasks):
            await asyncio.wait([*self._tasks], timeout=WAIT_S)
        return list(zip(BOARD_METRICS, self._readings(self._clock.now()), strict=True))

    async def _update(self, board: _Board) -> None:
        board.is_busy = True
        try:
            names = await self._read(f"/1/boards/{board.name}?{BOARD_QUERY}")
            cards = await self._read(f"/1/boards/{board.name}/cards?{CARDS_QUERY}")
            if board.source != (names.etag, cards.etag):
                size_bytes = len(names.body) + len(cards.body)
                board.figures = await run_if_large(size_bytes, _figures, names, cards)
                board.source = names.etag, cards.etag
            board.requested_at = min(names.requested_at, cards.requested_at)
            board.is_up = True
        except (ProxyError, ValueError):
            board.is_up = False
        finally:
            board.is_busy = False

    async def _read(self, target: str) -> StoredResponse:
        """The response, as it was stored; NotFoundAtTrello, UpstreamError."""
        request = self._request_of(target)
        found = await self._reads.lookup(request)
        stored = found.stored
        if stored is None or not (isinstance(found.verdict, Fresh) or self._is_unchanged(stored)):
            response = await self._reads.serve(request.in_background())
            stored = response.stored
            if not isinstance(response.body, bytes):
                await response.body.aclose()
        if stored is None:
            raise InvalidResponse("The response was not stored.")
        if stored.status != 200:
            raise NotFoundAtTrello("The proxy's account does not see this board.")
        return stored

    def _is_unchanged(self, stored: StoredResponse) -> bool:
        """Whether the poller would have noticed a change of what it shows, however old it is."""
        return self._watched.watches(stored) and not self._responses.is_stale_by_tag(stored)

    def _readings(self, now: float) -> Sequence[dict[Any, Any]]:
        """The readings of BOARD_METRICS."""
        known = self._by_label()
        figures = {label: each.figures for label, each in known.items() if each.figures}
        return (
            {label: float(each.is_up) for label, each in known.items()},
            {label: known[label].requested_at for label in figures},
            {
                (label, list_): count
                for label, each in figures.items()
                for list_, count in each.cards.items()
            },
            {label: each.overdue(now) for label, each in figures.items()},
            {label: each.due_soon(now) for label, each in figures.items()},
            {label: each.completed_lately(now) for label, each in figures.items()},
            {label: each.oldest_age_s(now) for label, each in figures.items()},
        )

    def _by_label(self) -> Mapping[str, _Board]:
        """The boards by name; where that is another's too, with the shortLink behind it."""
        names = [each.figures.name if each.figures else each.name for each in self._boards]
        labels: dict[str, _Board] = {}
        for name, each in zip(names, self._boards, strict=True):
            label = name if names.count(name) == 1 else f"{name} ({each.name})"
            while label in labels:  # a board may be named like another one's label
                label += f" ({each.name})"
            labels[label] = each
        return labels


def _figures(names: StoredResponse, cards: StoredResponse) -> BoardFigures:
    return figures_of(*(identity_of(each.body, gzip=each.gzip) for each in (names, cards)))
