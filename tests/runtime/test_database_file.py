"""A damaged database is renamed, its journal removed; a missing or replaced one is noticed."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from proxy.runtime.database_file import DatabaseFile, is_damage


@pytest.fixture
def file(tmp_path: Path) -> DatabaseFile:
    return DatabaseFile(tmp_path / "some.sqlite")


def error_of(path: Path, statement: str) -> sqlite3.Error:
    with closing(sqlite3.connect(path)) as db, pytest.raises(sqlite3.Error) as raised:
        db.execute(statement)
    return raised.value


def test_garbage_is_damage_and_a_missing_table_is_not(file: DatabaseFile) -> None:
    assert not is_damage(error_of(file.path, "SELECT * FROM missing"))
    file.path.write_bytes(b"<html>" * 1000)
    assert is_damage(error_of(file.path, "SELECT * FROM missing"))


def test_a_new_database_is_readable_by_its_owner_only(file: DatabaseFile) -> None:
    file.create()
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_a_damaged_database_is_renamed_and_its_journal_removed(file: DatabaseFile) -> None:
    for content in ("first", "second"):
        for suffix in ("", "-wal", "-shm"):
            file.path.with_name(file.path.name + suffix).write_text(content)
        file.set_aside()
    assert {each.name: each.read_text() for each in file.path.parent.iterdir()} == {
        "some.damaged": "second"
    }
    file.set_aside()


def test_a_removed_or_replaced_database_is_not_intact(file: DatabaseFile) -> None:
    assert file.is_intact
    assert file.inode is None
    file.create()
    file.note_opened()
    assert file.is_intact
    file.path.rename(file.path.with_name("other"))
    assert not file.is_intact
    file.create()
    assert not file.is_intact
