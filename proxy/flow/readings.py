"""Figures that belong to a part of the proxy and are read when somebody asks for metrics."""

from proxy import __version__
from proxy.config import Config
from proxy.flow.custodian import Custodian
from proxy.flow.identity import StoredIdentity
from proxy.flow.outlook import Outlook
from proxy.flow.proof import Proof
from proxy.flow.turns import Turns
from proxy.flow.watch import Watch
from proxy.metrics import Metrics, Reading
from proxy.store.files import Files
from proxy.store.responses import Responses

_FILLS = ("kept", "failed", "too-large", "no-room")


def store_readings(responses: Responses, config: Config) -> list[Reading]:
    """Figures that belong to the store, read when asked for."""
    memory, durable = responses.memory, responses.durable
    disk = durable.counts if durable is not None else None
    return [
        Reading(
            "store_bytes",
            "Bytes the stored responses take, by tier.",
            lambda: {"memory": memory.used_bytes, "disk": disk.used_bytes if disk else 0},
            "tier",
        ),
        Reading(
            "store_limit_bytes",
            "The bound of each tier.",
            lambda: {"memory": memory.limit_bytes, "disk": config.cache.disk_bytes if disk else 0},
            "tier",
        ),
        Reading(
            "store_responses",
            "Stored responses in memory.",
            lambda: {"memory": len(memory)},
            "tier",
        ),
        _facts_reading(responses),
        Reading(
            "store_evictions",
            "Stored responses that left for room, by tier.",
            lambda: {"memory": memory.evictions, "disk": disk.evictions if disk else 0},
            "tier",
            counter=True,
        ),
        Reading(
            "store_errors",
            "Failures of the store on disk; each was a miss, never an error to a client.",
            lambda: {"": disk.errors if disk else 0},
            counter=True,
        ),
        Reading(
            "store_dropped",
            "Answers kept in memory only, because the store on disk was slow or failing.",
            lambda: {"": disk.dropped if disk else 0},
            counter=True,
        ),
        Reading(
            "store_up", "Whether the store works: 1, or 0.", lambda: {"": float(responses.works)}
        ),
        Reading("info", "The version.", lambda: {__version__: 1.0}, "version"),
    ]


def _facts_reading(responses: Responses) -> Reading:
    return Reading(
        "store_facts",
        "Names and owners of objects that answers have shown, remembered.",
        lambda: {"": len(responses.aliases)},
    )


def file_readings(files: Files, metrics: Metrics) -> list[Reading]:
    """What is kept of files, and what came of their downloads."""
    room = files.room
    return [
        Reading("files", "Attachments and previews kept on disk.", lambda: {"": len(files)}),
        Reading("files_store_bytes", "What they take.", lambda: {"": room.used_bytes}),
        Reading("files_store_limit_bytes", "The bound of that.", lambda: {"": room.limit_bytes}),
        Reading(
            "files_evictions",
            "Files that left for room.",
            lambda: {"": room.evictions},
            counter=True,
        ),
        Reading(
            "file_fills",
            "Downloads of files into the store, by how they ended.",
            lambda: {name: float(files.fills.get(name, 0)) for name in _FILLS},
            "result",
            counter=True,
        ),
        Reading(
            "file_bytes",
            "Bytes of files, by where they were read.",
            lambda: {"disk": files.disk.read_bytes, "trello": metrics.fetched_file_bytes},
            "source",
            counter=True,
        ),
        Reading(
            "files_damaged",
            "Files that were not on disk as they were put there; each is fetched again.",
            lambda: {"": files.damaged},
            counter=True,
        ),
        Reading("files_up", "Whether files are kept: 1, or 0.", lambda: {"": float(files.works)}),
    ]


def watch_readings(watch: Watch) -> list[Reading]:
    """How well changes made elsewhere are noticed."""
    return [
        Reading(
            "watch_lag_seconds",
            "Seconds since the last good question about all boards was asked; 0 while it rests.",
            lambda: {"": watch.lag_s},
        ),
        Reading("watch_boards", "Boards watched for changes.", lambda: {"": watch.boards}),
        Reading(
            "watch_probes",
            "Questions about all boards, by what came of them.",
            lambda: {name: float(number) for name, number in watch.probes.items()},
            "result",
            counter=True,
        ),
        Reading(
            "watch_moves",
            "Boards that were seen to have moved, each time.",
            lambda: {"": watch.moves},
            counter=True,
        ),
    ]


def proof_readings(proof: Proof) -> list[Reading]:
    """How many of the hits that were asked again had been true, and how old the others were."""
    return [
        Reading(
            "proofs",
            "Hits that were asked again, by what was found.",
            lambda: {name: float(number) for name, number in proof.results.items()},
            "result",
            counter=True,
        ),
        Reading(
            "stale_served_ratio",
            "Of the hits that were asked again, the share that was not true any more.",
            lambda: {"": proof.stale_ratio},
        ),
        Reading(
            "stale_served_seconds",
            "How long those had been stored, summed: none was stale for longer.",
            lambda: {"": proof.stale_s},
            counter=True,
        ),
    ]


def turn_readings(turns: Turns, stored: StoredIdentity) -> list[Reading]:
    """Who waits for Trello's limits, and what is left of those of the stored token."""
    return [
        Reading("turns_waiting", "Requests in line, by urgency.", turns.lengths, "urgency"),
        Reading(
            "turns_oldest_wait_seconds",
            "How long the oldest of them has waited.",
            lambda: {"": turns.oldest_s()},
        ),
        Reading(
            "limit_remaining",
            "Requests that are left to tools, by limit of Trello's.",
            lambda: turns.remaining(stored.credential),
            "limit",
        ),
    ]


def outlook_readings(outlook: Outlook, custodian: Custodian) -> list[Reading]:
    """Whether Trello may be asked, and with the stored token."""
    return [
        Reading(
            "breakers", "Breakers by state: the host's, and one a route.", outlook.states, "state"
        ),
        Reading(
            "breaker_open",
            "Whether no connection is made to Trello at all: 1, or 0.",
            lambda: {"": float(outlook.host_state() != "closed")},
        ),
        Reading(
            "last_good_answer_seconds",
            "Seconds since Trello last gave an answer that is none of trouble.",
            lambda: _unless_none(outlook.last_good_s()),
        ),
        Reading(
            "token_refused",
            "Whether Trello refuses the stored token: 1, or 0.",
            lambda: {"": float(outlook.token.is_refused)},
        ),
        Reading(
            "token_expires_seconds",
            "Seconds until the stored token ends; absent when it never does, or is not known.",
            lambda: _unless_none(custodian.expires_in_s()),
        ),
    ]


def _unless_none(figure: float | None) -> dict[str, float]:
    return {} if figure is None else {"": figure}
