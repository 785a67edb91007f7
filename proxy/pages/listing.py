"""Card and board pages: files as a list, on a board's page grouped by card."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from markupsafe import Markup

from proxy.pages.board_data import Board, Card, File, count_files, search_files, slice_files
from proxy.pages.format import counted, date_text, parse_time, size_text, time_text
from proxy.pages.layout import EMPTY, copy_button, page

PAGE_FILES = 200
"""Files on one page of a board."""
MAX_CARDS = 1000
"""Trello lists no more cards of a board."""


@dataclass(frozen=True, slots=True)
class PageContext:
    """What a page shows besides its cards."""

    origin: str
    """The proxy's public URL: copied links begin with it."""
    stale_since: float | None = None
    """When the shown responses were requested, in POSIX seconds; None when they are fresh."""


def card_page(card: Card, board: Board | None, context: PageContext) -> bytes:
    """The page of one card: its files."""
    main = _CARD.format(
        title=card.title,
        count=_count(len(card.files)),
        board=_ON_BOARD.format(board=board) if board else "",
        archived=", archived" if card.is_closed else "",
        at_trello=_at_trello(card.url),
        stale=_stale_note(context),
        files=_CARD_FILES.format(_files(card.files, context)) if card.files else _NO_FILES,
    )
    return page(f"Files of {card.title}", main)


