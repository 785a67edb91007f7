"""What is to be fetched ahead, how far it is, and what came of it, in words. Pure."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from proxy.attachments.content_policy import safe_name
from proxy.links.paste import UnsupportedLink, to_proxy_link
from proxy.links.rewrite import LinkRewriter
from proxy.links.signing import FileIds
from proxy.pages.board_data import CARD_FIELDS, FILE_FIELDS
from proxy.pages.format import counted, size_text

_ID = re.compile(r"[0-9A-Za-z]{1,64}")
_OF_BOARD = re.compile(r"/(?:b|1/boards?)/([0-9A-Za-z]{1,64})(?:[/?]|\Z)")
_BAR_CHARS = 20
_MOST_NAMED = 50
_REASON_CHARS = 200


class NotABoard(ValueError):
    """Neither an id, a shortLink nor a board's address; `str()` says what to write."""


def parse_board_name(text: str, links: LinkRewriter, now: float) -> str:
    """The id or shortLink in what somebody calls a board by; NotABoard otherwise."""
    if _ID.fullmatch(text):
        return text
    try:
        found = _OF_BOARD.match(to_proxy_link(text, links, now).removeprefix(links.public_url))
    except UnsupportedLink:
        found = None
    if found is None:
        raise NotABoard(f"{text!r} is no board; give its id, its shortLink or its web address.")
    return found[1]


def board_target(board: str) -> str:
    """The question about a board that its page asks too."""
    return f"/1/boards/{board}?fields=name,shortLink,url"


def cards_target(board: str) -> str:
    """The question about its open cards and their files that its page asks too."""
    query = f"fields={CARD_FIELDS}&attachments=true&attachment_fields={FILE_FIELDS}"
    return f"/1/boards/{board}/cards?{query}"


@dataclass(frozen=True, slots=True)
class FileToWarm:
    """A file that is to be kept."""

    ids: FileIds
    title: str
    """Its name behind its card's, harmless on a terminal."""
    length: int
    """Bytes; 0 where Trello does not tell."""

    @property
    def path(self) -> str:
        return f"/1/cards/{self.ids.card}/attachments/{self.ids.attachment}/download"


def parse_cards(body: bytes) -> tuple[int, list[FileToWarm]]:
    """How many cards an answer to `cards_target` has, and their uploads; ValueError for no list."""
    try:
        cards = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(cards, list):
        raise ValueError("not a list")  # noqa: TRY004 — it is the answer that is wrong
    return len(cards), [file for card in _objects(cards) for file in _uploads(card)]


def _uploads(card: dict[str, object]) -> Iterator[FileToWarm]:
    for attachment in _objects(card.get("attachments")):
        ids = FileIds(_text(card, "id"), _text(attachment, "id"))
        is_named = _ID.fullmatch(ids.card) and _ID.fullmatch(ids.attachment)
        if is_named and attachment.get("isUpload") is True:
            names = (_text(card, "name"), _text(attachment, "name") or ids.attachment)
            length = attachment.get("bytes")
            known = length if isinstance(length, int) and length > 0 else 0
            yield FileToWarm(ids, " / ".join(map(safe_name, names)), known)


def _objects(value: object) -> list[dict[str, object]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(shown: dict[str, object], key: str) -> str:
    value = shown.get(key)
    return value if isinstance(value, str) else ""


class CacheResult(Enum):
    """What the proxy does with a file that it answers with 200."""

    DOWNLOADED = "is fetched, and kept when it is whole"
    HIT = "was kept before"
    BYPASS = "passes through and is not kept"


def parse_cache_status(cache_status: str) -> CacheResult:
    """By the proxy's Cache-Status field (RFC 9211 §2)."""
    words = {word.strip() for word in cache_status.split(";")}
    if words & {"hit", "detail=stale-if-error"}:
        return CacheResult.HIT
    return CacheResult.BYPASS if "fwd=bypass" in words else CacheResult.DOWNLOADED


def problem_detail(status: int, body: bytes) -> str:
    """Why there is no file: what our problem says (RFC 9457 §3.1), or how Trello's text begins."""
    text = body.decode(errors="replace")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict):
        named = (_text(said, key) for key in ("title", "detail", "message"))
        text = ": ".join(filter(None, named))
    seen = "".join(char if char.isprintable() else " " for char in text[:_REASON_CHARS])
    return f"{status} {seen.strip()}".strip()


