"""`clients.writes`: what clients may do in the stored account's name, over real sockets."""

from typing import Any
from urllib.parse import quote

import pytest

from proxy.fake_trello.server import FakeTrello
from tests.scenarios.conftest import (
    DELIBERATE,
    OTHER_KEY,
    OTHER_TOKEN,
    Proxy,
    StartProxy,
)

ALL = "clients: {writes: all}"
JSON = {"Content-Type": "application/json"}
NUMBER = b"1" * 4301
"""Longer than Python reads as an `int` (sys.set_int_max_str_digits)."""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=edge"}
PART = (
    b'--edge\r\nContent-Disposition: form-data; name="prefs/permissionLevel"\r\n\r\npublic\r\n'
    b"--edge--\r\n"
)

ADMINISTRATIVE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a token for an enterprise": ("POST", "/1/enterprises/x/tokens", {}),
    "a board's e-mail address": ("POST", "/1/boards/{b}/emailKey/generate", {}),
    "a board's calendar": ("POST", "/1/boards/{b}/calendarKey/generate", {}),
    "its addresses, read": ("GET", "/1/boards/{b}/myPrefs", {}),
    "its addresses, nested": ("GET", "/1/boards/{b}?fields=name&myPrefs=true", {}),
    "its addresses, in a batch": ("GET", "/1/batch?urls=/boards/{b}/myPrefs,/members/me", {}),
    "its addresses, in a batch that is not plain": (
        "GET",
        "/1/batch?urls=/boards/{b}%252FmyPrefs,/batch",
        {},
    ),
    "an invitation": ("PUT", "/1/boards/{b}/members?email=a@b.example&type=admin", {}),
    "a member": ("PUT", "/1/boards/{b}/members/{m}?type=admin", {}),
    "a membership": ("PUT", "/1/boards/{b}/memberships/{m}?type=admin", {}),
    "a webhook": ("POST", "/1/webhooks?idModel={b}&callbackURL=https://a.example/", {}),
    "a webhook of a token": ("POST", "/1/tokens/-/webhooks?idModel={b}", {}),
    "somebody's webhook": ("DELETE", "/1/webhooks/{m}", {}),
    "callback addresses, read": ("GET", "/1/tokens/-/webhooks", {}),
    "a board that is deleted": ("DELETE", "/1/boards/{b}", {}),
    "a workspace that is deleted": ("DELETE", "/1/organizations/{o}", {}),
    "an export": ("POST", "/1/boards/{b}/exports", {}),
    "the account's name": ("PUT", "/1/members/me?fullName=Nobody", {}),
    "who may see a board, in the query": (
        "PUT",
        "/1/boards/{b}?prefs/permissionLevel=public",
        {},
    ),
    "the same, in its path": ("PUT", "/1/boards/{b}/prefs/permissionLevel?value=public", {}),
    "the same, in a form": (
        "PUT",
        "/1/boards/{b}",
        {"data": "prefs_permissionLevel=public", "headers": FORM},
    ),
    "the same, in JSON": (
        "PUT",
        "/1/boards/{b}",
        {"json": {"prefs": {"permissionLevel": "public"}}},
    ),
    "the same, where it cannot be read": (
        "PUT",
        "/1/boards/{b}",
        {"data": PART, "headers": MULTIPART},
    ),
    "the same, tunnelled": (
        "GET",
        "/1/boards/{b}?_method=PUT&prefs/permissionLevel=public",
        {"headers": DELIBERATE},
    ),
    "the same, in JSON beside a number of 4,301 digits": (
        "PUT",
        "/1/boards/{b}",
        {"data": b'{"prefs":{"permissionLevel":"public"},"a":%b}' % NUMBER, "headers": JSON},
    ),
    "the same, in a list": (
        "PUT",
        "/1/boards/{b}",
        {"json": [{"x": [{"prefs": {"permissionLevel": "public"}}]}]},
    ),
    "the same, of a new board": (
        "POST",
        "/1/boards",
        {
            "data": b'{"name":"x","prefs_permissionLevel":"public","a":%b}' % NUMBER,
            "headers": JSON,
        },
    ),
    "a board's Power-Ups": ("POST", "/1/boards?name=x&powerUps=all", {}),
    "another workspace": ("PUT", "/1/boards/{b}?idOrganization={o}", {}),
    "another workspace, in an array": ("PUT", "/1/boards/{b}?idOrganization[]={o}", {}),
    "another workspace, numbered": ("PUT", "/1/boards/{b}?idOrganization[0]={o}", {}),
    "another workspace, numbered, in a form": (
        "PUT",
        "/1/boards/{b}",
        {"data": "idOrganization%5B0%5D=x", "headers": FORM},
    ),
    "another workspace, numbered, in JSON": (
        "PUT",
        "/1/boards/{b}",
        {"json": {"idOrganization[0]": "x"}},
    ),
    "another workspace, in JSON's array": (
        "PUT",
        "/1/boards/{b}",
        {"json": {"idOrganization": ["x"]}},
    ),
    "addresses as a numbered field": ("GET", "/1/boards/{b}?fields[0]=myPrefs", {}),
    "addresses as a named field": ("GET", "/1/boards/{b}?fields[a]=myPrefs", {}),
    "addresses as a nested field": ("GET", "/1/members/me?boards=all&board_fields[0]=emailKey", {}),
    "addresses as a part of a field": ("GET", "/1/boards/{b}?fields=myPrefs.emailKey", {}),
    "addresses as a path of a field": ("GET", "/1/boards/{b}?fields=myPrefs/emailKey", {}),
    "addresses as a field encoded twice": ("GET", "/1/boards/{b}?fields=name%252CmyPrefs", {}),
    "addresses, numbered": ("GET", "/1/boards/{b}?myPrefs[0]=true", {}),
    "addresses, with a dot": ("GET", "/1/boards/{b}?myPrefs.x=true", {}),
    "addresses behind a NUL": ("GET", "/1/boards/{b}?fields%00=myPrefs", {}),
    "tokens, numbered": ("GET", "/1/members/me?tokens[0]=all", {}),
    "a token's webhooks in the singular": ("GET", "/1/tokens/x/webhook", {}),
    "a token's webhooks with an ending": ("GET", "/1/tokens/x/webhooks.json", {}),
    "whatever is below a token": ("GET", "/1/tokens/x/nobody/knows", {}),
    "tokens in the singular": ("GET", "/1/members/me/token", {}),
    "tokens and a space": ("GET", "/1/members/me/tokens%20", {}),
    "the secret of an invitation, as the web client has it": (
        "GET",
        "/1/boards/{b}/inviteSecret",
        {},
    ),
    "a second method": ("PUT", "/1/boards/{b}?name=x&_method=DELETE", {}),
    "a second method that is safe": ("PUT", "/1/boards/{b}?name=x&_method=HEAD", {}),
    "a second method in JSON beside a number of 4,301 digits": (
        "POST",
        "/1/cards",
        {"data": b'{"_method":"DELETE","a":%b}' % NUMBER, "headers": JSON},
    ),
    "what nobody knows": ("POST", "/1/boards/{b}/inventions", {}),
    "what nobody knows, by a method of theirs": (
        "GET",
        "/1/boards/{b}/x?_method=PATCH",
        {"headers": DELIBERATE},
    ),
}


