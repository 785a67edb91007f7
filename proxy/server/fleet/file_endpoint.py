"""File endpoint: bytes of this node's attachment store, for another node of the fleet (D82)."""

import asyncio
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import unquote

from aiohttp import web

from proxy.attachments.body import AttachmentBody
from proxy.attachments.store.shared_file import FileInfo, SharedFile
from proxy.attachments.store.store import AttachmentStore, FoundFile
from proxy.errors import IncompleteResponse, NotFound
from proxy.http_semantics.conditional import Slice, Validators, content_range, resolve
from proxy.http_semantics.fields import serialize
from proxy.server.fleet.envelope import FILES
from proxy.server.response import WireResponse


class FileEndpoint:
    """Serves `GET /-/fleet/files/{id}`, whole or from an offset on."""

    def __init__(self, store: AttachmentStore, acts: Callable[[], bool]) -> None:
        """`acts`: whether this node leads."""
        self._store = store
        self._acts = acts

    async def serve(self, request: web.BaseRequest) -> WireResponse:
        """The file; NotFound if it is not here. Only a leader gives one that is still arriving."""
        found = await self._store.open(unquote(request.raw_path.removeprefix(FILES)))
        if found is None:
            raise NotFound("It is not in this node's store.")
        try:
            length = (await self._info(found)).length
        except BaseException:
            found.file.release()
            raise
        return _response(found.file, request.headers.get("Range", ""), length)

    async def _info(self, found: FoundFile) -> FileInfo:
        if found.row is not None:
            return FileInfo(found.file.written, "")
        if self._acts():
            try:
                return await found.file.info_ready()
            except asyncio.CancelledError:
                raise
            except Exception:  # noqa: BLE001 — of its source, for the readers here
                raise NotFound("It cannot be fetched.") from None
        raise NotFound("It is not complete in this node's store.")


def _response(file: SharedFile, range_: str, length: int | None) -> WireResponse:
    body = AttachmentBody(_no_source, FileInfo(length, ""), file=file)
    part = resolve(range_, "", Validators(""), length)
    if not isinstance(part, Slice):
        return WireResponse(200, b"", body, length)
    body.set_range(part.start, part.end)
    fields = serialize((("Content-Range", content_range(part, length or 0)),))
    return WireResponse(206, fields, body, part.end - part.start)


def _no_source(_: int) -> NoReturn:
    raise IncompleteResponse("A kept file cannot be read; ask again.")
