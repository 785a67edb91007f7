"""File stamp: shows whether a file was replaced or written since it was read."""

from pathlib import Path


def file_stamp(path: Path) -> tuple[int, ...]:
    """Time of change, size and inode; empty if the file does not exist."""
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return ()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
