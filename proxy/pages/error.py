"""Why a link did not open, for the person who clicked it: what happened, and what to do."""

from dataclasses import dataclass

from proxy.links.rewrite import file_in_path
from proxy.pages.layout import e, page


@dataclass(frozen=True, slots=True)
class Failure:
    """One sentence each."""

    status: int
    title: str
    remedy: str


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
    404: _GONE,
    410: _GONE,
    413: ("This file is too large for the proxy", "Open it in Trello itself."),
    429: ("Trello asks for a pause", "Try again in a minute."),
}
_UPSTREAM_FAILURE = (
    "Trello is in trouble",
    "Try again in a minute; nothing is wrong with the link.",
)


def refusal_text(status: int) -> Failure:
    """What Trello's own refusal of a file means."""
    return Failure(status, *_REFUSALS.get(status, _UPSTREAM_FAILURE))


def error_page(failure: Failure, raw_path: str, request_id: str) -> bytes:
    """The page; `raw_path` is what was asked for, which may be tried again."""
    again = failure.status in {408, 429} or failure.status >= 500
    links = [f'<a class="button first" href="{e(raw_path)}">Try again</a>'] if again else []
    file = file_in_path(raw_path.partition("?")[0])
    if file is not None and file.card.isalnum():
        card = e(file.card)
        links.append(f'<a class="button" href="/c/{card}">All files of this card</a>')
        links.append(
            f'<a class="button" href="https://trello.com/c/{card}" rel="noopener noreferrer">'
            "Open the card in Trello</a>"
        )
    links.append('<a class="button" href="/">What is this proxy?</a>')
    main = f"""<section class="panel">
<h1>{e(failure.title)}</h1>
<p>{e(failure.remedy)}</p>
<p class="buttons">{"".join(links)}</p>
</section>
<p class="small">Status {failure.status} · request {e(request_id)}</p>"""
    return page(failure.title, main)
