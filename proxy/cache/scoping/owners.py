"""Owners: the board that an object is on, from what other responses showed, or from Trello."""

from dataclasses import dataclass
from typing import NamedTuple

from proxy.access.attribution import STATIONARY
from proxy.access.visible import NotVisible
from proxy.cache.aliases import AliasResolver
from proxy.cache.scoping.internal_reads import Found, InternalReads
from proxy.errors import OutsideScope, UpstreamError
from proxy.http_semantics.json_members import object_of
from proxy.http_semantics.target import target_of
from proxy.model import RequestTime, is_id
from proxy.runtime.lru import LruDict
from proxy.trello.message import ApiRequest

MAX_OBSERVATIONS = 20_000
_INVALID_ID = "invalid id"
"""Trello's sentence for what is no id."""

_FIELDS = {
    "action": "fields=data&member=false&memberCreator=false",
    "card": "fields=idBoard",
    "checklist": "fields=idBoard,idCard",
    "customField": "",
    "label": "fields=idBoard",
    "list": "fields=idBoard",
    "notification": "fields=data&memberCreator=false",
}


class Observation(NamedTuple):
    """The board that an object was on, by a response requested at that time."""

    board: str
    requested: RequestTime


@dataclass(frozen=True, slots=True)
class Object:
    """Something on a board, by a name of its."""

    kind: str
    name: str


class Owners:
    """Boards of objects; what was observed once is remembered, within a bound."""

    def __init__(self, aliases: AliasResolver, internal: InternalReads) -> None:
        self._aliases = aliases
        self._internal = internal
        self._observed = LruDict[Object, Observation](MAX_OBSERVATIONS)

    def known(self, obj: Object) -> Observation | None:
        """What is known without a request, and was not invalidated since."""
        entry = self._aliases.owner(obj.kind, obj.name)
        if entry is not None:
            board = entry.target_ids[-1]
            requested = RequestTime(entry.requested_seq, entry.requested_at)
            self._observed[obj] = Observation(board, requested)
            return self._observed[obj]
        return self._observed.use(obj) if obj.kind in STATIONARY else None

    async def ask(
        self, obj: Object, client: ApiRequest, since: RequestTime | None = None
    ) -> Observation:
        """What Trello says now; or said last, but no earlier than `since`, while it fails.

        NotVisible with Trello's refusal, OutsideScope for an object on no board; UpstreamError.
        """
        root = f"{obj.kind}s"
        target = target_of((root, obj.name), _FIELDS[obj.kind])
        try:
            found = await self._internal.read(target, client, fresh=True)
        except UpstreamError:
            last = self._observed.use(obj)
            if last is None or (since is not None and last.requested < since):
                raise
            return last
        board = _board_in(found)
        observation = Observation(board, found.requested)
        self._observed[obj] = observation
        return observation


def _board_in(found: Found) -> str:
    if found.status == 400:
        raise NotVisible(400, _INVALID_ID)
    if found.status == 404:
        raise NotVisible(404, "The requested resource was not found.")
    if found.status != 200:
        raise NotVisible
    shown = object_of(found.body)
    data = shown.get("data")
    within = data.get("board") if isinstance(data, dict) else None
    board = within.get("id") if isinstance(within, dict) else shown.get("idBoard")
    if board is None and shown.get("modelType") == "board":
        board = shown.get("idModel")
    if not is_id(board):
        raise OutsideScope("It is on no board.")
    return board
