"""Reference of the settings: the comments of proxy.yaml, by setting."""

import re
from typing import NamedTuple

_LINE = re.compile(
    r"(?: +(?P<item>- )?)?(?:(?P<key>[a-z_]+):)?"
    r"(?: *(?P<value>[^ #][^#]*?))??(?: *# (?P<comment>.*))?"
)


class SettingText(NamedTuple):
    """What proxy.yaml says of one setting; items of a list belong to its key."""

    name: str
    """With its sections, `cache.disk`."""
    default: str
    comment: str


def with_examples(text: str) -> str:
    """The text of proxy.yaml with its items that are commented out, in place of the empty lists."""
    filled = re.sub(r"(?m)^#( +(?:- )?[a-z_]+: )", r" \1", text)
    return re.sub(r"(?m)^( *\w+: )\[\](.*\n(?: +#.*\n)* +- )", r"\1  \2", filled)


def read_reference(text: str) -> list[SettingText]:
    """Every setting in the text of proxy.yaml, in its order."""
    above, rows = dict[int, str](), list[SettingText]()
    for line in with_examples(text).splitlines():
        found = _LINE.fullmatch(line)
        if found is None or line.startswith("#"):
            continue
        item, key, value, comment = found["item"], found["key"], found["value"], found["comment"]
        if key is not None:
            depth = len(line) - len(line.lstrip(" -"))
            above = {each: name for each, name in above.items() if each < depth} | {depth: key}
            rows.append(SettingText(".".join(above.values()), value or "", comment or ""))
        elif rows:
            last = rows[-1]
            between = "; " if item and not last.comment.endswith(";") else " "
            rows[-1] = SettingText(
                last.name,
                ", ".join(filter(None, (last.default, value))),
                between.join(filter(None, (last.comment, comment))),
            )
    return rows
