"""An attachment: fetched once, read by anyone from any offset, kept, and never short in silence."""

import asyncio
import random
import resource
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Literal

import aiohttp
import pytest
from yarl import URL

from proxy.attachments.store import store
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.request import File
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    Heard,
    Proxy,
    Raw,
    StartProxy,
    turns,
    until,
)

BODY = random.Random(7).randbytes(1_000_000)  # noqa: S311 — any bytes
PER_S = 100_000


def attach(
    fake_trello: FakeTrello,
    card: str,
    body: bytes = BODY,
    name: str = "a.png",
    kind: str = "image/png",
) -> str:
    """The path of a new file's download."""
    made = fake_trello.trello.upload(card, File(name, kind, body))
    return str(made["url"]).removeprefix("https://trello.com")


def metadata_of(path: str) -> str:
    return path.partition("/download")[0]


def slowly(fake_trello: FakeTrello) -> None:
    """The storage host gives a hundred thousand bytes each second."""
    fake_trello.faults.add(Fault("slow", "/files/*", bytes_per_s=PER_S))


def kept(directory: Path) -> list[Path]:
    return sorted((directory / "files" / "blobs").rglob("*.blob"))


def partial(directory: Path) -> list[Path]:
    return list((directory / "files" / "partial").iterdir())


def in_the_way(directory: Path) -> None:
    """Something that is no directory stands where the store would be."""
    directory.mkdir()
    (directory / "files").write_bytes(b"")


async def _at_leisure(clock: FakeClock, *asked: "asyncio.Task[Heard]") -> list[Heard]:
    """The answers, time passing as they need it."""
    responses = asyncio.gather(*asked)
    while not responses.done():
        await turns(20)
        clock.advance(1.0)
    return await responses


def _get(proxy: Proxy, path: str, **fields: str) -> "asyncio.Task[Heard]":
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return asyncio.ensure_future(proxy.get(path, headers=headers))


async def stored(proxy: Proxy, path: str) -> None:
    """Somebody has read it, and it is kept."""
    sample = 'trello_proxy_attachment_downloads_total{result="stored"}'
    before = await proxy.metric(sample)
    assert (await proxy.get(path)).status == 200
    async with asyncio.timeout(10):
        while await proxy.metric(sample) == before:
            await turns(5)


@pytest.fixture
async def patient(start_proxy: StartProxy) -> Proxy:
    """A proxy that bears Trello's silence for longer than any of these tests takes."""
    return await start_proxy(upstream={"read_timeout_s": 60.0})


