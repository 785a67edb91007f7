"""The identity file survives a restart, and never prevents one."""

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


def identity_file(path: Path) -> IdentityFile:
    """The identity file in a directory that this process owns."""
    directory = DirectoryLock(path)
    with suppress(StoreError):
        directory.own()
    return IdentityFile(directory)


def test_the_key_of_the_first_start_is_kept(tmp_path: Path) -> None:
    first = identity_file(tmp_path / "cache").open(NEW)
    again = identity_file(tmp_path / "cache").open(b"x" * KEY_BYTES)
    assert (first, again) == (IdentityState(NEW.hex()), first)
    assert ((tmp_path / "cache" / "identity.json").stat().st_mode & 0o777) == 0o600


def test_a_saved_state_is_read_again(tmp_path: Path) -> None:
    state = IdentityState(NEW.hex(), "digest", "member")
    identity_file(tmp_path).save(state)
    assert identity_file(tmp_path).open(b"x" * KEY_BYTES) == state


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"key": "00"}', '{"key": 1}', '{"salt": ""}'])
def test_an_invalid_file_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "identity.json").write_text(text)
    assert identity_file(tmp_path).open(NEW) == IdentityState(NEW.hex())
    assert identity_file(tmp_path).open(b"x" * KEY_BYTES) == IdentityState(NEW.hex())


def test_without_a_directory_each_start_is_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for file in (IdentityFile(None), identity_file(tmp_path / "file" / "cache")):
        assert file.open(NEW) == IdentityState(NEW.hex())
        assert file.open(b"x" * KEY_BYTES) == IdentityState((b"x" * KEY_BYTES).hex())


async def test_a_removed_or_replaced_file_is_written_again(tmp_path: Path) -> None:
    file = identity_file(tmp_path)
    state = file.open(NEW)
    path = tmp_path / "identity.json"
    path.unlink()
    await file.check_directory()
    assert identity_file(tmp_path).open(b"x" * KEY_BYTES) == state
    path.write_text(f'{{"key": "{"ab" * KEY_BYTES}"}}')
    await file.check_directory()
    assert identity_file(tmp_path).open(b"x" * KEY_BYTES) == state


async def test_nothing_is_written_in_a_directory_of_another_process(tmp_path: Path) -> None:
    first = identity_file(tmp_path)
    state = first.open(NEW)
    second = identity_file(tmp_path)
    assert second.open(b"x" * KEY_BYTES) == state
    second.save(IdentityState("cd" * KEY_BYTES))
    await second.check_directory()
    assert first.open(NEW) == state
