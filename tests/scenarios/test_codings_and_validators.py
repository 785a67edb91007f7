"""Codings, validators, and the same bytes asked again (RFC 9110 §8.4, §8.8, §12.5.3)."""

import gzip
from pathlib import Path

import aiohttp

from proxy.fake_trello.server import FakeTrello
from tests.scenarios.conftest import (
    KEY,
    TOKEN,
    Proxy,
    StartProxy,
)

TAKES_GZIP = ("gzip", "GZIP, br", "deflate, gzip;q=0.5", "*", "x-gzip", "gzip;q=1.0, *;q=0")
TAKES_NONE = (None, "", "identity", "br, deflate", "gzip;q=0", "gzip; q=0.000, *", "*;q=0", "gzipx")


def _accepting(accepted: str | None) -> dict[str, str]:
    return {} if accepted is None else {"Accept-Encoding": accepted}


async def _from_trello(fake_trello: FakeTrello, path: str) -> bytes:
    """The gzip bytes that Trello sends."""
    headers = {
        "Authorization": f'OAuth oauth_consumer_key="{KEY}", oauth_token="{TOKEN}"',
        "Accept-Encoding": "gzip",
    }
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(fake_trello.url + path, headers=headers) as response,
    ):
        return await response.read()


async def test_gzip_is_kept_as_it_came_and_served_to_who_accepts_identity_to_others(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    proxy = await start_proxy(links={"rewrite": False})
    path = f"/1/boards/{board}/cards"
    sent = await _from_trello(standin, path)
    standin.request_log.reset()
    for accepted in (*TAKES_NONE[:2], *TAKES_GZIP, *TAKES_NONE):
        heard = await proxy.get(path, headers=_accepting(accepted))
        coded = accepted in TAKES_GZIP
        assert heard.body == (sent if coded else gzip.decompress(sent)), accepted
        assert heard.fields.get("Content-Encoding") == ("gzip" if coded else None)
        assert heard.fields.getall("Vary") == ["Accept-Encoding"]
        assert heard.fields["Content-Length"] == str(len(heard.body))
    assert standin.request_log.total == 1
    assert standin.request_log.requests[-1].fields["accept-encoding"] == "gzip"


async def test_what_trello_sent_plain_stays_plain(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    for _ in range(2):
        heard = await proxy.get(f"/1/boards/{board}?fields=id", headers=_accepting("gzip"))
        assert heard.json == {"id": board}
        assert "Content-Encoding" not in heard.fields


async def test_strong_etags_differ_per_coding(proxy: Proxy, board: str) -> None:
    path = f"/1/boards/{board}"
    plain = await proxy.get(path)
    coded = await proxy.get(path, headers=_accepting("gzip"))
    tags = {plain.fields["ETag"], coded.fields["ETag"]}
    assert len(tags) == 2
    assert not [tag for tag in tags if tag.startswith("W/")]
    held = coded.fields["ETag"]
    for accepted, status in (("gzip", 304), ("identity", 200)):
        headers = {**_accepting(accepted), "If-None-Match": held}
        assert (await proxy.get(path, headers=headers)).status == status


async def test_etags_are_the_same_on_two_instances(
    start_proxy: StartProxy, board: str, tmp_path: Path
) -> None:
    seen = []
    for name in ("one", "other"):
        proxy = await start_proxy(cache={"directory": str(tmp_path / name)})
        for accepted in ("gzip", None):
            heard = await proxy.get(f"/1/boards/{board}", headers=_accepting(accepted))
            seen.append(heard.fields["ETag"])
    assert seen[:2] == seen[2:]
    assert len(set(seen)) == 2
