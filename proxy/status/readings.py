"""Readings for the metrics: figures that parts of the proxy keep, read at each scrape."""

from collections.abc import Callable

from proxy import __version__
from proxy.attachments.store.store import AttachmentStore
from proxy.cache.store.redis_stats import RedisStats
from proxy.cache.store.store import ResponseStore
from proxy.cache.verification import HitVerifier
from proxy.changes.board_poller import BoardPoller
from proxy.config.schema import Config
from proxy.credentials.identity import StoredCredential
from proxy.observability.metrics import Metrics, Reading, Readings
from proxy.ratelimit.limiter import RateLimiter
from proxy.upstream.availability import CircuitBreakers
from proxy.upstream.credential_manager import CredentialManager

_DOWNLOAD_RESULTS = ("stored", "failed", "too-large", "insufficient-space")


def cache_readings(
    responses: ResponseStore, config: Config, redis: RedisStats | None = None
) -> Readings:
    """Size and state of the response store; of Redis if responses are stored there."""
    memory, durable = responses.memory, responses.disk
    disk = durable.stats if durable is not None else None
    tier = "redis" if redis else "disk"
    limit_bytes = config.redis.memory_bytes if redis else config.cache.disk_bytes
    return _redis_readings(redis) | {
        "store_bytes": lambda: {
            "memory": memory.used_bytes,
            tier: disk.used_bytes if disk else 0,
        },
        "store_limit_bytes": lambda: {
            "memory": memory.limit_bytes,
            tier: limit_bytes if disk else 0,
        },
        "store_responses": lambda: {"memory": len(memory)},
        "store_evictions_total": lambda: {
            "memory": memory.evictions,
            tier: disk.evictions if disk else 0,
        },
        "store_errors_total": lambda: disk.errors if disk else 0,
        "store_dropped_total": lambda: (
            (disk.dropped if disk else 0) + (redis.dropped if redis else 0)
        ),
        "store_up": lambda: responses.is_working,
        "aliases": lambda: len(responses.aliases),
        "info": lambda: {__version__: 1},
    }


def _redis_readings(redis: RedisStats | None) -> dict[str, Callable[[], Reading]]:
    if redis is None:
        return {}
    return {
        "redis_up": lambda: redis.is_up,
        "redis_seconds": lambda: redis.durations,
        "redis_errors_total": lambda: redis.errors,
        "redis_reasserts_total": lambda: redis.reasserts,
    }


def attachment_readings(attachments: AttachmentStore, metrics: Metrics) -> Readings:
    """Size and state of the attachment store, and the results of downloads."""
    budget = attachments.budget
    return {
        "attachments": lambda: len(attachments),
        "attachment_store_bytes": lambda: budget.used_bytes,
        "attachment_store_limit_bytes": lambda: budget.limit_bytes,
        "attachment_evictions_total": lambda: budget.evictions,
        "attachment_downloads_total": lambda: {
            name: attachments.downloads_total.get(name, 0) for name in _DOWNLOAD_RESULTS
        },
        "attachment_bytes_total": lambda: {
            "disk": attachments.file_io.read_bytes,
            "trello": metrics.downloaded_bytes,
            "node": metrics.copied_bytes,
        },
        "attachment_checksum_failures_total": lambda: attachments.checksum_failures,
        "attachment_store_up": lambda: attachments.is_working,
    }


def poller_readings(poller: BoardPoller) -> Readings:
    """Lag and results of the board poller."""
    return {
        "board_poll_lag_seconds": lambda: poller.lag_s,
        "boards_watched": lambda: poller.boards,
        "board_polls_total": lambda: poller.polls,
        "board_changes_total": lambda: poller.changes,
    }


def verification_readings(verifier: HitVerifier) -> Readings:
    """Results of hit verification, and the age of what was stale."""
    return {
        "hit_verifications_total": lambda: verifier.results,
        "stale_served_ratio": lambda: verifier.stale_ratio,
        "stale_served_seconds_total": lambda: verifier.stale_s,
    }


def rate_limit_readings(limiter: RateLimiter, stored: StoredCredential) -> Readings:
    """The queue for Trello's limits, and what is left of those of the stored token."""
    return {
        "rate_limit_queue_length": limiter.queue_lengths,
        "rate_limit_queue_oldest_seconds": limiter.oldest_wait_s,
        "rate_limit_remaining": lambda: limiter.remaining(stored.credential),
    }


def availability_readings(
    availability: CircuitBreakers, credential_manager: CredentialManager
) -> Readings:
    """Circuit breakers and the stored token."""
    return {
        "circuit_breakers": availability.states,
        "upstream_circuit_open": lambda: availability.host_state() != "closed",
        "upstream_last_success_age_seconds": availability.last_success_age_s,
        "token_refused": lambda: availability.token.is_refused,
        "token_expires_seconds": credential_manager.expires_in_s,
    }
