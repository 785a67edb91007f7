"""Secrets: where the configuration says they are, and a value that cannot be printed."""

import re
from collections.abc import Callable, Mapping

from proxy.config.yaml_source import Value

_SOUND = re.compile(r"[!#-&(-_a-z|~]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORMS = "write the value, {env: NAME} or {file: PATH}, without other braces"


class Secret:
    """A text that appears in no log, error or repr; `reveal()` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"


def resolve_secret(
    value: Value, environ: Mapping[str, str], read_file: Callable[[str], str]
) -> Secret | None:
    """The secret a setting means; None for null and for a variable that is unset or empty.

    ValueError says what is wrong and never repeats what was written: in the braces that
    documentation puts around a placeholder, the key of a mapping may be the secret itself.
    """
    match value:
        case None:
            return None
        case str(text):
            return _sound(text.strip(), "the value")
        case {"env": str(name)} if len(value) == 1 and _VARIABLE.fullmatch(name):
            text = environ.get(name, "").strip()
            return _sound(text, f"the variable {name}") if text else None
        case {"file": str(path)} if len(value) == 1:
            return _sound(_content(path, read_file), "the file's content")
    raise ValueError(f"not a secret; {_FORMS}")


def _content(path: str, read_file: Callable[[str], str]) -> str:
    cure = "check the path, and that the proxy's user may read it"
    try:
        return read_file(path).strip()
    except OSError as error:
        raise ValueError(
            f"the file cannot be read ({error.strerror or 'no reason given'}); {cure}"
        ) from None
    except ValueError:
        raise ValueError(f"the file cannot be read (it is not text); {cure}") from None


def _sound(text: str, what: str) -> Secret:
    if not text:
        raise ValueError(f"{what} is empty; {_FORMS}")
    if not _SOUND.fullmatch(text):
        raise ValueError(
            f"{what} holds a space, quote, brace or character outside ASCII; copy the bare value"
        )
    return Secret(text)
