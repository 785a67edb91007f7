"""Refusals in Trello's format: a sentence as text/plain, a few as JSON."""

import json

TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"


class Refusal(Exception):
    """An error response: status and body."""

    def __init__(self, status: int, sentence: str, content_type: str = TEXT) -> None:
        super().__init__(f"{status} {sentence}")
        self.status = status
        self.text = sentence
        self.content_type = content_type


def not_found() -> Refusal:
    """A well-formed id of no object."""
    return Refusal(404, "The requested resource was not found.")


def no_route(method: str, path: str) -> Refusal:
    """A path without a route."""
    return Refusal(404, f"Cannot {method} {path}")


def invalid(field: str) -> Refusal:
    """A missing or invalid parameter."""
    return Refusal(400, f"invalid value for {field}")


def json_refusal(status: int, code: str, message: str) -> Refusal:
    """A refusal with a JSON body."""
    body = json.dumps({"error": code, "message": message}, separators=(",", ":"))
    return Refusal(status, body, JSON)
