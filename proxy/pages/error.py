"""Error pages for a person who opened a link: what happened, and what to do."""

import re
from dataclasses import dataclass

from markupsafe import Markup

from proxy.links.rewrite import file_in_path
from proxy.pages.layout import EMPTY, page
from proxy.pages.paste_form import PastedLink, paste_form

_PAGE = re.compile(r"/[cb]/[0-9A-Za-z]{1,64}(?![^/?])")
"""Of a card or board, without the title behind it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A response's status and its error page's texts, one sentence each."""

    status: int
    title: str
    remedy: str
    has_form: bool = False
    """Whether an address of Trello's can be pasted instead."""


_REFUSED = (
    "Trello does not show this file to the proxy",
    "Ask the operator whether the proxy's account may see the board.",
)
_GONE = (
    "This file is not there any more",
    "It was deleted, or its card was. The card's page shows the files it has now.",
)
_REFUSALS = {
    401: _REFUSED,
    403: _REFUSED,
    404: ("No such file", "The link may be cut short, or the file was deleted."),
    410: _GONE,
    413: ("This file is too large for the proxy", "Open it in Trello itself."),
    429: ("Trello asks for a pause", "Try again in a minute."),
}
UPSTREAM_FAILURE_TITLE = "Trello is not working properly"
_UPSTREAM_FAILURE = (
    UPSTREAM_FAILURE_TITLE,
    "Try again in a minute; nothing is wrong with the link.",
)

_ERROR = Markup("""<section class="panel">
<h1>{failure.title}</h1>
<p>{failure.remedy}</p>
<p class="buttons">{links}<a class="button" href="/">What is this proxy?</a></p>
</section>
{form}
<p class="footnote">Status {failure.status} · request {request_id}</p>""")
_RETRY_LINK = Markup('<a class="button first" href="{url}">Try again</a>')
_TRELLO_LINK = Markup(
    '<a class="button" href="https://trello.com{path}" rel="noopener noreferrer">Open in Trello</a>'
)
_CARD_LINKS = Markup(
    '<a class="button" href="/c/{card}">The card and its files</a>'
    '<a class="button" href="https://trello.com/c/{card}" rel="noopener noreferrer">'
    "Open the card in Trello</a>"
)


def refusal_of(status: int) -> Failure:
    """What Trello's response of that status to a file request means."""
    return Failure(status, *_REFUSALS.get(status, _UPSTREAM_FAILURE))


def error_page(failure: Failure, raw_path: str, request_id: str) -> bytes:
    """The page; `raw_path` is the request target, which *Try again* repeats."""
    may_retry = failure.status in {408, 429} or failure.status >= 500
    links = _RETRY_LINK.format(url=raw_path) if may_retry else EMPTY
    path = raw_path.partition("?")[0]
    file = file_in_path(path)
    if file is not None and file.card.isalnum():
        links += _CARD_LINKS.format(card=file.card)
    elif page_name := _PAGE.match(path):
        links += _TRELLO_LINK.format(path=page_name[0])
    form = paste_form(PastedLink()) if failure.has_form else ""
    main = _ERROR.format(failure=failure, links=links, request_id=request_id, form=form)
    return page(failure.title, main)
