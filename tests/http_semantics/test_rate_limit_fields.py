"""What is left, as fields."""

from proxy.http_semantics.fields import RateLimitQuota, quota_fields


def test_each_limit_is_a_policy_and_what_is_left_of_it_and_two_have_trellos_names() -> None:
    quotas = {"key": RateLimitQuota(300, 10, 291, 0), "token": RateLimitQuota(100, 10, 7, 4)}
    assert quota_fields(quotas) == (  # type: ignore[arg-type]  # keys are Limits
        ("RateLimit-Policy", '"key";q=300;w=10, "token";q=100;w=10'),
        ("RateLimit", '"key";r=291;t=0, "token";r=7;t=4'),
        ("X-Rate-Limit-Api-Key-Interval-Ms", "10000"),
        ("X-Rate-Limit-Api-Key-Max", "300"),
        ("X-Rate-Limit-Api-Key-Remaining", "291"),
        ("X-Rate-Limit-Api-Token-Interval-Ms", "10000"),
        ("X-Rate-Limit-Api-Token-Max", "100"),
        ("X-Rate-Limit-Api-Token-Remaining", "7"),
    )
