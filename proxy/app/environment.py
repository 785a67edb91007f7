"""Environment of a process: built from its configuration, and what it reports of faults."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

from proxy.access.authentication import Authentication
from proxy.app.components import Environment
from proxy.config.schema import Config
from proxy.credentials.redaction import Redactor
from proxy.observability.library_log import LibraryLog
from proxy.observability.log import Log
from proxy.observability.loop_errors import loop_error_handler
from proxy.observability.metrics import Metrics
from proxy.runtime.clock import BootClock
from proxy.runtime.memory_budget import MemoryBudget
from proxy.server.audit_log import AuditLog


def build_environment(
    config: Config,
    secrets: Iterable[str],
    *,
    clock: BootClock,
    write_log: Callable[[bytes], None],
    random: Callable[[int], bytes],
) -> Environment:
    """The environment; `secrets` are redacted. ValueError for one that is too short."""
    redactor = Redactor(secrets)
    log = Log(write_log, clock, config.log.level, config.log.format, redactor.redact_text)

    def note_memory_full() -> None:
        log.event_once_a_minute("warning", "client memory full", **memory.used_bytes)

    memory = MemoryBudget(config.limits.memory_bytes, note_memory_full)
    return Environment(
        config=config,
        clock=clock,
        log=log,
        random=random,
        metrics=Metrics(),
        memory=memory,
        redactor=redactor,
        authentication=Authentication(config.clients, config.admin.token),
        audit=AuditLog(config.audit.file, clock, log, is_required=config.audit.required),
        shutdown=AsyncExitStack(),
        instance=random(4).hex(),
    )


def report_faults(environment: Environment) -> None:
    """Log what the event loop and Python's libraries report, until the shutdown."""
    loop = asyncio.get_running_loop()
    environment.shutdown.callback(loop.set_exception_handler, loop.get_exception_handler())
    loop.set_exception_handler(loop_error_handler(environment.log))
    library_log = LibraryLog(environment.log, loop)
    library_log.bind()
    environment.shutdown.callback(library_log.unbind)
