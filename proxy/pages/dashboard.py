"""What the page at `/` shows of the last hour: numbers, and plots drawn as SVG. Pure."""

from collections.abc import Callable, Sequence

from proxy.pages.format import (
    counted,
    span_text,
    time_text,
)
from proxy.pages.layout import e
from proxy.status.history import MINUTES, DashboardData, LimitUse, Minute, RecentFailure

_HEIGHT = 100
"""Of a plot, in its own units; a minute is ten wide."""
_MAX_CLIENTS = 8


def dashboard_html(figures: DashboardData) -> str:
    """The part of the page that tells how things are."""
    hour = figures.hour
    tiles = (
        ("answered without asking Trello", _percent(figures.hit_ratio)),
        ("questions spared in this hour", f"{figures.saved:,}"),
        ("questions to Trello in this hour", f"{hour.upstream:,}"),
        ("Trello's health", health_text(figures)),
    )
    shown = "".join(f"<div><dd>{e(value)}</dd><dt>{e(name)}</dt></div>" for name, value in tiles)
    return f"""<section class="panel" aria-labelledby="now">
<h2 id="now">The last hour</h2>
<dl class="tiles">{shown}</dl>
{_plots(figures.minutes)}
</section>
<div class="columns">{_budgets(figures.budgets)}{_clients(figures.clients)}</div>
{_failures(figures.failures)}"""


def dashboard_text(figures: DashboardData) -> str:
    """The same for a terminal, in a few lines."""
    spared, asked = (
        f"{counted(figures.saved, 'question')} spared",
        f"{figures.hour.upstream:,} asked",
    )
    budgets = [
        f"Budget:    {each.left:,} of {each.limit_now:,} left ({each.limit})\n"
        for each in figures.budgets
    ]
    ratio = _percent(figures.hit_ratio)
    return (
        f"Last hour: {ratio} answered without asking Trello, {spared}, {asked}\n"
        f"Trello:    {health_text(figures)}\n{''.join(budgets)}"
    )


def health_text(figures: DashboardData) -> str:
    """Trello's health in words, by the upstream requests of the last minutes."""
    requests, failed = figures.recent
    if not requests:
        return "no requests lately"
    if not failed:
        return "healthy"
    return f"failing: {failed:,} of {counted(requests, 'upstream request')} failed lately"


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{int(ratio * 100)}%"  # 100% is all of them


def _plots(minutes: Sequence[Minute]) -> str:
    requests = _plot(
        "Requests a minute",
        minutes,
        (("stored", lambda m: m.stored + m.shared), ("asked", lambda m: m.asked)),
    )
    questions = _plot(
        "Questions to Trello a minute",
        minutes,
        (("asked", lambda m: m.upstream - m.failed), ("failed", lambda m: m.failed)),
    )
    keys = (("stored", "from the store"), ("asked", "Trello asked"), ("failed", "failed"))
    key = "".join(f'<li><span class="key {name}"></span>{text}</li>' for name, text in keys)
    return f'<div class="columns">{requests}{questions}</div><ul class="keys">{key}</ul>'


_Series = tuple[str, Callable[[Minute], int]]


def _plot(title: str, minutes: Sequence[Minute], series: Sequence[_Series]) -> str:
    """Stacked bars, a minute each; the last one at the right edge."""
    heights = [[count(minute) for _, count in series] for minute in minutes]
    peak = max(map(sum, heights), default=0)
    first = MINUTES - len(minutes)
    bars = "".join(
        _bar(series[row][0], (first + column) * 10, below, amount, max(peak, 1))
        for column, amounts in enumerate(heights)
        for row, amount in enumerate(amounts)
        if amount
        for below in (sum(amounts[:row]),)
    )
    told = f"{title}: {peak:,} at most, {sum(heights[-1]) if heights else 0:,} in this one"
    return f"""<figure>
<figcaption>{e(title)}</figcaption>
<svg viewBox="0 0 {MINUTES * 10} {_HEIGHT}" preserveAspectRatio="none" role="img"
 aria-label="{e(told)}"><path class="axis" d="M0 {_HEIGHT}H{MINUTES * 10}"/>{bars}</svg>
<p class="scale"><span>an hour ago</span><span>peak {peak:,}</span><span>now</span></p>
</figure>"""


def _bar(name: str, x: int, below: int, amount: int, peak: int) -> str:
    """One part of a bar; what is there at all is at least seen."""
    height = max(1.5, amount * _HEIGHT / peak)
    y = max(0.0, _HEIGHT - below * _HEIGHT / peak - height)
    return f'<rect class="{name}" x="{x + 1}" y="{y:.1f}" width="8" height="{height:.1f}"/>'


def _budgets(budgets: Sequence[LimitUse]) -> str:
    if not budgets:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{e(each.limit)}</th><td>{each.left:,} of {each.limit_now:,}</td>'
        f'<td><meter min="0" max="{each.limit_now}" value="{each.left}"'
        f' aria-label="{e(each.limit)}: {each.left:,} of {each.limit_now:,} left"></meter></td>'
        f"<td>in {span_text(each.window_s)}</td></tr>"
        for each in budgets
    )
    return f"""<section class="panel" aria-labelledby="budget">
<h2 id="budget">Left of Trello's limits</h2>
<table><tbody>{rows}</tbody></table></section>"""


def _clients(spenders: Sequence[tuple[str, int]]) -> str:
    spent = sum(number for _, number in spenders)
    if not spent:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{e(tool)}</th><td>{number:,}</td><td>{number / spent:.0%}</td></tr>'
        for tool, number in spenders[:_MAX_CLIENTS]
        if number
    )
    return f"""<section class="panel" aria-labelledby="spenders">
<h2 id="spenders">Who asks Trello</h2>
<table><tbody>{rows}</tbody></table></section>"""


def _failures(troubles: Sequence[RecentFailure]) -> str:
    if not troubles:
        return ""
    items = "".join(
        f"<li>{e(each.what)} <span>· {e(each.route)} · {time_text(each.at)}</span></li>"
        for each in troubles
    )
    return f"""<section class="panel" aria-labelledby="troubles">
<h2 id="troubles">What went wrong lately</h2>
<ul class="plain">{items}</ul></section>"""
