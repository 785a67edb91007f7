"""The page at `/-/client-credentials`: clients that still send a key or a token. Pure."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from proxy.pages.format import counted, time_text
from proxy.pages.layout import e, page

_OWNERS = {
    "own": "the proxy's own",
    "foreign": "another",
    "unknown": "cannot be told",
}
_NONE = "No tool has sent a key or a token since the proxy started."
_REMEDY = "Leave them out: the proxy adds its own, and a key that travels can leak."


class Row(NamedTuple):
    """A tool that sends a credential in one place."""

    client: str
    location: str
    owner: str
    requests: int
    first_seen_at: float
    """POSIX seconds, as `last_at`."""
    last_seen_at: float


def credential_usage_page(rows: Sequence[Row]) -> bytes:
    """A table for people."""
    heads = ("Tool", "Sends it in the", "Whose it is", "Requests", "First seen", "Last seen")
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    body = "\n".join(_row(row) for row in rows)
    table = (
        f'<div class="wide" tabindex="0" role="region" aria-labelledby="title"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )
    shown = table if rows else f"<p>{_NONE}</p>"
    main = f"""<h1 id="title">Tools that still send a credential</h1>
<p class="lead">{_REMEDY}</p>
<section class="panel">{shown}</section>
<p class="small"><a href="/">What to use instead</a></p>"""
    return page("Tools that still send a credential", main)


def credential_usage_json(rows: Sequence[Row]) -> bytes:
    """The same for programs: `{"tools": [{"tool": …}]}`."""
    return json.dumps({"tools": [row._asdict() for row in rows]}).encode() + b"\n"


def credential_usage_text(rows: Sequence[Row]) -> bytes:
    """The same for a terminal."""
    lines = [
        f"{row.client}: in the {row.location}, {_OWNERS[row.owner]}, "
        f"{counted(row.requests, 'request')}, last {time_text(row.last_seen_at)}"
        for row in rows
    ]
    return "\n".join([*lines, _REMEDY] if lines else [_NONE]).encode() + b"\n"


def _row(row: Row) -> str:
    times = (time_text(row.first_seen_at), time_text(row.last_seen_at))
    cells = (row.location, _OWNERS[row.owner], f"{row.requests:,}", *times)
    plain = "".join(f"<td>{e(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{e(row.client)}</th>{plain}</tr>'
