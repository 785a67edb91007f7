"""Whoever wrote reads what was written: a random walk of reads and writes, beside the truth.

Time stands still, so no lifetime ends: an answer that is not the truth is an invalidation that was
forgotten. The truth is the stand-in's own state, asked behind the proxy's back.
"""

import json
from collections import Counter
from random import Random
from typing import Any

import pytest

from proxy.fake_trello.errors import Refusal
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.redis_server import RedisServer, needs_redis
from tests.scenarios.conftest import Proxy, StartProxy
from tests.scenarios.fleet import started_fleet

STEPS = 260


@pytest.fixture
async def proxy(start_proxy: StartProxy) -> Proxy:
    """One that leaves links alone: the truth is Trello's."""
    return await start_proxy(links={"rewrite": False})


READS = (
    "/1/boards/{board}",
    "/1/board/{board}?fields=name,dateLastActivity&lists=open&cards=all&labels=all",
    "/1/boards/{board}?members=all&checklists=all&customFields=true",
    "/1/boards/{board}/name",
    "/1/boards/{board}?lists=all&cards=all",
    "/1/boards/{board}?fields=name,desc",
    "/1/boards/{board}?fields=name,memberships,ixUpdate",
    "/1/boards/{board}/lists",
    "/1/boards/{board}/lists?fields=name,pos",
    "/1/boards/{board}/cards",
    "/1/boards/{board}/cards/all?fields=all",
    "/1/boards/{board}/cards/all?fields=name,labels,badges,cover,idChecklists",
    "/1/boards/{board}/cards/open?fields=name,idList",
    "/1/boards/{board}/cards?fields=name,idLabels,badges&attachments=true&members=true",
    "/1/boards/{board}/cards/closed",
    "/1/boards/{board}/lists?cards=open",
    "/1/boards/{board}/lists/all",
    "/1/boards/{board}/labels",
    "/1/boards/{board}/members",
    "/1/boards/{board}/memberships",
    "/1/boards/{board}/checklists",
    "/1/boards/{board}/customFields",
    "/1/boards/{board}/actions?limit=20",
    "/1/lists/{list}",
    "/1/lists/{list}?fields=name,closed,pos",
    "/1/lists/{list}/cards",
    "/1/lists/{list}/cards?fields=name,idMembers",
    "/1/lists/{list}/board",
    "/1/cards/{card}",
    "/1/card/{card}?fields=name,desc&checklists=all&list=true&board=true&members=true",
    "/1/cards/{card}?attachments=true&customFieldItems=true&actions=commentCard",
    "/1/cards/{card}?fields=name,labels,badges,cover,idChecklists",
    "/1/cards/{card}?fields=name,idList,idBoard,url",
    "/1/cards/{card}?fields=all&members=true",
    "/1/cards/{card}/dateLastActivity",
    "/1/cards/{card}/name",
    "/1/cards/{card}/idList",
    "/1/cards/{card}/actions",
    "/1/cards/{card}/attachments",
    "/1/cards/{card}/checklists",
    "/1/cards/{card}/members",
    "/1/cards/{card}/membersVoted",
    "/1/cards/{card}/board",
    "/1/cards/{card}/list",
    "/1/cards/{card}/customFieldItems",
    "/1/cards/{card}/stickers",
    "/1/checklists/{checklist}",
    "/1/checklists/{checklist}/checkItems",
    "/1/checklists/{checklist}/cards",
    "/1/labels/{label}",
    "/1/customFields/{customField}",
    "/1/actions/{action}",
    "/1/members/{member}",
    "/1/members/{member}/boards?fields=name,dateLastActivity",
    "/1/members/{member}/cards?fields=name,idBoard",
    "/1/members/{member}/organizations",
    "/1/members/{member}/boardStars",
    "/1/organizations/{organization}",
    "/1/organizations/{organization}/boards?fields=name",
    "/1/organizations/{organization}/members",
)

