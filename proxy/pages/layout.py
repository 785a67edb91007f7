"""Page shell: document head, header, live region; response fields and assets of all pages.

Everything below proxy/pages returns Markup: a str that a template formats in is escaped (D18).
Scripts and styles are files, so that the Content-Security-Policy allows nothing inline; a page
works without either.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.resources import files

from markupsafe import Markup

from proxy.model import Fields
from proxy.pages.format import date_text, shortened

PAGE_FIELDS: Fields = (
    ("Content-Type", "text/html; charset=utf-8"),
    (
        "Content-Security-Policy",
        (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
            "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "private, no-store"),
    ("Vary", "Accept, Sec-Fetch-Mode"),
)

_ASSET_TYPES = {
    "style.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_CACHE_FOREVER = ("Cache-Control", "public, max-age=31536000, immutable")
_BODIES = {name: (files(__package__) / "assets" / name).read_bytes() for name in _ASSET_TYPES}
_URLS = {
    name: f"/-/{name}?v={hashlib.blake2b(body, digest_size=6).hexdigest()}"
    for name, body in _BODIES.items()
}
"""With a digest of the content, so that a changed asset has another URL."""

ASSETS: dict[str, tuple[Fields, bytes]] = {
    f"/-/{name}": ((("Content-Type", content_type), _CACHE_FOREVER), _BODIES[name])
    for name, content_type in _ASSET_TYPES.items()
}
"""Response fields and body by path."""
_CACHE_A_DAY = ("Cache-Control", "public, max-age=86400")
ROOT_FILES: dict[str, tuple[Fields, bytes]] = {
    "/favicon.ico": (
        (("Content-Type", _ASSET_TYPES["icon.svg"]), _CACHE_A_DAY),
        _BODIES["icon.svg"],
    ),
    "/robots.txt": (
        (("Content-Type", "text/plain; charset=utf-8"), _CACHE_A_DAY),
        b"User-agent: *\nDisallow: /\n",
    ),
}
"""What browsers and crawlers ask for by name: response fields and body by path."""

_DOCUMENT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<meta property="og:title" content="{title}">
<meta property="og:type" content="website">
{description}<link rel="icon" href="{icon}">
<link rel="stylesheet" href="{style}">
<script src="{script}" defer></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header><a href="/">trello-proxy</a></header>
<main id="main">
{main}
</main>
<p class="visually-hidden" role="status" id="live-region"></p>
</body>
</html>
"""
_HEAD, _TAIL = (Markup(each) for each in _DOCUMENT.split("{main}"))  # noqa: S704 — no value in it
_DESCRIPTION = Markup(
    '<meta name="description" content="{0}">\n<meta property="og:description" content="{0}">\n'
)
_COPY_BUTTON = Markup(
    '<button type="button" class="button" data-copy="{link}" hidden>{label}'
    '<span class="visually-hidden"> {what}</span></button>'
)
_TABLE = Markup("""<div class="wide" tabindex="0" role="region" aria-labelledby="title">
<table role="table" aria-labelledby="title"><thead role="rowgroup">
<tr role="row">{head}</tr></thead>
<tbody role="rowgroup">
{rows}</tbody></table></div>""")
_COLUMN = Markup('<th scope="col" role="columnheader">{}</th>')
_ROW = Markup('<tr role="row">{}</tr>\n')
_FIRST_CELL = Markup('<th scope="row" role="rowheader" data-column="{}">{}</th>')
_CELL = Markup('<td role="cell" data-column="{}">{}</td>')
"""With roles, which `display: block` would take away."""
_TIME = Markup('<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}" data-local="{form}">{text}</time>')
_TITLE_CHARS = 120
_DESCRIPTION_CHARS = 300
EMPTY = Markup()


def page(title: str, main: Markup, description: str = "") -> bytes:
    """A complete HTML document in UTF-8; a lone surrogate becomes `?`.

    `description`: of the page, for whatever shows a preview of a link to it.
    """
    return b"".join(page_in_chunks(title, [main], description))


def page_in_chunks(title: str, main: Iterable[Markup], description: str = "") -> Iterator[bytes]:
    """The same, with one chunk for each of `main`; the first holds the document's head."""
    shown = shortened(title, _TITLE_CHARS)
    about = shortened(description, _DESCRIPTION_CHARS)
    before = _HEAD.format(
        title=shown,
        description=_DESCRIPTION.format(about) if about else EMPTY,
        icon=_URLS["icon.svg"],
        style=_URLS["style.css"],
        script=_URLS["page.js"],
    )
    for part in main:
        yield (before + part).encode("utf-8", "replace")
        before = EMPTY
    yield (before + _TAIL).encode()


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """A table whose rows are cards on a narrow screen, named by the heading with id `title`."""
    return _TABLE.format(
        head=EMPTY.join(map(_COLUMN.format, columns)),
        rows=EMPTY.join(_ROW.format(_cells(columns, row)) for row in rows),
    )


def _cells(columns: Sequence[str], row: Sequence[str]) -> Markup:
    first, *others = zip(columns, row, strict=True)
    return _FIRST_CELL.format(*first) + EMPTY.join(_CELL.format(*each) for each in others)


def copy_button(link: str, what: str, label: str = "Copy link") -> Markup:
    """A button that copies `link`; hidden where there is no script to do it.

    `what`: the end of its name for a screen reader.
    """
    return _COPY_BUTTON.format(link=link, what=what, label=label)


def date_html(moment: datetime) -> Markup:
    """The date of a moment in UTC, `21 Nov 2026`; with a script, in the reader's time zone."""
    return _TIME.format(moment=moment, form="date", text=date_text(moment))


def time_html(posix_s: float, now: float) -> Markup:
    """A time, `12:20 UTC`, with its date unless that is today's; POSIX seconds."""
    moment = datetime.fromtimestamp(posix_s, UTC)
    is_today = moment.date() == datetime.fromtimestamp(now, UTC).date()
    text = f"{moment:%H:%M} UTC" if is_today else f"{date_text(moment)}, {moment:%H:%M} UTC"
    return _TIME.format(moment=moment, form="time" if is_today else "moment", text=text)
