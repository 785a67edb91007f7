"""An Outcome as one Cache-Status field value (RFC 9211)."""

from proxy.model import Outcome

NAME = "trello-proxy"


def cache_status(outcome: Outcome) -> str:
    """`trello-proxy; hit; ttl=27`, `trello-proxy; fwd=uri-miss; fwd-status=200; stored` …"""
    parts = [NAME]
    if outcome.hit:
        parts.append("hit")
    elif outcome.fwd is not None:
        parts.append(f"fwd={outcome.fwd}")
    if outcome.fwd_status is not None:
        parts.append(f"fwd-status={outcome.fwd_status}")
    if outcome.ttl_s is not None:
        parts.append(f"ttl={outcome.ttl_s}")
    if outcome.stored:
        parts.append("stored")
    if outcome.collapsed:
        parts.append("collapsed")
    if outcome.detail is not None:
        parts.append(f"detail={outcome.detail}")
    return "; ".join(parts)
