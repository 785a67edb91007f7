"""Documentation: the Markdown pages of `proxy/docs`, as HTML and as text (D52). Pure."""

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

from proxy.pages.layout import page

if TYPE_CHECKING:
    from markdown_it.token import Token

URL = "/-/docs/"
RUNBOOK = "/-/runbook"
"""Where alerts lead: the page `alerts`."""
NAMES = (
    "clients",
    "http",
    "freshness",
    "attachments",
    "pages",
    "limits-and-failures",
    "metrics",
    "alerts",
    "log",
    "security",
    "scopes",
    "fleet",
    "workers",
    "configuration",
    "decisions",
    "architecture",
)
"""Pages in reading order."""
_MARKER = re.compile(r"(?m)^<!--.*-->\n")
"""Around a generated table."""
_ITEM = Markup('<li><a href="{url}">{title}</a></li>')
_INDEX = Markup("""<h1>Documentation</h1>
<section class="panel"><ul class="plain">
{items}
</ul></section>""")
_ARTICLE = Markup("""<nav><a href="{url}">Documentation</a></nav>
<article class="docs">
{text}</article>""")
_SCROLL = '<div class="scroll" tabindex="0"><table>'
_LINK = re.compile(r"([a-z-]+)\.md(#[\w-]+)?|#[\w-]+")


@cache
def markdown(name: str) -> str:
    """The source of one of NAMES."""
    text = (files("proxy") / "docs" / f"{name}.md").read_text("utf-8")
    return _MARKER.sub("", text)


def title(name: str) -> str:
    """The first heading."""
    return markdown(name).partition("\n")[0].removeprefix("# ")


def docs_index_page() -> bytes:
    """The list of pages as HTML."""
    items = (_ITEM.format(url=URL + name, title=title(name)) for name in NAMES)
    return page("Documentation", _INDEX.format(items=Markup("\n").join(items)))


def docs_index_text() -> str:
    """The list of pages for a terminal."""
    width = max(map(len, NAMES))
    return "".join(f"{name:{width}}  {title(name)}\n" for name in NAMES)


@cache
def docs_page(name: str) -> bytes:
    """One of NAMES as HTML; takes some 20 ms the first time."""
    return page(title(name), _ARTICLE.format(url=URL, text=_html(markdown(name))))


def _html(text: str) -> Markup:
    """CommonMark with tables, headings with ids as on code hosts; raw HTML is shown as text."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 — rarely needed, and not small

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and following is not None:
            token.attrSet("id", anchor_of(following.content))
        if token.children:
            token.children = _with_own_links(token.children)
    html = parser.renderer.render(tokens, parser.options, {})
    html = html.replace("<table>", _SCROLL).replace("</table>", "</table></div>")
    return Markup(html)  # noqa: S704 — escaped by it


def anchor_of(heading: str) -> str:
    """The fragment by which code hosts link to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _with_own_links(tokens: "list[Token]") -> "list[Token]":
    """Links between pages lead to pages; text remains of links to files that are not served."""
    shown, is_dropped = list["Token"](), False
    for token in tokens:
        if token.type == "link_open":
            href = str(token.attrGet("href"))
            token.attrSet("href", href.replace(".md", "", 1) if _LINK.fullmatch(href) else href)
            is_dropped = not _LINK.fullmatch(href) and "://" not in href
        if not (is_dropped and token.type in {"link_open", "link_close"}):
            shown.append(token)
    return shown
