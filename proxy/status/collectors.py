"""Figures that belong to a part of the proxy and are read when somebody asks for metrics."""

from proxy import __version__
from proxy.attachments.store.store import AttachmentStore
from proxy.cache.store.store import ResponseStore
from proxy.cache.verification import HitVerifier
from proxy.changes.board_poller import BoardPoller
from proxy.config.schema import Config
from proxy.credentials.identity import StoredCredential
from proxy.observability.metrics import GaugeCallback, Metrics
from proxy.ratelimit.limiter import RateLimiter
from proxy.upstream.availability import CircuitBreakers
from proxy.upstream.credential_manager import CredentialManager

_FILLS = ("stored", "failed", "too-large", "insufficient-space")


def cache_gauges(responses: ResponseStore, config: Config) -> list[GaugeCallback]:
    """Figures that belong to the store, read when asked for."""
    memory, durable = responses.memory, responses.disk
    disk = durable.stats if durable is not None else None
    return [
        GaugeCallback(
            "store_bytes",
            "Bytes the stored responses take, by tier.",
            lambda: {"memory": memory.used_bytes, "disk": disk.used_bytes if disk else 0},
            "tier",
        ),
        GaugeCallback(
            "store_limit_bytes",
            "The bound of each tier.",
            lambda: {"memory": memory.limit_bytes, "disk": config.cache.disk_bytes if disk else 0},
            "tier",
        ),
        GaugeCallback(
            "store_responses",
            "Stored responses in memory.",
            lambda: {"memory": len(memory)},
            "tier",
        ),
        _facts_reading(responses),
        GaugeCallback(
            "store_evictions",
            "Stored responses that left for room, by tier.",
            lambda: {"memory": memory.evictions, "disk": disk.evictions if disk else 0},
            "tier",
            counter=True,
        ),
        GaugeCallback(
            "store_errors",
            "Failures of the store on disk; each was a miss, never an error to a client.",
            lambda: {"": disk.errors if disk else 0},
            counter=True,
        ),
        GaugeCallback(
            "store_dropped",
            "Answers kept in memory only, because the store on disk was slow or failing.",
            lambda: {"": disk.dropped if disk else 0},
            counter=True,
        ),
        GaugeCallback(
            "store_up",
            "Whether the store works: 1, or 0.",
            lambda: {"": float(responses.is_working)},
        ),
        GaugeCallback("info", "The version.", lambda: {__version__: 1.0}, "version"),
    ]


def _facts_reading(responses: ResponseStore) -> GaugeCallback:
    return GaugeCallback(
        "aliases",
        "Names and owners of objects that answers have shown, remembered.",
        lambda: {"": len(responses.aliases)},
    )


def attachment_gauges(files: AttachmentStore, metrics: Metrics) -> list[GaugeCallback]:
    """What is kept of files, and what came of their downloads."""
    room = files.budget
    return [
        GaugeCallback(
            "attachments", "Attachments and previews kept on disk.", lambda: {"": len(files)}
        ),
        GaugeCallback("attachment_store_bytes", "What they take.", lambda: {"": room.used_bytes}),
        GaugeCallback(
            "attachment_store_limit_bytes", "The bound of that.", lambda: {"": room.limit_bytes}
        ),
        GaugeCallback(
            "attachment_evictions",
            "Files that left for room.",
            lambda: {"": room.evictions},
            counter=True,
        ),
        GaugeCallback(
            "attachment_downloads",
            "Downloads of files into the store, by how they ended.",
            lambda: {name: float(files.downloads_total.get(name, 0)) for name in _FILLS},
            "result",
            counter=True,
        ),
        GaugeCallback(
            "attachment_bytes",
            "Bytes of files, by where they were read.",
            lambda: {"disk": files.disk.read_bytes, "trello": metrics.downloaded_bytes},
            "source",
            counter=True,
        ),
        GaugeCallback(
            "attachment_checksum_failures",
            "Files that were not on disk as they were put there; each is fetched again.",
            lambda: {"": files.checksum_failures},
            counter=True,
        ),
        GaugeCallback(
            "attachment_store_up",
            "Whether files are kept: 1, or 0.",
            lambda: {"": float(files.is_working)},
        ),
    ]


def poller_gauges(watch: BoardPoller) -> list[GaugeCallback]:
    """How well changes made elsewhere are noticed."""
    return [
        GaugeCallback(
            "board_poll_lag_seconds",
            "Seconds since the last good question about all boards was asked; 0 while it rests.",
            lambda: {"": watch.lag_s},
        ),
        GaugeCallback(
            "boards_watched", "Boards watched for changes.", lambda: {"": len(watch.watched)}
        ),
        GaugeCallback(
            "board_polls",
            "Questions about all boards, by what came of them.",
            lambda: {name: float(number) for name, number in watch.polls.items()},
            "result",
            counter=True,
        ),
        GaugeCallback(
            "board_changes",
            "Boards that were seen to have moved, each time.",
            lambda: {"": watch.changes},
            counter=True,
        ),
    ]


def verification_gauges(proof: HitVerifier) -> list[GaugeCallback]:
    """How many of the hits that were asked again had been true, and how old the others were."""
    return [
        GaugeCallback(
            "hit_verifications",
            "Hits that were asked again, by what was found.",
            lambda: {name: float(number) for name, number in proof.results.items()},
            "result",
            counter=True,
        ),
        GaugeCallback(
            "stale_served_ratio",
            "Of the hits that were asked again, the share that was not true any more.",
            lambda: {"": proof.stale_ratio},
        ),
        GaugeCallback(
            "stale_served_seconds",
            "How long those had been stored, summed: none was stale for longer.",
            lambda: {"": proof.stale_s},
            counter=True,
        ),
    ]


def rate_limit_gauges(limiter: RateLimiter, stored: StoredCredential) -> list[GaugeCallback]:
    """Who waits for Trello's limits, and what is left of those of the stored token."""
    return [
        GaugeCallback(
            "rate_limit_queue_length",
            "Requests in line, by priority.",
            limiter.queue_lengths,
            "priority",
        ),
        GaugeCallback(
            "rate_limit_queue_oldest_seconds",
            "How long the oldest of them has waited.",
            lambda: {"": limiter.oldest_wait_s()},
        ),
        GaugeCallback(
            "rate_limit_remaining",
            "Requests that are left to tools, by limit of Trello's.",
            lambda: limiter.remaining(stored.credential),
            "limit",
        ),
    ]


def availability_gauges(
    availability: CircuitBreakers, credential_manager: CredentialManager
) -> list[GaugeCallback]:
    """Whether Trello may be asked, and with the stored token."""
    return [
        GaugeCallback(
            "circuit_breakers",
            "Breakers by state: the host's, and one a route.",
            availability.states,
            "state",
        ),
        GaugeCallback(
            "upstream_circuit_open",
            "Whether no connection is made to Trello at all: 1, or 0.",
            lambda: {"": float(availability.host_state() != "closed")},
        ),
        GaugeCallback(
            "upstream_last_success_age_seconds",
            "Seconds since Trello last gave an answer that is none of trouble.",
            lambda: _unless_none(availability.last_success_age_s()),
        ),
        GaugeCallback(
            "token_refused",
            "Whether Trello refuses the stored token: 1, or 0.",
            lambda: {"": float(availability.token.is_refused)},
        ),
        GaugeCallback(
            "token_expires_seconds",
            "Seconds until the stored token ends; absent when it never does, or is not known.",
            lambda: _unless_none(credential_manager.expires_in_s()),
        ),
    ]


def _unless_none(figure: float | None) -> dict[str, float]:
    return {} if figure is None else {"": figure}
