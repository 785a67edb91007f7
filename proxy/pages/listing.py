"""Parts that the pages of cards and boards share: files, labels, due dates, the age of the data."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from proxy.pages.board_data import Card, File, Label
from proxy.pages.format import counted, parse_time, size_text
from proxy.pages.layout import EMPTY, copy_button, date_html, time_html


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContext:
    """What a page shows besides its cards."""

    origin: str
    """The proxy's public URL: copied links begin with it."""
    now: float
    """POSIX seconds, as `known_at`."""
    known_at: float
    """When what is shown was so at Trello."""
    is_stale: bool = False
    """Whether they are shown because Trello fails."""


_STALE = Markup(
    '<p class="note" role="status">Trello is not answering. This is a copy from '
    "{time}; newer changes are missing here.</p>"
)
_AS_OF = Markup(" · as of {time}")
_AT_TRELLO = Markup(' · <a href="{url}" rel="noopener noreferrer">Open in Trello</a>')
_DATA = Markup(' · <a href="/{section}/{short_link}.json">As JSON</a>')
_LABEL = Markup(
    '<span class="label"><span class="dot {label.color}"></span><bdi>{label.name}</bdi></span>'
)
_DUE = Markup('<span class="due {state}">{date}{text}</span>')
_DUE_TEXTS = {"done": ", done", "overdue": ", overdue", "open": ""}


def stale_note(context: PageContext) -> Markup:
    """A note if the shown responses are stale."""
    if not context.is_stale:
        return EMPTY
    return _STALE.format(time=time_html(context.known_at, context.now))


def source_html(url: str, section: str, short_link: str, context: PageContext) -> Markup:
    """The age of the data, and where else it is; `section` is `b` or `c`."""
    return (
        _AS_OF.format(time=time_html(context.known_at, context.now))
        + (_AT_TRELLO.format(url=url) if url else EMPTY)
        + (_DATA.format(section=section, short_link=short_link) if short_link else EMPTY)
    )


def labels_html(labels: Sequence[Label]) -> Markup:
    """Labels by name, with a dot in their colour."""
    return Markup(" ").join(_LABEL.format(label=label) for label in labels)


def due_html(card: Card, now: float) -> Markup:
    """The due date, and whether it is done or overdue; empty without one."""
    if card.due is None:
        return EMPTY
    is_overdue = card.due.timestamp() < now
    state = "done" if card.is_done else "overdue" if is_overdue else "open"
    return _DUE.format(state=state, text=_DUE_TEXTS[state], date=date_html(card.due))


_DOWNLOAD_ALL = Markup(
    '<p class="all-files"><a class="button" href="/{section}/{name}/files.zip" download>'
    "Download all (zip, {count})</a></p>\n"
)


def download_html(files: Iterable[File], section: str, short_link: str) -> Markup:
    """A link to an archive of all uploads; empty if there are none. `section` is `b` or `c`."""
    uploads = [file for file in files if file.is_upload]
    if not uploads or not short_link:
        return EMPTY
    size = size_text(sum(file.size_bytes or 0 for file in uploads))
    count = f"{counted(len(uploads), 'file')}, {size}"
    return _DOWNLOAD_ALL.format(section=section, name=short_link, count=count)


_FILES = Markup('<ul class="files">{}</ul>')
_FILE = Markup("""
<li class="file">{thumbnail}<div class="description">{name}
<p class="details">{details}</p></div>
<div class="actions">{actions}</div></li>""")
_NAME_LINK = Markup('<a class="name" href="{file.href}"{rel}{viewer}><bdi>{file.name}</bdi></a>')
_NAME_TEXT = Markup('<span class="name"><bdi>{file.name}</bdi></span>')
_VIEWER = Markup(' data-viewer="{}"')
_REL_EXTERNAL = Markup(' rel="noopener noreferrer"')
_BADGE = Markup('<span class="thumb" aria-hidden="true"><span>{file.badge}</span></span>')
_THUMBNAIL = Markup(
    '<a class="thumb" href="{file.href}" tabindex="-1" aria-hidden="true">'
    '<span>{file.badge}</span><img src="{file.thumbnail}" alt="" loading="lazy" decoding="async">'
    "</a>"
)
_DETAIL = Markup("<span>{}</span>")
_UPLOADER = Markup("<bdi>{}</bdi>")
_MALICIOUS = Markup("<strong>Trello marks it as malicious: it does not open here</strong>")
_DOWNLOAD = Markup(
    '<a class="button" href="{file.href}{separator}download" download>Download'
    '<span class="visually-hidden"> {file.name}</span></a>'
)


def files_html(files: Sequence[File], context: PageContext) -> Markup:
    """A list of files."""
    return _FILES.format(EMPTY.join(_file(file, context) for file in files))


def _file(file: File, context: PageContext) -> Markup:
    opens = bool(file.href) and not file.is_malicious
    rel = "" if file.is_upload else _REL_EXTERNAL
    viewer = _VIEWER.format(file.viewer) if file.viewer else ""
    return _FILE.format(
        thumbnail=(_THUMBNAIL if file.thumbnail else _BADGE).format(file=file),
        name=_NAME_LINK.format(file=file, rel=rel, viewer=viewer)
        if opens
        else _NAME_TEXT.format(file=file),
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
        details.append(_UPLOADER.format(file.uploader))
    moment = parse_time(file.date)
    if moment is not None:
        details.append(date_html(moment))
    return details


def _actions(file: File, context: PageContext) -> Markup:
    if not file.is_upload:
        return copy_button(file.href, f"to {file.name}")
    separator = "&" if "?" in file.href else "?"
    download = _DOWNLOAD.format(file=file, separator=separator)
    return download + copy_button(context.origin + file.href, f"to {file.name}")
