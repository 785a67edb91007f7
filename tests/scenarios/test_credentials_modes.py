"""Credentials a client brings, from six places, in three modes (D3)."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    DELIBERATE,
    KEY,
    OTHER_KEY,
    OTHER_TOKEN,
    TOKEN,
    Heard,
    Proxy,
    StartProxy,
)

ME = "/1/members/me?fields=username"


@dataclass(frozen=True)
class Carried:
    """A request for `me`, and how it carries a key and a token."""

    place: str
    """What a refusal calls it."""
    target: str = ME
    options: Callable[[str, str], dict[str, Any]] = lambda _, __: {}

    async def ask(self, proxy: Proxy, key: str, token: str) -> Heard:
        target = self.target.replace("{key}", key).replace("{token}", token)
        return await proxy.get(target, **self.options(key, token))


def _headers(value: str) -> Callable[[str, str], dict[str, Any]]:
    def options(key: str, token: str) -> dict[str, Any]:
        text = value.replace("{key}", key).replace("{token}", token)
        return {"headers": {"Authorization": text}}

    return options


def _form(key: str, token: str) -> dict[str, Any]:
    return {"data": {"key": key, "token": token}}


def _json(key: str, token: str) -> dict[str, Any]:
    return {"json": {"token": token, "x": 1, "key": key}}


def _untyped_json(key: str, token: str) -> dict[str, Any]:
    body = json.dumps({"key": key, "token": token}).encode()
    return {"data": body, "skip_auto_headers": ("Content-Type",)}


def _multipart(key: str, token: str) -> dict[str, Any]:
    parts = {"key": key, "x": "1", "token": token}
    body = "".join(
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in parts.items()
    )
    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    return {"data": f"{body}--edge--\r\n".encode(), "headers": headers}


_PLAIN = 'OAuth oauth_consumer_key="{key}", oauth_token="{token}"'
_SIGNED = (
    'OAuth oauth_consumer_key="{key}",oauth_nonce="1",oauth_signature="x%3D",'
    'oauth_signature_method="HMAC-SHA1",oauth_timestamp="1",oauth_token="{token}"'
)
_TOKENS_MEMBER = "/1/tokens/{token}/member?fields=username"
PLACES = {
    "the query": Carried("query", f"{ME}&key={{key}}&token={{token}}"),
    "the query, names encoded": Carried("query", f"{ME}&%6bey={{key}}&tok%65n={{token}}"),
    "the query, OAuth's names": Carried(
        "query", f"{ME}&oauth_consumer_key={{key}}&oauth_token={{token}}"
    ),
    "a form": Carried("form", options=_form),
    "JSON": Carried("json", options=_json),
    "JSON without its type": Carried("json", options=_untyped_json),
    "multipart": Carried("multipart", options=_multipart),
    "the header": Carried("header", options=_headers(_PLAIN)),
    "the header, signed": Carried("header", options=_headers(_SIGNED)),
}
IN_PATH = Carried("path", _TOKENS_MEMBER)
IN_BATCH = Carried("batch", "/1/batch?urls=/members/me%3Fkey%3D{key}%26token%3D{token}")
_EVERYWHERE = {**PLACES, "the path": IN_PATH, "a batch's URL": IN_BATCH}


@pytest.fixture
def sam(standin: FakeTrello) -> str:
    """The id of another member, who has a key and a token too."""
    member = standin.trello.add_member("sam", "Sam Stranger")
    standin.trello.add_token(OTHER_TOKEN, member, key=OTHER_KEY)
    return member


def _username(heard: Heard) -> str:
    found = heard.json[0]["200"] if isinstance(heard.json, list) else heard.json
    return str(found["username"])


@pytest.mark.parametrize("carried", _EVERYWHERE.values(), ids=_EVERYWHERE.keys())
async def test_replace_answers_in_the_stored_name_whatever_is_carried(
    proxy: Proxy, standin: FakeTrello, sam: str, carried: Carried
) -> None:
    for key, token in (("dummy", "dummy"), (OTHER_KEY, OTHER_TOKEN)):
        heard = await carried.ask(proxy, key, token)
        assert (heard.status, _username(heard)) == (200, "demo")
        assert {seen.credential for seen in standin.request_log.requests} == {"header"}


@pytest.mark.parametrize("carried", PLACES.values(), ids=PLACES.keys())
async def test_forward_moves_the_clients_own_pair_into_the_header(
    start_proxy: StartProxy, standin: FakeTrello, sam: str, carried: Carried
) -> None:
    proxy = await start_proxy(clients={"credentials": "forward"})
    heard = await carried.ask(proxy, OTHER_KEY, OTHER_TOKEN)
    assert (heard.status, heard.json) == (200, {"id": sam, "username": "sam"})
    (seen,) = standin.request_log.requests
    assert (seen.credential, seen.query.removesuffix("&x=1")) == ("header", "fields=username")
    assert (await carried.ask(proxy, OTHER_KEY, OTHER_TOKEN)).cache == "hit; ttl=300"
    refused = await carried.ask(proxy, "dummy", "dummy")
    assert (refused.status, refused.body) == (401, b"invalid key")


@pytest.mark.parametrize("carried", _EVERYWHERE.values(), ids=_EVERYWHERE.keys())
async def test_reject_answers_400_and_says_what_to_change(
    start_proxy: StartProxy, standin: FakeTrello, carried: Carried
) -> None:
    proxy = await start_proxy(clients={"credentials": "reject"})
    heard = await carried.ask(proxy, "dummy", "dummy")
    assert (heard.status, heard.problem) == (400, "credential-rejected")
    assert f"Remove the key and token from the {carried.place}" in heard.json["detail"]
    assert "dummy" not in heard.body.decode()
    assert standin.request_log.total == 0


NO_CREDENTIAL: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a script's null": {"headers": {"Authorization": "null"}},
    "an empty header": {"headers": {"Authorization": ""}},
    "a body with other things": {"json": {"x": "key=1&token=2"}},
}


@pytest.mark.parametrize("options", NO_CREDENTIAL.values(), ids=NO_CREDENTIAL.keys())
@pytest.mark.parametrize("mode", ["replace", "forward", "reject"])
async def test_who_brings_none_is_answered_in_the_stored_name(
    start_proxy: StartProxy, mode: str, options: dict[str, Any]
) -> None:
    proxy = await start_proxy(clients={"credentials": mode})
    heard = await proxy.get(ME, **options)
    assert (heard.status, heard.json["username"]) == (200, "demo")


async def test_where_a_path_needs_a_token_a_dash_stands_for_it(start_proxy: StartProxy) -> None:
    proxy = await start_proxy(clients={"credentials": "reject"})
    heard = await proxy.get("/1/tokens/-/member?fields=username")
    assert (heard.status, heard.json["username"]) == (200, "demo")


async def test_in_forward_mode_a_path_is_sent_as_it_came(
    start_proxy: StartProxy, standin: FakeTrello, sam: str
) -> None:
    proxy = await start_proxy(clients={"credentials": "forward"})
    pair = f"key={OTHER_KEY}&token={OTHER_TOKEN}"
    heard = await proxy.get(f"/1/tokens/{OTHER_TOKEN}/member?fields=username&{pair}")
    assert (heard.status, heard.json["username"]) == (200, "sam")
    alone = await proxy.get(f"/1/tokens/{OTHER_TOKEN}/member?fields=username")
    assert alone.status == 401


async def test_forward_keeps_a_share_of_the_cache_for_each_credential(
    start_proxy: StartProxy, standin: FakeTrello, sam: str
) -> None:
    proxy = await start_proxy(clients={"credentials": "forward"})
    sams = {"headers": {"Authorization": _PLAIN.format(key=OTHER_KEY, token=OTHER_TOKEN)}}
    for options, name in (({}, "demo"), (sams, "sam"), ({}, "demo"), (sams, "sam")):
        assert (await proxy.get(ME, **options)).json["username"] == name
    assert standin.request_log.total == 2
    in_query = f"{ME}&key={OTHER_KEY}&token={OTHER_TOKEN}"
    assert (await proxy.get(in_query)).cache == "hit; ttl=300"
    stored_pair = await proxy.get(f"{ME}&key={KEY}&token={TOKEN}")
    assert (stored_pair.cache, stored_pair.json["username"]) == ("hit; ttl=300", "demo")
    for half in (f"key={OTHER_KEY}", f"token={OTHER_TOKEN}", f"key={KEY}&token={OTHER_TOKEN}"):
        assert (await proxy.get(f"{ME}&{half}")).status == 401


async def test_forward_invalidates_for_everybody_what_one_of_them_wrote(
    start_proxy: StartProxy, standin: FakeTrello, board: str, sam: str
) -> None:
    standin.trello.edit("PUT", f"/1/boards/{board}/members/{sam}", {"type": "normal"})
    proxy = await start_proxy(clients={"credentials": "forward"})
    await proxy.get(f"/1/boards/{board}")
    pair = f"key={OTHER_KEY}&token={OTHER_TOKEN}"
    written = await proxy("PUT", f"/1/boards/{board}?{pair}&name=Sams")
    assert written.status == 200
    assert (await proxy.get(f"/1/boards/{board}")).json["name"] == "Sams"


async def test_a_clients_broken_token_is_its_own_trouble(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, sam: str
) -> None:
    proxy = await start_proxy(clients={"credentials": "forward"})
    target = f"{ME}&key={OTHER_KEY}&token={OTHER_TOKEN}"
    await proxy.get(target)
    standin.trello.revoke(OTHER_TOKEN)
    clock.advance(3600)
    heard = await proxy.get(target)
    assert (heard.status, heard.body) == (401, b"invalid token")


TRIES = {
    "plainly": ("DELETE", "/1/tokens/{token}"),
    "by any name": ("DELETE", "/1/tokens/anything"),
    "by the placeholder": ("DELETE", "/1/tokens/-"),
    "in the singular": ("DELETE", "/1/token/{token}"),
    "in capitals": ("DELETE", "/1/TOKENS/{token}"),
    "with slashes": ("DELETE", "/1//tokens//x/"),
    "letters encoded": ("DELETE", "/1/%74okens/x"),
    "with its pair": ("DELETE", "/1/tokens/{token}?key={key}&token={token}"),
    "through a GET": ("GET", "/1/tokens/x?_method=DELETE"),
    "through a GET, name encoded": ("GET", "/1/tokens/x?%5fmethod=delete"),
    "through a HEAD": ("HEAD", "/1/tokens/x?_method=DELETE"),
    "through a POST": ("POST", "/1/tokens/x?_method=DELETE"),
    "through a PUT": ("PUT", "/1/tokens/x?_method=DELETE"),
    "by a path nobody knows": ("POST", "/1/tokens/x/revoke"),
}


@pytest.mark.parametrize(("method", "target"), TRIES.values(), ids=TRIES.keys())
async def test_no_client_can_revoke_the_stored_token(
    proxy: Proxy, standin: FakeTrello, method: str, target: str
) -> None:
    path = target.replace("{key}", KEY).replace("{token}", TOKEN)
    heard = await proxy(method, path, headers=DELIBERATE)
    assert heard.status == 403
    assert method == "HEAD" or heard.problem == "token-protected"
    assert standin.request_log.total == 0
    assert TOKEN in standin.trello.tokens


async def test_a_path_with_a_token_tells_of_the_stored_one_and_never_shows_it(
    proxy: Proxy, standin: FakeTrello
) -> None:
    for path in ("/1/tokens/anything", "/1/token/{token}", "/1/tokens/-", "/1/tokens/a?fields=all"):
        heard = await proxy.get(path.replace("{token}", TOKEN))
        assert (heard.status, heard.json["identifier"]) == (200, "trello-proxy demo")
        assert TOKEN.encode() not in heard.body
        assert KEY.encode() not in heard.body
    assert {seen.path for seen in standin.request_log.requests} == {"/1/tokens/***"}


async def test_in_forward_mode_a_token_of_ones_own_can_be_revoked(
    start_proxy: StartProxy, standin: FakeTrello, sam: str
) -> None:
    proxy = await start_proxy(clients={"credentials": "forward"})
    stored = await proxy("DELETE", f"/1/tokens/{TOKEN}")
    assert stored.status == 401
    pair = f"key={OTHER_KEY}&token={OTHER_TOKEN}"
    assert (await proxy("DELETE", f"/1/tokens/{OTHER_TOKEN}?{pair}")).status == 200
    assert set(standin.trello.tokens) == {TOKEN}
