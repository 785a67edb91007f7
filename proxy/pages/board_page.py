"""Board page: its lists and all their cards, in chunks: a large page is never held whole (D71)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from markupsafe import Markup

from proxy.pages.board_data import Board, BoardList, Card, File
from proxy.pages.format import counted, shortened
from proxy.pages.layout import EMPTY, page_in_chunks
from proxy.pages.listing import (
    PageContext,
    download_html,
    due_html,
    files_html,
    labels_html,
    source_html,
    stale_note,
)

CARDS_AT_ONCE = 100
"""Parsed or rendered in one step, which takes some milliseconds."""
FILES_OF_A_CARD = 10
"""Files shown of each card; its own page shows all."""
FILES_AT_ONCE = 100
"""In one step: of ten cards, at most."""
LISTED_CARDS = 1000
"""Trello lists no more cards of a board, unless it says otherwise."""
_NAME_CHARS = 300
_OTHER_LIST = BoardList("", "Other cards")

_TITLE = Markup("""<h1><bdi>{title}</bdi></h1>
<p class="lead">All open cards{source}{csv}</p>
{stale}""")
_CSV = Markup(' · <a href="/b/{board.short_link}/cards.csv" download>Table (CSV)</a>')
_SEARCH = Markup("""<form class="search panel" role="search" method="get"{complete}>
<label for="q">Find a card by its name, label or files</label>
<div class="row"><input type="search" id="q" name="q" value="{query}" maxlength="200"
 autocomplete="off"><button class="button first">Search</button></div>