class TestManyReaders:
    async def test_two_hundred_readers_with_ranges_of_their_own_one_download(
        self, patient: Proxy, standin: FakeTrello, card: str, clock: FakeClock
    ) -> None:
        path = attach(standin, card)
        slowly(standin)
        draw = random.Random(1)  # noqa: S311 — any ranges
        spans = [sorted(draw.sample(range(len(BODY)), 2)) for _ in range(200)]
        asked = [_get(patient, path, Range=f"bytes={first}-{last}") for first, last in spans]
        heard = await _at_leisure(clock, *asked)
        for (first, last), response in zip(spans, heard, strict=True):
            assert response.status == 206
            assert response.body == BODY[first : last + 1]
        assert standin.request_log.downloads == 1

    async def test_a_reader_who_joins_late_gets_everything(
        self, patient: Proxy, standin: FakeTrello, card: str, clock: FakeClock
    ) -> None:
        path = attach(standin, card)
        slowly(standin)
        first = _get(patient, path)
        for _ in range(5):
            await turns(50)
            clock.advance(1.0)
        late = _get(patient, path)
        responses = await _at_leisure(clock, first, late)
        assert [response.body == BODY for response in responses] == [True, True]
        assert "collapsed" in responses[1].cache
        assert standin.request_log.downloads == 1

    async def test_a_range_ahead_waits_for_its_bytes_and_no_more(
        self, patient: Proxy, standin: FakeTrello, card: str, clock: FakeClock
    ) -> None:
        path = attach(standin, card)
        slowly(standin)
        early = _get(patient, path, Range="bytes=10-19")
        ahead = _get(patient, path, Range=f"bytes={PER_S + 5}-{PER_S + 9}")
        assert (await early).body == BODY[10:20]
        assert not ahead.done()
        clock.advance(1.0)
        assert (await ahead).body == BODY[PER_S + 5 : PER_S + 10]
        assert not kept(Path(patient.app._config.cache.directory))

    async def test_behind_many_slow_files_another_passes_through(
        self, patient: Proxy, standin: FakeTrello, card: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "SLOT_WAIT_S", 0.05)
        slow = [
            attach(standin, card, BODY[number:]) for number in range(store.MAX_CONCURRENT_DOWNLOADS)
        ]
        standin.faults.add(Fault("slow", "/files/*", times=len(slow), bytes_per_s=PER_S))
        asked = [_get(patient, path) for path in slow]
        await until(lambda: standin.request_log.downloads == len(slow))
        heard = await patient.get(attach(standin, card, BODY * 2))
        assert (heard.body == BODY * 2, heard.cache) == (
            True,
            "fwd=bypass; detail=insufficient-space",
        )
        for each in asked:
            each.cancel()

    async def test_who_began_it_leaves_and_it_goes_on(
        self, patient: Proxy, standin: FakeTrello, card: str, clock: FakeClock
    ) -> None:
        path = attach(standin, card)
        slowly(standin)
        first = _get(patient, path)
        await until(lambda: standin.request_log.downloads == 1)
        other = _get(patient, path)
        await turns()
        first.cancel()
        assert (await _at_leisure(clock, other))[0].body == BODY
        assert standin.request_log.downloads == 1

    async def test_a_reader_who_does_not_read_holds_up_nobody(
        self, patient: Proxy, standin: FakeTrello, card: str
    ) -> None:
        body = BODY * 12
        path = attach(standin, card, body)
        async with patient.session.get(URL(patient.url + path, encoded=True)) as stalled:
            assert await stalled.content.readexactly(10) == body[:10]
            heard = await asyncio.gather(*(_get(patient, path) for _ in range(5)))
            assert all(response.body == body for response in heard)
            assert await stalled.content.read() == body[10:]
        assert standin.request_log.downloads == 1


RANGES: dict[str, tuple[dict[str, str], int, tuple[int, int | None] | None]] = {
    "none": ({}, 200, (0, None)),
    "the first bytes": ({"Range": "bytes=0-9"}, 206, (0, 10)),
    "the last bytes": ({"Range": "bytes=-10"}, 206, (len(BODY) - 10, None)),
    "from the middle on": ({"Range": "bytes=500000-"}, 206, (500_000, None)),
    "past the end": ({"Range": f"bytes=999990-{10**9}"}, 206, (999_990, None)),
    "only past the end": ({"Range": f"bytes={10**7}-"}, 416, None),
    "several": ({"Range": "bytes=0-1,5-6"}, 200, (0, None)),
    "another unit": ({"Range": "lines=0-1"}, 200, (0, None)),
    "backwards": ({"Range": "bytes=9-5"}, 200, (0, None)),
    "if it is this one": ({"Range": "bytes=0-9", "If-Range": "ETAG"}, 206, (0, 10)),
    "if it is another": ({"Range": "bytes=0-9", "If-Range": '"x"'}, 200, (0, None)),
    "if it is as old": ({"Range": "bytes=0-9", "If-Range": "DATE"}, 206, (0, 10)),
    "if it is older": ({"Range": "bytes=0-9", "If-Range": "EARLIER"}, 200, (0, None)),
    "if it is newer": ({"Range": "bytes=0-9", "If-Range": "LATER"}, 200, (0, None)),
    "not what is as old": ({"If-Modified-Since": "DATE"}, 304, None),
    "not what is older": ({"If-Modified-Since": "LATER", "Range": "bytes=0-1"}, 304, None),
    "what is newer": ({"If-Modified-Since": "EARLIER"}, 200, (0, None)),
    "what is newer than no date": ({"If-Modified-Since": "soon"}, 200, (0, None)),
    "another one, however old": (
        {"If-None-Match": '"y"', "If-Modified-Since": "LATER"},
        200,
        (0, None),
    ),
    "not this one again": ({"If-None-Match": "ETAG"}, 304, None),
    "not this one again, in part": (
        {"If-None-Match": 'W/"y", ETAG', "Range": "bytes=0-1"},
        304,
        None,
    ),
    "another one": ({"If-None-Match": '"y"'}, 200, (0, None)),
    "only this one": ({"If-Match": '"y", ETAG', "Range": "bytes=0-9"}, 206, (0, 10)),
    "only any": ({"If-Match": "*"}, 200, (0, None)),
    "only another one": ({"If-Match": '"y"', "Range": "bytes=0-9"}, 412, None),
    "only this one, weakly": ({"If-Match": "W/ETAG"}, 412, None),
    "only another one, not again": ({"If-Match": '"y"', "If-None-Match": "ETAG"}, 412, None),
    "only this one, however old": (
        {"If-Match": "ETAG", "If-Unmodified-Since": "EARLIER"},
        200,
        (0, None),
    ),
    "only what is as old": ({"If-Unmodified-Since": "DATE"}, 200, (0, None)),
    "only what is older": ({"If-Unmodified-Since": "EARLIER", "Range": "bytes=0-9"}, 412, None),
    "only what is older than no date": ({"If-Unmodified-Since": "soon"}, 200, (0, None)),
}


