"""How pages look: light and dark, phone and desktop."""

import hashlib
from html import escape

from proxy.model import Fields

SCRIPT = """\
"use strict";
const said = document.getElementById("said");

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS there is no clipboard to write to, but what is selected can be copied.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (!copied) throw new Error("not copied");
  }
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const label = button.firstChild;
  button.hidden = false;
  button.addEventListener("click", async () => {
    let told = "Copied";
    try { await copy(button.dataset.copy); } catch { told = "Not copied"; }
    label.data = told;
    said.textContent = told;
    button.focus();
    setTimeout(() => { label.data = "Copy link"; said.textContent = ""; }, 2000);
  });
}

// What Trello does not give leaves the badge behind it.
for (const image of document.querySelectorAll(".thumb img")) {
  if (image.complete && !image.naturalWidth) image.remove();
  else image.addEventListener("error", () => image.remove());
}

const search = document.querySelector("form[data-whole] input[type=search]");
if (search) {
  const count = document.querySelector(".count");
  const none = document.getElementById("none");
  const sections = [...document.querySelectorAll(".card")].map((section) => ({
    section,
    files: [...section.querySelectorAll(".file")].map((file) => ({
      file,
      text: (section.querySelector("h2").textContent + " " +
        file.querySelector(".what").textContent).toLowerCase(),
    })),
  }));
  const all = sections.reduce((sum, each) => sum + each.files.length, 0);
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    for (const { section, files } of sections) {
      let here = 0;
      for (const { file, text } of files) {
        file.hidden = !words.every((word) => text.includes(word));
        here += file.hidden ? 0 : 1;
      }
      section.hidden = here === 0;
      shown += here;
    }
    none.hidden = shown > 0;
    count.textContent = shown === all ? count.dataset.all : `${shown} of ${all} files`;
  });
}
"""


ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    '<rect width="16" height="16" rx="4" fill="#0b5cad"/>'
    '<path d="M5 4.5v5a3 3 0 0 0 6 0v-4a1.7 1.7 0 0 0-3.4 0v4" fill="none" stroke="#fff" '
    'stroke-width="1.5" stroke-linecap="round"/></svg>'
)

