"""A request at a follower is served as at the leader; nothing else passes between nodes."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import make_mocked_request

from proxy.access.client import Client
from proxy.app.app import App, SystemPorts
from proxy.config.schema import load
from proxy.fake_trello.server import FakeTrello
from proxy.fleet.channel import ChannelClosed
from proxy.fleet.inspection import inspect_fleet
from proxy.fleet.protocol import PROTOCOL, Hello
from proxy.model import Credential
from proxy.observability.metrics import describe
from proxy.runtime.clock import FakeClock, SystemClock
from proxy.server.fleet import node_middleware
from proxy.server.fleet.envelope import REQUEST_FIELD, SESSION, Envelope, seal
from proxy.server.fleet.peer_client import PeerUnreachable
from proxy.server.fleet.relayed_message import relayed_message
from proxy.server.middleware import Routes
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse
from tests.fleet.nodes import FLEET_KEY, now
from tests.fleet.requests import REQUESTS, check_equal
from tests.redis_server import RedisServer, free_port, needs_redis
from tests.samples import fill
from tests.scenarios.conftest import BREATH_S, KEY, TOKEN, Proxy, until

pytestmark = [pytest.mark.slow, needs_redis, pytest.mark.asyncio(loop_scope="module")]


class Pair:
    """A leader and a follower in this process."""

    def __init__(
        self, leader: Proxy, follower: Proxy, trello: FakeTrello, redis: RedisServer
    ) -> None:
        self.leader, self.follower, self.trello, self.redis = leader, follower, trello, redis

    @property
    def card(self) -> str:
        return self.trello.trello.example_card

    def relays(self, result: str) -> int:
        assert self.follower.app.fleet is not None
        return self.follower.app.fleet._relay.results[result]

    @property
    def fleet_url(self) -> str:
        assert self.leader.app.fleet is not None
        return f"http://{self.leader.app.fleet.node.address}"


class OtherClock(SystemClock):
    """The system clock, with a wall clock that differs."""

    def __init__(self, ahead_s: float) -> None:
        self.ahead_s = ahead_s

    def now(self) -> float:
        return SystemClock.now() + self.ahead_s


def started(
    trello: FakeTrello,
    redis_url: str,
    directory: str,
    session: aiohttp.ClientSession,
    settings: str = "",
    ahead_s: float = 0.0,
) -> Proxy:
    config = load(
        f"listen: 127.0.0.1:0\n"
        f"upstream: {{url: '{trello.url}', storage_hosts: ['{trello.storage_host}']}}\n"
        f"cache: {{backend: redis, redis: '{redis_url}', directory: '{directory}'}}\n"
        f"fleet: {{listen: 127.0.0.1:{free_port()}, key: {FLEET_KEY}}}\n"
        f"freshness: {{watch: off}}\n{settings}",
        "proxy.yaml",
        {},
        str,
    )
    lines: list[bytes] = []
    ports = SystemPorts(
        clock=OtherClock(ahead_s), write_log=lines.append, random=secrets.token_bytes
    )
    return Proxy(App(config, Credential(KEY, TOKEN), ports), session, lines)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    directory = tmp_path_factory.mktemp("pair")
    redis, trello = (
        RedisServer(directory / "redis"),
        FakeTrello(SystemClock(), key=KEY, token=TOKEN),
    )
    redis.start()
    fill(trello.trello)
    await trello.start()
    async with AsyncExitStack() as stack:
        stack.callback(redis.kill)
        stack.push_async_callback(trello.stop)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=("Accept-Encoding",))
        )
        clocks = {"a": 3_600.0, "b": -3_600.0}
        nodes = [
            started(trello, redis.url, str(directory / name), session, ahead_s=ahead_s)
            for name, ahead_s in clocks.items()
        ]
        for node in nodes:
            stack.push_async_callback(node.app.stop)
            await node.app.start()
        heard = [await node.get(f"/1/cards/{trello.trello.example_card}") for node in nodes]
        assert [each.status for each in heard] == [200, 200]
        leads = [node.app.fleet is not None and node.app.fleet.node.acts() for node in nodes]
        leader, follower = (nodes[0], nodes[1]) if leads[0] else (nodes[1], nodes[0])
        yield Pair(leader, follower, trello, redis)


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_follower_responds_as_the_leader(pair: Pair, name: str) -> None:
    at_leader, at_follower = await check_equal(name, pair.trello, pair.leader, pair.follower)
    ages = [int(each.fields.get("Age", 0)) for each in (at_leader, at_follower)]
    assert 0 <= ages[1] - ages[0] <= 2  # though their clocks differ by hours
    assert not pair.leader.logged("clock set back")


async def test_a_write_at_one_node_is_seen_at_the_other(pair: Pair) -> None:
    for number, (writer, reader) in enumerate(
        [(pair.follower, pair.leader), (pair.leader, pair.follower)] * 3
    ):
        name = f"name {number}"
        heard = await writer("PUT", f"/1/cards/{pair.card}", json={"name": name})
        assert (heard.status, heard.json["name"]) == (200, name)
        assert (await reader.get(f"/1/cards/{pair.card}")).json["name"] == name


async def test_a_large_upload_and_a_large_download_pass_a_follower(pair: Pair) -> None:
    content, target = secrets.token_bytes(2_000_000), f"/1/cards/{pair.card}/attachments"
    form = aiohttp.FormData()
    form.add_field("file", BytesIO(content), filename="large.bin")
    made = await pair.follower("POST", target, data=form)
    assert (made.status, made.json["bytes"]) == (200, len(content))
    path = f"{target}/{made.json['id']}/download/large.bin"
    is_whole = (await pair.follower.get(path)).body == content
    assert is_whole
    part = await pair.follower.get(path, headers={"Range": "bytes=1000-1999"})
    assert (part.status, part.body) == (206, content[1000:2000])


async def test_a_body_in_chunks_is_relayed(pair: Pair) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"name="
        yield b"in+chunks"

    fields = {"Content-Type": "application/x-www-form-urlencoded"}
    heard = await pair.follower("PUT", f"/1/cards/{pair.card}", data=chunks(), headers=fields)
    assert (heard.status, heard.json["name"]) == (200, "in chunks")


async def test_a_stranger_cannot_speak_as_a_node(pair: Pair) -> None:
    target = f"/1/cards/{pair.card}"
    forged = seal(Envelope("x", "127.0.0.1", "127.0.0.1"), b"not the key", "GET", target)
    for fields in ({}, {REQUEST_FIELD: forged}, {REQUEST_FIELD: "é."}):
        async with pair.leader.session.get(pair.fleet_url + target, headers=fields) as response:
            assert response.status == 403
            assert (await response.json(content_type=None))["type"].endswith(":not-a-node")
    async with pair.leader.session.get(pair.fleet_url + SESSION) as response:
        assert response.status == 403


async def test_internal_fields_of_a_client_are_not_relayed(pair: Pair) -> None:
    target = f"/1/cards/{pair.card}"
    fields = {REQUEST_FIELD: "forged.value", "Trello-Proxy-Result": "x", "X-Request-Id": "mine-7"}
    heard = await pair.follower.get(target, headers=fields)
    assert (heard.status, heard.fields["X-Request-Id"]) == (200, "mine-7")
    assert not [name for name in heard.fields if name.lower().startswith("trello-proxy")]


async def test_the_node_of_the_client_logs_and_counts_a_request(pair: Pair) -> None:
    await pair.follower.get(f"/1/cards/{pair.card}", headers={"X-Request-Id": "seen-once"})
    for node in (pair.leader, pair.follower):
        node.app._environment.log.flush()
    (line,) = [each for each in pair.follower.logged("request") if each["id"] == "seen-once"]
    assert (line["route"], line["cache"], line["status"]) == ("/cards/{id}", "hit", 200)
    assert not [each for each in pair.leader.logged("request") if each["id"] == "seen-once"]


async def test_a_client_that_leaves_ends_its_relayed_request(pair: Pair) -> None:
    before, service = pair.relays("cancelled"), pair.leader.app.fleet
    assert service is not None
    pair.trello.faults.latency_s = 5.0
    target = f"/1/cards/{pair.card}/actions?limit=7"
    asked = asyncio.ensure_future(pair.follower.get(target))
    await until(lambda: service._service._in_progress > 0)
    asked.cancel()
    await until(lambda: service._service._in_progress == 0)
    await until(lambda: pair.relays("cancelled") == before + 1)
    pair.trello.faults.clear()


async def test_what_fails_because_its_term_has_ended_is_served_in_the_next_or_lost(
    pair: Pair,
) -> None:
    fleet, over = pair.leader.app.fleet, asyncio.Event()
    assert fleet is not None
    service = fleet._service
    clients, admin = service._clients, service._admin
    assert clients is not None
    assert admin is not None

    async def use_what_was_closed(_: object, __: object) -> WireResponse:
        await over.wait()
        raise RuntimeError("Session is closed")

    service.open(Routes({}, {}, use_what_was_closed, use_what_was_closed), admin)
    target = f"/1/cards/{pair.card}?fields=name,pos,closed"  # in no near cache
    requests = [node.get(target) for node in (pair.leader, pair.follower)]
    requests += [node("PUT", target, data={"name": "x"}) for node in (pair.leader, pair.follower)]
    sent = asyncio.gather(*requests)
    await until(lambda: service._in_progress == 4)
    service.open(clients, admin)  # this node leads again
    over.set()
    assert [(each.status, each.problem) for each in await sent] == [
        (200, ""),
        (200, ""),
        (502, "leader-lost"),
        (502, "leader-lost"),
    ]


async def test_a_write_whose_response_is_no_nodes_is_not_sent_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_middleware, "result_line", lambda _: b"Trello-Proxy-Result: ?\r\n")
    target = f"/1/cards/{pair.card}"
    before = pair.trello.request_log.count("PUT", target)
    heard = await pair.follower("PUT", target, data={"name": "once"})
    assert (heard.status, heard.problem) == (502, "leader-lost")
    assert pair.trello.request_log.count("PUT", target) == before + 1


async def test_a_node_that_speaks_a_later_protocol_is_refused(pair: Pair) -> None:
    assert pair.leader.app.fleet is not None
    assert pair.follower.app.fleet is not None
    leader, connector = pair.leader.app.fleet.node, pair.follower.app.fleet.node._local.connector
    channel = await connector.connect(leader.address)
    await channel.send(Hello("127.0.0.1:1", "later", protocol=PROTOCOL + 1))
    with pytest.raises(ChannelClosed):
        await channel.receive()
    await channel.close()
    assert "127.0.0.1:1" not in leader.members


async def test_nothing_is_relayed_to_a_leader_whose_session_is_over(pair: Pair) -> None:
    fleet = pair.follower.app.fleet
    assert fleet is not None
    leader = fleet.node.leader
    assert leader is not None
    request = make_mocked_request("GET", f"/1/cards/{pair.card}")
    deps = pair.follower.app._listeners._deps
    context = RequestContext(
        request_id="late",
        client=Client(),
        client_address="",
        method="GET",
        user_agent="-",
        hold=deps.memory.hold(),
        started_at=0.0,
    )
    message = await relayed_message(request, context, is_admin=False)
    for gone in (leader._replace(term=leader.term - 1), leader._replace(through="127.0.0.1:1")):
        with pytest.raises(PeerUnreachable):
            await fleet._relay.send(gone, message, context)


async def test_the_operator_purges_at_any_node(pair: Pair) -> None:
    target = f"/1/cards/{pair.card}"
    await pair.leader.get(target)
    assert (await pair.follower("POST", "/-/purge")).status == 200
    assert "fwd=" in (await pair.leader.get(target)).cache


async def test_each_node_shows_the_fleet_and_exposes_its_metrics(pair: Pair) -> None:
    for node, role in ((pair.leader, "leader"), (pair.follower, "follower")):
        state = (await node.get("/-/fleet", headers={"Accept": "application/json"})).json
        assert (state["role"], len(state["members"])) == (role, 2)
        roles = sorted(each["role"] for each in state["members"])
        assert roles == ["follower", "leader"]
        assert role in (await node.get("/-/fleet")).body.decode()
        assert (await node.get("/readyz")).json["fleet"].startswith(role)
    text = (await pair.leader.get("/metrics")).body.decode()
    for metric in describe():
        if "_fleet_" in metric.name:
            assert f"\n{metric.name}" in text, metric.name
    assert await pair.leader.metric("trello_proxy_fleet_leader") == 1
    assert await pair.follower.metric("trello_proxy_fleet_leader") == 0
    assert await pair.leader.metric("trello_proxy_fleet_sessions") == 1
    assert await pair.follower.metric("trello_proxy_fleet_relay_seconds_count") > 0


async def test_check_names_the_leader_and_each_member(pair: Pair) -> None:
    assert pair.leader.app.fleet is not None
    lines = await inspect_fleet(pair.redis.url, "trello-proxy", SystemClock())
    assert lines[0] == f"fleet:   {pair.leader.app.fleet.node.address} leads"
    assert [line.endswith(", reachable") for line in lines[1:]] == [True, True]
    gone = f"redis://127.0.0.1:{free_port()}"
    assert len(await inspect_fleet(gone, "trello-proxy", SystemClock())) == 1


async def test_only_another_member_can_be_forgotten(pair: Pair) -> None:
    assert (await pair.leader("POST", "/-/fleet/forget?node=127.0.0.1:1")).status == 400
    assert (await pair.leader.get("/-/fleet/forget?node=127.0.0.1:1")).status == 405
    state = (await pair.follower.get("/-/fleet", headers={"Accept": "application/json"})).json
    answer = await pair.follower("POST", f"/-/fleet/forget?node={state['leader']}")
    assert answer.status == 400
    assert b"leads now" in answer.body
    (follower,) = (each["address"] for each in state["members"] if each["role"] == "follower")
    answer = await pair.leader("POST", f"/-/fleet/forget?node={follower}")
    assert answer.status == 400
    assert b"is connected to this node" in answer.body


def shown_settings(pair: Pair) -> set[str]:
    """Digests of the followers' settings, as `/-/fleet` of the leader has them."""
    assert pair.leader.app.fleet is not None
    leadership = pair.leader.app.fleet.node.leadership
    assert leadership is not None
    return {session.hello.config for session in leadership.sessions.values()}


