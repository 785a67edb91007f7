"""Which tags our own writes named, so that their echo from Trello's webhooks costs nothing.

Trello repeats a write's X-Trello-Client-Identifier in the deliveries that tell of it. Each write
gets one of its own, so an echo is compared with what that very write invalidated, after Trello had
answered it, and with nothing else.
"""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import replace

from proxy.flow.ask import Ask
from proxy.model import Tag

FIELD = "X-Trello-Client-Identifier"
MOST_WRITES = 1000
"""Of older ones nothing is remembered: their echoes invalidate once more."""


class OwnWrites:
    """Marks writes, and remembers what they named; bounded."""

    def __init__(self, instance: str) -> None:
        """`instance` is random and told to Trello alone: nobody else can claim a write of ours."""
        self._prefix = f"trello-proxy-{instance}-"
        self._count = 0
        self._named: OrderedDict[str, Collection[Tag]] = OrderedDict()

    def marked(self, ask: Ask) -> Ask:
        """The write with a mark of its own, unless its client has set one."""
        if _identifier(ask) is not None:
            return ask
        self._count += 1
        return replace(ask, fields=(*ask.fields, (FIELD, f"{self._prefix}{self._count:x}")))

    def remember(self, ask: Ask, tags: Collection[Tag]) -> None:
        """What was invalidated for a marked write, just now, when Trello had made the change."""
        identifier = _identifier(ask)
        if identifier is None or not identifier.startswith(self._prefix):
            return
        self._named[identifier] = tags
        if len(self._named) > MOST_WRITES:
            self._named.popitem(last=False)

    def named(self, identifier: str) -> Collection[Tag]:
        """What the write with this mark named; nothing while it is not answered, or not ours."""
        return self._named.get(identifier, ())


def _identifier(ask: Ask) -> str | None:
    return next((value for name, value in ask.fields if name.lower() == FIELD.lower()), None)
