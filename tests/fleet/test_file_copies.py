"""Files between nodes: one download for all, a copy at each node, and no reader cut off."""

import asyncio
import os
import random
import signal
import sqlite3
from functools import partial
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from proxy.access.client_keys import digest_of, generate
from proxy.attachments.store.integrity import VERIFY_FIRST_BYTES
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.request import File
from proxy.server.fleet.envelope import FILES, REQUEST_FIELD, Envelope, seal
from tests.fleet.campaign.truth import WatchedTrello
from tests.fleet.nodes import FLEET_KEY, NodeGroup, NodeProcess, until
from tests.redis_server import RedisServer, needs_redis
from tests.scenarios.conftest import Heard

pytestmark = [pytest.mark.slow, needs_redis, pytest.mark.asyncio(loop_scope="module")]

NARROW_KEY = generate(bytes)
"""Of a client that may see another board only."""
SETTINGS = f"""\
clients:
  keys: [{{name: narrow, digest: '{digest_of(NARROW_KEY)}', boards: ['{"0" * 23}1']}}]
"""
_chance = random.Random(7)  # noqa: S311 — any bytes
SIZE = 3_000_000
PER_S = 1_000_000


def attach(
    trello: WatchedTrello, body: bytes = b"", name: str = "a.png", kind: str = "image/png"
) -> tuple[str, bytes]:
    """The target of a new file, and its bytes: SIZE of no pattern unless they are given."""
    body = body or _chance.randbytes(SIZE)
    made = trello.trello.upload(trello.trello.example_card, File(name, kind, body))
    return str(made["url"]).removeprefix("https://trello.com"), body


def file_id(target: str) -> str:
    return target.partition("/attachments/")[2].partition("/")[0]


def kept(node: NodeProcess) -> list[Path]:
    return sorted((node.directory / "cache/files/blobs").rglob("*.blob"))


async def is_kept(node: NodeProcess, number: int) -> bool:
    return len(kept(node)) >= number


async def copied_bytes(node: NodeProcess) -> float:
    return await node.metric('trello_proxy_attachment_bytes_total{source="node"}')


def is_whole(heard: Heard, body: bytes) -> bool:
    """Without a difference of megabytes in the output."""
    return heard.status == 200 and heard.body == body


def catalogued(node: NodeProcess, target: str) -> list[tuple[str, str]]:
    """Digest and type of the file in a node's store."""
    path = node.directory / "cache/files/files.sqlite"
    found = sqlite3.connect(path).execute(
        "SELECT digest, content_type FROM files WHERE id = ?", (file_id(target),)
    )
    return [*found]


async def has_row(node: NodeProcess, target: str) -> bool:
    return bool(catalogued(node, target))


@pytest.mark.parametrize("size", [2_000, SIZE])
async def test_readers_at_all_nodes_make_one_download_and_each_node_keeps_the_file(
    group: NodeGroup, trello: WatchedTrello, size: int
) -> None:
    await group.settled()
    (target, body), before = (
        attach(trello, _chance.randbytes(size)),
        [len(kept(node)) for node in group.nodes],
    )
    trello.faults.add(Fault("slow", "/files/*", bytes_per_s=PER_S))
    trello.request_log.reset()
    heard = await asyncio.gather(*(group.nodes[n % 3].get(target) for n in range(12)))
    assert [is_whole(each, body) for each in heard] == [True] * 12
    assert trello.request_log.downloads == 1
    for node, number in zip(group.nodes, before, strict=True):
        await until(partial(is_kept, node, number + 1))
    for name in ("Content-Type", "Content-Disposition", "ETag", "Content-Length", "Accept-Ranges"):
        assert len({each.fields[name] for each in heard}) == 1