@pytest.fixture
def named(standin: FakeTrello, board: str) -> dict[str, str]:
    """Ids by the letter that stands for them above."""
    shown = standin.trello.request(f"/1/boards/{board}?fields=idOrganization&members=all")
    return {"b": board, "m": shown["members"][0]["id"], "o": str(shown["idOrganization"])}


@pytest.mark.parametrize("writes", ["deny", "allow"])
async def test_what_is_not_work_on_boards_is_left_to_the_operator(
    start_proxy: StartProxy, standin: FakeTrello, named: dict[str, str], writes: str
) -> None:
    proxy = await start_proxy(f"clients: {{writes: {writes}}}")
    for name, (method, target, options) in ADMINISTRATIVE.items():
        heard = await proxy(method, target.format(**named), **options)
        is_denied = writes == "deny" and ("_method" in target or method != "GET")
        problem = "writes-denied" if is_denied else "administrative"
        assert (heard.status, heard.problem) == (403, problem), name
        assert is_denied or "`writes: all`" in heard.json["detail"], name
    assert standin.request_log.total == 0


@pytest.mark.parametrize("case", ADMINISTRATIVE.values(), ids=ADMINISTRATIVE.keys())
async def test_the_operator_can_allow_it(
    start_proxy: StartProxy,
    standin: FakeTrello,
    named: dict[str, str],
    case: tuple[str, str, dict[str, Any]],
) -> None:
    method, target, options = case
    proxy = await start_proxy(ALL)
    heard = await proxy(method, target.format(**named), **options)
    assert (heard.problem, standin.request_log.total) == ("", 1)


