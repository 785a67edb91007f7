"""Report of `warm`: what to download, the progress and the result, in words. Pure."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import Enum

from proxy.attachments.content_policy import safe_name
from proxy.links.paste import UnsupportedLink, to_proxy_link
from proxy.links.rewrite import LinkRewriter
from proxy.links.signing import FileIds
from proxy.pages.format import counted, size_text

_ID = re.compile(r"[0-9A-Za-z]{1,64}")
_BOARD_PATH = re.compile(r"/(?:b|1/boards?)/([0-9A-Za-z]{1,64})(?:[/?]|\Z)")
_BAR_CHARS = 20
_MAX_FAILURES = 50
_REASON_CHARS = 200


class InvalidBoardName(ValueError):
    """Neither an id, a shortLink nor a URL of a board; `str()` says what to write."""


def parse_board_name(text: str, links: LinkRewriter, now: float) -> str:
    """The id or shortLink of a board, also from its URL; InvalidBoardName otherwise."""
    if _ID.fullmatch(text):
        return text
    try:
        found = _BOARD_PATH.match(to_proxy_link(text, links, now).removeprefix(links.public_url))
    except UnsupportedLink:
        found = None
    if found is None:
        raise InvalidBoardName(f"{text!r} is no board; give its id, its shortLink or its URL.")
    return found[1]


@dataclass(frozen=True, slots=True)
class AttachmentToWarm:
    """An attachment to be stored."""

    ids: FileIds
    title: str
    """Card name and file name, without control characters."""
    length: int
    """Bytes; 0 where Trello does not say."""

    @property
    def path(self) -> str:
        return f"/1/cards/{self.ids.card}/attachments/{self.ids.attachment}/download"


def parse_cards(body: bytes) -> tuple[int, list[AttachmentToWarm]]:
    """Number of cards in a response to `cards_target`, and their uploads; ValueError."""
    try:
        cards = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(cards, list):
        raise ValueError("not a list")  # noqa: TRY004 — of the response, not of an argument
    return len(cards), [file for card in _objects(cards) for file in _uploads(card)]


def _uploads(card: dict[str, object]) -> Iterator[AttachmentToWarm]:
    for attachment in _objects(card.get("attachments")):
        ids = FileIds(_text(card, "id"), _text(attachment, "id"))
        is_named = _ID.fullmatch(ids.card) and _ID.fullmatch(ids.attachment)
        if is_named and attachment.get("isUpload") is True:
            names = (_text(card, "name"), _text(attachment, "name") or ids.attachment)
            size = attachment.get("bytes")
            length = size if isinstance(size, int) and size > 0 else 0
            yield AttachmentToWarm(ids, " / ".join(map(safe_name, names)), length)


def _objects(value: object) -> list[dict[str, object]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(members: dict[str, object], key: str) -> str:
    value = members.get(key)
    return value if isinstance(value, str) else ""


class CacheResult(Enum):
    """How the proxy served a download with 200."""

    DOWNLOADED = "downloads it, and stores it when complete"
    HIT = "had it stored"
    BYPASS = "passes it through without storing it"


def parse_cache_status(cache_status: str) -> CacheResult:
    """From the proxy's Cache-Status field (RFC 9211 §2)."""
    words = {word.strip() for word in cache_status.split(";")}
    if words & {"hit", "detail=stale-if-error"}:
        return CacheResult.HIT
    return CacheResult.BYPASS if "fwd=bypass" in words else CacheResult.DOWNLOADED


def problem_detail(status: int, body: bytes) -> str:
    """Status and reason: of our problem (RFC 9457 §3.1), else the start of Trello's text."""
    text = body.decode(errors="replace")
    try:
        problem = json.loads(text)
    except (ValueError, RecursionError):
        problem = None
    if isinstance(problem, dict):
        texts = (_text(problem, key) for key in ("title", "detail", "message"))
        text = ": ".join(filter(None, texts))
    printable = "".join(char if char.isprintable() else " " for char in text[:_REASON_CHARS])
    return f"{status} {printable.strip()}".strip()


