"""Files of a fleet: downloads of one file for readers at all nodes, and the first byte of each."""

import asyncio
import random
from dataclasses import dataclass
from statistics import median

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.request import File
from proxy.fake_trello.server import FakeTrello
from tests.bench.figures import verdict
from tests.fleet.nodes import NodeGroup, NodeProcess, now

READERS = 20
"""At each node."""
READ_BYTES = 1024 * 1024
PAUSE_S = 1.0
"""Before each, for the disk to have what came before."""
PER_S, EVERY_S = 5_000_000, 0.01
"""What arrives from Trello: bytes each second, in pieces."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one client got."""

    first_at: float
    """When the first byte of the body had arrived."""
    length: int


async def cold_files(group: NodeGroup, trello: FakeTrello, *, number: int, size_bytes: int) -> None:
    """Files that no node has, one after the other, each requested at all nodes at once."""
    body = random.Random(size_bytes).randbytes(size_bytes)  # noqa: S311 - any bytes
    nodes = [await group.settled(), *await group.followers()]
    later_ms, broken = list[float](), 0
    trello.request_log.reset()
    for n in range(number):
        await asyncio.sleep(PAUSE_S)
        file = File(f"{n}.bin", "application/octet-stream", body[n:])
        made = trello.trello.upload(trello.trello.example_card, file)
        trello.faults.add(Fault("slow", "/files/*", bytes_per_s=PER_S, every_s=EVERY_S))
        target = str(made["url"]).removeprefix("https://trello.com")
        readings = await asyncio.gather(
            *(_read(node, target) for _ in range(READERS) for node in nodes)
        )
        broken += sum(each.length != size_bytes - n for each in readings)
        firsts = [
            min(each.first_at for each in readings[n :: len(nodes)]) for n in range(len(nodes))
        ]
        later_ms.append((max(firsts[1:]) - firsts[0]) * 1e3)
    size = f"{size_bytes / 1e6:g} MB, which arrive at {PER_S / 1e6:g} MB/s"
    print(f"{number} files of {size}, {READERS} readers at each node")
    print(verdict("downloads of each file", trello.request_log.downloads / number, most=1))
    print(verdict("readers without the whole file", broken, most=0))
    print(verdict("ms, a follower's first byte after the leader's", median(later_ms), most=20))


async def _read(node: NodeProcess, target: str) -> _Reading:
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port, limit=READ_BYTES)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{node.port}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    _, _, rest = head.lower().partition(b"content-length: ")
    announced, length, first_at = int(rest.partition(b"\r\n")[0]), 0, 0.0
    while length < announced and (chunk := await reader.read(READ_BYTES)):
        first_at = first_at or now()
        length += len(chunk)
    writer.close()
    return _Reading(first_at, length)