WRITES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("PUT", "/1/boards/{board}", {"name": "board {n}"}),
    ("PUT", "/1/boards/{board}/prefs/permissionLevel", {"value": "org"}),
    ("POST", "/1/boards", {"name": "new board {n}"}),
    ("POST", "/1/lists", {"name": "list {n}", "idBoard": "{idBoard}"}),
    ("POST", "/1/boards/{board}/lists", {"name": "list {n}"}),
    ("PUT", "/1/lists/{list}", {"name": "renamed {n}"}),
    ("PUT", "/1/lists/{list}/closed", {"value": "false"}),
    ("POST", "/1/lists/{list}/archiveAllCards", {}),
    ("POST", "/1/cards", {"name": "card {n}", "idList": "{idList}"}),
    ("PUT", "/1/cards/{card}", {"name": "card {n}", "due": "2027-01-01T00:00:00.000Z"}),
    ("PUT", "/1/cards/{card}", {"closed": "false", "pos": "top"}),
    ("PUT", "/1/cards/{card}/name", {"value": "field {n}"}),
    ("PUT", "/1/cards/{card}", {"idBoard": "{idBoard}", "idList": "{idList}"}),
    ("DELETE", "/1/cards/{card}", {}),
    ("POST", "/1/cards/{card}/actions/comments", {"text": "comment {n}"}),
    ("PUT", "/1/actions/{action}", {"text": "edited {n}"}),
    ("DELETE", "/1/actions/{action}", {}),
    ("POST", "/1/cards/{card}/idLabels", {"value": "{label}"}),
    ("DELETE", "/1/cards/{card}/idLabels/{label}", {}),
    ("POST", "/1/cards/{card}/labels", {"name": "label {n}", "color": "blue"}),
    ("PUT", "/1/labels/{label}", {"name": "label {n}"}),
    ("DELETE", "/1/labels/{label}", {}),
    ("POST", "/1/cards/{card}/idMembers", {"value": "{idMember}"}),
    ("DELETE", "/1/cards/{card}/idMembers/{idMember}", {}),
    ("POST", "/1/cards/{card}/membersVoted", {"value": "{idMember}"}),
    ("POST", "/1/cards/{card}/attachments", {"url": "https://example.org/{n}"}),
    ("POST", "/1/cards/{card}/checklists", {"name": "checklist {n}"}),
    ("PUT", "/1/checklists/{checklist}", {"name": "checklist {n}"}),
    ("POST", "/1/checklists/{checklist}/checkItems", {"name": "item {n}"}),
    ("DELETE", "/1/checklists/{checklist}", {}),
    ("POST", "/1/cards/{card}/stickers", {"image": "star", "top": "1", "left": "2", "zIndex": "3"}),
    ("POST", "/1/customFields", {"idModel": "{idBoard}", "modelType": "board", "name": "f{n}",
                                 "type": "text", "pos": "top"}),
    ("PUT", "/1/customFields/{customField}", {"name": "field {n}"}),
    ("DELETE", "/1/customFields/{customField}", {}),
    ("PUT", "/1/cards/{card}/customField/{customField}/item", {"value[text]": "v{n}"}),
    ("PUT", "/1/boards/{board}/members/{idMember}", {"type": "normal"}),
    ("DELETE", "/1/boards/{board}/members/{idMember}", {}),
    ("POST", "/1/members/{member}/boardStars", {"idBoard": "{idBoard}", "pos": "top"}),
    ("PUT", "/1/members/{idMe}", {"fullName": "Dana {n}"}),
    ("PUT", "/1/organizations/{organization}", {"displayName": "Office {n}"}),
    ("POST", "/1/batch/none", {}),
)  # fmt: skip