async def test_the_leader_shows_the_settings_that_a_follower_has_reloaded(pair: Pair) -> None:
    assert pair.follower.app.fleet is not None
    node = pair.follower.app.fleet
    config, before = pair.follower.app._config, node.node.hello.config
    try:
        node.reconfigure(replace(config, public_url="https://elsewhere.internal"))
        wanted = node.node.hello.config
        assert wanted != before
        await until(lambda: wanted in shown_settings(pair))
    finally:
        node.reconfigure(config)


async def test_a_relayed_hit_is_fast(pair: Pair) -> None:
    target, took = f"/1/cards/{pair.card}", []
    for _ in range(50):
        began = now()
        assert (await pair.follower.get(target)).status == 200
        took.append(now() - began)
    assert sorted(took)[25] < 0.02


@pytest_asyncio.fixture(loop_scope="module")
async def apart(pair: Pair, tmp_path: Path) -> AsyncIterator[tuple[Proxy, FakeClock]]:
    """A node that reaches neither Redis nor another node, and its clock."""
    clock, lines, session = FakeClock(), list[bytes](), pair.leader.session
    gone = f"redis://127.0.0.1:{free_port()}"
    config = started(pair.trello, gone, str(tmp_path), session).app._config
    ports = SystemPorts(clock=clock, write_log=lines.append, random=secrets.token_bytes)
    node = Proxy(App(config, Credential(KEY, TOKEN), ports), session, lines)
    await node.app.start()
    clock.advance(5.0)
    yield node, clock
    await node.app.stop()


