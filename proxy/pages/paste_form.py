"""Form that turns an address of Trello's into the proxy's link, and its result."""

from dataclasses import dataclass

from markupsafe import Markup

from proxy.pages.layout import copy_button

_FORM = Markup("""<form class="panel" method="get" action="/">{fault}
<label for="url">Paste an address from Trello, or a text with one</label>
<div class="row"><input type="text" inputmode="url" id="url" name="url" value="{text}"
 autocomplete="off" spellcheck="false" placeholder="https://trello.com/c/…"{state}>
<button class="button first">Make a link</button></div>{result}</form>""")
_FAULT = Markup('<p class="note bad" id="fault" role="alert">{}</p>')
_INVALID = Markup(' aria-invalid="true" aria-describedby="fault"')
_FOCUSED = Markup(" autofocus")
_RESULT = Markup('<p class="result" role="status"><a href="{link}">{link}</a>{copy}</p>')


@dataclass(frozen=True, slots=True)
class PastedLink:
    """The text of the form's field, and the link made from it or why there is none."""

    text: str = ""
    link: str = ""
    fault: str = ""


def paste_form(pasted: PastedLink) -> Markup:
    """The form; its field has the focus until there is a result, which a keyboard would cover."""
    fault, link = pasted.fault, pasted.link
    state = _INVALID if fault else _FOCUSED
    return _FORM.format(
        fault=_FAULT.format(fault) if fault else "",
        text=pasted.text,
        state="" if link else state,
        result=_RESULT.format(link=link, copy=copy_button(link, "to it")) if link else "",
    )
