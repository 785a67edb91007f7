"""Card page: what a card says, its files and its comments."""

from collections.abc import Iterator
from itertools import chain

from markupsafe import Markup

from proxy.pages.board_data import MAX_COMMENTS, Board, Card
from proxy.pages.card_details import CardDetails, CheckItem, Checklist, Comment
from proxy.pages.format import counted, date_text
from proxy.pages.layout import EMPTY, date_html, page_in_chunks
from proxy.pages.listing import (
    PageContext,
    download_html,
    due_html,
    files_html,
    labels_html,
    source_html,
    stale_note,
)
from proxy.pages.user_markdown import UserMarkdown

_PAGE = Markup("""<h1><bdi>{title}</bdi></h1>
<p class="lead">{place}{archived}{source}</p>
{stale}{not_read}{facts}""")
_BOARD = Markup('<a href="/b/{board.short_link}"><bdi>{board.title}</bdi></a>')
_ON_LIST = Markup("<bdi>{title}</bdi> on {board}")
_FACTS = Markup('<dl class="facts panel">{}</dl>\n')
_FACT = Markup("<div><dt>{name}</dt><dd>{value}</dd></div>")
_NAME = Markup("<bdi>{}</bdi>")
_DESCRIPTION = Markup("""<section class="panel"><h2>Description</h2>
<div class="written" dir="auto">{}</div></section>
""")
_CHECKLIST = Markup("""<section class="panel"><h2><bdi>{title}</bdi></h2>
<p class="count">{done} of {total} done</p>
<progress max="{total}" value="{done}" aria-hidden="true"></progress>
<ul class="checklist">{items}</ul></section>
""")
_DONE = Markup('<li class="done"><span class="visually-hidden">Done: </span><bdi>{}</bdi></li>')
_TO_DO = Markup('<li><span class="visually-hidden">To do: </span><bdi>{}</bdi></li>')
_FILES = Markup("""<section class="group"><h2>{count}</h2>
{files}{download}</section>
""")
_NOT_READ = Markup(
    '<p class="note" role="status">Description, members, comments and checklists were not read '
    "yet; Trello does not respond.</p>"
)
_NO_FILES = Markup('<p class="panel">No file has been attached yet.</p>\n')
_COMMENTS = Markup('<section class="panel"><h2>{count}</h2>\n')
_COMMENTS_END = Markup("</section>\n")
_COMMENT = Markup("""<article class="comment"><h3><bdi>{author}</bdi> {date}</h3>
<div class="written" dir="auto">{text}</div></article>
""")
_OLDER = Markup('<p class="footnote">Older comments are in Trello.</p>')


def card_page(
    card: Card,
    details: CardDetails | None,
    board: Board | None,
    markdown: UserMarkdown,
    context: PageContext,
) -> Iterator[bytes]:
    """The page in chunks, one for each text in Markdown.

    `details`, `board`: None if not available; the page says so of the details.
    """
    not_read = _NOT_READ if details is None else EMPTY
    details = details or CardDetails()
    main = _PAGE.format(
        title=card.title,
        place=_place(card, board),
        archived=" · archived" if card.is_closed else "",
        source=source_html(card.url, "c", card.short_link, context),
        stale=stale_note(context),
        not_read=not_read,
        facts=_facts(card, details, context),
    )
    chunks = chain((main,), _sections(card, details, markdown, context))
    return page_in_chunks(card.title, chunks, _summary(card, details, board))


def _sections(
    card: Card, details: CardDetails, markdown: UserMarkdown, context: PageContext
) -> Iterator[Markup]:
    if details.description:
        yield _DESCRIPTION.format(markdown.html(details.description))
    yield EMPTY.join(map(_checklist, details.checklists))
    yield _files(card, context)
    if details.comments:
        yield _COMMENTS.format(count=counted(len(details.comments), "comment"))
        yield from (_comment(comment, markdown) for comment in details.comments)
        yield _OLDER if len(details.comments) == MAX_COMMENTS else EMPTY
        yield _COMMENTS_END


def _place(card: Card, board: Board | None) -> Markup:
    """The list and the board, as far as they are known."""
    if board is None:
        return Markup("A card")
    link = _BOARD.format(board=board)
    titles = [each.title for each in board.lists if each.id == card.list_id]
    return _ON_LIST.format(title=titles[0], board=link) if titles else Markup("On ") + link


def _facts(card: Card, details: CardDetails, context: PageContext) -> Markup:
    facts = {
        "Labels": labels_html(card.labels),
        "Due date": due_html(card, context.now),
        "Members": Markup(", ").join(map(_NAME.format, details.members)),
    }
    shown = EMPTY.join(
        _FACT.format(name=name, value=value) for name, value in facts.items() if value
    )
    return _FACTS.format(shown) if shown else EMPTY


def _checklist(checklist: Checklist) -> Markup:
    return _CHECKLIST.format(
        title=checklist.title,
        done=checklist.done,
        total=len(checklist.items),
        items=EMPTY.join(map(_check_item, checklist.items)),
    )


def _check_item(item: CheckItem) -> Markup:
    return (_DONE if item.is_done else _TO_DO).format(item.text)


def _files(card: Card, context: PageContext) -> Markup:
    if not card.files:
        return _NO_FILES
    return _FILES.format(
        count=counted(len(card.files), "file"),
        files=files_html(card.files, context),
        download=download_html(card.files, "c", card.short_link),
    )


def _comment(comment: Comment, markdown: UserMarkdown) -> Markup:
    return _COMMENT.format(
        author=comment.author,
        date=date_html(comment.date) if comment.date else "",
        text=markdown.html(comment.text),
    )


def _summary(card: Card, details: CardDetails, board: Board | None) -> str:
    """The card in one line, for a preview of a link to it."""
    lists = {each.id: each.title for each in board.lists} if board else {}
    total = sum(len(checklist.items) for checklist in details.checklists)
    done = sum(checklist.done for checklist in details.checklists)
    parts = (
        lists.get(card.list_id, ""),
        board.title if board else "",
        f"due {date_text(card.due)}" if card.due else "",
        f"{done} of {total} done" if total else "",
        counted(len(card.files), "file") if card.files else "",
    )
    return " · ".join(filter(None, parts))