@pytest.mark.parametrize("state", ["arriving", "kept", "passing through"])
@pytest.mark.parametrize("case", RANGES.values(), ids=RANGES.keys())
async def test_ranges_and_conditions_agree_whatever_state_a_file_is_in(
    start_proxy: StartProxy,
    standin: FakeTrello,
    card: str,
    clock: FakeClock,
    state: str,
    case: tuple[dict[str, str], int, tuple[int, int | None] | None],
) -> None:
    fields, status, span = case
    limits = {"disk_bytes": 0} if state == "passing through" else {}
    proxy = await start_proxy(attachments=limits, upstream={"read_timeout_s": 60.0})
    path = attach(standin, card)
    etag = f'"{metadata_of(path).rpartition("/")[2]}"'
    if state == "arriving":
        slowly(standin)
    if state == "kept":
        await stored(proxy, path)
    words = {"ETAG": etag, **_dates(int(clock.now()))}
    asked = {name: _filled(value, words) for name, value in fields.items()}
    first = _get(proxy, path)
    heard = (await _at_leisure(clock, _get(proxy, path, **asked), first))[0]
    assert heard.status == status
    assert heard.fields["ETag"] == etag
    if status in {200, 206}:
        assert heard.fields["Last-Modified"] == words["DATE"]
    if span is not None:
        start, end = span
        assert heard.body == BODY[start:end]
        assert heard.fields["Content-Length"] == str(len(heard.body))
    if status == 206 and span is not None:
        last = span[0] + len(heard.body) - 1
        assert heard.fields["Content-Range"] == f"bytes {span[0]}-{last}/{len(BODY)}"
    if status == 416:
        assert heard.fields["Content-Range"] == f"bytes */{len(BODY)}"
    if status not in {412, 416}:
        assert heard.fields["Cache-Control"] == "private, max-age=3600, immutable"


def _dates(made_at: int) -> dict[str, str]:
    """When a file was attached, and a second before and after, as HTTP writes it."""
    words = {"EARLIER": made_at - 1, "DATE": made_at, "LATER": made_at + 1}
    return {word: formatdate(at, usegmt=True) for word, at in words.items()}


def _filled(value: str, words: dict[str, str]) -> str:
    for word, meant in words.items():
        value = value.replace(word, meant)
    return value


async def test_a_file_from_the_future_has_no_date(
    proxy: Proxy, standin: FakeTrello, card: str, clock: FakeClock
) -> None:
    path = attach(standin, card)
    found = standin.trello.attachments.find(metadata_of(path)[-24:])
    assert found is not None
    found["date"] = "2099-01-01T00:00:00.000Z"
    later = formatdate(4_102_444_800, usegmt=True)
    heard = await proxy.get(path, headers={"If-Modified-Since": later})
    assert (heard.status, "Last-Modified" in heard.fields) == (200, False)


