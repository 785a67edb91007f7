"""What is remembered of the stored identity outlives a start, and never stops one."""

from contextlib import suppress
from pathlib import Path

import pytest

from proxy.credentials.identity import (
    KEY_BYTES,
    IdentityFile,
    IdentityState,
)
from proxy.errors import StoreError
from proxy.runtime.directory import DirectoryLock

NEW = b"k" * KEY_BYTES


def file_in(path: Path) -> IdentityFile:
    """The file in a directory of this process's."""
    directory = DirectoryLock(path)
    with suppress(StoreError):
        directory.own()
    return IdentityFile(directory)


def test_the_key_of_the_first_start_is_kept(tmp_path: Path) -> None:
    first = file_in(tmp_path / "cache").open(NEW)
    again = file_in(tmp_path / "cache").open(b"x" * KEY_BYTES)
    assert (first, again) == (IdentityState(NEW.hex()), first)
    assert ((tmp_path / "cache" / "identity.json").stat().st_mode & 0o777) == 0o600


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    known = IdentityState(NEW.hex(), "digest", "member")
    file_in(tmp_path).save(known)
    assert file_in(tmp_path).open(b"x" * KEY_BYTES) == known


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"key": "00"}', '{"key": 1}', '{"salt": ""}'])
def test_a_file_that_is_none_is_begun_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "identity.json").write_text(text)
    assert file_in(tmp_path).open(NEW) == IdentityState(NEW.hex())
    assert file_in(tmp_path).open(b"x" * KEY_BYTES) == IdentityState(NEW.hex())


def test_where_nothing_can_be_kept_it_begins_anew_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for file in (IdentityFile(None), file_in(tmp_path / "file" / "cache")):
        assert file.open(NEW) == IdentityState(NEW.hex())
        assert file.open(b"x" * KEY_BYTES) == IdentityState((b"x" * KEY_BYTES).hex())


async def test_what_was_removed_or_exchanged_is_written_again(tmp_path: Path) -> None:
    file = file_in(tmp_path)
    known = file.open(NEW)
    path = tmp_path / "identity.json"
    path.unlink()
    await file.check_directory()
    assert file_in(tmp_path).open(b"x" * KEY_BYTES) == known
    path.write_text(f'{{"key": "{"ab" * KEY_BYTES}"}}')
    await file.check_directory()
    assert file_in(tmp_path).open(b"x" * KEY_BYTES) == known


async def test_in_another_processs_directory_nothing_is_written(tmp_path: Path) -> None:
    first = file_in(tmp_path)
    known = first.open(NEW)
    second = file_in(tmp_path)
    assert second.open(b"x" * KEY_BYTES) == known
    second.save(IdentityState("cd" * KEY_BYTES))
    await second.check_directory()
    assert first.open(NEW) == known