WORK = {
    "a card": ("POST", "/1/cards?idList={l}&name=x"),
    "a comment": ("POST", "/1/cards/{c}/actions/comments?text=x"),
    "a card that is deleted": ("DELETE", "/1/cards/{c}"),
    "a board's name": ("PUT", "/1/boards/{b}?name=After&desc=permissionLevel"),
    "a board that is closed": ("PUT", "/1/boards/{b}/closed?value=true"),
    "a board of one's own": ("POST", "/1/boards?name=x&prefs_permissionLevel=private"),
    "a list": ("POST", "/1/boards/{b}/lists?name=x"),
    "a label": ("POST", "/1/boards/{b}/labels?name=x&color=red"),
    "read notifications": ("POST", "/1/notifications/all/read"),
    "a tunnelled one": ("GET", "/1/cards/{c}?_method=PUT&name=x"),
}


@pytest.mark.parametrize(("method", "target"), WORK.values(), ids=WORK.keys())
async def test_work_on_boards_is_for_every_client(
    proxy: Proxy, standin: FakeTrello, board: str, card: str, method: str, target: str
) -> None:
    id_list = standin.trello.request(f"/1/cards/{card}?fields=idList")["idList"]
    path = target.format(b=board, c=card, l=id_list)
    heard = await proxy(method, path, headers=DELIBERATE)
    assert (heard.status, heard.cache) == (200, "fwd=method; fwd-status=200")


async def test_what_a_client_does_in_its_own_name_is_between_it_and_trello(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    member = standin.trello.add_member("sam", "Sam Stranger")
    standin.trello.add_token(OTHER_TOKEN, member, key=OTHER_KEY)
    proxy = await start_proxy("clients: {credentials: forward}")
    pair = f"key={OTHER_KEY}&token={OTHER_TOKEN}"
    assert (await proxy("PUT", f"/1/members/me?fullName=Other&{pair}")).status == 200
    assert (await proxy("DELETE", f"/1/boards/{board}?{pair}")).status == 401  # Trello's word
    assert (await proxy("DELETE", f"/1/boards/{board}")).problem == "administrative"
    denied = await start_proxy("clients: {credentials: forward, writes: deny}")
    heard = await denied("PUT", f"/1/members/me?fullName=Other&{pair}")
    assert heard.problem == "writes-denied"


async def test_all_leaves_the_stored_token_alone(
    start_proxy: StartProxy, standin: FakeTrello
) -> None:
    proxy = await start_proxy(ALL)
    assert (await proxy("DELETE", "/1/tokens/-")).problem == "token-protected"
    assert standin.request_log.total == 0


async def test_explain_says_what_a_client_would_hear(proxy: Proxy, board: str) -> None:
    for target in (f"/1/boards/{board}/myPrefs", f"/1/batch?urls=/boards/{board}/myPrefs"):
        heard = await proxy.get(f"/-/explain?url={quote(target, safe='')}")
        assert (heard.status, heard.problem) == (403, "administrative")
