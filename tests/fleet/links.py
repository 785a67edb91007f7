"""Network between nodes as processes: a TCP proxy in front of each node.

What passes from one to another can be held back, in both directions or in one, delayed, or reset.
What is held back arrives later, as TCP sends it again; neither end learns that the other is gone.
Who opened a connection is known by its socket, so each pair has a state of its own.
"""

import asyncio
import socket
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from proxy.runtime.tasks import TaskSet
from tests.redis_server import free_port

_CHUNK_BYTES = 64 * 1024
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_Address = tuple[str, int]


@dataclass
class Way:
    """From one to another; both ways of a pair are separate."""

    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    delay_s: float = 0.0
    resets: bool = False
    """Whether connections are reset, old and new ones."""

    def __post_init__(self) -> None:
        self.is_open.set()


class Network:
    """All ways, by the names of nodes."""

    def __init__(self) -> None:
        self.ways: dict[tuple[str, str], Way] = defaultdict(Way)
        self._connections: dict[asyncio.StreamWriter, tuple[str, str]] = {}
        self._servers: list[asyncio.Server] = []
        self._tasks = TaskSet()

    async def link(self, name: str, port: int, opener: Callable[[_Address, _Address], str]) -> int:
        """The port of a proxy of `name`, which listens on `port`.

        `opener`: the name of the client that has a connection from the first address.
        """

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            source = opener(writer.get_extra_info("peername"), writer.get_extra_info("sockname"))
            if source:
                self._tasks.spawn(self._serve(reader, writer, (source, name), port))
            else:
                writer.transport.abort()

        own_port = free_port()
        self._servers.append(await asyncio.start_server(accept, "127.0.0.1", own_port))
        return own_port

    def hold(self, sender: str, receiver: str) -> None:
        """Let nothing pass in this direction."""
        self.ways[sender, receiver].is_open.clear()

    def cut(self, name: str, others: Iterable[str]) -> None:
        """Let nothing pass between them."""
        for other in others:
            self.hold(name, other)
            self.hold(other, name)

    def delay(self, one: str, other: str, delay_s: float) -> None:
        """Let everything between them take longer, in each direction."""
        for pair in ((one, other), (other, one)):
            self.ways[pair].delay_s = delay_s

    def reset(self, one: str, other: str) -> None:
        """Reset all connections between them, and each new one."""
        for pair in ((one, other), (other, one)):
            self.ways[pair].resets = True
        for writer, pair in [*self._connections.items()]:
            if {*pair} == {one, other}:
                writer.transport.abort()

    def heal(self) -> None:
        """Let everything pass."""
        for way in self.ways.values():
            way.is_open.set()
            way.delay_s, way.resets = 0.0, False

    async def stop(self) -> None:
        """End every connection."""
        for server in self._servers:
            server.close()
        await self._tasks.stop()

    async def _serve(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pair: tuple[str, str],
        port: int,
    ) -> None:
        way = self.ways[pair]
        opened: list[asyncio.StreamWriter] = [writer]
        both = TaskSet()
        try:
            if way.resets:
                return
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
            opened.append(to_writer)
            self._connections |= dict.fromkeys(opened, pair)
            ways = {
                both.spawn(_pump(reader, to_writer, way)),
                both.spawn(_pump(to_reader, writer, self.ways[pair[::-1]])),
            }
            await asyncio.wait(ways)
        except OSError:
            pass
        finally:
            await both.stop()
            for each in opened:
                self._connections.pop(each, None)
                each.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
    """Carry bytes, and the end, in order; an end without order is a reset of both."""
    loop, arrived = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]]()

    async def send() -> None:
        chunk = b"-"
        while chunk:
            due_at, chunk = await arrived.get()
            await asyncio.sleep(due_at - loop.time())
            await way.is_open.wait()
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()

    tasks = TaskSet()
    sending = tasks.spawn(send())
    try:
        chunk = b"-"
        while chunk:
            chunk = await reader.read(_CHUNK_BYTES)
            arrived.put_nowait((loop.time() + way.delay_s, chunk))
        await sending
    except OSError:
        await way.is_open.wait()
        writer.transport.abort()
    finally:
        await tasks.stop()


def process_of(own: _Address, other: _Address, pids: Iterable[int]) -> int | None:
    """The process that has the end `own` of a connection on this machine."""
    inode = _inode_of(own, other)
    for pid in pids:
        with suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    if str(descriptor.readlink()) == f"socket:[{inode}]":
                        return pid
    return None


def _inode_of(own: _Address, other: _Address) -> int:
    """As sock_diag(7) has it; 0: there is no such connection any more."""
    ports = struct.pack("!HH", own[1], other[1])
    ends = ports + b"".join(socket.inet_aton(each[0]).ljust(16, b"\0") for each in (own, other))
    identity = ends + struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)  # any interface, any cookie
    wanted = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF) + identity
    header = struct.pack("=IHHII", 16 + len(wanted), _SOCK_DIAG_BY_FAMILY, 1, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as link:
        link.send(header + wanted)
        reply = link.recv(8192)
    is_found = struct.unpack_from("=H", reply, 4)[0] == _SOCK_DIAG_BY_FAMILY
    return int(struct.unpack_from("=I", reply, 84)[0]) if is_found else 0
