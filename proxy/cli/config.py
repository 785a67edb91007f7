"""`config`: prints proxy.yaml, the reference of all settings with their defaults, or its schema."""

import json
from argparse import Namespace
from importlib.resources import files


def run(options: Namespace) -> int:
    """The exit code."""
    package = files("proxy")
    packed = package.joinpath("proxy.yaml")  # in a checkout, it is beside the package
    file = packed if packed.is_file() else package.joinpath("..", "proxy.yaml")
    text = file.read_text("utf-8")
    print(_schema(text) if options.schema else text, end="")
    return 0


def _schema(text: str) -> str:
    from proxy.config.json_schema import json_schema  # noqa: PLC0415 — the text needs neither
    from proxy.config.reference import read_reference  # noqa: PLC0415

    comments = {name: comment for name, _, comment in read_reference(text)}
    return json.dumps(json_schema(comments), indent=2) + "\n"
