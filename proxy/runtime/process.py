"""Process: its limit of file descriptors, how Python is tuned for it, and what it uses."""

import gc
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

MAX_FILES = 16_384
_STATM = Path("/proc/self/statm")
_PR_SET_PDEATHSIG = 1


def raise_fd_limit() -> int:
    """File descriptors this process may open: as many as the system allows, up to MAX_FILES."""
    limit, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard_limit == resource.RLIM_INFINITY else min(hard_limit, MAX_FILES)
    if limit != resource.RLIM_INFINITY and limit < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard_limit))
            limit = wanted
    return MAX_FILES if limit == resource.RLIM_INFINITY else limit


def end_with_parent() -> None:
    """Have Linux kill this process, even one that is stopped, when its parent ends after this.

    The parent is the thread that started it.
    """
    from ctypes import CDLL, c_ulong  # noqa: PLC0415 — only workers need it

    with suppress(OSError, AttributeError):
        CDLL(None).prctl(_PR_SET_PDEATHSIG, c_ulong(signal.SIGKILL))


def tune_gc() -> None:
    """Exempt what exists now from garbage collection, and collect less often.

    Measured with 50,000 stored responses: the 99th percentile of misses fell to 40 %.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def tune_thread_switching() -> None:
    """Have a computing thread yield to the event loop after 0.5 ms instead of 5 ms (D25).

    Measured while /metrics of 50 routes is rendered: the event loop waits at most 0.6 ms.
    """
    sys.setswitchinterval(0.0005)


def cpu_s() -> float:
    """Seconds of CPU time, of user and system, of all threads."""
    return time.process_time()


def resident_bytes() -> int:
    """Resident memory; 0 where the system has no /proc."""
    with suppress(OSError):
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
