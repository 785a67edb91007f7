"""Notice in place of Trello's authorization page: is a token needed, and where is one to be had."""

from markupsafe import Markup

from proxy.pages.layout import page

_WHERE = "https://trello.com/1/authorize"
_KEYS = "https://trello.com/power-ups/admin"
_KEYLESS = (
    "No token is needed here",
    "This proxy sends its own to Trello. Leave key and token out; any that you send are removed.",
)
_KEYED = (
    "This proxy gives out no token",
    "It needs yours: send your own key and token with each request.",
)
_PAGE = Markup("""<section class="panel">
<h1>{title}</h1>
<p>{text}</p>
<p class="buttons"><a class="button" href="/">How to use this proxy</a>
<a class="button" href="{where}" rel="noopener noreferrer">Trello's page for a token</a>
<a class="button" href="{keys}" rel="noopener noreferrer">Trello's page for keys</a></p>
</section>""")


def authorize_page(*, keyless: bool) -> bytes:
    """The notice as HTML; `keyless`: requests without a key and token are served."""
    title, text = _KEYLESS if keyless else _KEYED
    return page(title, _PAGE.format(title=title, text=text, where=_WHERE, keys=_KEYS))


def authorize_text(*, keyless: bool) -> bytes:
    """The notice as plain text."""
    title, text = _KEYLESS if keyless else _KEYED
    return (
        f"{title}: {text[0].lower()}{text[1:]}\n\n"
        f"Trello's own page for a token is {_WHERE}\n(keys: {_KEYS}).\n"
    ).encode()
