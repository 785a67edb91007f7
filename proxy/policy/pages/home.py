"""The page at `/`: what this is, and a box that turns Trello's addresses into links."""

from proxy.policy.pages.shell import copy_button, e, page


def home_page(public_url: str, pasted: str, link: str, fault: str) -> bytes:
    """`link` is what `pasted` was turned into, `fault` why it was not; both empty before."""
    return page("trello-proxy", _MAIN.format(box=_box(pasted, link, fault), url=e(public_url)))


def home_text(public_url: str) -> bytes:
    """The same for a terminal."""
    return (
        "trello-proxy: Trello's API without credentials, cached.\n\n"
        f"Base URL: {public_url}/1/\n"
        f"Try:      curl {public_url}/1/members/me/boards?fields=name\n"
        f"A link:   curl -G {public_url}/ --data-urlencode url=https://trello.com/c/…\n"
    ).encode()


def _box(pasted: str, link: str, fault: str) -> str:
    invalid = ' aria-invalid="true" aria-describedby="fault"' if fault else ""
    said = f'<p class="note bad" id="fault" role="alert">{e(fault)}</p>' if fault else ""
    made = ""
    if link:
        made = (
            f'<p class="result" role="status"><a href="{e(link)}">{e(link)}</a>'
            f"{copy_button(link, 'it')}</p>"
        )
    return f"""<form class="panel" method="get" action="/">{said}
<label for="url">Paste an address from Trello</label>
<div class="row"><input type="text" inputmode="url" id="url" name="url" value="{e(pasted)}"
 autocomplete="off" spellcheck="false" placeholder="https://trello.com/c/…"{invalid}>
<button class="button first">Make a link</button></div>{made}</form>"""


_MAIN = """<h1>Trello's files, as links that just open</h1>
<p class="lead">This proxy answers for Trello on the inside network. Nobody needs a key, a token
or an account to open what it shows.</p>
{box}
<section class="panel">
<h2>See the files of a card or a board</h2>
<p>Paste its address above, or replace <code>https://trello.com</code> in it by
<code>{url}</code>.</p>
</section>
<section class="panel">
<h2>Use it from a tool</h2>
<p>Replace its base URL <code>https://api.trello.com/1/</code>, and leave the key and token out:</p>
<pre><code>{url}/1/</code></pre>
<p>Try it:</p>
<pre><code>curl '{url}/1/members/me/boards?fields=name'</code></pre>
</section>
<p class="small"><a href="/readyz">Health</a> · <a href="/metrics">Metrics</a></p>"""
