"""Files: redirects are followed by hand, once, to listed hosts; nothing cut looks whole."""

import asyncio
import gzip
from contextlib import suppress
from pathlib import Path

import pytest

from proxy.upstream.transport import MAX_CONNECTIONS
from tests.server.canary import shows
from tests.server.conftest import (
    KEY,
    TOKEN,
    Heard,
    Proxy,
    Start,
    Wire,
    says,
)
from tests.server.raw_upstream import (
    FILE,
    JSON,
    OK,
    RawUpstream,
    answer,
    attached,
    chunked,
    file,
    hang,
)

SIGNED = "/files/a.png?X-Amz-Signature=5igned5ecret"


class TestDownloads:
    """Redirects are followed by hand, once, to listed hosts only."""

    async def test_the_file_comes_and_the_signed_address_stays(
        self, before: Start, storage: RawUpstream, tmp_path: Path
    ) -> None:
        proxy = await self._redirecting(before, f"{storage.url}{SIGNED}", tmp_path / "kept")
        storage.said = answer(b"\x89PNG", b"Content-Type: image/png\r\nSet-Cookie: a=b\r\n")
        heard = await proxy.get(
            FILE, {"Cookie": "c=d", "Referer": "http://x/", "Range": "bytes=1-"}
        )
        assert (heard.status, heard.body) == (206, b"PNG")
        assert heard.fields["content-range"] == "bytes 1-3/4"
        self._is_silent(heard, proxy)
        assert "set-cookie" not in heard.fields
        (asked,) = storage.asked
        assert asked.startswith(b"GET " + SIGNED.encode() + b" HTTP/1.1\r\n")
        for name in (b"authorization", b"cookie", b"referer", b"range", b"via"):
            assert name not in asked.lower()

    @pytest.mark.parametrize(
        "location",
        [
            "http://evil.example/x?5igned",
            "http://{other}/x?5igned",
            "//{other}/x?5igned",
            "/elsewhere?5igned",
            "elsewhere?5igned",
            "http://{listed}@{other}/5igned",
            "http://evil@{listed}/5igned",
            "http://evil:word@{listed}/5igned",
            "http://:word@{listed}/5igned",
            "http://@{listed}/5igned",
            "http://{listed}%2f@{other}/5igned",
            "http://{other}#@{listed}/5igned",
            "http://{other}?@{listed}/5igned",
            "http://{other}\\@{listed}/5igned",
            "ftp://{listed}/5igned",
            "file:///etc/passwd?5igned",
            "http://[::1/5igned",
            "http://127.0.0.1:99999/5igned",
            "http:///5igned",
            "http://{listed}.evil.example/5igned",
            "",
            "http://{listed}/x\xe9\x85?5igned",
        ],
    )
    async def test_a_redirect_elsewhere_is_refused_and_not_disclosed(
        self, before: Start, storage: RawUpstream, elsewhere: RawUpstream, location: str
    ) -> None:
        storage.said = elsewhere.said = answer(b"5igned-evil", b"Content-Type: image/png\r\n")
        place = location.replace("{other}", elsewhere.host).replace("{listed}", storage.host)
        proxy = await self._redirecting(before, place)
        heard = await proxy.get(FILE)
        assert elsewhere.asked == []
        if "\xe9" in location or "\\" in location:
            assert heard.status in {200, 502}
        else:
            assert says(heard, 502, "invalid-response")
            assert storage.asked == []
            self._is_silent(heard, proxy)

    async def test_a_second_redirect_is_not_followed(
        self, before: Start, storage: RawUpstream, elsewhere: RawUpstream
    ) -> None:
        proxy = await self._redirecting(before, f"{storage.url}{SIGNED}")
        for place in (f"{elsewhere.url}/5igned", f"{storage.url}/5igned"):
            onward = f"Location: {place}\r\n".encode()
            storage.said = answer(b"5igned", onward, b"HTTP/1.1 302 Found\r\n")
            heard = await proxy.get(FILE)
            assert says(heard, 502, "invalid-response")
            self._is_silent(heard, proxy)
        assert elsewhere.asked == []
        assert len(storage.asked) == 2

    @pytest.mark.parametrize("status", [b"403 Forbidden", b"404 Not Found", b"500 Oops"])
    async def test_an_error_of_the_storage_is_not_disclosed(
        self, before: Start, storage: RawUpstream, status: bytes
    ) -> None:
        proxy = await self._redirecting(before, f"{storage.url}{SIGNED}")
        storage.said = answer(b"<Error>5igned</Error>", JSON, b"HTTP/1.1 %b\r\n" % status)
        heard = await proxy.get(FILE)
        assert says(heard, 502, "invalid-response")
        self._is_silent(heard, proxy)

    async def test_a_redirect_that_carries_our_credential_is_not_followed(
        self, before: Start, storage: RawUpstream
    ) -> None:
        proxy = await self._redirecting(before, f"{storage.url}/x?token={TOKEN}&key={KEY}")
        storage.said = answer(b"x", b"Content-Type: image/png\r\n")
        heard = await proxy.get(FILE)
        assert says(heard, 502, "invalid-response")
        assert storage.asked == []
        assert not shows(heard.raw)

    @pytest.mark.parametrize("framing", ["length", "chunks"])
    @pytest.mark.parametrize("size", [0, 10, 100_000])
    async def test_a_cut_file_never_looks_complete(
        self, before: Start, storage: RawUpstream, framing: str, size: int
    ) -> None:
        proxy = await self._redirecting(before, f"{storage.url}{SIGNED}")
        head = OK + b"Content-Type: image/png\r\n"
        if framing == "length":
            storage.said = head + b"Content-Length: 100001\r\n\r\n" + b"x" * size
        else:
            storage.said = head + b"Transfer-Encoding: chunked\r\n\r\nffffff\r\n" + b"x" * size
        wire = await proxy.connect()
        wire.send(proxy.request("GET", FILE))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await _whole_or_raise(wire)

    @pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "passing through"])
    @pytest.mark.parametrize("sent", [(b"\x89PNG!",), (b"\x89PNG", b"!"), (b"\x89P", b"NG!")])
    async def test_a_file_longer_than_trello_says_never_looks_complete(
        self,
        before: Start,
        storage: RawUpstream,
        tmp_path: Path,
        sent: tuple[bytes, ...],
        *,
        is_kept: bool,
    ) -> None:
        directory = tmp_path / "kept" if is_kept else None
        proxy = await self._redirecting(before, f"{storage.url}{SIGNED}", directory, length="4")
        go_on = asyncio.Event()

        async def bit_by_bit(
            _: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes
        ) -> None:
            head = OK + b"Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
            *first, last = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in sent]
            writer.write(b"".join((head, *first)))
            await go_on.wait()
            writer.write(last + b"0\r\n\r\n")

        storage.said = bit_by_bit
        wire = await proxy.connect()
        wire.send(proxy.request("GET", FILE))
        assert b"content-length: 4\r\n" in (await wire.reader.readuntil(b"\r\n\r\n")).lower()
        go_on.set()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await wire.reader.readexactly(4)

    async def test_a_file_that_comes_as_gzip_is_given_as_it_is(
        self, before: Start, storage: RawUpstream
    ) -> None:
        proxy = await self._redirecting(before, f"{storage.url}{SIGNED}")
        head = b"Content-Type: image/png\r\nContent-Encoding: gzip\r\n"
        storage.said = answer(gzip.compress(b"\x89PNG" * 9), head)
        heard = await proxy.get(FILE)
        assert (heard.status, heard.body) == (200, b"\x89PNG" * 9)
        assert "content-encoding" not in heard.fields

    async def test_a_file_in_an_unknown_coding_is_an_upstream_failure(
        self, before: Start, storage: RawUpstream
    ) -> None:
        proxy = await self._redirecting(before, f"{storage.url}{SIGNED}")
        head = b"Content-Type: image/png\r\nContent-Encoding: br\r\n"
        storage.said = answer(b"\x89PNG", head)
        assert says(await proxy.get(FILE), 502, "invalid-response")

    async def test_a_file_that_comes_as_gzip_and_is_cut_never_looks_complete(
        self, before: Start, storage: RawUpstream
    ) -> None:
        proxy = await self._redirecting(before, f"{storage.url}{SIGNED}")
        head = b"Content-Type: image/png\r\nContent-Encoding: gzip\r\n"
        storage.said = answer(gzip.compress(b"\x89PNG" * 9)[:-1], head)
        wire = await proxy.connect()
        wire.send(proxy.request("GET", FILE))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await _whole_or_raise(wire)

    async def test_an_echo_in_a_file_from_trello_itself_is_blanked(self, before: Start) -> None:
        text = b"log: " + TOKEN.encode() + b"\n"
        cases = (
            answer(text, b"Content-Type: text/plain\r\n"),
            chunked(*[text[at : at + 1] for at in range(len(text))], head=b""),
        )
        for number, said in enumerate(cases):
            proxy = await before(attached(said))
            heard = await proxy.get(file(number))
            assert heard.status == 200
            assert not shows(heard.raw)
            assert len(heard.body) == len(text)

    @pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "passing through"])
    async def test_a_head_lets_the_file_go(
        self, before: Start, storage: RawUpstream, tmp_path: Path, *, is_kept: bool
    ) -> None:
        directory = tmp_path / "kept" if is_kept else None
        proxy = await self._redirecting(before, f"{storage.url}{SIGNED}", directory)

        async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes) -> None:
            writer.write(OK + b"Content-Type: image/png\r\nContent-Length: 9999999\r\n\r\n")
            await hang(_, writer, __)

        storage.said = endless
        for _ in range(MAX_CONNECTIONS + 1):
            heard = await proxy.ask("HEAD", FILE)
            assert (heard.status, heard.fields["content-length"]) == (200, "9999999")

    @pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "passing through"])
    async def test_a_client_who_leaves_lets_the_file_go(
        self, before: Start, storage: RawUpstream, tmp_path: Path, *, is_kept: bool
    ) -> None:
        directory = tmp_path / "kept" if is_kept else None
        proxy = await self._redirecting(before, f"{storage.url}{SIGNED}", directory)

        async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes) -> None:
            writer.write(OK + b"Content-Type: image/png\r\n\r\n")
            with suppress(ConnectionError):
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()

        storage.said = endless
        for _ in range(MAX_CONNECTIONS + 1):
            wire = await proxy.connect()
            wire.send(proxy.request("GET", FILE))
            await wire.reader.readuntil(b"\r\n\r\n")
            wire.writer.transport.abort()

    async def test_a_page_among_the_files_is_saved_and_not_shown(
        self, before: Start, storage: RawUpstream
    ) -> None:
        proxy = await self._redirecting(before, f"{storage.url}{SIGNED}")
        kinds = ("text/html", "image/svg+xml", "application/xhtml+xml", "x/y", "")
        for number, kind in enumerate(kinds):
            storage.said = answer(b"<script>", f"Content-Type: {kind}\r\n".encode())
            heard = await proxy.get(file(number))
            assert (heard.status, heard.body) == (200, b"<script>")
            assert heard.fields["content-disposition"].startswith("attachment;")
            assert heard.fields["x-content-type-options"] == "nosniff"
            assert "sandbox" in heard.fields["content-security-policy"]

    async def _redirecting(
        self,
        before: Start,
        location: str,
        directory: Path | None = None,
        *,
        length: str = "null",
    ) -> Proxy:
        field = b"Location: %b\r\n" % location.encode("latin-1")
        body = b"Found. Redirecting to " + location.encode("latin-1")
        said = attached(answer(body, field, b"HTTP/1.1 302 Found\r\n"), length)
        return await before(said, "attachments: {max_file: 16MiB}", directory)

    def _is_silent(self, heard: Heard, proxy: Proxy) -> None:
        assert b"5igned" not in heard.raw
        assert b"evil" not in heard.raw
        assert b"127.0.0.1" not in heard.raw
        assert b"5igned" not in proxy.log


async def _whole_or_raise(wire: Wire) -> None:
    heard = await wire.hear()
    if heard.status == 502:
        raise ConnectionResetError("an error of its own is no complete file")
