"""ZIP archive, written as a stream: nothing of it is held but the list of its entries (D75).

Entries are stored, not compressed; their lengths and checksums follow them. An entry that cannot be
completed is not in the archive's directory: no tool that reads it extracts a truncated file. What
is missing is named in a text, the last entry.
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from proxy.attachments.content_policy import safe_name
from proxy.errors import IncompleteResponse

MISSING = "NOT INCLUDED.txt"
_RESERVED_CHARS = re.compile(r'[<>:"|?*]')
_RESERVED_NAMES = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]) *(?:\..*)?",
    re.IGNORECASE,
)
"""Names that Windows does not allow."""
_PART_BYTES = 230
"""Of UTF-8: most file systems have 255 at most, and a number may follow."""
_ENDING_CHARS = 12
"""Of a name that is too long: a file's extension, or a card's shortLink."""
_READABLE = 0o644 << 16
_SHORT_BYTES = 1 << 30
"""Of an entry with 32-bit lengths; zipfile's own limit is a little below 2 GiB."""
_ZIP64_VERSION = 45
"""Needed to extract an entry with 64-bit lengths (APPNOTE 4.4.3.2)."""


class EntryNames:
    """Names of an archive's entries: safe on every system, and each only once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {MISSING.casefold(): 1}
        """By name in lower case, how often it was taken."""

    def take(self, folder: str, name: str) -> str:
        """The path of the next entry; a name that is taken gets a number, `a (2).png`."""
        prefix = f"{_part(folder)}/" if folder else ""
        name = _part(name)
        stem, dot, suffix = name.rpartition(".")
        path = prefix + name
        while (key := path.casefold()) in self._numbers:
            self._numbers[key] += 1
            number = f" ({self._numbers[key]})"
            path = prefix + (f"{stem}{number}.{suffix}" if stem and dot else name + number)
        self._numbers[key] = 1
        return path


def _part(name: str) -> str:
    """One part of a path: no separator, control, reserved name, dot at an end, nor too long."""
    flat = _RESERVED_CHARS.sub("_", safe_name(unicodedata.normalize("NFC", name)))
    flat = flat.strip(". ") or "file"
    if len(flat.encode()) > _PART_BYTES:
        ending = flat[-_ENDING_CHARS:]
        beginning = flat[:-_ENDING_CHARS].encode()[: _PART_BYTES - len(ending.encode())]
        flat = beginning.decode(errors="ignore") + ending
    return f"_{flat}" if _RESERVED_NAMES.fullmatch(flat) else flat


class ZipArchive:
    """Writer of an archive; `take` gives the bytes that have been written since the last call."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = ZipFile(self._sink, "w", ZIP_STORED)
        self._names = EntryNames()
        self._missing: list[str] = []
        self._file: IO[bytes]

    def take(self) -> bytes:
        """The bytes to send next."""
        return self._sink.take()

    @contextmanager
    def entry(
        self, folder: str, name: str, length: int | None, moment: datetime | None
    ) -> Iterator[None]:
        """An entry of what is written meanwhile; on an error the archive's directory lacks it.

        `length`: in bytes, if known, IncompleteResponse if it is another; `moment`: when the file
        was made.
        """
        path = self._names.take(folder, name)
        try:
            with self._writing(path, length, moment):
                yield
            self._check_length(path, length)
        except BaseException:
            self._zip.filelist.remove(self._zip.NameToInfo.pop(path))
            raise

    def _check_length(self, path: str, length: int | None) -> None:
        if length not in {None, self._zip.NameToInfo[path].file_size}:
            raise IncompleteResponse("It has not the length that Trello announced.")

    def write(self, chunk: bytes | bytearray) -> None:
        """Add bytes to the entry."""
        self._file.write(chunk)

    def leave_out(self, folder: str, name: str, reason: str) -> None:
        """Name a file that is not in the archive."""
        path = f"{_part(folder)}/{_part(name)}" if folder else _part(name)
        self._missing.append(f"{path}: {' '.join(reason.split())}")

    def finish(self) -> None:
        """Write the text that names what is missing, if anything is, and the directory."""
        if self._missing:
            lines = ("These files could not be included:", "", *self._missing, "")
            text = "\r\n".join(lines).encode("utf-8", "replace")
            with self._writing(MISSING, len(text), None):
                self.write(text)
        self._zip.close()

    @contextmanager
    def _writing(self, path: str, length: int | None, moment: datetime | None) -> Iterator[None]:
        info = ZipInfo(path, _dos_time(moment))
        info.external_attr = _READABLE
        info.file_size = length or 0
        is_long = length is None or length > _SHORT_BYTES
        if is_long:
            info.extract_version = _ZIP64_VERSION  # which Python leaves out before 3.11.4
        with self._zip.open(info, "w", force_zip64=is_long) as self._file:
            yield


def _dos_time(moment: datetime | None) -> tuple[int, int, int, int, int, int]:
    """A time that the format can express: 1980 to 2107."""
    if moment is None or not 1980 <= moment.year <= 2107:
        moment = datetime(1980, 1, 1, tzinfo=UTC)
    return moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second


class _Sink:
    """A file that can be written only: zipfile puts lengths behind each entry then."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes | bytearray, /) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered elsewhere."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> bytes:
        taken, self._written = bytes(self._written), bytearray()
        return taken
