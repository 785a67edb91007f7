"""What goes wrong in the event loop, in nobody's name: one event each, in the log's own form."""

import asyncio
import errno
from collections.abc import Callable
from typing import Any

from proxy.observability.log import Log

_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What the system says when it has no room for one more connection."""


def loop_error_handler(log: Log) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """A handler for `set_exception_handler`; no traceback, which is many lines and no JSON."""

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        fault = context.get("exception")
        if isinstance(fault, OSError) and fault.errno in _NO_DESCRIPTOR:
            log.event_once_a_minute("error", "connection limit reached", fault=fault.strerror)
        else:
            log.event("error", "failed", where=context["message"], fault=repr(fault))

    return handle
