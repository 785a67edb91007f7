"""The cache directory has one owner at a time, and is made anew when it was removed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.errors import DirectoryTaken, StoreError
from proxy.runtime.directory import DirectoryLock, is_in_use

OWNER = """
import sys
from pathlib import Path
from proxy.runtime.directory import DirectoryLock
directory = DirectoryLock(Path(sys.argv[1]))
directory.own()
print("owned", flush=True)
sys.stdin.read()
"""


def test_it_is_made_for_its_owner_alone_and_has_one(tmp_path: Path) -> None:
    path = tmp_path / "a" / "cache"
    assert not is_in_use(path)
    first, second = DirectoryLock(path), DirectoryLock(path)
    first.own()
    first.own()
    assert path.stat().st_mode & 0o777 == 0o700
    assert is_in_use(path)
    with pytest.raises(DirectoryTaken):
        second.own()
    assert (first.is_owned, second.is_owned) == (True, False)
    first.release()
    assert not is_in_use(path)
    second.own()


def test_the_kernel_frees_it_when_its_owner_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"owned\n"
        with pytest.raises(DirectoryTaken):
            DirectoryLock(tmp_path).own()
        owner.kill()
        owner.wait()
        DirectoryLock(tmp_path).own()


def test_what_was_removed_is_made_and_owned_anew(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    directory = DirectoryLock(path)
    directory.own()
    shutil.rmtree(path)
    directory.own()
    assert is_in_use(path)
    (path / "lock").unlink()
    directory.own()
    assert is_in_use(path)


def test_what_another_has_put_there_meanwhile_is_anothers(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    first, second = DirectoryLock(path), DirectoryLock(path)
    first.own()
    shutil.rmtree(path)
    second.own()
    with pytest.raises(DirectoryTaken):
        first.own()
    assert not first.is_owned
    second.release()
    first.own()


def test_a_directory_that_holds_other_things_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "other").touch()
    DirectoryLock(tmp_path).own()
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_where_there_can_be_none_it_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "cache"):
        with pytest.raises(StoreError):
            DirectoryLock(path).own()
        assert not is_in_use(path)
    (tmp_path / "lock").symlink_to(tmp_path / "file")
    with pytest.raises(StoreError):
        DirectoryLock(tmp_path).own()
