"""Our own errors as answers: problem+json with a Proxy-Status field (RFC 9457, RFC 9209; D7)."""

import json

from proxy.edge.rendered import Rendered
from proxy.errors import MethodNotAllowed, ProxyError, UpstreamError
from proxy.policy.cache_status import NAME
from proxy.policy.wire import head_of

TYPE_PREFIX = "urn:trello-proxy:"
RETRY_AFTER_S = 10


def render(error: ProxyError, request_id: str) -> Rendered:
    """The answer that says whose fault it was and what to do."""
    body = {
        "type": TYPE_PREFIX + error.slug,
        "title": error.title,
        "status": error.status,
        "detail": str(error),
        "instance": f"urn:trello-proxy:request:{request_id}",
    }
    fields = [
        ("Content-Type", "application/problem+json"),
        ("Cache-Control", "no-store"),
        ("Proxy-Status", f"{NAME}; error={error.proxy_error}"),
    ]
    if isinstance(error, UpstreamError):
        fields.append(("Retry-After", str(RETRY_AFTER_S)))
    if isinstance(error, MethodNotAllowed):
        fields.append(("Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS"))
    return Rendered(error.status, head_of(fields), json.dumps(body).encode())
