"""Event loop errors outside any request: one log event each."""

import asyncio
import errno
from collections.abc import Callable
from typing import Any

from proxy.observability.log import Log

_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Error numbers of the system when it has no resources for another connection."""


def loop_error_handler(log: Log) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """A handler for `set_exception_handler`; it writes no traceback, which is many lines."""

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        fault = context.get("exception")
        if isinstance(fault, OSError) and fault.errno in _NO_DESCRIPTOR:
            log.event_once_a_minute("error", "connection limit reached", fault=fault.strerror)
        else:
            log.event("error", "failed", where=context["message"], fault=repr(fault))

    return handle
