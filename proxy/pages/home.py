"""Home page (`/`): what the proxy is, how to use it, and its dashboard."""

from dataclasses import dataclass

from markupsafe import Markup

from proxy.pages.dashboard import dashboard_html, dashboard_text
from proxy.pages.layout import EMPTY, copy_button, page
from proxy.pages.paste_form import PastedLink, paste_form
from proxy.status.history import DashboardData


@dataclass(frozen=True, slots=True)
class Offer:
    """What the page offers to the client that requested it."""

    shows_admin_links: bool
    is_keyless: bool
    """API and files need no key and token."""
    needs_client_key: bool
    """Its requests are refused without a client key."""
    identity: str
    """Who the client is, and what it may do."""


def home_page(public_url: str, pasted: PastedLink, data: DashboardData, offer: Offer) -> bytes:
    """The page as HTML."""
    lead = _KEYLESS if offer.is_keyless else _KEYED
    has_form = offer.is_keyless or pasted.text
    main = (_CLIENT_KEY if offer.needs_client_key else lead).format(
        form=_FORM.format(form=paste_form(pasted), url=public_url) if has_form else ""
    )
    main += _HOME.format(
        url=public_url,
        identity=offer.identity,
        copy=copy_button(f"{public_url}/1/", "the base URL", "Copy"),
        examples=_examples(public_url, offer),
        dashboard=dashboard_html(data),
        admin_links=_ADMIN_LINKS if offer.shows_admin_links else "",
    )
    return page("trello-proxy", main, _DESCRIPTION)


def home_text(public_url: str, data: DashboardData, offer: Offer) -> bytes:
    """The page as plain text."""
    credentials = "without credentials" if offer.is_keyless else "with your own key and token"
    key = ""
    if offer.needs_client_key:
        credentials, key = "with your client key", f"{_KEY_FIELD} "
    return (
        f"trello-proxy: Trello's API {credentials}, cached.\n\n"
        f"Base URL:  {public_url}/1/\n"
        f"Try:       curl {key}'{public_url}/1/members/me/boards?fields=name'\n"
        f"A link:    curl {key}-G {public_url}/ --data-urlencode url=https://trello.com/c/…\n"
        f"Manual:    curl {key}{public_url}/-/docs/\n\n"
        f"{offer.identity}\n\n"
        f"{dashboard_text(data)}"
    ).encode()


_DESCRIPTION = "Trello's cards, files and API on the internal network, cached."
_FORM = Markup("""{form}
<p class="footnote">Or replace <code>https://trello.com</code> in a card's or board's address by
<code>{url}</code>: it is there as a page.</p>
""")
_KEYLESS = Markup("""<h1>Trello's API and files, without a key</h1>
<p class="lead">A proxy for Trello on the internal network. You need no key, token or Trello
account to read what it shows.</p>
{form}<section class="panel">
<h2>Use it from a client</h2>
<p>Replace the base URL <code>https://api.trello.com/1/</code> by this one, and leave the key and
token out:</p>
""")
_KEYED = Markup("""<h1>Trello's API, with your own key and token</h1>
<p class="lead">A proxy for Trello on the internal network, for clients that send their own key and
token.</p>
{form}<section class="panel">
<h2>Use it from a client</h2>
<p>Replace the base URL <code>https://api.trello.com/1/</code> by this one, and send key and token
as you do to Trello:</p>
""")
_CLIENT_KEY = Markup("""<h1>Trello's API and files, with a client key</h1>
<p class="lead">A proxy for Trello on the internal network. You need no Trello account, but a key of
this proxy, which the operator makes.</p>
{form}<section class="panel">
<h2>Use it from a client</h2>
<p>Replace the base URL <code>https://api.trello.com/1/</code> by this one, and send your client key
as a Bearer token, or in place of Trello's token:</p>
""")
_HOME = Markup("""<p class="result"><code class="base">{url}/1/</code>{copy}</p>
<p>{identity}</p>
{examples}
</section>
{dashboard}
<p class="footnote"><a href="/-/docs/">Documentation</a></p>
{admin_links}""")
_ADMIN_LINKS = Markup(
    '<p class="footnote"><a href="/readyz">Health</a> · <a href="/metrics">Metrics</a> ·\n'
    '<a href="/-/client-credentials">Clients that still send a key</a> ·\n'
    '<a href="/-/explain">Explain a request</a></p>'
)

_PY_TRELLO = """\
class Session(requests.Session):
    def request(self, method, url, **more):
        url = url.replace('https://api.trello.com', '{url}')
        return super().request(method, url, **more)

client = TrelloClient('-', '{token}', http_service=Session())"""
_REQUESTS = """\
import requests
boards = requests.get('{url}/1/members/me/boards'{header}).json()"""
_TRELLO_JS = """\
const client = new TrelloClient({{key: '-', token: '{token}'}})
client.instance.defaults.baseURL = '{url}/1'"""
_CLIENT_JS = """\
<script src="{url}/1/client.js"></script>
The operator lists the page's origin in clients.origins."""
_KEY_FIELD = "-H 'Authorization: Bearer YOUR_KEY'"
_EXAMPLES = (
    ("curl", "curl {field}'{url}/1/members/me/boards?fields=name'"),
    ("Python, requests", _REQUESTS),
    ("py-trello", _PY_TRELLO),
    ("trello.js", _TRELLO_JS),
    ("client.js in a page", _CLIENT_JS),
    ("An attachment", "{url}/1/cards/CARD/attachments/ATTACHMENT/download/NAME"),
)
_EXAMPLE = Markup("<details><summary>{}</summary><pre><code>{}</code></pre></details>")


def _examples(public_url: str, offer: Offer) -> Markup:
    values = {"url": public_url, "token": "-", "field": "", "header": ""}
    if offer.needs_client_key:
        header = ", headers={'Authorization': 'Bearer YOUR_KEY'}"
        values |= {"token": "YOUR_KEY", "field": f"{_KEY_FIELD} ", "header": header}
    return EMPTY.join(_EXAMPLE.format(name, code.format(**values)) for name, code in _EXAMPLES)
