"""What is left of the limits, as fields: the draft's, and Trello's own.

draft-ietf-httpapi-ratelimit-headers-10; `x-rate-limit-api-{token,key}-{interval-ms,max,remaining}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.model import Fields
from proxy.policy.limits import Limit


@dataclass(frozen=True, slots=True)
class RateLimitQuota:
    """One limit: `most` requests in any `window_s` seconds; times are rounded up."""

    limit: int
    window_s: int
    remaining: int
    """Requests that are left to tools."""
    reset_after_s: int
    """Until all of it is there again, should nothing more be sent."""


_TRELLO_NAMES: dict[Limit, str] = {"key": "api-key", "token": "api-token"}
"""Trello tells of these two in every answer; clients pace themselves by them."""


def quota_fields(quotas: Mapping[Limit, RateLimitQuota]) -> Fields:
    """`RateLimit-Policy` and `RateLimit`, and the figures of key and token by Trello's names."""
    policies = [f'"{name}";q={each.limit};w={each.window_s}' for name, each in quotas.items()]
    now = [f'"{name}";r={each.remaining};t={each.reset_after_s}' for name, each in quotas.items()]
    standard = (("RateLimit-Policy", ", ".join(policies)), ("RateLimit", ", ".join(now)))
    known = [(_TRELLO_NAMES[name], each) for name, each in quotas.items() if name in _TRELLO_NAMES]
    return (*standard, *(field for name, each in known for field in _trello_fields(name, each)))


def _trello_fields(name: str, quota: RateLimitQuota) -> Fields:
    prefix = f"X-Rate-Limit-{name.title()}"
    return (
        (f"{prefix}-Interval-Ms", str(quota.window_s * 1000)),
        (f"{prefix}-Max", str(quota.limit)),
        (f"{prefix}-Remaining", str(quota.remaining)),
    )