async def test_a_node_that_reaches_nothing_reads_for_itself_and_writes_nothing(
    pair: Pair, apart: tuple[Proxy, FakeClock]
) -> None:
    (node, _), target = apart, f"/1/cards/{pair.card}"
    for _ in range(2):
        heard = await node.get(target)
        assert (heard.status, heard.json["id"]) == (200, pair.card)
        assert heard.cache.startswith("fwd=")
        assert heard.cache.endswith("detail=apart")
    for method, path in (("PUT", target), ("GET", target + "?_method=put&name=x")):
        refused = await node(method, path, headers={"X-Requested-With": "XMLHttpRequest"})
        assert (refused.status, refused.problem) == (503, "apart")
        assert refused.fields["Retry-After"] == "2"
    assert (await node.get("/readyz")).json["fleet"] == "apart"


async def test_a_read_is_served_again_when_there_is_a_leader_before_its_response(
    pair: Pair, apart: tuple[Proxy, FakeClock]
) -> None:
    (node, clock), log = apart, pair.trello.request_log
    assert node.app.fleet is not None
    pair.trello.faults.latency_s = 0.3
    reading, sent = asyncio.ensure_future(node.get(f"/1/cards/{pair.card}")), log.total
    await until(lambda: log.total > sent)
    pair.trello.faults.latency_s = 0.0
    await node.app.fleet._apart.drop()  # as when there is a leader
    while not reading.done():
        clock.advance(0.01)
        await asyncio.sleep(BREATH_S)
    heard = await reading
    assert (heard.status, heard.json["id"]) == (200, pair.card)


async def test_a_node_that_stops_builds_nothing_for_reads_that_are_left(
    pair: Pair, apart: tuple[Proxy, FakeClock]
) -> None:
    node, _ = apart
    assert node.app.fleet is not None
    await node.app.fleet._apart.stop()  # as at the end of the process
    heard = await node.get(f"/1/cards/{pair.card}")
    assert (heard.status, heard.problem) == (503, "no-leader")
