"""What is left of the limits, as fields (draft-ietf-httpapi-ratelimit-headers-10)."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from proxy.model import Fields
from proxy.policy.limits import Limit


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit: `most` requests in any `window_s` seconds."""

    most: int
    window_s: float
    remaining: int
    """Requests that a tool may have sent at once."""
    whole_in_s: float
    """Until all of it is there again, should nothing more be sent."""


def quota_fields(quotas: Mapping[Limit, Quota]) -> Fields:
    """`RateLimit-Policy` and `RateLimit`; the times are rounded up to whole seconds."""
    policies = [f'"{name}";q={each.most};w={ceil(each.window_s)}' for name, each in quotas.items()]
    now = [
        f'"{name}";r={each.remaining};t={ceil(each.whole_in_s)}' for name, each in quotas.items()
    ]
    return (("RateLimit-Policy", ", ".join(policies)), ("RateLimit", ", ".join(now)))
