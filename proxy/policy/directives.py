"""Cache-Control of a request, parsed once into a value (RFC 9111 §5.2.1)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Directives:
    """What a client asks of the cache. Unknown directives are ignored (§5.2.3)."""

    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    max_age_s: float | None = None


NONE = Directives()


def parse(cache_control: str, pragma: str = "") -> Directives:
    """The directives; a `max-age` that is no number counts as 0, the cautious reading (§4.2.1).

    `Pragma: no-cache` counts only where Cache-Control is absent (§5.4).
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
