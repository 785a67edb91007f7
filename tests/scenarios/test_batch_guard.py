"""A batch holds reads and nothing else, in every mode, whoever asks and however it is encoded."""

import re
from itertools import product
from urllib.parse import quote

import pytest

from proxy.fake_trello.server import FakeTrello
from tests.scenarios.conftest import (
    DELIBERATE,
    OTHER_KEY,
    OTHER_TOKEN,
    StartProxy,
)

WRITES = {
    "encoded once": "urls=/cards/{c}%3F_method%3DDELETE",
    "behind another parameter": "urls=/cards/{c}?a=1&_method=DELETE",
    "encoded twice": "urls=/cards/{c}%253F_meth%256fd%253DDELETE",
    "a name encoded twice": "urls=/cards/{c}%3F_meth%256fd%3DDELETE",
    "an array": "urls[]=/cards/{c}?_method=DELETE",
    "a numbered array": "urls[0]=/cards/{c}?_method[0]=DELETE",
    "another name": "URLS=/members/me,/cards/{c}?x=1&_METHOD=put",
    "a batch in a batch": "urls=/batch?urls=/cards/{c}%253F_method%253DDELETE",
    "a JSON list": 'urls=["/cards/{c}?_method=DELETE"]',
    "behind a list": "urls=/members/me&urls=/cards/{c}?_method=DELETE",
}
SENDERS: dict[str, dict[str, str]] = {
    "a program": {},
    "a program that says so": DELIBERATE,
    "a link": {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"},
}


@pytest.mark.parametrize("writes", ["deny", "allow", "all"])
async def test_no_batch_writes(
    start_proxy: StartProxy, standin: FakeTrello, card: str, writes: str
) -> None:
    proxy = await start_proxy(f"clients: {{writes: {writes}}}")
    for (name, query), (sender, fields) in product(WRITES.items(), SENDERS.items()):
        heard = await proxy.get(f"/1/batch?{query.format(c=card)}", headers=fields)
        assert heard.status == 403, (name, sender)
        assert b"A GET may not write here" in heard.body, (name, sender)
    assert standin.request_log.total == 0


async def test_no_batch_writes_in_a_clients_own_name(
    start_proxy: StartProxy, standin: FakeTrello, card: str
) -> None:
    proxy = await start_proxy("clients: {credentials: require}")
    own = f"&key={OTHER_KEY}&token={OTHER_TOKEN}"
    for query in WRITES.values():
        heard = await proxy.get(f"/1/batch?{query.format(c=card)}{own}")
        assert heard.problem == "tunnel-denied"
    assert standin.request_log.total == 0


@pytest.mark.parametrize("urls", ["/members/me?callback=show", "/members/me%253Fcallback%253Dx"])
async def test_no_batch_calls_a_script(
    start_proxy: StartProxy, standin: FakeTrello, urls: str
) -> None:
    proxy = await start_proxy("clients: {writes: all}")
    assert (await proxy.get(f"/1/batch?urls={urls}")).problem == "jsonp-denied"
    assert standin.request_log.total == 0
    allowed = await start_proxy("clients: {jsonp: allow}")
    assert (await allowed.get(f"/1/batch?urls={urls}")).problem == ""


FILES = [
    "/cards/{c}/attachments/{a}/download/x",
    "/card/{c}/attachments/{a}/download",
    "/cards/{c}/attachments/{a}/previews/p/download",
    "/cards/{c}/attachment/{a}/download;x",
]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("times", [0, 1, 2])
async def test_no_batch_opens_a_file_where_links_are_signed(
    start_proxy: StartProxy,
    standin: FakeTrello,
    card: str,
    file: str,
    times: int,
) -> None:
    signed = "clients: {writes: all}\nlinks: {sign: true, keys: [0123456789abcdef]}"
    proxy = await start_proxy(signed)
    urls = "/members/me," + file.format(c=card, a="5f1a5f1a5f1a5f1a5f1a5f1a")
    for _ in range(times):
        urls = quote(urls, safe="")
    assert (await proxy.get(f"/1/batch?urls={urls}")).problem == "link-not-signed"
    assert standin.request_log.total == 0


@pytest.mark.parametrize("writes", ["allow", "all"])
@pytest.mark.parametrize(
    "query", ["urls=/members/../webhooks/x", "urls=" + "/a" * 17, "urls=/members/%25252525252541"]
)
async def test_a_batch_that_cannot_be_read_is_refused(
    start_proxy: StartProxy, standin: FakeTrello, writes: str, query: str
) -> None:
    proxy = await start_proxy(f"clients: {{writes: {writes}}}")
    heard = await proxy.get(f"/1/batch?{query}")
    assert (heard.status, heard.problem, standin.request_log.total) == (400, "invalid-target", 0)
    assert re.search("urls=%2Fboards", heard.json["detail"])
