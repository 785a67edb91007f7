"""Files as a list: on a card's page, and card by card on a board's."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from proxy.pages.board_data import (
    Board,
    Card,
    File,
    count_of,
    matching,
    sliced,
)
from proxy.pages.format import (
    counted,
    day_text,
    moment_of,
    size_text,
    time_text,
)
from proxy.pages.layout import (
    copy_button,
    e,
    page,
)

PAGE_FILES = 200
"""So many files are shown at once."""
MOST_CARDS = 1000
"""Trello lists no more."""


@dataclass(frozen=True, slots=True)
class PageContext:
    """What a page must know besides its files."""

    origin: str
    """How others reach the proxy: what a copied link begins with."""
    stale_since: float | None = None
    """POSIX seconds of the answers, when Trello does not give new ones."""


def card_page(card: Card, board: Board | None, around: PageContext) -> bytes:
    """A card's files."""
    on = f' on <a href="/b/{e(board.short_link)}">{e(board.title)}</a>' if board else ""
    files = f'<section class="card">{_files(card.files, around)}</section>' if card.files else ""
    main = f"""<h1>{e(card.title)}</h1>
<p class="lead">{_count(len(card.files))}{on}{_closed(card)}{_at_trello(card.url)}</p>
{_stale(around)}{files}{"" if files else _NO_FILES}"""
    return page(f"Files of {card.title}", main)


def board_page(
    board: Board, cards: Sequence[Card], query: str, number: int, around: PageContext
) -> bytes:
    """A board's files, card by card; those that `query` finds, and the page of that `number`."""
    total = count_of(cards)
    found = matching(cards, query)
    count = count_of(found)
    last = max(1, -(-count // PAGE_FILES))
    number = min(max(1, number), last)
    shown = sliced(found, (number - 1) * PAGE_FILES, PAGE_FILES)
    whole = not query.strip() and last == 1
    sections = "\n".join(_section(card, around) for card in shown)
    main = f"""<h1>{e(board.title)}</h1>
<p class="lead">The files of its open cards{_at_trello(board.url)}</p>
{_stale(around)}{_search(query, _found(count, total), whole=whole)}
{_capped(len(cards))}{sections}
{_nothing(total, count)}{_pages(query, number, last)}"""
    return page(f"Files of {board.title}", main)


def _section(card: Card, around: PageContext) -> str:
    title = e(card.title)
    if card.short_link:
        title = f'<a href="/c/{e(card.short_link)}">{title}</a>'
    return f'<section class="card"><h2>{title}</h2>{_files(card.files, around)}</section>'


def _files(files: Sequence[File], around: PageContext) -> str:
    return f'<ul class="files">{"".join(_file(file, around) for file in files)}</ul>'


def _file(file: File, around: PageContext) -> str:
    opens = bool(file.href) and not file.is_malicious
    away = "" if file.is_upload else ' rel="noopener noreferrer"'
    name = f'<a class="name" href="{e(file.href)}"{away}>{e(file.name)}</a>'
    return f"""
<li class="file">{_thumb(file)}
<div class="what">{name if opens else f'<span class="name">{e(file.name)}</span>'}
<p class="facts">{_facts(file)}</p></div>
<div class="do">{_buttons(file, around) if opens else ""}</div></li>"""


def _thumb(file: File) -> str:
    """A picture of it, or its kind; the name beside it is the link that is read out."""
    badge = f"<span>{e(file.badge)}</span>"
    if not file.thumb:
        return f'<span class="thumb" aria-hidden="true">{badge}</span>'
    image = f'<img src="{e(file.thumb)}" alt="" loading="lazy" decoding="async">'
    link = f'<a class="thumb" href="{e(file.href)}" tabindex="-1" aria-hidden="true">'
    return f"{link}{badge}{image}</a>"


def _facts(file: File) -> str:
    entries = []
    if file.is_malicious:
        entries.append("<strong>Trello says it is malicious: it does not open here</strong>")
    elif not file.is_upload:
        entries.append("a link to another site" if file.href else "a link that opens nowhere")
    elif file.size_bytes is not None:
        entries.append(size_text(file.size_bytes))
    if file.who:
        entries.append(e(file.who))
    moment = moment_of(file.date)
    if moment is not None:
        entries.append(f'<time datetime="{e(file.date)}">{day_text(moment)}</time>')
    return "".join(f"<span>{entry}</span>" for entry in entries)


def _buttons(file: File, around: PageContext) -> str:
    if not file.is_upload:
        return copy_button(file.href, file.name)
    joint = "&" if "?" in file.href else "?"
    hidden = f'<span class="visually-hidden"> {e(file.name)}</span>'
    saved = f'<a class="button" href="{e(file.href + joint)}download" download>Download{hidden}</a>'
    return saved + copy_button(around.origin + file.href, file.name)


def _search(query: str, count: str, *, whole: bool) -> str:
    """`whole`: every file is on this page, so that it can be narrowed without asking again."""
    narrowed = " data-whole" if whole else ""
    return f"""<form class="search panel" role="search" method="get"{narrowed}>
<label for="q">Find a file by its name, its card or who added it</label>
<div class="row"><input type="search" id="q" name="q" value="{e(query)}" maxlength="200"
 autocomplete="off"><button class="button first">Search</button></div>
<p class="count" role="status" data-all="{count}">{count}</p></form>"""


def _found(count: int, total: int) -> str:
    return _count(total) if count == total else f"{count:,} of {_count(total)}"


def _count(count: int) -> str:
    return counted(count, "file") if count else "No files"


def _nothing(total: int, count: int) -> str:
    """Shown when nothing is found; the script shows and hides it too."""
    if not total:
        return _NO_FILES
    hidden = " hidden" if count else ""
    return f'<p class="panel" id="none"{hidden}>No file is found by these words.</p>'


_NO_FILES = '<p class="panel">Nobody has attached a file yet.</p>'


def _pages(query: str, number: int, last: int) -> str:
    if last == 1:
        return ""
    links = [
        f'<a class="button" rel="{rel}" href="?{e(_at(query, to))}">{text}</a>'
        if 1 <= to <= last
        else "<span></span>"
        for to, rel, text in ((number - 1, "prev", "Previous"), (number + 1, "next", "Next"))
    ]
    middle = f"<span>Page {number} of {last}</span>"
    return f'<nav class="pages" aria-label="Pages">{links[0]}{middle}{links[1]}</nav>'


def _at(query: str, number: int) -> str:
    return urlencode({"q": query, "page": number} if query else {"page": number})


def _stale(around: PageContext) -> str:
    if around.stale_since is None:
        return ""
    return (
        '<p class="note" role="status">Trello is not answering. This is what it said on '
        f"{time_text(around.stale_since)}; newer files are missing here.</p>"
    )


def _capped(cards: int) -> str:
    if cards < MOST_CARDS:
        return ""
    return (
        f'<p class="note">Trello lists {MOST_CARDS:,} cards of a board and no more; '
        "open a missing card by its own link.</p>"
    )


def _closed(card: Card) -> str:
    return ", archived" if card.is_closed else ""


def _at_trello(url: str) -> str:
    if not url:
        return ""
    return f' · <a href="{e(url)}" rel="noopener noreferrer">Open in Trello</a>'
