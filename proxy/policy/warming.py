"""What is to be fetched ahead, how far it is, and what came of it, in words. Pure."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from proxy.policy.files import harmless_name
from proxy.policy.links import Links
from proxy.policy.pages.files import CARD_FIELDS, FILE_FIELDS
from proxy.policy.pages.words import counted, size_text
from proxy.policy.pasted import NotALink, link_of
from proxy.policy.signing import FileIds

_ID = re.compile(r"[0-9A-Za-z]{1,64}")
_OF_BOARD = re.compile(r"/(?:b|1/boards?)/([0-9A-Za-z]{1,64})(?:[/?]|\Z)")
_BAR_CHARS = 20
_MOST_NAMED = 50
_REASON_CHARS = 200


class NotABoard(ValueError):
    """Neither an id, a shortLink nor a board's address; `str()` says what to write."""


def board_named(text: str, links: Links, now: float) -> str:
    """The id or shortLink in what somebody calls a board by; NotABoard otherwise."""
    if _ID.fullmatch(text):
        return text
    try:
        found = _OF_BOARD.match(link_of(text, links, now).removeprefix(links.public_url))
    except NotALink:
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
class Wanted:
    """A file that is to be kept."""

    ids: FileIds
    title: str
    """Its name behind its card's, harmless on a terminal."""
    length: int
    """Bytes; 0 where Trello does not tell."""

    @property
    def path(self) -> str:
        return f"/1/cards/{self.ids.card}/attachments/{self.ids.attachment}/download"


def cards_in(body: bytes) -> tuple[int, list[Wanted]]:
    """How many cards an answer to `cards_target` has, and their uploads; ValueError for no list."""
    try:
        cards = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(cards, list):
        raise ValueError("not a list")  # noqa: TRY004 — it is the answer that is wrong
    return len(cards), [file for card in _objects(cards) for file in _uploads(card)]


def _uploads(card: dict[str, object]) -> Iterator[Wanted]:
    for attachment in _objects(card.get("attachments")):
        ids = FileIds(_text(card, "id"), _text(attachment, "id"))
        is_named = _ID.fullmatch(ids.card) and _ID.fullmatch(ids.attachment)
        if is_named and attachment.get("isUpload") is True:
            names = (_text(card, "name"), _text(attachment, "name") or ids.attachment)
            length = attachment.get("bytes")
            known = length if isinstance(length, int) and length > 0 else 0
            yield Wanted(ids, " / ".join(map(harmless_name, names)), known)


def _objects(value: object) -> list[dict[str, object]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(shown: dict[str, object], key: str) -> str:
    value = shown.get(key)
    return value if isinstance(value, str) else ""


class Standing(Enum):
    """What the proxy does with a file that it answers with 200."""

    ARRIVING = "is fetched, and kept when it is whole"
    KEPT = "was kept before"
    PASSING = "passes through and is not kept"


def standing_of(cache_status: str) -> Standing:
    """By the proxy's Cache-Status field (RFC 9211 §2)."""
    words = {word.strip() for word in cache_status.split(";")}
    if words & {"hit", "detail=stale-if-error"}:
        return Standing.KEPT
    return Standing.PASSING if "fwd=bypass" in words else Standing.ARRIVING


def reason_of(status: int, body: bytes) -> str:
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
class Tally:
    """What there is to do and what is done; times in seconds that never run backwards."""

    boards: int = 0
    cards: int = 0
    files: int = 0
    total_bytes: int = 0
    """Of all files, as far as Trello tells."""
    fetched: int = 0
    fetched_bytes: int = 0
    kept: int = 0
    """Files that were kept before."""
    kept_bytes: int = 0
    refused: int = 0
    """Files that failed."""
    failures: list[str] = field(default_factory=list)
    """Of boards and of files: which, and why."""
    is_interrupted: bool = False

    @property
    def is_whole(self) -> bool:
        return not self.failures and not self.is_interrupted

    def want(self, cards: int, files: list[Wanted]) -> None:
        """One board more."""
        self.boards += 1
        self.cards += cards
        self.files += len(files)
        self.total_bytes += sum(file.length for file in files)

    def refuse(self, file: Wanted, reason: str) -> None:
        self.refused += 1
        self.failures.append(f"{file.title}: {reason}")


def progress_line(tally: Tally, elapsed_s: float) -> str:
    """Files, bytes, rate and time left; the bar follows whichever of the first two is behind."""
    files_done = tally.fetched + tally.kept + tally.refused
    bytes_done = min(tally.fetched_bytes + tally.kept_bytes, tally.total_bytes)
    done = min(_part(files_done, tally.files), _part(bytes_done, tally.total_bytes))
    bar = ("#" * int(done * _BAR_CHARS)).ljust(_BAR_CHARS, ".")
    rate = tally.fetched_bytes / elapsed_s if elapsed_s else 0.0
    left = f", {_time_text(elapsed_s * (1 - done) / done)} left" if done and elapsed_s else ""
    return (
        f"[{bar}] {files_done}/{counted(tally.files, 'file')}, "
        f"{size_text(bytes_done)} of {size_text(tally.total_bytes)}, {size_text(rate)}/s{left}"
    )


def _part(done: int, of: int) -> float:
    return done / of if of else 1.0


def _time_text(seconds: float) -> str:
    """`40 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def plan_text(tally: Tally) -> str:
    """What a dry run says."""
    size = size_text(tally.total_bytes)
    plan = f"{_found(tally)}, {size}; what is kept already is not fetched again"
    return "\n".join((plan, *_failed(tally)))


def summary(tally: Tally, elapsed_s: float) -> str:
    """What came of it; the first failures by name."""
    fetched = f"{counted(tally.fetched, 'file')}, {size_text(tally.fetched_bytes)}"
    rest = f"already kept {tally.kept}; failed {len(tally.failures)}"
    lines = [
        _found(tally),
        f"fetched {fetched}, in {_time_text(elapsed_s)}; {rest}",
        *_failed(tally),
    ]
    if tally.is_interrupted:
        lines.append("interrupted: what is kept stays kept; the same command goes on from there")
    return "\n".join(lines)


def _found(tally: Tally) -> str:
    counts = ((tally.boards, "board"), (tally.cards, "card"), (tally.files, "file"))
    return ", ".join(counted(count, noun) for count, noun in counts)


def _failed(tally: Tally) -> list[str]:
    lines = [f"failed: {failure}" for failure in tally.failures[:_MOST_NAMED]]
    more = len(tally.failures) - _MOST_NAMED
    return [*lines, f"failed: {more} more"] if more > 0 else lines
