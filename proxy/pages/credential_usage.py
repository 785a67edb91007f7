"""Client credentials page (`/-/client-credentials`): clients that still send a key or a token."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from proxy.pages.format import counted, time_text
from proxy.pages.layout import page, table

_TITLE = "Clients that still send a credential"
_OWNERS = {
    "own": "the proxy's own",
    "foreign": "another",
    "unknown": "unknown",
}
_NONE = "No client has sent a key or a token since the proxy started."
_REMEDY = "Leave it out: the proxy adds its own, and a key in every request can leak."
_COLUMNS = ("Client", "Sent in the", "Credential", "Requests", "First seen", "Last seen")

_PAGE = Markup("""<h1 id="title">{title}</h1>
<p class="lead">{remedy}</p>
<section class="panel">{table}</section>
<p class="footnote"><a href="/">What to use instead</a></p>""")
_NO_ROWS = Markup("<p>{}</p>").format(_NONE)


class Row(NamedTuple):
    """Requests of one client with a credential of one owner in one location."""

    client: str
    location: str
    owner: str
    requests: int
    first_seen_at: float
    """POSIX seconds, as `last_seen_at`."""
    last_seen_at: float


def credential_usage_page(rows: Sequence[Row]) -> bytes:
    """The report as HTML."""
    shown = table(_COLUMNS, map(_table_row, rows)) if rows else _NO_ROWS
    return page(_TITLE, _PAGE.format(title=_TITLE, remedy=_REMEDY, table=shown))


def credential_usage_json(rows: Sequence[Row]) -> bytes:
    """The report as JSON: `{"clients": [{"client": …, "location": …, "owner": …, …}]}`."""
    return json.dumps({"clients": [row._asdict() for row in rows]}).encode() + b"\n"


def credential_usage_text(rows: Sequence[Row]) -> bytes:
    """The report as plain text, one line per row."""
    lines = [
        f"{row.client}: in the {row.location}, {_OWNERS[row.owner]}, "
        f"{counted(row.requests, 'request')}, last {time_text(row.last_seen_at)}"
        for row in rows
    ]
    return "\n".join([*lines, _REMEDY] if lines else [_NONE]).encode() + b"\n"


def _table_row(row: Row) -> tuple[str, ...]:
    return (
        row.client,
        row.location,
        _OWNERS[row.owner],
        f"{row.requests:,}",
        time_text(row.first_seen_at),
        time_text(row.last_seen_at),
    )
