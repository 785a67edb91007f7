"""Audit page (`/-/audit`): the last writes, refused requests and administrative actions."""

import json
from collections.abc import Sequence

from markupsafe import Markup

from proxy.access.audit import AuditEntry
from proxy.pages.format import time_text
from proxy.pages.layout import page, table

_TITLE = "Audit log"
_NONE = "No write, refused request or administrative action since the proxy started."
_LEAD = "The last writes, refused requests and administrative actions, newest first."
_COLUMNS = ("Time", "Who", "Address", "Request", "Objects", "Status")
_PAGE = Markup("""<h1 id="title">{title}</h1>
<p class="lead">{lead}</p>
<section class="panel">{table}</section>""")
_NO_ROWS = Markup("<p>{}</p>").format(_NONE)


def audit_page(entries: Sequence[AuditEntry]) -> bytes:
    """The entries as HTML."""
    shown = table(_COLUMNS, map(_row, entries)) if entries else _NO_ROWS
    return page(_TITLE, _PAGE.format(title=_TITLE, lead=_LEAD, table=shown))


def audit_json(entries: Sequence[AuditEntry]) -> bytes:
    """The entries as JSON: `{"entries": […]}`, each as in the file."""
    return json.dumps({"entries": [entry.as_dict() for entry in entries]}).encode() + b"\n"


def audit_text(entries: Sequence[AuditEntry]) -> bytes:
    """The entries as plain text, one line each."""
    lines = [
        f"{time_text(entry.at)}  {_who(entry)}  {entry.address or '-'}"
        f"  {_request(entry)}  {' '.join(entry.objects) or '-'}  {_status(entry)}"
        for entry in entries
    ]
    return "\n".join(lines or [_NONE]).encode() + b"\n"


def _row(entry: AuditEntry) -> tuple[str, ...]:
    return (
        time_text(entry.at),
        _who(entry),
        entry.address,
        f"{entry.method} {entry.route}",
        " ".join(entry.objects),
        _status(entry),
    )


def _who(entry: AuditEntry) -> str:
    who = " ".join(filter(None, (entry.client, entry.user)))
    return who or ("anonymous" if entry.address else "-")


def _request(entry: AuditEntry) -> str:
    return f"{entry.method} {entry.route}".strip()


def _status(entry: AuditEntry) -> str:
    return f"{entry.status} {entry.problem}".strip()
