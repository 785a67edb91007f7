"""Log lines: whole, parsable, and without a credential."""

import json

import pytest

from proxy.credentials.redaction import Redactor
from proxy.model import Detail
from proxy.observability.log import (
    BUFFER_BYTES,
    Level,
    Log,
    RequestLine,
)
from proxy.runtime.clock import FakeClock

SECRET = "0123456789abcdef"  # noqa: S105
LINE = RequestLine(
    request_id="ab12-1",
    client="127.0.0.1",
    method="GET",
    route="/boards/{id}",
    status=200,
    cache="hit",
    detail=None,
    duration_s=0.0012345,
    sent_bytes=42,
    user_agent="curl/8",
)


@pytest.fixture
def written() -> list[bytes]:
    return []


def parsed(written: list[bytes]) -> list[dict[str, object]]:
    return [json.loads(line) for line in b"".join(written).splitlines()]


def test_a_request_is_one_object_on_one_line(written: list[bytes]) -> None:
    log = Log(written.append, FakeClock(1_700_000_000.25))
    log.request(LINE)
    log.flush()
    assert written[0].endswith(b"\n")
    assert parsed(written) == [
        {
            "time": "2023-11-14T22:13:20.250Z",
            "level": "info",
            "message": "request",
            "id": "ab12-1",
            "client": "127.0.0.1",
            "method": "GET",
            "route": "/boards/{id}",
            "status": 200,
            "cache": "hit",
            "duration_ms": 1.234,
            "bytes": 42,
            "tool": "curl/8",
        }
    ]


def test_a_detail_is_logged_where_there_is_one(written: list[bytes]) -> None:
    log = Log(written.append, FakeClock())
    log.request(LINE._replace(detail=Detail.STALE_IF_ERROR))
    log.flush()
    assert parsed(written)[0]["detail"] == "stale-if-error"


def test_in_text_it_is_for_reading(written: list[bytes]) -> None:
    log = Log(written.append, FakeClock(1_700_000_000.0), form="text")
    log.request(LINE)
    log.event("warning", "store failed", action="read", error="disk is full", n=3)
    now = "2023-11-14T22:13:20.000Z"
    assert b"".join(written).decode().splitlines() == [
        f'{now} info 127.0.0.1 GET /boards/{{id}} 200 hit 1.234ms 42B ab12-1 "curl/8"',
        f'{now} warning store failed action=read error="disk is full" n=3',
    ]


@pytest.mark.parametrize(
    "name", ['a"b', "a\\b", "a\nb", "a\x00b", "caf\xe9", "\udcff", "x" * 5_000]
)
def test_no_tool_breaks_out_of_its_line(written: list[bytes], name: str) -> None:
    log = Log(written.append, FakeClock())
    log.request(LINE._replace(user_agent=name))
    log.flush()
    assert parsed(written)[0]["tool"] == name[:120]


@pytest.mark.parametrize("value", ["a\nb", "a b\nc", 'say "x"', "", "\x1b[31m", "a\u2028b"])
def test_no_value_breaks_out_of_its_line_of_text(written: list[bytes], value: str) -> None:
    log = Log(written.append, FakeClock(), form="text")
    log.event("info", "happened", value=value)
    line = b"".join(written).decode()
    assert len(line.splitlines()) == 1
    assert line.endswith(f" value={json.dumps(value)}\n")


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_credential_is_written(written: list[bytes], form: str) -> None:
    scrub = Redactor([SECRET]).redact_text
    log = Log(written.append, FakeClock(), form="json" if form == "json" else "text", scrub=scrub)
    log.event("error", "unexpected", error=f"https://x/?token={SECRET}")
    log.request(LINE._replace(user_agent=f"tool/{SECRET}"))
    log.flush()
    assert SECRET.encode() not in b"".join(written)
    assert len(b"".join(written).splitlines()) == 2


LEVELS: dict[Level, list[str]] = {
    "debug": ["debug", "info", "warning", "error", "request"],
    "info": ["info", "warning", "error", "request"],
    "warning": ["warning", "error"],
    "error": ["error"],
}


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_below_the_level_is_not_written(written: list[bytes], level: Level) -> None:
    log = Log(written.append, FakeClock(), level)
    for each in LEVELS:
        log.event(each, each)
    log.request(LINE)
    log.flush()
    assert [line["message"] for line in parsed(written)] == LEVELS[level]


def test_requests_gather_and_events_do_not(written: list[bytes]) -> None:
    log = Log(written.append, FakeClock())
    log.request(LINE)
    assert not written
    log.event("info", "happened")
    assert len(written) == 1
    assert [line["message"] for line in parsed(written)] == ["request", "happened"]
    log.flush()
    assert len(written) == 1


def test_the_buffer_is_bounded_and_hands_over_whole_lines(written: list[bytes]) -> None:
    log = Log(written.append, FakeClock())
    for _ in range(1_000):
        log.request(LINE)
    assert len(written) > 2
    assert all(each.endswith(b"}\n") for each in written)
    assert max(map(len, written)) < 2 * BUFFER_BYTES


def test_time_goes_on_within_and_beyond_a_second(written: list[bytes]) -> None:
    clock = FakeClock(1_700_000_000.0)
    log = Log(written.append, clock)
    for _ in range(3):
        log.event("info", "tick")
        clock.advance(0.75)
    times = [str(line["time"])[17:] for line in parsed(written)]
    assert times == ["20.000Z", "20.750Z", "21.500Z"]


def test_the_same_event_comes_once_a_minute_at_most(written: list[bytes]) -> None:
    clock = FakeClock()
    log = Log(written.append, clock)
    for seconds in (0, 1, 58, 1, 59):
        clock.advance(seconds)
        log.event_once_a_minute("warning", "full", used=seconds)
        log.event_once_a_minute("warning", "other")
    told = [(line["message"], line.get("used")) for line in parsed(written)]
    assert told == [("full", 0), ("other", None), ("full", 1), ("other", None)]


@pytest.mark.parametrize("duration_s", [0.0, 4e-7, 6e-7, 12.3e-6, 999.4e-6, 999.6e-6, 1e-3, 1.5])
def test_a_duration_has_three_decimals(written: list[bytes], duration_s: float) -> None:
    log = Log(written.append, FakeClock())
    log.request(LINE._replace(duration_s=duration_s))
    log.flush()
    assert b'"duration_ms":%.3f,' % (duration_s * 1000) in written[0]
