"""Dashboard of the last hour: figures, plots drawn as SVG, rate limits, recent failures."""

from collections.abc import Callable, Sequence

from markupsafe import Markup

from proxy.observability.metrics import OWN
from proxy.pages.format import counted, duration_text, time_text
from proxy.pages.layout import EMPTY
from proxy.status.history import MINUTES, DashboardData, LimitUse, Minute, RecentFailure

_PLOT_HEIGHT = 100
"""In SVG units; a minute is 10 wide."""
_MIN_BAR_HEIGHT = 1.5
"""Of a count that is not zero, so that it can be seen."""
_MAX_CLIENTS = 8
_MIN_REQUESTS = 100
"""In the hour; of fewer, ratios say little: the proxy's own requests outnumber them."""

_DASHBOARD = Markup("""<section class="panel" aria-labelledby="last-hour">
<h2 id="last-hour">The last hour</h2>
<dl class="tiles">{tiles}</dl>
<div class="columns">{requests}{upstream}</div>
<ul class="legend">{legend}</ul>
</section>
<div class="columns">{limits}{clients}</div>
{failures}""")
_TILE = Markup("<div><dd>{}</dd><dt>{}</dt></div>")
_LEGEND_ITEM = Markup('<li><span class="key {}"></span>{}</li>')
_LEGEND = EMPTY.join(
    _LEGEND_ITEM.format(name, text)
    for name, text in (
        ("hit", "from the cache"),
        ("forwarded", "from Trello"),
        ("failed", "failed"),
    )
)


def dashboard_html(data: DashboardData) -> Markup:
    """The dashboard as HTML."""
    tiles = [
        (_percent(data.hit_ratio), "answered without an upstream request"),
        (f"{data.saved:,}", "upstream requests saved"),
        (f"{data.hour.upstream:,}", "upstream requests"),
    ]
    if data.requests < _MIN_REQUESTS:
        tiles = [(f"{data.hour.hits:,}", "responses from the cache")]
    tiles.append((health_text(data), "Trello's health"))
    return _DASHBOARD.format(
        tiles=EMPTY.join(_TILE.format(*tile) for tile in tiles),
        requests=_plot(
            "Requests per minute",
            data.minutes,
            (("hit", lambda m: m.hits + m.collapsed), ("forwarded", lambda m: m.forwarded)),
        ),
        upstream=_plot(
            "Upstream requests per minute",
            data.minutes,
            (("forwarded", lambda m: m.upstream - m.failed), ("failed", lambda m: m.failed)),
        ),
        legend=_LEGEND,
        limits=_limits(data.limits),
        clients=_clients(data.clients),
        failures=_failures(data.failures),
    )


def dashboard_text(data: DashboardData) -> str:
    """The dashboard as plain text."""
    limits = [
        f"Limit:     {limit.remaining:,} of {limit.allowed:,} left ({limit.name})\n"
        for limit in data.limits
    ]
    figures = (
        f"{_percent(data.hit_ratio)} answered without an upstream request, "
        f"{counted(data.hour.upstream, 'upstream request')}, {data.saved:,} saved"
    )
    if data.requests < _MIN_REQUESTS:
        figures = f"{counted(data.hour.hits, 'response')} from the cache"
    return f"Last hour: {figures}\nTrello:    {health_text(data)}\n{''.join(limits)}"


def health_text(data: DashboardData) -> str:
    """Trello's health in words, by the upstream requests of the last minutes."""
    requests, failed = data.recent
    if not requests:
        return "no requests lately"
    if not failed:
        return "healthy"
    return f"failing: {failed:,} of {counted(requests, 'upstream request')} failed lately"


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{int(ratio * 100)}%"  # rounded down: 100% means all


_Series = tuple[str, Callable[[Minute], int]]
"""CSS class and count."""

