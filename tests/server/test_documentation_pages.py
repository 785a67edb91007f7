"""Documentation served at `/-/docs/`: HTML in a browser, Markdown for programs."""

import pytest

from proxy.cli.main import run
from proxy.fake_trello.server import FakeTrello
from proxy.pages.docs import NAMES
from tests.scenarios.page import BROWSER, Page
from tests.server.conftest import MakeProxy, Proxy

INDEX = "/-/docs/"


async def test_every_page_is_served_and_trello_is_not_contacted(
    proxy: Proxy, standin: FakeTrello
) -> None:
    for name in NAMES:
        response = await proxy.get(f"{INDEX}{name}")
        assert response.status == 200
        assert response.body.startswith(b"# ")
        assert b"<!--" not in response.body
    assert standin.request_log.total == 0


@pytest.mark.parametrize("name", NAMES)
async def test_a_page_is_whole_html_whose_links_lead_to_pages(proxy: Proxy, name: str) -> None:
    response = await proxy.get(f"{INDEX}{name}", BROWSER)
    assert response.fields["content-type"] == "text/html; charset=utf-8"
    page = Page(response.body.decode())
    assert (page.faults, page.open) == ([], [])
    assert not [attributes for _, attributes in page.elements if "style" in attributes]
    links = [attributes["href"] for attributes in page.all("a")]
    relative = [link for link in links if "://" not in link and not link.startswith(("/", "#"))]
    assert not [link for link in relative if link.partition("#")[0] not in NAMES]


async def test_a_link_to_a_section_finds_it(proxy: Proxy) -> None:
    page = (await proxy.get(f"{INDEX}http", BROWSER)).body.decode()
    assert 'href="security#the-operator"' in page
    assert 'id="the-operator"' in (await proxy.get(f"{INDEX}security", BROWSER)).body.decode()


async def test_the_index_lists_every_page(proxy: Proxy) -> None:
    for path in (INDEX, "/-/docs"):
        page = (await proxy.get(path, BROWSER)).body.decode()
        assert not [name for name in NAMES if f'href="{INDEX}{name}"' not in page]
        text = (await proxy.get(path)).body.decode()
        assert [line.split()[0] for line in text.splitlines()] == list(NAMES)


async def test_a_file_name_is_markdown_in_a_browser_too(proxy: Proxy) -> None:
    response = await proxy.get(f"{INDEX}freshness.md", BROWSER)
    assert response.fields["content-type"] == "text/plain; charset=utf-8"
    assert response.body.startswith(b"# Freshness")


async def test_pages_are_read_only_and_unknown_ones_do_not_exist(proxy: Proxy) -> None:
    assert (await proxy.ask("POST", f"{INDEX}http")).status == 405
    assert (await proxy.get(f"{INDEX}nothing")).status == 404


async def test_the_operators_own_listener_serves_them_too(
    make_proxy: MakeProxy, standin: FakeTrello
) -> None:
    proxy = await make_proxy(standin.url, "admin: {listen: '127.0.0.1:0'}")
    response = await proxy.ask("GET", INDEX, port=proxy.app.admin_port)
    assert response.status == 200


def test_the_command_prints_pages_and_their_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["docs"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(NAMES)
    assert run(["docs", "limits-and-failures"]) == 0
    assert capsys.readouterr().out.startswith("# Limits and failures\n")


async def test_the_runbook_has_a_section_for_each_alert(proxy: Proxy) -> None:
    page = await proxy.get("/-/runbook", {"Accept": "text/html"})
    assert page.status == 200
    assert b'id="trelloproxydown"' in page.body
    assert (await proxy.get("/-/runbook")).body.startswith(b"# Alerts\n")