@dataclass(slots=True)
class WarmStats:
    """Counts of boards, cards and attachments, and of downloads."""

    boards: int = 0
    cards: int = 0
    files: int = 0
    total_bytes: int = 0
    """Of all attachments whose length Trello says."""
    downloaded: int = 0
    downloaded_bytes: int = 0
    hits: int = 0
    """Attachments stored before this run."""
    hit_bytes: int = 0
    failed: int = 0
    """Attachments that failed."""
    failures: list[str] = field(default_factory=list)
    """Name and reason of each board and attachment that failed."""
    is_interrupted: bool = False

    @property
    def is_complete(self) -> bool:
        return not self.failures and not self.is_interrupted

    def add_board(self, cards: int, attachments: list[AttachmentToWarm]) -> None:
        """Count a board and its attachments."""
        self.boards += 1
        self.cards += cards
        self.files += len(attachments)
        self.total_bytes += sum(each.length for each in attachments)

    def add_failure(self, attachment: AttachmentToWarm, reason: str) -> None:
        self.failed += 1
        self.failures.append(f"{attachment.title}: {reason}")


def progress_line(stats: WarmStats, elapsed_s: float) -> str:
    """Bar, files, bytes, rate and time left; the bar shows the smaller share, files or bytes."""
    files_done = stats.downloaded + stats.hits + stats.failed
    bytes_done = min(stats.downloaded_bytes + stats.hit_bytes, stats.total_bytes)
    done = min(_share(files_done, stats.files), _share(bytes_done, stats.total_bytes))
    bar = ("#" * int(done * _BAR_CHARS)).ljust(_BAR_CHARS, ".")
    rate = stats.downloaded_bytes / elapsed_s if elapsed_s else 0.0
    left = f", {_time_text(elapsed_s * (1 - done) / done)} left" if done and elapsed_s else ""
    files = f"{files_done}/{counted(stats.files, 'file')}"
    bytes_text = f"{size_text(bytes_done)} of {size_text(stats.total_bytes)}"
    return f"[{bar}] {files}, {bytes_text}, {size_text(rate)}/s{left}"


def _share(done: int, of: int) -> float:
    return done / of if of else 1.0


def _time_text(seconds: float) -> str:
    """`40 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def plan_text(stats: WarmStats) -> str:
    """The result of a dry run."""
    size = size_text(stats.total_bytes)
    plan = f"{_found(stats)}, {size}; stored files are not downloaded again"
    return "\n".join((plan, *_failed(stats)))


def summary(stats: WarmStats, elapsed_s: float) -> str:
    """The result of a run, with the first failures by name."""
    downloaded = f"{counted(stats.downloaded, 'file')}, {size_text(stats.downloaded_bytes)}"
    rest = f"already stored {stats.hits}; failed {len(stats.failures)}"
    lines = [
        _found(stats),
        f"downloaded {downloaded}, in {_time_text(elapsed_s)}; {rest}",
        *_failed(stats),
    ]
    if stats.is_interrupted:
        lines.append("interrupted: stored files remain; the same command continues from there")
    return "\n".join(lines)


def stats_json(stats: WarmStats) -> str:
    """The result as JSON."""
    return json.dumps(asdict(stats), ensure_ascii=False)


def _found(stats: WarmStats) -> str:
    counts = (
        (stats.boards, "board"),
        (stats.cards, "card"),
        (stats.files, "file"),
    )
    return ", ".join(counted(count, noun) for count, noun in counts)


def _failed(stats: WarmStats) -> list[str]:
    lines = [f"failed: {failure}" for failure in stats.failures[:_MAX_FAILURES]]
    more = len(stats.failures) - _MAX_FAILURES
    return [*lines, f"failed: {more} more"] if more > 0 else lines
