"""Clients of a campaign: reads, batches, writes, uploads and files, at random nodes."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp

from proxy.runtime.tasks import TaskSet
from tests.fleet.campaign.stage import Stage
from tests.fleet.campaign.truth import IDENTIFIER, digest
from tests.fleet.history import Read, Register
from tests.fleet.nodes import NodeProcess, now
from tests.scenarios.conftest import Heard

READERS, WRITERS = 10, 2
PAUSE_S, WRITE_PAUSE_S, FILE_PAUSE_S = 0.05, 0.3, 0.5
MOST_FILES = 6
"""On one card; then the oldest is deleted, and the last three are read."""
_SIZES = (1_000, 90_000, 600_000)
_GONE = {404, 410}
"""For a file that is deleted meanwhile."""
_EXPECTED = {200, 206} | _GONE
_UNSENT = {"no-leader", "apart"}
"""Our errors that say that nothing of a write was sent."""


class Clients:
    """Programs that compare each response with what may be true."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._chance = stage, stage.chance
        self._trello, self._findings = stage.trello, stage.findings
        self._names = {card: Register(self._name_now(card)) for card in stage.cards}
        """The name of each card by what clients know, without Trello."""
        self._unsent: set[str] = set()
        """Writes of which a node said that they were not sent."""
        self._files: dict[str, bytes] = {}
        """Files that were uploaded, by the path of their download."""

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """All of them, meanwhile; each finishes what it has begun."""
        tasks, stopping = TaskSet(), asyncio.Event()

        async def again(act: Callable[[], Awaitable[None]], pause_s: float) -> None:
            while not stopping.is_set():
                await act()
                await asyncio.sleep(pause_s * self._chance.random() * 2)

        running = [tasks.spawn(again(self._read, PAUSE_S)) for _ in range(READERS)]
        running += [tasks.spawn(again(self._write, WRITE_PAUSE_S)) for _ in range(WRITERS)]
        running += [tasks.spawn(again(self._batch, PAUSE_S * 4))]
        running += [tasks.spawn(again(self._upload, FILE_PAUSE_S))]
        running += [tasks.spawn(again(self._file, FILE_PAUSE_S))]
        try:
            yield
            stopping.set()
            await asyncio.gather(*running)
        finally:
            await tasks.stop()
        self._judge_unsent()

    async def probe(self, node: NodeProcess) -> bool:
        """Whether the node serves a read and a write now; both are checked like any other."""
        target = self._chance.choice([*self._trello.registers])
        return await self.read(node, target) and await self.rename(node)

    async def read(self, node: NodeProcess, target: str) -> bool:
        """One response; whether it was 200."""
        began = now()
        heard = await self._request("read", node, "GET", target)
        if heard is None or heard.status != 200:
            if heard is not None and heard.status < 500:
                self._accuse(
                    f"{heard.status} for {target} from {node.address}: {heard.body!r:.200}"
                )
            return False
        self._compare(target, heard.json, began, node)
        return True

    async def rename(self, node: NodeProcess) -> bool:
        """A write of a card's name, which clients can follow by themselves."""
        card, name = self._chance.choice(self._stage.cards), self._findings.name()
        options: dict[str, Any] = self._chance.choice(
            ({"data": {"name": name}}, {"json": {"name": name}}, {"params": {"name": name}})
        )
        known = self._names[card].write(name, now())
        made = await self._send(node, "PUT", f"/1/cards/{card}", name, **options)
        if made is not None:
            known.made_by = known.acknowledged_at = now()
        return made is not None

    def _name_now(self, card: str) -> str:
        return str(self._trello.trello.request(f"/1/cards/{card}?fields=name")["name"])

    async def _read(self) -> None:
        await self.read(self._stage.a_node(), self._chance.choice([*self._trello.registers]))

    async def _batch(self) -> None:
        targets = self._chance.sample([*self._trello.registers], self._chance.randint(2, 5))
        urls = ",".join(quote(each.removeprefix("/1"), safe="/?=&") for each in targets)
        node, began = self._stage.a_node(), now()
        heard = await self._request("read", node, "GET", f"/1/batch?urls={quote(urls, safe='')}")
        if heard is None or heard.status != 200:
            return
        for target, item in zip(targets, heard.json, strict=True):
            if "200" in item:
                self._compare(target, item["200"], began, node)
            else:
                self._findings.fail("read: in a batch", f"{target}: {json.dumps(item):.200}")

    async def _write(self) -> None:
        if self._chance.random() < 0.5:
            await self.rename(self._stage.a_node())
            return
        name, card = self._findings.name(), self._chance.choice(self._stage.cards)
        shown = self._trello.trello.request(f"/1/cards/{card}?fields=idBoard")
        lists = self._trello.trello.request(f"/1/boards/{shown['idBoard']}/lists?fields=id")
        id_list = self._chance.choice(lists)["id"]
        writes = (
            ("PUT", f"/1/cards/{card}", {"desc": name}),
            ("PUT", f"/1/cards/{card}", {"idList": id_list}),
            ("POST", f"/1/cards/{card}/actions/comments", {"text": name}),
            ("PUT", f"/1/lists/{id_list}", {"name": name}),
            ("PUT", f"/1/boards/{shown['idBoard']}", {"name": name}),
        )
        method, path, form = self._chance.choice(writes)
        await self._send(self._stage.a_node(), method, path, name, data=form)

    async def _upload(self) -> None:
        card, name = self._stage.cards[0], self._findings.name()
        path, content = f"/1/cards/{card}/attachments", self._chance.randbytes(self._size())
        form = aiohttp.FormData()
        form.add_field("file", content, filename=f"{name}.bin")
        made = await self._send(self._stage.a_node(), "POST", path, name, data=form)
        if made is not None:
            self._files[f"{path}/{made.json['id']}/download/{name}.bin"] = content
        there = self._trello.trello.request(f"{path}?fields=name")
        for each in there[:-MOST_FILES]:
            for known in [*self._files]:
                if each["id"] in known:
                    del self._files[known]
            name = self._findings.name()
            await self._send(self._stage.a_node(), "DELETE", f"{path}/{each['id']}", name)

    def _size(self) -> int:
        return self._chance.choice(_SIZES) + self._chance.randrange(1000)

    async def _file(self) -> None:
        """A file, or a part of it."""
        if not self._files:
            return
        path, content = self._chance.choice([*self._files.items()][-3:])
        fields, status, node = dict[str, str](), 200, self._stage.a_node()
        if self._chance.random() < 0.5:
            first = self._chance.randrange(len(content) - 500)
            fields, status = {"Range": f"bytes={first}-{first + 499}"}, 206
            content = content[first : first + 500]
        heard = await self._request("read", node, "GET", path, headers=fields)
        if heard is None or path not in self._files:
            return  # or it is being deleted
        self._findings.compared += 1
        if heard.status == status and heard.body != content:
            self._accuse(f"{len(heard.body)} bytes of {path} are not the file's")
        elif heard.status in _GONE:
            self._accuse(f"{heard.status} for {path}: {heard.body[:100]!r}")

    async def _send(
        self, node: NodeProcess, method: str, target: str, name: str, **options: Any
    ) -> Heard | None:
        """A write; its response if it was acknowledged."""
        fields = {IDENTIFIER: name, "X-Requested-With": "XMLHttpRequest"}
        heard = await self._request("write", node, method, target, headers=fields, **options)
        made = self._trello.made[name]
        if made > 1:
            self._accuse(f"write {name} was made {made} times")
        if heard is None:
            return None
        if heard.status != 200:
            if heard.problem in _UNSENT:
                self._unsent.add(name)
            return None
        if not made:
            self._accuse(f"write {name} was acknowledged and not made")
        self._trello.acknowledge(name, now())
        return heard

    async def _request(
        self, kind: str, node: NodeProcess, method: str, target: str, **options: Any
    ) -> Heard | None:
        """What the client got; None: the connection ended."""
        began, heard, detail = now(), None, ""
        try:
            heard = await node(method, target, **options)
            got = f"{heard.status} {heard.problem}".strip()
            detail = heard.json["detail"] if heard.problem else ""
        except (aiohttp.ClientError, TimeoutError) as error:
            got = type(error).__name__
        if self._stage.is_impaired(node, began):
            return heard
        findings, took_s = self._findings, now() - began
        findings.sent[kind] += 1
        findings.longest_s[kind] = max(findings.longest_s.get(kind, 0.0), took_s)
        if heard is None or heard.status not in _EXPECTED:
            findings.fail(
                f"{kind}: {got}", f"{method} {target} at {node.address}, {took_s:.1f} s: {detail}"
            )
        return heard

    def _compare(self, target: str, shown: Any, began: float, node: NodeProcess) -> None:
        self._findings.compared += 1
        read = Read(digest(shown), began, now(), node.address)
        fault = self._trello.registers[target].fault_of(read)
        if fault:
            self._accuse(
                f"{target} from {node.address}: it was overwritten, {fault}: {shown!s:.300}"
            )
        for card, name in _names_in(target, shown, self._names):
            fault = self._names[card].fault_of(Read(name, began, now(), node.address))
            if fault:
                self._accuse(f"{target} from {node.address}: {fault}")

    def _accuse(self, text: str) -> None:
        self._findings.accuse(self._findings.wrong, text)

    def _judge_unsent(self) -> None:
        for name in sorted(self._unsent):
            if self._trello.made[name]:
                self._accuse(f"write {name} was made, and its client was told that it was not sent")


def _names_in(target: str, shown: Any, known: dict[str, Register]) -> list[tuple[str, str]]:
    """Cards and their names in a response."""
    if target.endswith("/name"):
        return [(target.split("/")[3], shown["_value"])]
    if isinstance(shown, dict) and shown.get("id") in known:
        return [(shown["id"], shown["name"])]
    cards = shown.get("cards", []) if isinstance(shown, dict) else shown
    return [(each["id"], each["name"]) for each in cards if each["id"] in known]