async def test_the_charset_of_a_long_text_is_known_at_each_node(
    group: NodeGroup, trello: WatchedTrello
) -> None:
    await group.settled()
    text = "wörter ".encode() * 100_000
    target, _ = attach(trello, text, "a.txt", "text/plain")
    wanted = sha256(text).hexdigest(), "text/plain; charset=utf-8"

    async def is_catalogued(node: NodeProcess) -> bool:
        return catalogued(node, target) == [wanted]

    for node in group.nodes:
        assert is_whole(await node.get(target), text)
        await until(partial(is_catalogued, node))


async def test_a_node_without_room_for_a_file_sends_it_from_the_leader(
    group: NodeGroup, trello: WatchedTrello
) -> None:
    leader, (follower, _) = await group.settled(), await group.followers()
    await follower.kill()
    await follower.start(f"{SETTINGS}attachments: {{disk: 1MiB}}\n")
    assert await group.settled() is leader
    target, body = attach(trello)
    trello.request_log.reset()
    for node in (follower, leader, follower):
        assert is_whole(await node.get(target), body)
    assert trello.request_log.downloads == 1
    assert not [each for each in kept(follower) if each.stat().st_size == SIZE]
    await follower.kill()
    await follower.start(SETTINGS)
    await group.settled()


async def test_a_follower_sends_ranges_of_its_own_copy(
    group: NodeGroup, trello: WatchedTrello
) -> None:
    follower, _ = await group.followers()
    target, body = attach(trello)
    number = len(kept(follower))
    assert is_whole(await follower.get(target), body)
    await until(lambda: is_kept(follower, number + 1))
    copied = await copied_bytes(follower)
    part = await follower.get(target, headers={"Range": "bytes=1000-1999"})
    assert (part.status, part.body) == (206, body[1000:2000])
    assert part.fields["Content-Range"] == f"bytes 1000-1999/{SIZE}"
    assert part.cache == "hit"
    end = await follower.get(target, headers={"Range": "bytes=-10"})
    assert (end.status, end.body) == (206, body[-10:])
    beyond = await follower.get(target, headers={"Range": f"bytes={SIZE}-"})
    assert beyond.status == 416
    head = await follower("HEAD", target)
    assert (head.status, head.fields["Content-Length"], head.body) == (200, str(SIZE), b"")
    same = await follower.get(target, headers={"If-None-Match": head.fields["ETag"]})
    assert same.status == 304
    assert await copied_bytes(follower) == copied


async def test_a_range_at_a_follower_that_has_nothing_is_sent_while_the_file_is_copied(
    group: NodeGroup, trello: WatchedTrello
) -> None:
    leader, (follower, _) = await group.settled(), await group.followers()
    target, body = attach(trello)
    assert is_whole(await leader.get(target), body)
    number, copied = len(kept(follower)), await copied_bytes(follower)
    part = await follower.get(target, headers={"Range": f"bytes={SIZE - 500}-"})
    assert (part.status, part.body) == (206, body[-500:])
    await until(lambda: is_kept(follower, number + 1))
    assert await copied_bytes(follower) == copied + SIZE + 500  # it did not wait for the copy


async def test_a_damaged_copy_is_not_sent_but_replaced(
    group: NodeGroup, trello: WatchedTrello
) -> None:
    follower, _ = await group.followers()
    target, body = attach(trello)
    before = {*kept(follower)}
    assert is_whole(await follower.get(target), body)
    await until(lambda: has_row(follower, target))
    await asyncio.sleep(0.02)  # times of files have ticks; a later change shows
    (blob,) = {*kept(follower)} - before
    with blob.open("r+b") as file:
        file.write(b"damaged")
    trello.request_log.reset()
    assert is_whole(await follower.get(target), body)
    await until(lambda: is_kept(follower, len(before) + 1))
    assert trello.request_log.downloads == 0
    assert blob.read_bytes()[:7] == body[:7]


