"""Process usage: CPU time and memory of this process."""

import os
import time
from contextlib import suppress
from pathlib import Path

_STATM = Path("/proc/self/statm")


def cpu_s() -> float:
    """Seconds of CPU time, of user and system, of all threads."""
    return time.process_time()


def resident_bytes() -> int:
    """Resident memory; 0 where the system has no /proc."""
    with suppress(OSError):
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
