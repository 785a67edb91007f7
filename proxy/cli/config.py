"""`config`: prints proxy.yaml, the reference of all settings with their defaults."""

from argparse import Namespace
from importlib.resources import files


def run(_: Namespace) -> int:
    """The exit code."""
    package = files("proxy")
    packed = package.joinpath("proxy.yaml")  # in a checkout, it is beside the package
    text = packed if packed.is_file() else package.joinpath("..", "proxy.yaml")
    print(text.read_text("utf-8"), end="")
    return 0
