"""Figures as they are told: the median of paired slices, and how far they lie apart."""

from collections.abc import Sequence
from statistics import median


class Ratio:
    """Ours to theirs, slice by slice: the machine's speed drops out."""

    def __init__(self, ours: Sequence[float], theirs: Sequence[float]) -> None:
        self.pairs = sorted(
            one / other for one, other in zip(ours, theirs, strict=True) if other > 0
        )

    @property
    def median(self) -> float:
        return median(self.pairs) if self.pairs else float("nan")

    def __str__(self) -> str:
        """The median, and the spread of the middle three quarters."""
        if not self.pairs:
            return "-"
        cut = len(self.pairs) // 8
        low, high = self.pairs[cut], self.pairs[-1 - cut]
        return f"{self.median:.2f} ({low:.2f}-{high:.2f})"


def verdict(what: str, figure: float, *, least: float = 0.0, most: float = float("inf")) -> str:
    """One line: the target, and whether it was reached."""
    bound = f"at least {least:g}" if least else f"at most {most:g}"
    reached = "reached" if least <= figure <= most else "MISSED"
    return f"  {reached:8} {what}: {figure:.2f}, {bound}"
