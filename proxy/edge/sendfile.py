"""A kept file to a client, by the kernel: its bytes never come up here.

asyncio's transport would copy them, and copy again what the socket does not take at once. The
socket is the transport's, so it is written to through a descriptor of our own, and only while the
transport itself has nothing to send.
"""

import asyncio

from proxy.flow.file_body import AttachmentBody


async def send_file(transport: asyncio.Transport, body: AttachmentBody, idle_s: float) -> int:
    """How many bytes went; what is left comes by iterating the body.

    ConnectionError when the client has left, TimeoutError when it takes nothing for `idle_s`.
    """
    own = transport.get_extra_info("socket")
    if own is None or transport.get_extra_info("sslcontext") is not None:
        return 0
    if transport.get_write_buffer_size():
        return 0
    to, sent = own.dup(), 0
    try:
        while not transport.is_closing():
            try:
                count = await body.send(to.fileno())
            except BlockingIOError:
                await _writable(to.fileno(), idle_s)
                continue
            if count == 0:
                return sent
            sent += count
            await asyncio.sleep(0)  # or one fast reader has the loop to itself
        raise ConnectionResetError("the client has left")
    finally:
        to.close()


async def _writable(fd: int, idle_s: float) -> None:
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_writer(fd, event.set)
    try:
        async with asyncio.timeout(idle_s):
            await event.wait()
    finally:
        loop.remove_writer(fd)
