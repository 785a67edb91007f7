"""Trello's client.js, pointed at the proxy, so that a page changes only the script's address."""

import json

_ENDPOINTS = (b'"https://api.trello.com"', b'"https:\\/\\/api.trello.com"')


def rewrite_client_js(script: bytes, public_url: str) -> bytes:
    """The script with its API endpoint set to `public_url`; every other byte as it came."""
    endpoint = json.dumps(public_url).encode()
    for theirs in _ENDPOINTS:
        script = script.replace(theirs, endpoint)
    return script
