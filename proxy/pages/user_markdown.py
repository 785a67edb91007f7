"""Markdown that users wrote, as HTML: no tag, script, style or address of theirs but links (D70).

CommonMark without HTML, by markdown-it-py; headings are moved below those of the page. A link
leads to http, https or mailto only; one to a card or board leads to its page here. An image is
shown if it is an attachment, by the proxy's own address; any other is a link: opening a page must
not make the reader's browser report to another site.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from markupsafe import Markup, escape

from proxy.links.paste import PAGE_PATH, is_trello
from proxy.links.rewrite import LinkRewriter, file_in_path
from proxy.pages.format import clean_text
from proxy.pages.layout import EMPTY

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MAX_FORMATTED_CHARS = 32_768
"""Of one page; the rest is shown as plain text, since hostile text takes 20 ms for each 1,000."""
_SCHEMES = ("http://", "https://", "mailto:")
_REL = "nofollow noopener noreferrer"
_BARE_URL = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_RELATIVE = re.compile(r"//|/(?:\.|%2e){1,2}(?:/|\Z)", re.IGNORECASE)
"""In a path that a browser reads as another one: of another host, or as a page of the proxy's."""
_TRAILING = ".,;:!?'*_~)"
_PLAIN = Markup('<p class="plain-text">{}</p>')
_TOP_HEADING = 3
"""Level of a heading of the first level in a description."""


class UserMarkdown:
    """Renders the Markdown of one page, up to MAX_FORMATTED_CHARS of it."""

    def __init__(self, links: LinkRewriter, now: float) -> None:
        """`now`: POSIX seconds, for signatures."""
        self._links = links
        self._now = now
        self._left_chars = MAX_FORMATTED_CHARS

    def html(self, text: str) -> Markup:
        """The text as HTML."""
        self._left_chars -= len(text)
        if self._left_chars < 0:
            return _PLAIN.format(text)
        parser = _parser()
        tokens = parser.parse(text)
        for token in tokens:
            if token.type in {"heading_open", "heading_close"}:
                token.tag = f"h{min(6, int(token.tag[1:]) + _TOP_HEADING - 1)}"
            if token.children:
                token.children = list(self._safe(token.children))
        html = parser.renderer.render(tokens, parser.options, {})
        return Markup(clean_text(html))  # noqa: S704 — escaped by it; entities are decoded

    def _safe(self, tokens: "list[Token]") -> "Iterator[Token]":
        """The inline tokens with safe links and images, and bare URLs as links."""
        is_linked = False
        for token in tokens:
            if token.type == "link_open":
                href = self.href(str(token.attrGet("href")))
                is_linked = bool(href)
                token.attrs = {"href": href, "rel": _REL}
                if href:
                    yield token
            elif token.type == "link_close":
                if is_linked:
                    yield token
                is_linked = False
            elif token.type == "image":
                yield from self._image(token, is_linked=is_linked)
            elif token.type == "text" and not is_linked:
                yield from self._with_links(token.content)
            else:
                yield token

    def href(self, url: str) -> str:
        """The address to link to; empty if it must not be linked."""
        if not url.lower().startswith(_SCHEMES):
            return ""
        return self._own_path(url) or url

    def _own_path(self, url: str) -> str:
        """The path here of a card, a board or an attachment; empty for anything else."""
        try:
            split = urlsplit(url)
            host = split.hostname or ""
        except ValueError:
            return ""
        is_ours = is_trello(host) or self._links.is_own_host(host)
        if not is_ours or _RELATIVE.search(split.path):
            return ""
        if page := PAGE_PATH.match(split.path):
            return page[0]
        file = file_in_path(split.path)
        return self._links.href(file, split.path, self._now) if file is not None else ""

    def _image(self, image: "Token", *, is_linked: bool) -> "Iterator[Token]":
        source = str(image.attrGet("src"))
        text = image.content or "image"
        path = self._own_path(source)
        if file_in_path(path.partition("?")[0]) is not None:
            markup = _IMAGE.format(path=path, text=text)
        elif not is_linked and (href := self.href(source)):
            markup = _LINK.format(href=href, rel=_REL, text=text)
        else:
            markup = escape(text)
        yield _html_token(markup)

    def _with_links(self, text: str) -> "Iterator[Token]":
        at, markup = 0, EMPTY
        for found in _BARE_URL.finditer(text):
            url = found[0].rstrip(_TRAILING)
            markup += escape(text[at : found.start()])
            markup += _LINK.format(href=self.href(url), rel=_REL, text=url)
            at = found.start() + len(url)
        yield _html_token(markup + escape(text[at:]))


_IMAGE = Markup('<img src="{path}" alt="{text}" loading="lazy" decoding="async">')
_LINK = Markup('<a href="{href}" rel="{rel}">{text}</a>')


def _html_token(markup: Markup) -> "Token":
    from markdown_it.token import Token  # noqa: PLC0415 — as below

    return Token("html_inline", "", 0, content=str(markup))


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # noqa: PLC0415 — not needed at start-up, and not small

    return MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("strikethrough")