class Names:
    """Names of things there are, now and then one that is gone; ids and aliases by turns."""

    def __init__(self, fake_trello: FakeTrello, random: Random) -> None:
        self._ask = fake_trello.trello.request
        self._random = random
        self._gone: dict[str, list[str]] = {}

    def pick(self, kind: str) -> str:
        """One id of a kind; of cards, boards, members and organizations often another name."""
        known = self._gone.setdefault(kind, [])
        current = [name for each in self._all(kind) for name in self._spellings(kind, each)]
        known += [name for name in current if name not in known]
        return self._random.choice(known if self._random.random() < 0.1 else current or known)

    def _boards(self) -> list[Any]:
        found = self._ask("/1/members/me/boards?filter=all&fields=id,shortLink")
        return list(found)

    def _all(self, kind: str) -> list[Any]:
        if kind in {"board", "idBoard"}:
            return self._boards()
        if kind in {"member", "idMember"}:
            return list(self._ask(f"/1/boards/{self._boards()[0]['id']}/members"))
        if kind == "idMe":
            return [self._ask("/1/members/me")]
        if kind == "organization":
            return list(self._ask("/1/members/me/organizations"))
        resource = {"idList": "lists", "action": "actions?filter=commentCard"}.get(kind, f"{kind}s")
        return [
            each
            for board in self._boards()
            for each in self._ask(f"/1/boards/{board['id']}/{resource}")
        ]

    def _spellings(self, kind: str, each: Any) -> list[str]:
        others = {"board": "shortLink", "card": "shortLink", "member": "username"}
        names = [each["id"]]
        if kind in others:
            names.append(each[others[kind]])
        if kind == "organization":
            names.append(each["name"])
        return [str(name) for name in names]

    def fill(self, template: str, step: int) -> str:
        """The template with names in the place of its parameters."""
        out, _, rest = template.partition("{")
        while rest:
            kind, _, rest = rest.partition("}")
            out += str(step) if kind == "n" else self.pick(kind)
            plain, _, rest = rest.partition("{")
            out += plain
        return out


async def _agrees(proxy: Proxy, fake_trello: FakeTrello, path: str) -> str:
    """How the proxy answered; fails unless it was the truth."""
    heard = await proxy.get(path)
    status, truth = _truth(fake_trello, path)
    assert heard.status == status, (path, heard.body)
    if status == 200:
        assert heard.json == truth, path
    return heard.cache.partition(";")[0]


def _truth(fake_trello: FakeTrello, path: str) -> tuple[int, Any]:
    try:
        return 200, json.loads(json.dumps(fake_trello.trello.request(path)))
    except Refusal as refusal:
        return refusal.status, refusal.text


@pytest.mark.seeds(2)
async def test_every_answer_is_the_truth_whatever_was_written_before(
    proxy: Proxy, standin: FakeTrello, seed: int
) -> None:
    await _walk(proxy, standin, seed)


@needs_redis
async def test_nor_does_it_matter_which_node_of_a_fleet_is_requested(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, shared_redis: RedisServer
) -> None:
    yaml = "links: {rewrite: false}\n"
    fleet = await started_fleet(start_proxy, shared_redis, clock, 5, yaml)
    await _walk(fleet, standin, seed=5, steps=STEPS // 2)
    fleet.check()


async def _walk(proxy: Proxy, standin: FakeTrello, seed: int, steps: int = STEPS) -> None:
    random = Random(seed)  # noqa: S311 — a walk that can be walked again
    names = Names(standin, random)
    told: Counter[str] = Counter()
    recent: list[str] = []
    for step in range(steps):
        if random.random() < 0.2:
            method, path, params = random.choice(WRITES)
            form = {name: names.fill(value, step) for name, value in params.items()}
            heard = await proxy(method, names.fill(path, step), data=form)
            told[f"write {heard.status // 100}xx"] += 1
            for again in random.sample(recent, min(12, len(recent))):
                told[await _agrees(proxy, standin, again)] += 1
        else:
            path = (
                random.choice(recent)
                if recent and random.random() < 0.4
                else (names.fill(random.choice(READS), step))
            )
            told[await _agrees(proxy, standin, path)] += 1
            recent = [*recent[-40:], path]
    assert told["hit"] > steps / 4, told
    assert told["write 2xx"] > steps / 12, told