@dataclass(slots=True)
class WarmStats:
    """What there is to do and what is done; times in seconds that never run backwards."""

    boards: int = 0
    cards: int = 0
    files: int = 0
    total_bytes: int = 0
    """Of all files, as far as Trello tells."""
    downloaded: int = 0
    downloaded_bytes: int = 0
    hits: int = 0
    """Files that were kept before."""
    hit_bytes: int = 0
    failed: int = 0
    """Files that failed."""
    failures: list[str] = field(default_factory=list)
    """Of boards and of files: which, and why."""
    is_interrupted: bool = False

    @property
    def is_complete(self) -> bool:
        return not self.failures and not self.is_interrupted

    def add_file(self, cards: int, files: list[FileToWarm]) -> None:
        """One board more."""
        self.boards += 1
        self.cards += cards
        self.files += len(files)
        self.total_bytes += sum(file.length for file in files)

    def add_failure(self, file: FileToWarm, reason: str) -> None:
        self.failed += 1
        self.failures.append(f"{file.title}: {reason}")


def progress_line(client_stats: WarmStats, elapsed_s: float) -> str:
    """Files, bytes, rate and time left; the bar follows whichever of the first two is behind."""
    files_done = client_stats.downloaded + client_stats.hits + client_stats.failed
    bytes_done = min(
        client_stats.downloaded_bytes + client_stats.hit_bytes, client_stats.total_bytes
    )
    done = min(_part(files_done, client_stats.files), _part(bytes_done, client_stats.total_bytes))
    bar = ("#" * int(done * _BAR_CHARS)).ljust(_BAR_CHARS, ".")
    rate = client_stats.downloaded_bytes / elapsed_s if elapsed_s else 0.0
    left = f", {_time_text(elapsed_s * (1 - done) / done)} left" if done and elapsed_s else ""
    files = f"{files_done}/{counted(client_stats.files, 'file')}"
    bytes_text = f"{size_text(bytes_done)} of {size_text(client_stats.total_bytes)}"
    return f"[{bar}] {files}, {bytes_text}, {size_text(rate)}/s{left}"


def _part(done: int, of: int) -> float:
    return done / of if of else 1.0


def _time_text(seconds: float) -> str:
    """`40 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def plan_text(client_stats: WarmStats) -> str:
    """What a dry run says."""
    size = size_text(client_stats.total_bytes)
    plan = f"{_found(client_stats)}, {size}; what is kept already is not fetched again"
    return "\n".join((plan, *_failed(client_stats)))


def summary(client_stats: WarmStats, elapsed_s: float) -> str:
    """What came of it; the first failures by name."""
    fetched = (
        f"{counted(client_stats.downloaded, 'file')}, {size_text(client_stats.downloaded_bytes)}"
    )
    rest = f"already kept {client_stats.hits}; failed {len(client_stats.failures)}"
    lines = [
        _found(client_stats),
        f"fetched {fetched}, in {_time_text(elapsed_s)}; {rest}",
        *_failed(client_stats),
    ]
    if client_stats.is_interrupted:
        lines.append("interrupted: what is kept stays kept; the same command goes on from there")
    return "\n".join(lines)


def _found(client_stats: WarmStats) -> str:
    counts = (
        (client_stats.boards, "board"),
        (client_stats.cards, "card"),
        (client_stats.files, "file"),
    )
    return ", ".join(counted(count, noun) for count, noun in counts)


def _failed(client_stats: WarmStats) -> list[str]:
    lines = [f"failed: {failure}" for failure in client_stats.failures[:_MOST_NAMED]]
    more = len(client_stats.failures) - _MOST_NAMED
    return [*lines, f"failed: {more} more"] if more > 0 else lines
