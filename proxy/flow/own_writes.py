"""Which tags our own writes named, so that their echo from Trello's webhooks costs nothing.

Trello repeats a write's X-Trello-Client-Identifier in the deliveries that tell of it. Each write
gets one of its own, so an echo is compared with what that very write invalidated, after Trello had
answered it, and with nothing else.
"""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import replace

from proxy.flow.ask import ApiRequest
from proxy.model import Tag

FIELD = "X-Trello-Client-Identifier"
MAX_REMEMBERED_WRITES = 1000
"""Of older ones nothing is remembered: their echoes invalidate once more."""


class EchoFilter:
    """Marks writes, and remembers what they named; bounded."""

    def __init__(self, instance: str) -> None:
        """`instance` is random and told to Trello alone: nobody else can claim a write of ours."""
        self._prefix = f"trello-proxy-{instance}-"
        self._count = 0
        self._tags_by_id: OrderedDict[str, Collection[Tag]] = OrderedDict()

    def tag_request(self, request: ApiRequest) -> ApiRequest:
        """The write with a mark of its own, unless its client has set one."""
        if _identifier(request) is not None:
            return request
        self._count += 1
        return replace(request, fields=(*request.fields, (FIELD, f"{self._prefix}{self._count:x}")))

    def remember(self, request: ApiRequest, tags: Collection[Tag]) -> None:
        """What was invalidated for a marked write, just now, when Trello had made the change."""
        identifier = _identifier(request)
        if identifier is None or not identifier.startswith(self._prefix):
            return
        self._tags_by_id[identifier] = tags
        if len(self._tags_by_id) > MAX_REMEMBERED_WRITES:
            self._tags_by_id.popitem(last=False)

    def tags_of(self, identifier: str) -> Collection[Tag]:
        """What the write with this mark named; nothing while it is not answered, or not ours."""
        return self._tags_by_id.get(identifier, ())


def _identifier(request: ApiRequest) -> str | None:
    return next((value for name, value in request.fields if name.lower() == FIELD.lower()), None)
