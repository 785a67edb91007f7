"""Requests of the leak check: Trello's operations, the proxy's pages, malformed ones."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from proxy.cli.leak_check.client import Request
from proxy.fake_trello.service import Trello
from proxy.trello.read_operations import READS
from proxy.trello.write_operations import operations

_NAME = re.compile(r"\{(\w+)(?:=(\w+)[^}]*)?\}")
_FORM = ("Content-Type", "application/x-www-form-urlencoded")
_JSON = ("Content-Type", "application/json")
_MULTIPART = ("Content-Type", "multipart/form-data; boundary=canary")
_GZIP = ("Accept-Encoding", "gzip")
_BROWSER = ("Accept", "text/html")
_DELIBERATE = ("X-Requested-With", "XMLHttpRequest")


@dataclass(frozen=True, slots=True)
class ClientCredential:
    """A key and token that clients send."""

    key: str = field(repr=False)
    token: str = field(repr=False)

    @property
    def query(self) -> str:
        return f"key={self.key}&token={self.token}"

    @property
    def header(self) -> tuple[str, str]:
        value = f'OAuth oauth_consumer_key="{self.key}", oauth_token="{self.token}"'
        return "Authorization", value


class RequestSet:
    """Requests about the sample data of a fake Trello."""

    def __init__(self, trello: Trello, client: ClientCredential, admin_token: str) -> None:
        self._trello = trello
        self._client = client
        self._admin = ("Authorization", f"Bearer {admin_token}")
        self._ids = _ids(trello)

    def reads(self) -> Iterator[Request]:
        """Every read: twice plain, the second a hit, and with a client's credential."""
        for _, _, templates in READS:
            for template in templates.split():
                target = self._target(template)
                yield Request(template, "GET", target)
                yield Request(template, "GET", target, (_GZIP,))
                more = f"{target}?fields=all&webhooks=true&{self._client.query}"
                yield Request(template, "GET", more, (self._client.header,))

    def writes(self) -> Iterator[Request]:
        """Every write, with a client's credential in one of three kinds of body."""
        client = self._client
        parameters = {"key": client.key, "token": client.token, "name": "x", "text": "x"}
        parts = "".join(
            f'--canary\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in parameters.items()
        )
        bodies = (
            (_FORM, f"{client.query}&name=x&text=x".encode()),
            (_JSON, json.dumps(parameters).encode()),
            (_MULTIPART, f"{parts}--canary--\r\n".encode()),
        )
        for number, (method, template, _) in enumerate(sorted(operations(), reverse=True)):
            kind, body = bodies[number % len(bodies)]
            yield Request(template, method, self._target(template), (kind, client.header), body)

    def operator_pages(self) -> Iterator[Request]:
        """The proxy's own pages, as programs and browsers request them."""
        token, card = self._client.token, self._trello.example_card
        pages = (
            "/",
            "/healthz",
            "/readyz",
            "/metrics",
            "/-/client-credentials",
            "/-/webhook",
            "/-/nothing",
        )
        for page in (*pages, f"/c/{card}", f"/b/{self._trello.example_board}", "/-/page.js"):
            for more in ((), (_BROWSER,), (self._admin,), (self._admin, _BROWSER)):
                yield Request(page, "GET", page, more)
        pasted = quote(f"https://trello.com/c/{card}?token={token}", safe="")
        explained = quote(f"/1/cards/{card}?{self._client.query}", safe="")
        for page in (f"/?url={pasted}", f"/-/explain?url={explained}"):
            for more in ((), (_BROWSER,), (self._admin,)):
                yield Request(page.partition("?")[0], "GET", page, more)
        yield Request("/-/webhook", "POST", "/-/webhook", (("X-Trello-Webhook", token),), b"{}")
        yield Request("/-/purge", "POST", "/-/purge", (("Authorization", f"Bearer {token}"),))
        yield Request("/-/purge", "POST", "/-/purge", (self._admin,))

    def malformed(self) -> Iterator[Request]:
        """Requests that are refused, with a client's token in every place."""
        token, me = self._client.token, "/1/members/me"
        for label, method, target in (
            ("a second slash", "GET", f"//{token}"),
            ("a whole URL", "GET", f"http://api.trello.com{me}?token={token}"),
            ("a NUL", "GET", f"/1/{token}%00"),
            ("an encoded slash", "GET", f"/1/cards%2F{token}"),
            ("nowhere", "GET", f"/{token}?token={token}"),
            ("an unknown route", "GET", f"/1/nowhere?token={token}"),
            ("an unknown method", "BREW", f"{me}?token={token}"),
            ("a tunnelled write of any page", "GET", f"{me}?_method=PUT&token={token}"),
            ("a script's call", "GET", f"{me}?callback=x&token={token}"),
            ("a batch", "GET", f"/1/batch?urls={me}%3Ftoken%3D{token},/tokens/{token}"),
            ("no HTTP", "GET", f" {token} HTTP/9"),
        ):
            yield Request(label, method, target)
        yield Request("a tunnelled write", "GET", f"{me}?_method=PUT&token={token}", (_DELIBERATE,))
        for name, value in (
            ("Host", token),
            ("Origin", f"https://{token}"),
            ("X-Request-Id", token),
            ("User-Agent", token),
            ("Via", token),
            ("traceparent", f"00-{token[4:36]}-{token[4:20]}-01"),
            ("Content-Encoding", token),
            ("Cache-Control", token),
        ):
            yield Request(f"a field {name}", "GET", me, ((name, value),))

    def faults(self, name: str) -> Iterator[Request]:
        """Requests of each kind of flow; `name` makes them different from those before."""
        card = f"/1/cards/{self._trello.example_card}"
        for label, method, target in (
            ("/members/{id}", "GET", f"/1/members/me?{self._client.query}"),
            ("a file", "GET", f"{self._trello.example_attachment_path}?{self._client.query}"),
            ("/members/{id}", "GET", f"/1/members/me?fields={name}"),
            ("/batch", "GET", "/1/batch?urls=/members/me"),
            ("/client.js", "GET", "/1/client.js"),
            ("a card's page", "GET", f"/c/{self._trello.example_card}"),
            ("/cards/{id}", "PUT", card),
        ):
            yield Request(label, method, target, (_BROWSER,) if method == "GET" else ())

    def _target(self, template: str) -> str:
        own_id = self._ids.get(template.split("/")[1], self._trello.example_card)
        names = {"tokens": self._client.token, "applications": self._client.key}
        own_id = names.get(template.split("/")[1], own_id)
        first = _NAME.sub(own_id, template, count=1) if "{" in template else template
        return "/1" + _NAME.sub(lambda name: name[2] or "name", first)


def _ids(trello: Trello) -> dict[str, str]:
    """The id of one object of each kind, by the first segment of its routes."""
    board = trello.example_board
    first = {kind: f"/1/boards/{board}/{kind}" for kind in ("lists", "actions", "labels")}
    return {
        "boards": board,
        "members": "me",
        "organizations": str(trello.request(f"/1/boards/{board}")["idOrganization"]),
        **{kind: str(trello.request(path)[0]["id"]) for kind, path in first.items()},
    }
