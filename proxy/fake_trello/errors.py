"""How Trello says no: mostly a bare sentence as text/plain."""

import json

SENTENCE = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"


class Refusal(Exception):
    """An answer that ends the request: a status and a body."""

    def __init__(self, status: int, sentence: str, content_type: str = SENTENCE) -> None:
        super().__init__(f"{status} {sentence}")
        self.status = status
        self.sentence = sentence
        self.content_type = content_type


def not_found() -> Refusal:
    """A well-formed id of nothing."""
    return Refusal(404, "The requested resource was not found.")


def no_route(method: str, path: str) -> Refusal:
    """A path that leads nowhere."""
    return Refusal(404, f"Cannot {method} {path}")


def invalid(field: str) -> Refusal:
    """A parameter that is missing or makes no sense."""
    return Refusal(400, f"invalid value for {field}")


def coded(status: int, code: str, message: str) -> Refusal:
    """One of the few refusals that are JSON."""
    body = json.dumps({"error": code, "message": message}, separators=(",", ":"))
    return Refusal(status, body, JSON)
