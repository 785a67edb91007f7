"""Library log: what aiohttp, asyncio and others write with Python's `logging`, as our events."""

import asyncio
import logging
from contextlib import suppress

from proxy.observability.log import Log


class LibraryLog(logging.Handler):
    """Handler of the root logger: warnings and errors, one event a minute, without tracebacks."""

    def __init__(self, log: Log, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._loop = loop

    def bind(self) -> None:
        """Handle what all loggers write from now on."""
        logging.getLogger().addHandler(self)

    def unbind(self) -> None:
        """Handle no more."""
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the event in the event loop: records come from other threads too."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._write, record)

    def _write(self, record: logging.LogRecord) -> None:
        fault = repr(record.exc_info[1]) if record.exc_info else None
        self._log.event_once_a_minute(
            "error" if record.levelno >= logging.ERROR else "warning",
            "library",
            logger=record.name,
            text=record.getMessage(),
            fault=fault,
        )
