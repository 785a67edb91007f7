"""Fake Trello: an HTTP server with Trello's API, limits, faults, attachments and webhooks.

`trello-proxy demo` and the tests start it. Of the proxy it imports the clock only.
"""
