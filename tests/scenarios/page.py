"""A page as a browser gets it, read without one."""

from html.parser import HTMLParser

from tests.scenarios.conftest import Heard, Proxy

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
_VOID = {"meta", "link", "input", "img", "br"}


class Page(HTMLParser):
    """A page that was read: elements with their attributes, and all its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.text = ""
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        return [a for name, a in self.elements if name == tag and wanted.items() <= a.items()]

    @property
    def names(self) -> list[str]:
        """Where the files' names lead."""
        return [a["href"] for a in self.all("a") if a.get("class") == "name"]


def page_of(heard: Heard) -> Page:
    assert heard.fields["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in heard.fields["Content-Security-Policy"]
    assert heard.fields["X-Content-Type-Options"] == "nosniff"
    read = Page(heard.body.decode())
    assert (read.faults, read.open) == ([], [])
    assert not [a for _, attributes in read.elements for a in attributes if a.startswith("on")]
    assert not read.all("script", src="") or all("src" in a for a in read.all("script"))
    assert not [a for _, a in read.elements if "style" in a]
    return read


class Browser:
    """Reads pages of a proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    async def __call__(self, target: str, status: int = 200) -> Page:
        heard = await self._proxy.get(target, headers=BROWSER)
        assert heard.status == status
        return page_of(heard)