async def test_a_client_that_may_not_read_a_file_gets_the_leaders_refusal_where_the_bytes_are(
    group: NodeGroup, trello: WatchedTrello
) -> None:
    leader, (follower, _) = await group.settled(), await group.followers()
    target, body = attach(trello)
    assert is_whole(await follower.get(target), body)
    fields = {"Authorization": f"Bearer {NARROW_KEY}"}
    narrow = [await node.get(target, headers=fields) for node in (leader, follower)]
    assert {(each.status, each.body) for each in narrow} == {
        (401, b"unauthorized permission requested")
    }
    removed = await follower("DELETE", target.partition("/download")[0])
    assert removed.status == 200
    gone = await follower.get(target)
    assert (gone.status, gone.problem) == (410, "attachment-deleted")


async def test_only_a_node_gets_a_file_by_its_id(group: NodeGroup, trello: WatchedTrello) -> None:
    leader, (follower, _) = await group.settled(), await group.followers()
    target, body = attach(trello)
    assert is_whole(await leader.get(target), body)
    await until(lambda: has_row(leader, target))
    path = FILES + quote(file_id(target), safe="")
    key = FLEET_KEY.encode()
    own, client = Envelope("", "", "", reads_file=True), Envelope("", "127.0.0.1", "127.0.0.1")
    signed_for_another = seal(own, key, "GET", FILES + "other")
    refused: tuple[dict[str, str], ...] = (
        {},
        {REQUEST_FIELD: "x.y"},
        {REQUEST_FIELD: seal(own, b"no key", "GET", path)},
    )
    async with aiohttp.ClientSession() as session:
        for fields in (*refused, {REQUEST_FIELD: signed_for_another}):
            async with session.get(f"http://{leader.address}{path}", headers=fields) as response:
                assert response.status == 403
        sealed = {REQUEST_FIELD: seal(client, key, "GET", path)}
        async with session.get(f"http://{leader.address}{path}", headers=sealed) as response:
            assert response.status == 404  # relayed for a client
        sealed = {REQUEST_FIELD: seal(own, key, "GET", path), "Range": "bytes=100-"}
        async with session.get(f"http://{leader.address}{path}", headers=sealed) as response:
            assert response.status == 206
            is_right = await response.read() == body[100:]
            assert is_right
    for node in (leader, follower):
        heard = await node.get(path)
        assert (heard.status, body[:100] in heard.body) == (404, False)


async def test_only_the_leader_gives_a_node_what_is_still_arriving(
    group: NodeGroup, trello: WatchedTrello
) -> None:
    """A leader that is asked by its followers asks none of them for the same bytes."""
    leader, (follower, _) = await group.settled(), await group.followers()
    target, body = attach(trello)
    trello.faults.add(Fault("slow", "/files/*", bytes_per_s=PER_S))
    copied = await copied_bytes(follower)
    reading = asyncio.ensure_future(follower.get(target))

    async def arrives() -> bool:
        return await copied_bytes(follower) > copied

    await until(arrives)
    path = FILES + file_id(target)
    own = Envelope("", "", "", reads_file=True)
    fields = {REQUEST_FIELD: seal(own, FLEET_KEY.encode(), "GET", path)}
    async with aiohttp.ClientSession() as session:
        for node, status in ((leader, 200), (follower, 404)):
            async with session.get(f"http://{node.address}{path}", headers=fields) as response:
                assert response.status == status
    assert is_whole(await reading, body)