STYLE = """\
:root {
  color-scheme: light dark;
  --ground: #f4f6f8; --surface: #ffffff; --line: #d5dbe3; --text: #1b2230; --quiet: #566072;
  --accent: #0b5cad; --on-accent: #ffffff; --tint: #e6f0fa;
  --stored: #2c7fb8; --asked: #d98a00; --failed: #c3342b;
  --warn: #7a4b00; --warn-ground: #fff3d9; --bad: #a3221c; --bad-ground: #fdeae8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12161c; --surface: #1b212a; --line: #37414f; --text: #e7ebf1; --quiet: #a7b1c0;
    --accent: #82bbff; --on-accent: #0c1a2b; --tint: #22344a;
    --stored: #5aa9e6; --asked: #e8a83a; --failed: #ff7a70;
    --warn: #ffd58a; --warn-ground: #372a10; --bad: #ffb1aa; --bad-ground: #3d1c1a;
  }
}
*, ::before, ::after { box-sizing: border-box; }
[hidden] { display: none !important; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere;
}
header, main { max-width: 62rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 1rem; padding-bottom: .5rem; }
header a { color: var(--quiet); font-weight: 600; text-decoration: none; }
header a:hover { text-decoration: underline; }
main { padding-bottom: 4rem; }
a { color: var(--accent); }
h1 { font-size: 1.75rem; line-height: 1.2; margin: .5rem 0 .25rem; }
h2 { font-size: 1.1rem; line-height: 1.3; margin: 0; }
h2 a { color: inherit; text-decoration: none; }
h2 a:hover { text-decoration: underline; }
code { font: .95em/1.5 ui-monospace, "Cascadia Mono", Menlo, "DejaVu Sans Mono", monospace; }
pre { margin: .5rem 0; padding: .75rem 1rem; background: var(--ground); border-radius: .5rem;
  white-space: pre-wrap; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: .25rem; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: 1rem; padding: .5rem 1rem; background: var(--surface); z-index: 1; }
.visually-hidden { position: absolute; width: 1px; height: 1px; margin: -1px; padding: 0;
  overflow: hidden; clip-path: inset(50%); white-space: nowrap; border: 0; }
.lead { color: var(--quiet); margin: 0 0 1.25rem; }
.panel { background: var(--surface); border: 1px solid var(--line); border-radius: .75rem;
  padding: 1.25rem; margin: 0 0 1rem; }
.panel > :first-child { margin-top: 0; }
.panel > :last-child { margin-bottom: 0; }
.note { border-radius: .5rem; padding: .75rem 1rem; margin: 0 0 1.25rem;
  background: var(--warn-ground); color: var(--warn); }
.note.bad { background: var(--bad-ground); color: var(--bad); }
.button, input[type=submit] {
  display: inline-block; font: inherit; font-size: .9rem; font-weight: 600; line-height: 1.25rem;
  padding: .5rem .85rem; border: 1px solid var(--line); border-radius: .5rem; cursor: pointer;
  background: var(--surface); color: var(--accent); text-decoration: none; white-space: nowrap;
}
.button:hover { border-color: var(--accent); background: var(--tint); }
.button.first { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
.button.first:hover { filter: brightness(1.1); }
.buttons { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: 1rem; }
label { display: block; font-weight: 600; margin-bottom: .35rem; }
.row { display: flex; gap: .5rem; }
input[type=search], input[type=text] {
  flex: 1; min-width: 0; font: inherit; padding: .5rem .75rem; color: inherit;
  background: var(--ground); border: 1px solid var(--quiet); border-radius: .5rem;
}
::placeholder { color: var(--quiet); opacity: 1; }
.count { color: var(--quiet); margin: .5rem 0 0; }
.result { display: flex; flex-wrap: wrap; align-items: center; gap: .75rem; margin-top: 1rem; }
.result a { flex: 1 1 20rem; }
.card { background: var(--surface); border: 1px solid var(--line); border-radius: .75rem;
  margin: 0 0 1rem; overflow: hidden; }
.card > h2 { padding: .85rem 1.25rem; border-bottom: 1px solid var(--line); }
.files { list-style: none; margin: 0; padding: 0; }
.file { display: grid; grid-template-columns: 6rem 1fr auto; gap: .25rem 1rem;
  align-items: center; padding: .85rem 1.25rem; }
.file + .file { border-top: 1px solid var(--line); }
.thumb { display: grid; place-items: center; width: 6rem; height: 4.5rem; border-radius: .5rem;
  overflow: hidden; background: var(--tint); color: var(--accent); text-decoration: none;
  font-weight: 700; font-size: .85rem; letter-spacing: .04em; }
.thumb > * { grid-area: 1 / 1; }
.thumb img { width: 100%; height: 100%; object-fit: cover; display: block;
  background: var(--tint); }
.name { font-weight: 600; }
.facts { margin: .1rem 0 0; color: var(--quiet); font-size: .9rem; }
.facts > :not(:last-child)::after { content: "\\00b7"; margin: 0 .4em; }
.facts > * { display: inline-block; }
.facts strong { color: var(--bad); }
.do { display: flex; gap: .5rem; }
.pages { display: flex; justify-content: space-between; gap: 1rem; margin-top: 1.5rem; }
.small { color: var(--quiet); font-size: .9rem; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1rem; }
.columns > * { margin-bottom: 1rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: 1rem;
  margin: .75rem 0 1.25rem; }
.tiles dd { margin: 0; font-size: 1.5rem; font-weight: 600; line-height: 1.2;
  font-variant-numeric: tabular-nums; }
.tiles div { display: flex; flex-direction: column; }
.tiles dt { color: var(--quiet); font-size: .9rem; }
figure { margin: 0; }
figcaption { font-weight: 600; font-size: .9rem; margin-bottom: .35rem; }
svg[role=img] { display: block; width: 100%; height: 6rem; }
svg .axis { stroke: var(--line); stroke-width: 2; vector-effect: non-scaling-stroke; fill: none; }
rect.stored { fill: var(--stored); }
rect.asked { fill: var(--asked); }
rect.failed { fill: var(--failed); }
.scale { display: flex; justify-content: space-between; margin: .25rem 0 0; color: var(--quiet);
  font-size: .8rem; }
.keys { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0;
  margin: .25rem 0 0; color: var(--quiet); font-size: .9rem; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: .2em; margin-right: .4em; }
.key.stored { background: var(--stored); }
.key.asked { background: var(--asked); }
.key.failed { background: var(--failed); }
meter { width: 100%; min-width: 4rem; }
.plain { list-style: none; margin: .5rem 0 0; padding: 0; }
.plain li { padding: .35rem 0; }
.plain li + li { border-top: 1px solid var(--line); }
.plain span { color: var(--quiet); font-size: .9rem; }
details { border-top: 1px solid var(--line); }
summary { cursor: pointer; padding: .5rem 0; font-weight: 600; }
.base { flex: 1 1 16rem; padding: .5rem .75rem; background: var(--ground); border-radius: .5rem; }
.wide { overflow-x: auto; }
.wide th, .wide td { white-space: nowrap; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line);
  vertical-align: baseline; overflow-wrap: normal; }
thead th { color: var(--quiet); font-weight: 600; font-size: .9rem; white-space: nowrap; }
tbody tr:last-child > * { border-bottom: 0; }
@media (max-width: 40rem) {
  header, main { padding-left: 1rem; padding-right: 1rem; }
  h1 { font-size: 1.45rem; }
  .file { grid-template-columns: 4rem 1fr; padding: .85rem 1rem; }
  .card > h2 { padding: .75rem 1rem; }
  .thumb { width: 4rem; height: 3.25rem; font-size: .75rem; align-self: start; }
  .do { grid-column: 1 / -1; margin-top: .35rem; }
  .do .button { flex: 1; text-align: center; }
  .row { flex-wrap: wrap; }
  .row > * { flex: 1 1 100%; text-align: center; }
  .row > input { text-align: left; }
}
@media (min-width: 40.01rem) { td:last-child { white-space: nowrap; } }
@media print { .do, .search, header, .skip { display: none; } }
"""


