"""What is remembered of the stored identity outlives a start, and never stops one."""

from pathlib import Path

import pytest

from proxy.store.known import KEY_BYTES, Known, KnownFile

NEW = b"k" * KEY_BYTES


def test_the_key_of_the_first_start_is_kept(tmp_path: Path) -> None:
    first = KnownFile(tmp_path / "cache").open(NEW)
    again = KnownFile(tmp_path / "cache").open(b"x" * KEY_BYTES)
    assert (first, again) == (Known(NEW.hex()), first)
    assert ((tmp_path / "cache" / "identity.json").stat().st_mode & 0o777) == 0o600


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    known = Known(NEW.hex(), "digest", "member")
    KnownFile(tmp_path).keep(known)
    assert KnownFile(tmp_path).open(b"x" * KEY_BYTES) == known


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"key": "00"}', '{"key": 1}', '{"salt": ""}'])
def test_a_file_that_is_none_is_begun_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "identity.json").write_text(text)
    assert KnownFile(tmp_path).open(NEW) == Known(NEW.hex())
    assert KnownFile(tmp_path).open(b"x" * KEY_BYTES) == Known(NEW.hex())


def test_where_nothing_can_be_kept_it_begins_anew_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for directory in (None, tmp_path / "file" / "cache"):
        assert KnownFile(directory).open(NEW) == Known(NEW.hex())
        assert KnownFile(directory).open(b"x" * KEY_BYTES) == Known((b"x" * KEY_BYTES).hex())