@pytest.mark.parametrize("state", ["cold", "kept"])
async def test_a_head_tells_what_a_get_would(
    proxy: Proxy, standin: FakeTrello, card: str, state: str
) -> None:
    path = attach(standin, card)
    if state == "kept":
        await stored(proxy, path)
    head = await proxy("HEAD", path, headers={"Range": "bytes=0-1"})
    heard = await proxy.get(path)
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Content-Disposition", "Accept-Ranges",
                 "Last-Modified"):  # fmt: skip
        assert head.fields[name] == heard.fields[name]
    assert heard.body == BODY


async def test_one_connection_carries_one_file_after_another(
    proxy: Proxy, standin: FakeTrello, card: str, connect: Callable[[], Awaitable[Raw]]
) -> None:
    path, raw = attach(standin, card), await connect()
    await stored(proxy, path)
    for _ in range(3):
        await raw.send(f"GET {path} HTTP/1.1\r\nHost: {proxy.host}\r\n\r\n".encode())
        assert (await raw.answer())[2] == BODY
        await turns(20)


class TestTroubleOnTheWay:
    async def test_a_cut_download_is_resumed_from_where_it_was(
        self, proxy: Proxy, standin: FakeTrello, card: str
    ) -> None:
        path = attach(standin, card)
        for after in (300_000, 100_000):
            standin.faults.add(Fault("cut", "/files/*", after_bytes=after))
        assert (await proxy.get(path)).body == BODY
        ranges = [
            seen.fields.get("range") for seen in standin.request_log.requests if seen.host != "api"
        ]
        assert ranges[0] is None
        assert all(asked is not None and asked.startswith("bytes=") for asked in ranges[1:])
        assert len(ranges) == 3

    async def test_a_download_that_stalls_is_resumed(
        self, proxy: Proxy, standin: FakeTrello, card: str
    ) -> None:
        path = attach(standin, card)
        slowly(standin)  # and the clock stands still: silence after the first bytes
        heard = await proxy.get(path)
        assert heard.body == BODY
        assert standin.request_log.downloads == 2

    async def test_without_a_validator_it_begins_again_and_is_the_same_file(
        self, proxy: Proxy, standin: FakeTrello, card: str
    ) -> None:
        standin.faults.direct_downloads = True
        path = attach(standin, card)
        standin.faults.add(Fault("cut", "*/download/*", after_bytes=400_000))
        assert (await proxy.get(path)).body == BODY
        assert standin.request_log.count("GET", path) == 2

    async def test_what_breaks_off_for_good_has_no_clean_end_for_anyone(
        self, proxy: Proxy, standin: FakeTrello, card: str, directory: Path
    ) -> None:
        path = attach(standin, card)
        standin.faults.add(Fault("cut", "/files/*", after_bytes=50_000, times=None))
        heard = await asyncio.gather(
            *(_get(proxy, path) for _ in range(10)), return_exceptions=True
        )
        assert all(isinstance(each, aiohttp.ClientError) for each in heard)
        assert (kept(directory), partial(directory)) == ([], [])
        standin.faults.clear()
        assert (await proxy.get(path)).body == BODY

    async def test_what_breaks_before_the_first_byte_is_an_error_that_says_so(
        self, proxy: Proxy, standin: FakeTrello, card: str
    ) -> None:
        path = attach(standin, card)
        await proxy.get(metadata_of(path))
        for fault, status in (
            (Fault("status", "/files/*", status=503), 502),
            (Fault("hang", "/files/*"), 504),
            (Fault("status", "*/download/*", status=503), 503),
        ):
            standin.faults.add(fault)
            heard = await proxy.get(path)
            assert heard.status == status
            standin.faults.clear()
        assert (await proxy.get(path)).body == BODY

    async def test_all_who_wait_hear_of_a_refusal_that_was_asked_for_once(
        self, patient: Proxy, standin: FakeTrello, card: str, clock: FakeClock
    ) -> None:
        path = attach(standin, card)
        await patient.get(metadata_of(path))
        standin.faults.add(Fault("status", "*/download/*", status=429, times=None))
        standin.faults.latency_s, asleep = 1.0, clock.sleepers
        asked = [_get(patient, path) for _ in range(20)]
        await until(lambda: clock.sleepers > asleep)
        await turns()
        heard = await _at_leisure(clock, *asked)
        assert [response.status for response in heard] == [429] * 20
        assert standin.request_log.count("GET", path) == 1

    @pytest.mark.parametrize("kind", ["too_long", "too_short"])
    async def test_a_wrong_length_is_never_served(
        self,
        proxy: Proxy,
        standin: FakeTrello,
        card: str,
        kind: Literal["too_long", "too_short"],
        directory: Path,
    ) -> None:
        path = attach(standin, card)
        standin.faults.add(Fault(kind, "/files/*", times=None))
        heard = await proxy.get(path)
        assert (heard.status, heard.problem) == (502, "invalid-response")
        assert (kept(directory), partial(directory)) == ([], [])


