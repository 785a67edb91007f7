"""For each alert the fault that it is for, done to a proxy of its own while it runs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.request import File
from proxy.trello.webhook_payload import PATH
from tests.deploy.fleet import (
    FAST,
    SPEED,
    TOKEN,
    Instance,
    Load,
    ordinary,
)

HOOKED = "freshness: {webhook_url: 'http://localhost:{port}/-/webhook'}\n"
"""The proxy answers Trello by another name than its clients."""
UNWATCHED = "freshness: {watch: off}\n"
LIMITED = "limits: {token: 5/10s, "
DAY_S = 86_400
IN_PEACE_S = 1.0
"""After so long a file is kept, and nobody has it open any more."""
BUSY = frozenset({"TrelloProxyPollLate", "TrelloProxyLowSavings", "TrelloSlow"})
"""What may come of many new questions to a Trello that does not answer well."""


@dataclass(frozen=True)
class Case:
    """What goes wrong, and what is configured and asked for it to be noticed."""

    fault: Callable[[Instance], Awaitable[None]]
    yaml: str = ""
    """`{port}` is the proxy's."""
    load: Load = ordinary
    pause_s: float = 1.0
    speed: float = SPEED
    also: frozenset[str] = frozenset()
    """Other alerts that such a fault may set off."""
    has_redis: bool = False


async def stopped(instance: Instance) -> None:
    await instance.close()


async def failing(instance: Instance) -> None:
    status = 0
    while status != 500:  # a background task may have met the failure instead
        instance.clock.failures = 1
        status = await instance.ask("/healthz")


async def in_trouble(instance: Instance) -> None:
    instance.standin.faults.add(Fault("status", status=503, times=None))
    await instance.ask_anew(10)


async def slow(instance: Instance) -> None:
    instance.standin.faults.latency_s = 15.0


async def throttled(instance: Instance) -> None:
    said = '{"error":"API_TOKEN_LIMIT_EXCEEDED","message":"Rate limit exceeded"}'
    fault = Fault(
        "status", "/1/cards/*", status=429, body=said, content_type="application/json", times=3
    )
    instance.standin.faults.add(fault)
    await instance.ask_anew(3)


async def refused(instance: Instance) -> None:
    fault = Fault("status", status=401, body="invalid token", times=None)
    instance.standin.faults.add(fault)
    await instance.ask_anew()


async def aging(instance: Instance) -> None:
    """Ten of the twenty days that the token has are over."""
    instance.clock.ahead_s = 10 * DAY_S


async def crowd(instance: Instance) -> None:
    """More questions than there are turns."""
    await instance.ask_anew(20)


async def news(instance: Instance) -> None:
    """Each question is a new one."""
    await instance.ask_anew(3)


async def nothing(instance: Instance) -> None:
    """The load is fault enough."""


async def editing(instance: Instance) -> None:
    """A change that nobody tells of before each read."""
    instance.edit()
    await instance.ask(f"/1/cards/{instance.card}")


async def unwatched(instance: Instance) -> None:
    fault = Fault("status", "/1/members/me/boards*", status=503, times=None)
    instance.standin.faults.add(fault)


async def silenced(instance: Instance) -> None:
    """Trello delivers nothing any more."""
    await instance.standin.deliveries.stop()


async def forging(instance: Instance) -> None:
    for number in range(20):
        body = b'{"action":{"id":"%d"}}' % number
        await instance.ask(PATH, "POST", body=body, X_Trello_Webhook="forged", Host="localhost")


async def unclear(instance: Instance) -> None:
    body, url = b'{"action":', f"http://localhost:{instance.port}{PATH}"
    signature = instance.standin.deliveries.signature(body, url)
    await instance.ask(PATH, "POST", body=body, X_Trello_Webhook=signature, Host="localhost")


async def diskless(instance: Instance) -> None:
    """It starts again, and finds something that is no directory where its store should be."""
    await instance.close()
    await asyncio.to_thread(instance.directory.rename, instance.directory.with_suffix(".away"))
    await asyncio.to_thread(instance.directory.write_bytes, b"")
    await instance.open()


async def without_redis(instance: Instance) -> None:
    assert instance.redis is not None
    instance.redis.kill()


async def cut_off(instance: Instance) -> None:
    """It starts again, and finds neither Redis nor another node."""
    assert instance.redis is not None
    await instance.close()
    instance.redis.kill()
    await instance.open()


async def contending(instance: Instance) -> None:
    """Another node's name stands in the lease, again and again."""
    await instance.ask_anew()
    assert instance.redis is not None
    with instance.redis.client() as redis:
        await asyncio.to_thread(redis.hset, "{trello-proxy}:leader", "holder", "another")


