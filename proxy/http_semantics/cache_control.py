"""Cache directives of a request (RFC 9111 §5.2.1) and the Cache-Status field (RFC 9211)."""

from dataclasses import dataclass

from proxy.model import Outcome

NAME = "trello-proxy"


def cache_status(outcome: Outcome) -> str:
    """An outcome as a Cache-Status field value (RFC 9211 §2).

    `trello-proxy; hit; ttl=27`, `trello-proxy; fwd=uri-miss; fwd-status=200; stored` …
    """
    parts = [NAME]
    if outcome.hit:
        parts.append("hit")
    elif outcome.fwd is not None:
        parts.append(f"fwd={outcome.fwd}")
    if outcome.fwd_status is not None:
        parts.append(f"fwd-status={outcome.fwd_status}")
    if outcome.ttl_s is not None:
        parts.append(f"ttl={outcome.ttl_s}")
    if outcome.stored:
        parts.append("stored")
    if outcome.collapsed:
        parts.append("collapsed")
    if outcome.detail is not None:
        parts.append(f"detail={outcome.detail}")
    return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Directives:
    """Request directives that the cache honours; unknown ones are ignored (RFC 9111 §5.2.3)."""

    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    max_age_s: float | None = None
    max_stale: bool = False
    """With `only_if_cached`: also what may replace an upstream failure (RFC 9111 §5.2.1.2).

    Of pages for what they read after a failure; it is not read from requests.
    """


NONE = Directives()
STORED = Directives(only_if_cached=True, max_stale=True)


def parse(cache_control: str, pragma: str = "") -> Directives:
    """The directives of a request; an invalid `max-age` counts as 0 (RFC 9111 §4.2.1).

    `Pragma: no-cache` counts only in the absence of Cache-Control (§5.4).
    """
    if not cache_control:
        return Directives(no_cache=True) if "no-cache" in pragma.lower() else NONE
    names: dict[str, str] = {}
    for part in cache_control.split(","):
        name, _, value = part.strip().partition("=")
        names.setdefault(name.strip().lower(), value.strip().strip('"'))
    return Directives(
        no_cache="no-cache" in names,
        no_store="no-store" in names,
        only_if_cached="only-if-cached" in names,
        max_age_s=_seconds(names["max-age"]) if "max-age" in names else None,
    )


def _seconds(text: str) -> float:
    return float(text[:12]) if text.isascii() and text.isdigit() else 0.0