class TestTheStore:
    async def test_the_same_file_on_twelve_cards_is_kept_once(
        self, patient: Proxy, standin: FakeTrello, card: str, directory: Path
    ) -> None:
        paths = [attach(standin, card, name=f"{number}.png") for number in range(12)]
        for path in paths:
            await stored(patient, path)
        assert len(kept(directory)) == 1
        assert await patient.metric("trello_proxy_attachments") == 12
        assert standin.request_log.downloads == 12

    async def test_a_restart_keeps_what_was_whole_and_sweeps_the_rest(
        self, start_proxy: StartProxy, standin: FakeTrello, card: str, directory: Path
    ) -> None:
        proxy = await start_proxy()
        path = attach(standin, card)
        await stored(proxy, path)
        await proxy.app.stop()
        (directory / "files" / "partial" / "9.partial").write_bytes(b"half")
        stray = kept(directory)[0].with_name("f" * 64 + ".blob")
        stray.write_bytes(b"nobody's")
        again = await start_proxy()
        assert (partial(directory), stray.exists()) == ([], False)
        heard = await again.get(path)
        assert (heard.body == BODY, heard.cache) == (True, "hit")
        assert standin.request_log.downloads == 1

    @pytest.mark.parametrize("harm", ["flipped", "cut", "removed"])
    @pytest.mark.parametrize("when", ["running", "stopped"])
    async def test_a_damaged_file_is_noticed_and_fetched_again(
        self,
        start_proxy: StartProxy,
        standin: FakeTrello,
        card: str,
        directory: Path,
        harm: str,
        when: str,
    ) -> None:
        proxy = await start_proxy()
        path = attach(standin, card)
        await stored(proxy, path)
        if when == "stopped":
            await proxy.app.stop()
        blob = kept(directory)[0]
        match harm:
            case "flipped":
                blob.write_bytes(BODY[:-1] + bytes([BODY[-1] ^ 1]))
            case "cut":
                blob.write_bytes(BODY[:-1])
            case "removed":
                blob.unlink()
        if when == "stopped":
            proxy = await start_proxy()
        heard = await proxy.get(path)
        assert (heard.status, heard.body == BODY) == (200, True)
        assert standin.request_log.downloads == 2

    async def test_the_least_recently_used_leaves(
        self, start_proxy: StartProxy, standin: FakeTrello, card: str, directory: Path
    ) -> None:
        proxy = await start_proxy(attachments={"disk_bytes": 3_100_000})
        bodies = [BODY[number:] for number in range(4)]
        paths = [attach(standin, card, body) for body in bodies]
        for path in paths[:3]:
            await stored(proxy, path)
        await proxy.get(paths[0])
        await stored(proxy, paths[3])
        assert len(kept(directory)) == 3
        before = standin.request_log.downloads
        assert (await proxy.get(paths[0])).cache == "hit"
        assert (await proxy.get(paths[1])).body == bodies[1]
        assert standin.request_log.downloads == before + 1
        assert await proxy.metric("trello_proxy_attachment_evictions_total") == 2

    async def test_a_file_that_is_being_read_does_not_leave(
        self, start_proxy: StartProxy, standin: FakeTrello, card: str
    ) -> None:
        body = BODY * 40  # more than the sockets on the way can hold
        proxy = await start_proxy(attachments={"disk_bytes": 40_500_000})
        path, other = attach(standin, card, body), attach(standin, card, BODY)
        await stored(proxy, path)
        async with proxy.session.get(URL(proxy.url + path, encoded=True)) as reading:
            await reading.content.readexactly(10)
            passed = await proxy.get(other)
            assert (passed.body == BODY, passed.cache) == (
                True,
                "fwd=bypass; detail=insufficient-space",
            )
            assert await reading.content.read() == body[10:]
        await stored(proxy, other)

    async def test_a_file_above_max_file_passes_through(
        self, start_proxy: StartProxy, standin: FakeTrello, card: str, directory: Path
    ) -> None:
        proxy = await start_proxy(attachments={"max_file_bytes": 999_999})
        path = attach(standin, card)
        heard = await proxy.get(path)
        assert (heard.body == BODY, heard.cache) == (True, "fwd=bypass; detail=too-large")
        part = await proxy.get(path, headers={"Range": "bytes=999000-"})
        assert (part.status, part.body == BODY[999_000:]) == (206, True)
        assert kept(directory) == []

    async def test_a_part_of_what_passes_through_is_asked_for_once(
        self, start_proxy: StartProxy, standin: FakeTrello, card: str
    ) -> None:
        proxy = await start_proxy(attachments={"max_file_bytes": 999_999})
        path = attach(standin, card)
        part = await proxy.get(path, headers={"Range": "bytes=-1000"})
        assert (part.status, part.body == BODY[-1000:]) == (206, True)
        assert part.fields["Content-Range"] == "bytes 999000-999999/1000000"
        assert standin.request_log.count("GET", path) == 1
        ranges = [
            seen.fields.get("range") for seen in standin.request_log.requests if seen.host != "api"
        ]
        assert ranges == ["bytes=999000-"]

    async def test_a_disk_that_fills_up_in_mid_body_is_noticed_by_nobody(
        self, patient: Proxy, standin: FakeTrello, card: str, clock: FakeClock, directory: Path
    ) -> None:
        path = attach(standin, card)
        slowly(standin)
        asked = [_get(patient, path), _get(patient, path, Range="bytes=700000-")]
        await until(lambda: standin.request_log.downloads == 1)
        with _no_file_longer_than(400_000):
            heard = await _at_leisure(clock, *asked)
        assert heard[0].body == BODY
        assert heard[1].body == BODY[700_000:]
        assert (kept(directory), partial(directory)) == ([], [])
        await stored(patient, path)

    async def test_where_nothing_can_be_kept_everything_passes_through(
        self, start_proxy: StartProxy, standin: FakeTrello, card: str, directory: Path
    ) -> None:
        in_the_way(directory)
        proxy = await start_proxy()
        path = attach(standin, card)
        assert (await proxy.get(path)).body == BODY
        assert await proxy.metric("trello_proxy_attachment_store_up") == 0

    async def test_two_proxies_do_not_share_a_directory(
        self, start_proxy: StartProxy, standin: FakeTrello, card: str
    ) -> None:
        first, second = await start_proxy(), await start_proxy()
        path = attach(standin, card)
        await stored(first, path)
        assert (await second.get(path)).cache == "fwd=bypass; detail=insufficient-space"

    async def test_nobody_else_on_the_machine_can_read_it(
        self, proxy: Proxy, standin: FakeTrello, card: str, directory: Path
    ) -> None:
        await stored(proxy, attach(standin, card))
        for path in (directory / "files").rglob("*"):
            assert path.stat().st_mode & 0o077 == 0, path


@contextmanager
def _no_file_longer_than(length: int) -> Iterator[None]:
    """Writing past it fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
