"""What every page has around it: head, header, footer, and the policy it is served under.

Scripts and styles are files of their own, so that the policy allows nothing inline; a page works
without either.
"""

import hashlib
from html import escape

from proxy.model import Fields
from proxy.policy.pages.script import SCRIPT
from proxy.policy.pages.style import ICON, STYLE

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


def _asset(path: str, content_type: str, text: str) -> tuple[str, Fields, bytes]:
    body = text.encode()
    tag = hashlib.blake2b(body, digest_size=6).hexdigest()
    fields = (
        ("Content-Type", content_type),
        ("Cache-Control", "public, max-age=31536000, immutable"),
    )
    return f"{path}?v={tag}", fields, body


_STYLE = _asset("/-/style.css", "text/css; charset=utf-8", STYLE)
_SCRIPT = _asset("/-/page.js", "text/javascript; charset=utf-8", SCRIPT)
_ICON = _asset("/-/icon.svg", "image/svg+xml", ICON)

ASSETS: dict[str, tuple[Fields, bytes]] = {
    url.partition("?")[0]: (fields, body) for url, fields, body in (_STYLE, _SCRIPT, _ICON)
}
"""What pages load, by path; their URLs name their content, so they may be kept for ever."""


def e(text: str) -> str:
    """Safe as an element's text and as a quoted attribute; a lone surrogate is shown as `?`."""
    return escape(text.encode("utf-8", "replace").decode(), quote=True)


def page(title: str, main: str) -> bytes:
    """A whole page; `main` is HTML, `title` is text."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{e(title)}</title>
<link rel="icon" href="{_ICON[0]}">
<link rel="stylesheet" href="{_STYLE[0]}">
<script src="{_SCRIPT[0]}" defer></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header><a href="/">trello-proxy</a></header>
<main id="main">
{main}
</main>
<p class="visually-hidden" role="status" id="said"></p>
</body>
</html>
""".encode()


def copy_button(link: str, what: str) -> str:
    """A button that copies a link; hidden where nothing would come of pressing it."""
    return (
        f'<button type="button" class="button" data-copy="{e(link)}" hidden>Copy link'
        f'<span class="visually-hidden"> to {e(what)}</span></button>'
    )