<p class="count" role="status" data-all="{count}">{count}</p></form>
{capped}""")
_COMPLETE = Markup(" data-complete")
_CAPPED = Markup(
    '<p class="note">Trello lists {:,} cards of a board and no more; '
    "open a missing card by its own link.</p>\n"
).format(LISTED_CARDS)
_LIST_START = Markup("""<section class="group"><h2><bdi>{list.title}</bdi>{archived}
<span class="count">{count}</span></h2>
<ul class="cards{long}">
""")
_ARCHIVED = Markup(" (archived list)")
_LIST_END = Markup("</ul></section>\n")
_CARD = Markup('<li class="card"><p class="line">{name}{labels}{due}</p>{files}{more}</li>\n')
_CARD_LINK = Markup('<a href="/c/{card.short_link}"><bdi>{name}</bdi></a>')
_CARD_NAME = Markup("<bdi>{name}</bdi>")
_DUE = Markup("<span>due {}</span>")
_MORE = Markup('<p class="more"><a href="/c/{card.short_link}">{count}</a></p>')
_NO_CARDS = Markup('<p class="panel">There is no open card on this board.</p>')
_NO_MATCH = Markup('<p class="panel" id="no-match"{hidden}>No card matches these words.</p>')
_HIDDEN = Markup(" hidden")


def board_page(
    board: Board,
    cards: Iterable[object],
    parse: Callable[[object], Card],
    query: str,
    context: PageContext,
) -> Iterator[bytes]:
    """The page of the cards that match `query`, as chunks; some are empty.

    `cards`: the elements of a response to `cards_target`, parsed by `parse` while chunks are taken.
    """
    titles = [each.title for each in board.lists if not each.is_closed]
    description = counted(len(titles), "list") + f": {', '.join(titles)}" if titles else ""
    return page_in_chunks(
        board.title, _chunks(board, map(parse, cards), query, context), description
    )


def _chunks(
    board: Board, cards: Iterator[Card], query: str, context: PageContext
) -> Iterator[Markup]:
    read = list(islice(cards, CARDS_AT_ONCE))
    yield _TITLE.format(
        title=board.title,
        source=source_html(board.url, "b", board.short_link, context),
        csv=_CSV.format(board=board),
        stale=stale_note(context),
    )
    while more := list(islice(cards, CARDS_AT_ONCE)):
        read += more
        yield EMPTY
    matches = search_cards(read, query)
    files = (file for card in read for file in card.files)
    download = download_html(files, "b", board.short_link)
    yield _search_form(query, read, matches) + download
    for list_, of_list in _by_list(board, matches):
        yield _LIST_START.format(
            list=list_,
            count=f"{len(of_list):,}",
            archived=_ARCHIVED if list_.is_closed else "",
            long=" long" if len(of_list) > CARDS_AT_ONCE else "",
        )
        for some in _batches(of_list):
            yield EMPTY.join(_card(card, context) for card in some)
        yield _LIST_END
    yield _no_cards(read, matches)


def search_cards(cards: Sequence[Card], query: str) -> list[Card]:
    """The cards that have every word of `query`, with all their files.

    Others are found with those of their files that have every word, together with the card.
    """
    words = query.casefold().split()
    if not words:
        return list(cards)
    found = []
    for card in cards:
        text = " ".join((card.title, *(label.name for label in card.labels))).casefold()
        left = [word for word in words if word not in text]
        files = tuple(file for file in card.files if _has(file, left))
        if files or not left:
            found.append(replace(card, files=files))
    return found


def _has(file: File, words: Sequence[str]) -> bool:
    text = f"{file.name}\n{file.uploader}\n{file.badge}".casefold()
    return all(word in text for word in words)


def _by_list(board: Board, cards: Sequence[Card]) -> Iterator[tuple[BoardList, list[Card]]]:
    """The lists with cards, in order; at the end the cards of a list that is not known."""
    by_id: dict[str, list[Card]] = {each.id: [] for each in board.lists}
    others: list[Card] = []
    for card in cards:
        by_id.get(card.list_id, others).append(card)
    for list_, found in (*((each, by_id[each.id]) for each in board.lists), (_OTHER_LIST, others)):
        if found:
            yield list_, sorted(found, key=lambda card: card.position)


def _batches(cards: Iterable[Card]) -> Iterator[list[Card]]:
    """The cards in batches of at most CARDS_AT_ONCE, and about FILES_AT_ONCE of their files."""
    batch, files = list[Card](), 0
    for card in cards:
        batch.append(card)
        files += min(len(card.files), FILES_OF_A_CARD)
        if len(batch) == CARDS_AT_ONCE or files >= FILES_AT_ONCE:
            yield batch
            batch, files = [], 0
    if batch:
        yield batch


def _card(card: Card, context: PageContext) -> Markup:
    name = shortened(card.title, _NAME_CHARS)
    hidden = len(card.files) - FILES_OF_A_CARD
    return _CARD.format(
        name=(_CARD_LINK if card.short_link else _CARD_NAME).format(card=card, name=name),
        labels=labels_html(card.labels),
        due=_DUE.format(due) if (due := due_html(card, context.now)) else "",
        files=files_html(card.files[:FILES_OF_A_CARD], context) if card.files else "",
        more=_MORE.format(card=card, count=f"{counted(hidden, 'more file')}") if hidden > 0 else "",
    )


def _search_form(query: str, cards: Sequence[Card], matches: Sequence[Card]) -> Markup:
    """The form; the script filters without a request if everything is on the page."""
    is_complete = len(matches) == len(cards) and all(
        len(card.files) <= FILES_OF_A_CARD for card in cards
    )
    total = counted(len(cards), "card")
    return _SEARCH.format(
        complete=_COMPLETE if is_complete and not query.strip() else "",
        query=query,
        count=total if len(matches) == len(cards) else f"{len(matches):,} of {total}",
        capped=_CAPPED if len(cards) == LISTED_CARDS else "",
    )


def _no_cards(cards: Sequence[Card], matches: Sequence[Card]) -> Markup:
    """The note of an empty page; hidden for the script to show where there are cards."""
    if not cards:
        return _NO_CARDS
    return _NO_MATCH.format(hidden=_HIDDEN if matches else "")
