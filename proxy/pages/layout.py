"""Page shell: document head, header, live region; response fields and assets of all pages.

Everything below proxy/pages returns Markup: a str that a template formats in is escaped (D18).
Scripts and styles are files, so that the Content-Security-Policy allows nothing inline; a page
works without either.
"""

import hashlib
from collections.abc import Iterable
from importlib.resources import files

from markupsafe import Markup

from proxy.model import Fields

PAGE_FIELDS: Fields = (
    ("Content-Type", "text/html; charset=utf-8"),
    (
        "Content-Security-Policy",
        (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
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

_PAGE = Markup("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="{icon}">
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
""")
_COPY_BUTTON = Markup(
    '<button type="button" class="button" data-copy="{link}" hidden>Copy link'
    '<span class="visually-hidden"> to {what}</span></button>'
)
_TABLE = Markup("""<div class="wide" tabindex="0" role="region" aria-labelledby="title"><table>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody></table></div>""")
_HEAD = Markup('<th scope="col">{}</th>')
EMPTY = Markup()


def page(title: str, main: Markup) -> bytes:
    """A complete HTML document in UTF-8; a lone surrogate becomes `?`."""
    document = _PAGE.format(
        title=title,
        icon=_URLS["icon.svg"],
        style=_URLS["style.css"],
        script=_URLS["page.js"],
        main=main,
    )
    return document.encode("utf-8", "replace")


def table(columns: Iterable[str], rows: Iterable[Markup]) -> Markup:
    """A table that scrolls sideways on a narrow screen, named by the heading with id `title`."""
    return _TABLE.format(head=EMPTY.join(map(_HEAD.format, columns)), rows=Markup("\n").join(rows))


def copy_button(link: str, what: str) -> Markup:
    """A button that copies `link`; hidden where there is no script to do it."""
    return _COPY_BUTTON.format(link=link, what=what)