async def killing(instance: Instance) -> None:
    """Kill a worker; the other serves meanwhile."""
    assert instance.app.workers is not None
    process = instance.app.workers._children[0]._process
    if process is not None:
        process.kill()


async def muting(instance: Instance) -> None:
    """A follower that is trusted does not acknowledge what a purge invalidates."""
    assert instance.app.fleet is not None
    leadership = instance.app.fleet.node.leadership
    if leadership is not None:
        leadership.barrier.join("10.0.0.9:9080", "mute").pinged()
        await instance.ask("/-/purge", "POST")


async def large(instance: Instance) -> None:
    """A file that is larger than all room for files."""
    body = b"x" * 200_000
    made = instance.standin.trello.upload(instance.card, File("a.png", "image/png", body))
    path = str(made["url"]).removeprefix("https://trello.com")
    assert await instance.ask(path) == 200


async def damaged(instance: Instance) -> None:
    """Somebody writes into a file that is kept."""
    path = instance.standin.trello.example_attachment_path
    assert await instance.ask(path) == 200
    await asyncio.sleep(IN_PEACE_S)
    for blob in (instance.directory / "files" / "blobs").rglob("*.blob"):
        await asyncio.to_thread(blob.write_bytes, b"?" * blob.stat().st_size)
    await instance.ask(path)


async def echoed(instance: Instance) -> None:
    said = f'{{"id":"1","desc":"the token is {TOKEN}"}}'
    fault = Fault("status", "/1/cards/*", status=200, body=said, content_type="application/json")
    instance.standin.faults.add(fault)
    await instance.ask_anew()


FLEET = "fleet: {listen: '127.0.0.1:0'}\n"
LEADERLESS = BUSY | {"TrelloProxyApart", "TrelloProxyDown", "TrelloProxyLeaders"}
CASES = {
    "TrelloTokenRefused": Case(refused, also=frozenset({"TrelloProxyPollLate"})),
    "TrelloTokenExpires": Case(aging, also=frozenset({"TrelloProxyPollLate"})),
    "TrelloThrottling": Case(throttled),
    "TrelloProxyRejecting": Case(nothing, LIMITED + "wait: 2s}\n", crowd, also=BUSY),
    "TrelloProxyQueueing": Case(nothing, LIMITED + "wait: 3m}\n", crowd, 0.0, also=BUSY),
    "TrelloProxyDown": Case(stopped),
    "TrelloProxyFailing": Case(failing, UNWATCHED),
    "TrelloFailing": Case(in_trouble, load=news, also=BUSY),
    "TrelloSlow": Case(slow, load=news, speed=FAST, also=BUSY),
    "TrelloProxyLowSavings": Case(nothing, UNWATCHED, news),
    "TrelloProxyStale": Case(
        nothing,
        UNWATCHED + "routes: [{match: /cards/*, lifetime: 1h}]\n",
        editing,
        pause_s=0.05,
        speed=3 * FAST,
        also=BUSY,
    ),
    "TrelloProxyPollLate": Case(
        unwatched, pause_s=0.5, speed=FAST, also=frozenset({"TrelloFailing", "TrelloSlow"})
    ),
    "TrelloWebhooksMissed": Case(
        silenced,
        HOOKED,
        editing,
        speed=FAST,
        also=BUSY | {"TrelloProxyStale"},
    ),
    "TrelloWebhooksUnsigned": Case(forging, HOOKED),
    "TrelloWebhooksMalformed": Case(unclear, HOOKED),
    "TrelloProxyStoreDown": Case(diskless, also=frozenset({"TrelloProxyAttachmentsDown"})),
    "TrelloProxyRedisDown": Case(
        without_redis, also=frozenset({"TrelloProxyStoreDown"}), has_redis=True
    ),
    "TrelloProxyApart": Case(cut_off, FLEET, also=LEADERLESS, has_redis=True),
    "TrelloProxyLeaders": Case(cut_off, FLEET, also=LEADERLESS, has_redis=True),
    "TrelloProxyTakeovers": Case(
        nothing, FLEET, contending, pause_s=4.0, also=LEADERLESS, has_redis=True
    ),
    "TrelloProxyWritesWait": Case(nothing, FLEET, muting, also=LEADERLESS, has_redis=True),
    "TrelloProxyWorkers": Case(nothing, "workers: 2\n", killing, also=BUSY | {"TrelloProxyDown"}),
    "TrelloProxyAttachmentsDown": Case(diskless, also=frozenset({"TrelloProxyStoreDown"})),
    "TrelloProxyAttachmentsFull": Case(large, "attachments: {disk: 64KiB}\n"),
    "TrelloProxyAttachmentsDamaged": Case(damaged),
    "TrelloProxyCredentialInResponse": Case(echoed),
}