async def test_files_are_copied_while_redis_is_away(
    group: NodeGroup, trello: WatchedTrello, redis: RedisServer
) -> None:
    leader, followers = await group.settled(), await group.followers()
    target, body = attach(trello)
    trello.request_log.reset()
    redis.kill()
    try:
        heard = [await node.get(target) for node in (*followers, leader)]
    finally:
        await asyncio.to_thread(redis.start)
    assert [is_whole(each, body) for each in heard] == [True] * len(heard)
    assert trello.request_log.downloads == 1
    await until(partial(has_row, followers[0], target))
    assert await group.settled() is leader


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
async def test_readers_at_a_follower_get_the_whole_file_when_its_leader_is_gone(
    group: NodeGroup, trello: WatchedTrello, number: signal.Signals
) -> None:
    leader, followers = await group.settled(), await group.followers()
    target, body = attach(trello)
    trello.faults.add(Fault("slow", "/files/*", times=None, bytes_per_s=PER_S))
    read = dict.fromkeys(followers, 0)

    async def reader(node: NodeProcess, start: int) -> bool:
        fields = {"Range": f"bytes={start}-"} if start else {}
        url = f"http://127.0.0.1:{node.port}{target}"
        async with node._session.get(url, headers=fields) as response:
            assert response.status == (206 if start else 200)
            received = bytearray()
            async for chunk in response.content.iter_any():
                received += chunk
                read[node] = len(received)
        return received == body[start:]

    starts = (0, 0, 1, PER_S // 2)
    readers = [asyncio.ensure_future(reader(node, at)) for node in followers for at in starts]
    await until(lambda: have_all(read, PER_S // 4))
    leader.send_signal(number)
    if number != signal.SIGSTOP:
        await leader.ended()
    assert await asyncio.gather(*readers) == [True] * len(readers)
    trello.faults.clear()
    if number == signal.SIGSTOP:
        leader.send_signal(signal.SIGCONT)
    else:
        await leader.start(SETTINGS)
    await group.settled()


async def have_all(read: dict[NodeProcess, int], number: int) -> bool:
    return min(read.values()) >= number


async def only_the_last_leader_has(
    group: NodeGroup, trello: WatchedTrello, redis: RedisServer, body: bytes
) -> tuple[str, NodeProcess]:
    """The target of a file that the leader has and no other node; it has ended."""
    leader = await group.settled()
    target, _ = attach(trello, body)
    assert is_whole(await leader.get(target), body)

    async def is_noted() -> bool:
        with redis.client() as client:
            return bool(client.exists(f"{{trello-proxy}}:holders:{file_id(target)}"))

    await until(is_noted)
    leader.send_signal(signal.SIGTERM)
    await leader.ended()
    trello.request_log.reset()
    return target, leader


async def test_a_new_leader_takes_a_file_from_a_node_that_has_it(
    group: NodeGroup, trello: WatchedTrello, redis: RedisServer
) -> None:
    body = _chance.randbytes(SIZE)
    target, holder = await only_the_last_leader_has(group, trello, redis, body)
    await holder.start(SETTINGS)
    leader, followers = await group.settled(), await group.followers()
    heard = await asyncio.gather(*(node.get(target) for node in (leader, *followers) * 3))
    assert [is_whole(each, body) for each in heard] == [True] * len(heard)
    assert (trello.request_log.downloads, heard[0].cache) == (0, "hit")
    await until(lambda: has_row(leader, target))


async def test_what_a_node_has_that_was_damaged_is_requested_from_trello(
    group: NodeGroup, trello: WatchedTrello, redis: RedisServer
) -> None:
    body = _chance.randbytes(VERIFY_FIRST_BYTES + 1)  # served while it is verified
    before = {blob for node in group.nodes for blob in kept(node)}
    target, holder = await only_the_last_leader_has(group, trello, redis, body)
    (blob,) = {*kept(holder)} - before
    times = blob.stat().st_atime_ns, blob.stat().st_mtime_ns
    with blob.open("r+b") as file:
        file.write(b"damaged")
    os.utime(blob, ns=times)
    await holder.start(SETTINGS)
    leader = await group.settled()
    assert is_whole(await leader.get(target), body)
    assert trello.request_log.downloads == 1


async def test_a_file_is_requested_from_trello_if_its_holder_is_away(
    group: NodeGroup, trello: WatchedTrello, redis: RedisServer
) -> None:
    body = _chance.randbytes(SIZE)
    target, holder = await only_the_last_leader_has(group, trello, redis, body)
    leader = await group.settled()
    assert is_whole(await leader.get(target), body)
    assert trello.request_log.downloads == 1
    await holder.start(SETTINGS)
    await group.settled()