_PLOT = Markup("""<figure>
<figcaption>{title}</figcaption>
<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img"
 aria-label="{title}: {peak:,} at most, {now:,} in the current one"><path class="axis"
 d="M0 {height}H{width}"/>{bars}</svg>
<p class="scale"><span>an hour ago</span><span>peak {peak:,}</span><span>now</span></p>
</figure>""")
_BAR = Markup('<rect class="{name}" x="{x}" y="{y:.1f}" width="8" height="{height:.1f}"/>')


def _plot(title: str, minutes: Sequence[Minute], series: Sequence[_Series]) -> Markup:
    """Stacked bars, one per minute; the current minute at the right edge."""
    columns = [[count(minute) for _, count in series] for minute in minutes]
    peak = max(map(sum, columns), default=0)
    first = MINUTES - len(minutes)
    bars = (
        _bar(series[row][0], (first + column) * 10, sum(counts[:row]), count, peak)
        for column, counts in enumerate(columns)
        for row, count in enumerate(counts)
        if count
    )
    return _PLOT.format(
        title=title,
        width=MINUTES * 10,
        height=_PLOT_HEIGHT,
        peak=peak,
        now=sum(columns[-1]) if columns else 0,
        bars=EMPTY.join(bars),
    )


def _bar(name: str, x: int, below: int, count: int, peak: int) -> Markup:
    """The bar of `count`, on top of bars of `below` together."""
    height = max(_MIN_BAR_HEIGHT, count * _PLOT_HEIGHT / peak)
    y = max(0.0, _PLOT_HEIGHT - below * _PLOT_HEIGHT / peak - height)
    return _BAR.format(name=name, x=x + 1, y=y, height=height)


_LIMITS = Markup("""<section class="panel" aria-labelledby="limits">
<h2 id="limits">Left of Trello's rate limits</h2>
<table class="figures" aria-labelledby="limits"><tbody>{}</tbody></table></section>""")
_LIMIT_ROW = Markup(
    '<tr><th scope="row">{limit.name}</th><td>{limit.remaining:,} of {limit.allowed:,}</td>'
    '<td><meter min="0" max="{limit.allowed}" value="{limit.remaining}"'
    ' aria-label="{limit.name}: {limit.remaining:,} of {limit.allowed:,} left"></meter></td>'
    "<td>per {window}</td></tr>"
)
_CLIENTS = Markup("""<section class="panel" aria-labelledby="clients">
<h2 id="clients">Upstream requests by client</h2>
<table class="figures" aria-labelledby="clients"><tbody>{}</tbody></table></section>""")
_CLIENT_ROW = Markup(
    '<tr><th scope="row">{client}</th><td>{requests:,}</td><td>{share:.0%}</td></tr>'
)
_OWN = "the proxy itself, watching for changes"
_FAILURES = Markup("""<section class="panel" aria-labelledby="failures">
<h2 id="failures">Recent failures</h2>
<ul class="plain">{}</ul></section>""")
_FAILURE = Markup("<li>{failure.title} <span>· {failure.route} · {time}</span></li>")


def _limits(limits: Sequence[LimitUse]) -> Markup:
    rows = [
        _LIMIT_ROW.format(limit=limit, window=duration_text(limit.window_s)) for limit in limits
    ]
    return _LIMITS.format(EMPTY.join(rows)) if rows else EMPTY


def _clients(clients: Sequence[tuple[str, int]]) -> Markup:
    """The clients with most requests, and the proxy's own at the end."""
    total = sum(requests for _, requests in clients)
    others = [each for each in clients if each[0] != OWN][:_MAX_CLIENTS]
    own = [(_OWN, requests) for client, requests in clients if client == OWN]
    rows = [
        _CLIENT_ROW.format(client=client, requests=requests, share=requests / total)
        for client, requests in (*others, *own)
        if requests
    ]
    return _CLIENTS.format(EMPTY.join(rows)) if rows else EMPTY


def _failures(failures: Sequence[RecentFailure]) -> Markup:
    items = [_FAILURE.format(failure=each, time=time_text(each.at)) for each in failures]
    return _FAILURES.format(EMPTY.join(items)) if items else EMPTY
