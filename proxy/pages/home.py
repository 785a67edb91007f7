"""The page at `/`: what this is, how to use it, and how it is doing."""

from dataclasses import dataclass

from proxy.pages.dashboard import (
    dashboard_html,
    dashboard_text,
)
from proxy.pages.layout import (
    copy_button,
    e,
    page,
)
from proxy.status.history import (
    DashboardData,
)


@dataclass(frozen=True, slots=True)
class Pasted:
    """What was put into the box, the link it was turned into, or why it was not."""

    text: str = ""
    link: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """What there is at this address, for who reads the page."""

    operated: bool
    """The operator's pages."""
    keyless: bool
    """Answers for whoever sends no key and token, and files as pages."""


def home_page(public_url: str, pasted: Pasted, figures: DashboardData, offer: Offer) -> bytes:
    """For people."""
    base = f"{public_url}/1/"
    main = _MAIN.format(
        intro=_KEYLESS if offer.keyless else _KEYED,
        box=_box(public_url, pasted) if offer.keyless else "",
        url=e(public_url),
        copy=copy_button(base, "the base URL"),
        clients=_clients(public_url),
        figures=dashboard_html(figures),
        operator=_OPERATOR if offer.operated else "",
    )
    return page("trello-proxy", main)


def home_text(public_url: str, figures: DashboardData, offer: Offer) -> bytes:
    """The same for a terminal."""
    credentials = "without credentials" if offer.keyless else "with your own key and token"
    return (
        f"trello-proxy: Trello's API {credentials}, cached.\n\n"
        f"Base URL:  {public_url}/1/\n"
        f"Try:       curl {public_url}/1/members/me/boards?fields=name\n"
        f"A link:    curl -G {public_url}/ --data-urlencode url=https://trello.com/c/…\n\n"
        f"{dashboard_text(figures)}"
    ).encode()


def _box(public_url: str, pasted: Pasted) -> str:
    fault, link = pasted.fault, pasted.link
    invalid = ' aria-invalid="true" aria-describedby="fault"' if fault else ""
    said = f'<p class="note bad" id="fault" role="alert">{e(fault)}</p>' if fault else ""
    made = ""
    if link:
        made = (
            f'<p class="result" role="status"><a href="{e(link)}">{e(link)}</a>'
            f"{copy_button(link, 'it')}</p>"
        )
    return f"""<form class="panel" method="get" action="/">{said}
<label for="url">Paste an address from Trello, or a text with one</label>
<div class="row"><input type="text" inputmode="url" id="url" name="url" value="{e(pasted.text)}"
 autocomplete="off" spellcheck="false" placeholder="https://trello.com/c/…"{invalid}>
<button class="button first">Make a link</button></div>{made}
<p class="small">Or replace <code>https://trello.com</code> in a card's or board's address by
<code>{e(public_url)}</code>: its files are there as a page.</p></form>"""


def _clients(public_url: str) -> str:
    return "".join(
        f"<details><summary>{e(name)}</summary><pre><code>"
        f"{e(text.format(url=public_url))}</code></pre></details>"
        for name, text in _CLIENTS
    )


_PY_TRELLO = """\
class Session(requests.Session):
    def request(self, method, url, **more):
        url = url.replace('https://api.trello.com', '{url}')
        return super().request(method, url, **more)

client = TrelloClient('-', '-', http_service=Session())"""
_REQUESTS = """\
import requests
boards = requests.get('{url}/1/members/me/boards').json()"""
_CLIENT_JS = """\
<script src="{url}/1/client.js"></script>
The operator lists the page's origin in clients.origins."""
_CLIENTS = (
    ("curl", "curl '{url}/1/members/me/boards?fields=name'"),
    ("Python, requests", _REQUESTS),
    ("py-trello", _PY_TRELLO),
    ("trello.js", "client.instance.defaults.baseURL = '{url}/1'"),
    ("client.js in a page", _CLIENT_JS),
    ("An attachment", "{url}/1/cards/CARD/attachments/ATTACHMENT/download/NAME"),
)

_KEYLESS = """<h1>Trello's API and files, without a key</h1>
<p class="lead">This proxy answers for Trello on the inside network. Nobody needs a key, a token
or an account to read what it shows.</p>
<section class="panel">
<h2>Use it from a tool</h2>
<p>Replace the base URL <code>https://api.trello.com/1/</code> by this one, and leave the key and
token out:</p>
"""
_KEYED = """<h1>Trello's API, with your own key and token</h1>
<p class="lead">This proxy answers for Trello on the inside network, whoever sends a key and a token
of their own.</p>
<section class="panel">
<h2>Use it from a tool</h2>
<p>Replace the base URL <code>https://api.trello.com/1/</code> by this one, and send key and token
as you do to Trello:</p>
"""
_MAIN = """{intro}
<p class="result"><code class="base">{url}/1/</code>{copy}</p>
{clients}
</section>
{box}
{figures}
{operator}"""
_OPERATOR = """<p class="small"><a href="/readyz">Health</a> · <a href="/metrics">Metrics</a> ·
<a href="/-/client-credentials">Tools that still send a key</a></p>"""
