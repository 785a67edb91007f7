"""Upstream requests: availability, rate limits, retries, and the only outward socket."""
