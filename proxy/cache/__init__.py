"""The response cache: lookup, freshness, invalidation, storage (RFC 9111)."""
