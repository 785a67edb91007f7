"""A Trello stand-in: state, credentials, limits, faults, attachments, webhooks.

`trello-proxy demo` and the tests start it. It knows nothing of the proxy but its clock.
"""
