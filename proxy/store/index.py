"""Which attachments have which bytes, and which links have led to a file; in memory, bounded."""

from collections import OrderedDict
from collections.abc import Iterable

from proxy.store.catalog import MAX_SEEN, AttachmentRow

MAX_ROWS = 200_000


class AttachmentIndex:
    """Rows by attachment and by digest."""

    def __init__(self) -> None:
        self._rows: dict[str, AttachmentRow] = {}
        self._ids: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, file_id: str) -> AttachmentRow | None:
        return self._rows.get(file_id)

    def put(self, row: AttachmentRow) -> None:
        """Take the row in; the oldest leaves where there are too many."""
        self._drop(row.id)
        self._rows[row.id] = row
        self._ids.setdefault(row.digest, set()).add(row.id)
        if len(self._rows) > MAX_ROWS:
            self._drop(next(iter(self._rows)))

    def clear(self) -> None:
        """Forget every row."""
        self._rows.clear()
        self._ids.clear()

    def drop(self, digest: str) -> None:
        """Forget every attachment with these bytes."""
        for file_id in self._ids.pop(digest, ()):
            del self._rows[file_id]

    def _drop(self, file_id: str) -> None:
        row = self._rows.pop(file_id, None)
        if row is not None:
            ids = self._ids[row.digest]
            ids.discard(file_id)
            if not ids:
                del self._ids[row.digest]


class SeenLinks:
    """Links that have led to a file: if one leads nowhere now, its file was deleted."""

    def __init__(self) -> None:
        self._links: OrderedDict[str, None] = OrderedDict()
        self._pending: set[str] = set()

    def __contains__(self, link: str) -> bool:
        return link in self._links

    def load(self, links: Iterable[str]) -> None:
        """What an earlier process had seen."""
        self._links.update(dict.fromkeys(links))

    def add(self, link: str) -> None:
        if link in self._links:
            return
        self._links[link] = None
        self._pending.add(link)
        if len(self._links) > MAX_SEEN:
            self._pending.discard(self._links.popitem(last=False)[0])

    def take_pending(self) -> set[str]:
        """What was added since this was asked last."""
        news, self._pending = self._pending, set()
        return news