PAGE_FIELDS: Fields = (
    ("Content-Type", "text/html; charset=utf-8"),
    (
        "Content-Security-Policy",
        (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "private, no-store"),
    ("Vary", "Accept, Sec-Fetch-Mode"),
)


def _asset(path: str, content_type: str, text: str) -> tuple[str, Fields, bytes]:
    body = text.encode()
    tag = hashlib.blake2b(body, digest_size=6).hexdigest()
    fields = (
        ("Content-Type", content_type),
        ("Cache-Control", "public, max-age=31536000, immutable"),
    )
    return f"{path}?v={tag}", fields, body


_STYLE = _asset("/-/style.css", "text/css; charset=utf-8", STYLE)
_SCRIPT = _asset("/-/page.js", "text/javascript; charset=utf-8", SCRIPT)
_ICON = _asset("/-/icon.svg", "image/svg+xml", ICON)

ASSETS: dict[str, tuple[Fields, bytes]] = {
    url.partition("?")[0]: (fields, body) for url, fields, body in (_STYLE, _SCRIPT, _ICON)
}
"""What pages load, by path; their URLs name their content, so they may be kept for ever."""


def e(text: str) -> str:
    """Safe as an element's text and as a quoted attribute; a lone surrogate is shown as `?`."""
    return escape(text.encode("utf-8", "replace").decode(), quote=True)


def page(title: str, main: str) -> bytes:
    """A whole page; `main` is HTML, `title` is text."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{e(title)}</title>
<link rel="icon" href="{_ICON[0]}">
<link rel="stylesheet" href="{_STYLE[0]}">
<script src="{_SCRIPT[0]}" defer></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header><a href="/">trello-proxy</a></header>
<main id="main">
{main}
</main>
<p class="visually-hidden" role="status" id="said"></p>
</body>
</html>
""".encode()


def copy_button(link: str, what: str) -> str:
    """A button that copies a link; hidden where nothing would come of pressing it."""
    return (
        f'<button type="button" class="button" data-copy="{e(link)}" hidden>Copy link'
        f'<span class="visually-hidden"> to {e(what)}</span></button>'
    )
