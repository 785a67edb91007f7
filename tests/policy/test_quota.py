"""What is left, as fields."""

from proxy.policy.quota import Quota, quota_fields


def test_each_limit_is_a_policy_and_what_is_left_of_it() -> None:
    quotas = {"key": Quota(300, 10, 291, 0), "token": Quota(100, 10, 7, 4)}
    assert quota_fields(quotas) == (  # type: ignore[arg-type]  # keys are Limits
        ("RateLimit-Policy", '"key";q=300;w=10, "token";q=100;w=10'),
        ("RateLimit", '"key";r=291;t=0, "token";r=7;t=4'),
    )
