"""Markdown of users becomes harmless HTML."""

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.links.rewrite import LinkRewriter
from proxy.pages.format import clean_text
from proxy.pages.user_markdown import MAX_FORMATTED_CHARS, UserMarkdown

URL = "http://trello.internal"
LINKS = LinkRewriter(URL)
FILE = f"/1/cards/{'5f1a' * 6}/attachments/{'6b2c' * 6}/download/x.png"


def html(text: str) -> str:
    return str(UserMarkdown(LINKS, 0.0).html(text))


FORMATTED = {
    "bold": ("**x**", "<strong>x</strong>"),
    "struck": ("~~x~~", "<s>x</s>"),
    "a heading below the page's own": ("# x", "<h3>x</h3>"),
    "a deep heading": ("###### x", "<h6>x</h6>"),
    "a line break": ("a\nb", "a<br />\nb"),
    "a list": ("- x", "<li>x</li>"),
    "code": ("`<b>`", "<code>&lt;b&gt;</code>"),
}


@pytest.mark.parametrize(("text", "shown"), FORMATTED.values(), ids=FORMATTED.keys())
def test_it_is_formatted(text: str, shown: str) -> None:
    assert shown in html(text)


REL = 'rel="nofollow noopener noreferrer"'
LINKED = {
    "a link": ("[x](https://a.example/)", f'<a href="https://a.example/" {REL}>x</a>'),
    "a bare address": ("see https://a.example/x.", f'<a href="https://a.example/x" {REL}>'),
    "an address in brackets": ("<https://a.example>", f'<a href="https://a.example" {REL}>'),
    "mail": ("[x](mailto:a@a.example)", f'<a href="mailto:a@a.example" {REL}>x</a>'),
    "a card": ("[x](https://trello.com/c/AbCd1234/1-x)", f'<a href="/c/AbCd1234/1-x" {REL}>x</a>'),
    "a board": ("https://trello.com/b/AbCd1234", f'<a href="/b/AbCd1234" {REL}>'),
    "a file": (f"[x](https://trello.com{FILE})", f'<a href="{FILE}" {REL}>x</a>'),
    "a file by the proxy's link": (f"[x]({URL}{FILE})", f'<a href="{FILE}" {REL}>x</a>'),
}


@pytest.mark.parametrize(("text", "shown"), LINKED.values(), ids=LINKED.keys())
def test_a_link_leads_where_it_says_or_to_the_page_here(text: str, shown: str) -> None:
    assert shown in html(text)


UNLINKED = [
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java&#115;cript:alert(1))",
    "[x](&#x6A;avascript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](vbscript:x)",
    "[x](//evil.example)",
    "[x](/1/boards)",
    "[x](file:///etc/passwd)",
    "[x][1]\n\n[1]: javascript:alert(1)",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml,<svg/onload=alert(1)>)",
]


@pytest.mark.parametrize("text", UNLINKED)
def test_any_other_address_is_text(text: str) -> None:
    shown = html(text)
    assert "<a" not in shown
    assert "<img" not in shown


def test_an_attachments_image_is_shown_by_the_proxys_address() -> None:
    for origin in ("https://trello.com", URL):
        assert f'<img src="{FILE}" alt="x" loading="lazy"' in html(f"![x]({origin}{FILE})")


@pytest.mark.parametrize(
    "source", ["https://evil.example/x.png", f"https://evil.example{FILE}", "//evil.example/x.png"]
)
def test_no_image_is_loaded_from_another_site(source: str) -> None:
    assert "<img" not in html(f"![x]({source})")
    assert "<img" not in html(f"[![x]({source})](https://a.example)")


@pytest.mark.parametrize(
    "path",
    [
        f"/{FILE}",
        f"{FILE}/../../../../../../../b/AbCd1234/files.zip",
        f"{FILE}/%2E%2e/x",
        f"{FILE}/..",
    ],
)
def test_no_image_leads_out_of_its_file(path: str) -> None:
    """A browser resolves `..` and `//` before it requests anything."""
    assert "<img" not in html(f"![x](https://trello.com{path})")
    assert f'href="https://trello.com{path}"' in html(f"[x](https://trello.com{path})")
    assert 'href="https://trello.com/c/AbCd1234/..' in html("https://trello.com/c/AbCd1234/../x")


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src"}]


ALLOWED = set("a p br em strong s code pre ul ol li blockquote hr h3 h4 h5 h6 img".split())  # noqa: SIM905
PARTS = ["<script>", "<img src=x onerror=y>", "](", "[", "!", "javascript:x", "https://a.example/"]
PARTS += ["`", "\n", "\n\n", "&#x6a;", "&lt;", '"', "'", ")", "**", "- ", "# ", "<!--", "\\", " "]
PARTS += ["https://trello.com/c/AbCd1234/", f"https://trello.com{FILE}", "> ", "<a href='", ":"]


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=3)).map("".join))
def test_no_text_makes_another_tag_attribute_or_address(text: str) -> None:
    tags = Tags(html(text))
    assert tags.seen <= ALLOWED
    assert tags.attributes <= {"href", "rel", "src", "alt", "loading", "decoding", "start", "class"}
    for each in tags.addresses:
        assert each.startswith(("https://", "http://", "mailto:", "/c/", "/b/", "/1/cards/")), each


REORDERING = [
    "&#x202e;gnp.exe",
    "[&#8238;a](https://a.example)",
    "`a`&#x2067;",
    "&#x85;",
    "# &#x2066;",
]


@pytest.mark.parametrize("text", REORDERING)
def test_no_entity_reorders_or_controls_the_text_behind_it(text: str) -> None:
    assert html(text) == clean_text(html(text))


def test_what_goes_beyond_the_limit_is_plain_text() -> None:
    markdown = UserMarkdown(LINKS, 0.0)
    first = markdown.html("**a**" + "x" * (MAX_FORMATTED_CHARS - 10))
    assert first.startswith("<p><strong>")
    assert markdown.html("**a** <b>") == '<p class="plain-text">**a** &lt;b&gt;</p>'


SLOW = ["[", "![", "[*a](_"]


def test_hostile_markdown_is_rendered_in_bounded_time() -> None:
    for part in SLOW:
        started = time.process_time()
        html((part * MAX_FORMATTED_CHARS)[:16384])
        assert time.process_time() - started < 3, part
