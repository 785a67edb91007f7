"""Trello repeats our credential: asterisks stand where it stood, wherever that was."""

import gzip
from pathlib import Path

import pytest

from tests.server.canary import shows
from tests.server.conftest import (
    KEY,
    TOKEN,
    Start,
)
from tests.server.raw_upstream import (
    BODY,
    FILE,
    JSON,
    OK,
    READ,
    answer,
    attached,
    chunked,
    file,
)


def spelt(secret: str) -> dict[str, bytes]:
    plain = secret.encode()
    return {
        "as it is": plain,
        "percent-encoded": b"".join(b"%%%02X" % char for char in plain),
        "escaped": b"".join(b"\\u%04x" % char for char in plain),
        "one character percent-encoded": plain[:-1] + b"%%%02x" % plain[-1],
        "mixed": b"\\u%04x%%25%02X" % (plain[0], plain[1]) + plain[2:].swapcase(),
    }


ECHOES = {
    f"{what}, {how}": text
    for what, secret in (("the key", KEY), ("the token", TOKEN))
    for how, text in spelt(secret).items()
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES.keys())
async def test_an_echoed_credential_is_blanked_in_any_body(before: Start, echo: bytes) -> None:
    body = b'{"url":"https://trello.com/?x=' + echo + b'"}'
    packed = JSON + b"Content-Encoding: gzip\r\n"
    refusal = b"HTTP/1.1 400 Bad Request\r\n"
    for said in (
        answer(body),
        chunked(*[body[at : at + 1] for at in range(len(body))]),
        answer(gzip.compress(body), packed),
        answer(body, JSON, refusal),
        answer(gzip.compress(body), packed, refusal),
    ):
        proxy = await before(said)
        for target in (READ, "/1/search?query=x"):
            for fields in ({}, {"Accept-Encoding": "gzip"}):
                heard = await proxy.get(target, fields)
                assert heard.status in {200, 400}
                plain = heard.body
                if heard.fields.get("content-encoding") == "gzip":
                    plain = gzip.decompress(plain)
                assert not shows(plain)
                assert len(plain) == len(body)
                assert plain.startswith(b'{"url":"https://trello.com/?x=***')
        written = await proxy.ask("POST", "/1/cards", {}, b"name=x")
        assert not shows(written.raw)
        await proxy.stop()
        assert not shows(proxy.log)


async def test_an_echo_in_a_response_too_long_to_hold_is_masked(
    before: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.upstream.exchange.MAX_BUFFERED_BYTES", 10_000)
    filler = b"x" * 5_000
    body = b'["' + filler + TOKEN.encode() + filler + KEY.encode() + filler + b'"]'
    cut = [body[at : at + 13] for at in range(0, len(body), 13)]
    for said in (
        chunked(*cut),
        answer(body),
        chunked(*_pieces(gzip.compress(body)), head=JSON + b"Content-Encoding: gzip\r\n"),
    ):
        proxy = await before(said)
        heard = await proxy.get("/1/boards/5e93ba403f1ab3603ba81a09/cards")
        assert heard.status == 200
        assert not shows(heard.body)
        assert len(heard.body) == len(body)


def _pieces(body: bytes) -> list[bytes]:
    return [body[at : at + 7] for at in range(0, len(body), 7)]


async def test_an_echo_in_a_field_is_blanked(before: Start) -> None:
    fields = JSON + b"".join(b"X-Echo-%d: a %b b\r\n" % pair for pair in enumerate(ECHOES.values()))
    proxy = await before(answer(head=fields + b"X-%b: 1\r\n" % TOKEN.encode()))
    heard = await proxy.get(READ)
    assert heard.status == 200
    assert heard.fields["x-echo-0"] == f"a {'*' * 32} b"
    assert not shows(heard.raw)


@pytest.mark.parametrize("target", [READ, FILE, "/1/client.js", "/1/search?query=x"])
@pytest.mark.parametrize(
    "name", ["Content-Type", "Content-Encoding", "Location", "Content-Disposition"]
)
async def test_an_echo_in_a_field_that_we_read_is_blanked_too(
    before: Start, target: str, name: str
) -> None:
    for status in (OK, b"HTTP/1.1 302 Found\r\n", b"HTTP/1.1 404 Not Found\r\n"):
        proxy = await before(answer(BODY, f"{name}: text/{KEY}-{TOKEN}\r\n".encode(), status))
        heard = await proxy.get(target)
        assert not shows(heard.raw)
        await proxy.stop()
        assert not shows(proxy.log)


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "passing through"])
@pytest.mark.parametrize("field", ["Content-Type", "Content-Encoding", "Location", "ETag"])
async def test_an_echo_in_a_field_of_a_file_is_blanked_too(
    before: Start, tmp_path: Path, field: str, *, is_kept: bool
) -> None:
    cases = [
        (status, echo)
        for status in (OK, b"HTTP/1.1 302 Found\r\n", b"HTTP/1.1 404 Not Found\r\n")
        for echo in (f"text/{KEY}", f"text/{KEY}-{TOKEN}", f"a/b; charset={KEY}")
    ]
    for number, (status, echo) in enumerate(cases):
        said = attached(answer(BODY, f"{field}: {echo}\r\n".encode(), status))
        proxy = await before(said, "", tmp_path / "kept" if is_kept else None)
        for _ in range(2):
            heard = await proxy.get(file(number))
            assert not shows(heard.raw)
        await proxy.stop()
        assert not shows(proxy.log)


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES.keys())
async def test_an_echo_in_the_metadata_of_a_file_is_masked(before: Start, echo: bytes) -> None:
    told = b'{"id":"5e94756a8ed68535838d852d","isUpload":true,"mimeType":"a/%b","fileName":"%b"}'
    for said in (told % (echo, echo), told.replace(b"true", b"false") % (echo, echo)):
        proxy = await before(answer(said))
        assert not shows((await proxy.get(FILE)).raw)


async def test_an_echo_in_a_reason_phrase_goes_no_further(before: Start) -> None:
    proxy = await before(answer(status=f"HTTP/1.1 200 {TOKEN}\r\n".encode()))
    assert (await proxy.get(READ)).line == b"HTTP/1.1 200 OK\r\n"
