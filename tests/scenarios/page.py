"""HTML pages parsed as a browser gets them, without a browser."""

from html.parser import HTMLParser

from tests.scenarios.conftest import Heard, Proxy

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
_VOID = {"meta", "link", "input", "img", "br"}


class Page(HTMLParser):
    """A parsed page: elements with their attributes, and all text."""

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
        """Link targets of the file names."""
        return [a["href"] for a in self.all("a") if a.get("class") == "name"]


def page_of(response: Heard) -> Page:
    """The page, after checks that hold for every page."""
    assert response.fields["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.fields["Content-Security-Policy"]
    assert response.fields["X-Content-Type-Options"] == "nosniff"
    page = Page(response.body.decode())
    assert (page.faults, page.open) == ([], [])
    assert not [a for _, attributes in page.elements for a in attributes if a.startswith("on")]
    assert not page.all("script", src="") or all("src" in a for a in page.all("script"))
    assert not [a for _, a in page.elements if "style" in a]
    return page


class Browser:
    """Requests pages of a proxy as a browser does."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    async def __call__(self, target: str, status: int = 200) -> Page:
        response = await self._proxy.get(target, headers=BROWSER)
        assert response.status == status
        return page_of(response)
