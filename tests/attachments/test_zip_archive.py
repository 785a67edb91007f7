"""ZIP archives are streams with safe names, and say what is missing."""

import io
import zipfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.attachments.zip_archive import MISSING, EntryNames, ZipArchive
from proxy.errors import IncompleteResponse

AT = datetime(2026, 11, 21, 19, 58, tzinfo=UTC)


def read(data: bytes) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    return archive


def test_what_was_written_is_read_back() -> None:
    archive = ZipArchive()
    with archive.entry("", "ü.txt", 6, AT):
        archive.write(b"abc")
        archive.write(bytearray(b"def"))
    first = archive.take()
    assert b"abcdef" in first
    with archive.entry("Card", "x", None, None):
        archive.write(b"y")
    archive.finish()
    found = read(first + archive.take())
    assert found.namelist() == ["ü.txt", "Card/x"]
    assert [found.read(each) for each in found.namelist()] == [b"abcdef", b"y"]
    assert found.infolist()[0].date_time == (2026, 11, 21, 19, 58, 0)


def test_a_file_that_breaks_off_is_not_extracted_but_named() -> None:
    archive = ZipArchive()
    with suppress(IncompleteResponse), archive.entry("Card", "a.txt", 10, AT):
        archive.write(b"half")
    archive.leave_out("Card", "a.txt", "It\nbroke off.")
    with archive.entry("Card", "b.txt", 4, AT):
        archive.write(b"next")
    archive.finish()
    found = read(archive.take())
    assert found.namelist() == ["Card/b.txt", MISSING]
    assert b"Card/a.txt: It broke off.\r\n" in found.read(MISSING)
    assert found.read("Card/b.txt") == b"next"


@pytest.mark.parametrize("body", [b"short", b"much too long"])
def test_a_file_of_another_length_than_announced_is_left_out(body: bytes) -> None:
    archive = ZipArchive()
    with pytest.raises(IncompleteResponse), archive.entry("", "a.txt", 6, AT):
        archive.write(body)
    archive.finish()
    assert read(archive.take()).namelist() == []


def test_zip64_is_used_where_the_length_needs_it_or_is_unknown() -> None:
    versions = {}
    for length in (None, 5 << 30, 0):
        archive = ZipArchive()
        with suppress(IncompleteResponse), archive.entry("", "a", length, AT):
            versions[length] = archive.take()[4]
    assert versions == {None: 45, 5 << 30: 45, 0: 20}


NAMES = {
    "a way up": ("../../etc/passwd", ".._.._etc_passwd"),
    "a device behind a space": ("CON .txt", "_CON .txt"),
    "a device with a raised digit": ("com\u00b9.log", "_com\u00b9.log"),
    "the console": ("CONOUT$", "_CONOUT$"),
    "an absolute path": ("/etc/passwd", "_etc_passwd"),
    "a drive": ("C:\\x", "C__x"),
    "dots": ("..", "file"),
    "nothing": ("", "file"),
    "a device": ("con.txt", "_con.txt"),
    "what Windows forbids": ('a<b>"c|d?*.txt', "a_b__c_d__.txt"),
    "a mark that reverses": ("exe\u202egpj.scr", "exegpj.scr"),
    "a dot behind": ("name.", "name"),
}


@pytest.mark.parametrize(("name", "safe"), NAMES.values(), ids=NAMES.keys())
def test_a_name_is_safe_to_extract(name: str, safe: str) -> None:
    assert EntryNames().take("", name) == safe.lstrip(".")


def test_names_that_are_equal_without_case_are_numbered() -> None:
    names = EntryNames()
    taken = [names.take("", name) for name in ("a.png", "A.png", "a.png", "a (2).png", "b")]
    assert taken == ["a.png", "A (2).png", "a (3).png", "a (2) (2).png", "b"]
    assert names.take("", MISSING) != MISSING


@given(st.lists(st.tuples(st.text(max_size=9), st.text()), max_size=9))
def test_any_names_make_different_relative_paths(wanted: list[tuple[str, str]]) -> None:
    names = EntryNames()
    taken = [names.take(folder, name) for folder, name in wanted]
    assert len({each.casefold() for each in taken}) == len(taken)
    for each in taken:
        for path in (PurePosixPath(each), PureWindowsPath(each)):
            assert not path.is_absolute()
            assert not {"..", "."} & set(path.parts)
            assert 1 <= len(path.parts) <= 2
            assert not path.drive if isinstance(path, PureWindowsPath) else True


@given(st.text(max_size=300), st.text(max_size=300), st.integers(1, 3))
def test_no_name_is_longer_than_a_file_system_allows(name: str, folder: str, times: int) -> None:
    names = EntryNames()
    for filler in ("", "\u6f22" * 300):
        for _ in range(times):
            path = names.take(folder + filler, filler + name)
            assert all(len(part.encode()) <= 255 for part in path.split("/"))


def test_a_long_name_keeps_its_ending() -> None:
    assert EntryNames().take("", "\u6f22" * 300 + ".png").endswith("\u6f22.png")
