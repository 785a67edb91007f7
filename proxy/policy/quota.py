"""What is left of the limits, as fields (draft-ietf-httpapi-ratelimit-headers-10)."""

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.model import Fields
from proxy.policy.limits import Limit


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit: `most` requests in any `window_s` seconds; times are rounded up."""

    most: int
    window_s: int
    remaining: int
    """Requests that are left to tools."""
    whole_in_s: int
    """Until all of it is there again, should nothing more be sent."""


def quota_fields(quotas: Mapping[Limit, Quota]) -> Fields:
    """`RateLimit-Policy` and `RateLimit`."""
    policies = [f'"{name}";q={each.most};w={each.window_s}' for name, each in quotas.items()]
    now = [f'"{name}";r={each.remaining};t={each.whole_in_s}' for name, each in quotas.items()]
    return (("RateLimit-Policy", ", ".join(policies)), ("RateLimit", ", ".join(now)))