def board_page(
    board: Board, cards: Sequence[Card], query: str, number: int, context: PageContext
) -> bytes:
    """Page `number` (from 1) of a board's files that match `query`, grouped by card."""
    total = count_files(cards)
    matches = search_files(cards, query)
    count = count_files(matches)
    last = max(1, -(-count // PAGE_FILES))
    number = min(max(1, number), last)
    shown = slice_files(matches, (number - 1) * PAGE_FILES, PAGE_FILES)
    is_complete = not query.strip() and last == 1
    main = _BOARD.format(
        title=board.title,
        at_trello=_at_trello(board.url),
        stale=_stale_note(context),
        search=_search_form(query, _match_count(count, total), is_complete=is_complete),
        capped=_CAPPED if len(cards) >= MAX_CARDS else "",
        cards=Markup("\n").join(_card_section(card, context) for card in shown),
        no_files=_no_files(total, count),
        pagination=_pagination(query, number, last),
    )
    return page(f"Files of {board.title}", main)


_CARD = Markup("""<h1>{title}</h1>
<p class="lead">{count}{board}{archived}{at_trello}</p>
{stale}{files}""")
_ON_BOARD = Markup(' on <a href="/b/{board.short_link}">{board.title}</a>')
_CARD_FILES = Markup('<section class="card">{}</section>')
_BOARD = Markup("""<h1>{title}</h1>
<p class="lead">The files of its open cards{at_trello}</p>
{stale}{search}
{capped}{cards}
{no_files}{pagination}""")
_CARD_SECTION = Markup('<section class="card"><h2>{title}</h2>{files}</section>')
_CARD_LINK = Markup('<a href="/c/{card.short_link}">{card.title}</a>')
_NO_FILES = Markup('<p class="panel">No file has been attached yet.</p>')
_NO_MATCH = Markup('<p class="panel" id="no-match"{hidden}>No file matches these words.</p>')
_HIDDEN = Markup(" hidden")
_CAPPED = Markup(
    '<p class="note">Trello lists {:,} cards of a board and no more; '
    "open a missing card by its own link.</p>"
).format(MAX_CARDS)
_STALE = Markup(
    '<p class="note" role="status">Trello is not answering. This is a copy from '
    "{time}; newer files are missing here.</p>"
)
_AT_TRELLO = Markup(' · <a href="{url}" rel="noopener noreferrer">Open in Trello</a>')


def _card_section(card: Card, context: PageContext) -> Markup:
    title = _CARD_LINK.format(card=card) if card.short_link else card.title
    return _CARD_SECTION.format(title=title, files=_files(card.files, context))


def _match_count(count: int, total: int) -> str:
    return _count(total) if count == total else f"{count:,} of {_count(total)}"


def _count(count: int) -> str:
    return counted(count, "file") if count else "No files"


def _no_files(total: int, count: int) -> Markup:
    """The note of an empty list; hidden for the script to show where there are files."""
    if not total:
        return _NO_FILES
    return _NO_MATCH.format(hidden=_HIDDEN if count else "")


def _stale_note(context: PageContext) -> Markup:
    if context.stale_since is None:
        return EMPTY
    return _STALE.format(time=time_text(context.stale_since))


def _at_trello(url: str) -> Markup:
    return _AT_TRELLO.format(url=url) if url else EMPTY


_FILES = Markup('<ul class="files">{}</ul>')
_FILE = Markup("""
<li class="file">{thumbnail}<div class="description">{name}
<p class="details">{details}</p></div>
<div class="actions">{actions}</div></li>""")
_NAME_LINK = Markup('<a class="name" href="{file.href}"{rel}>{file.name}</a>')
_NAME_TEXT = Markup('<span class="name">{file.name}</span>')
_REL_EXTERNAL = Markup(' rel="noopener noreferrer"')
_BADGE = Markup('<span class="thumb" aria-hidden="true"><span>{file.badge}</span></span>')
_THUMBNAIL = Markup(
    '<a class="thumb" href="{file.href}" tabindex="-1" aria-hidden="true">'
    '<span>{file.badge}</span><img src="{file.thumbnail}" alt="" loading="lazy" decoding="async">'
    "</a>"
)
_DETAIL = Markup("<span>{}</span>")
_MALICIOUS = Markup("<strong>Trello marks it as malicious: it does not open here</strong>")
_DATE = Markup('<time datetime="{iso}">{date}</time>')
_DOWNLOAD = Markup(
    '<a class="button" href="{file.href}{separator}download" download>Download'
    '<span class="visually-hidden"> {file.name}</span></a>'
)


def _files(files: Sequence[File], context: PageContext) -> Markup:
    return _FILES.format(EMPTY.join(_file(file, context) for file in files))


def _file(file: File, context: PageContext) -> Markup:
    opens = bool(file.href) and not file.is_malicious
    rel = "" if file.is_upload else _REL_EXTERNAL
    return _FILE.format(
        thumbnail=(_THUMBNAIL if file.thumbnail else _BADGE).format(file=file),
        name=_NAME_LINK.format(file=file, rel=rel) if opens else _NAME_TEXT.format(file=file),
        details=EMPTY.join(_DETAIL.format(each) for each in _details(file)),
        actions=_actions(file, context) if opens else "",
    )


def _details(file: File) -> list[str]:
    """Kind or size, uploader and date, as far as they are known."""
    details: list[str] = []
    if file.is_malicious:
        details.append(_MALICIOUS)
    elif not file.is_upload:
        details.append("a link to another site" if file.href else "a link that does not open here")
    elif file.size_bytes is not None:
        details.append(size_text(file.size_bytes))
    if file.uploader:
        details.append(file.uploader)
    moment = parse_time(file.date)
    if moment is not None:
        details.append(_DATE.format(iso=file.date, date=date_text(moment)))
    return details


def _actions(file: File, context: PageContext) -> Markup:
    if not file.is_upload:
        return copy_button(file.href, file.name)
    separator = "&" if "?" in file.href else "?"
    download = _DOWNLOAD.format(file=file, separator=separator)
    return download + copy_button(context.origin + file.href, file.name)


_SEARCH = Markup("""<form class="search panel" role="search" method="get"{complete}>
<label for="q">Find a file by its name, its card or who added it</label>
<div class="row"><input type="search" id="q" name="q" value="{query}" maxlength="200"
 autocomplete="off"><button class="button first">Search</button></div>
<p class="count" role="status" data-all="{count}">{count}</p></form>""")
_COMPLETE = Markup(" data-complete")
_PAGINATION = Markup(
    '<nav class="pagination" aria-label="Pages">{previous}<span>Page {number} of {last}</span>'
    "{next}</nav>"
)
_PAGE_LINK = Markup('<a class="button" rel="{rel}" href="?{query}">{text}</a>')
_NO_PAGE = Markup("<span></span>")


def _search_form(query: str, count: str, *, is_complete: bool) -> Markup:
    """`is_complete`: all files are on this page, so the script filters without a request."""
    return _SEARCH.format(complete=_COMPLETE if is_complete else "", query=query, count=count)


def _pagination(query: str, number: int, last: int) -> Markup:
    if last == 1:
        return EMPTY

    def link(to: int, rel: str, text: str) -> Markup:
        if not 1 <= to <= last:
            return _NO_PAGE
        parameters = {"q": query, "page": to} if query else {"page": to}
        return _PAGE_LINK.format(rel=rel, query=urlencode(parameters), text=text)

    return _PAGINATION.format(
        previous=link(number - 1, "prev", "Previous"),
        number=number,
        last=last,
        next=link(number + 1, "next", "Next"),
    )
