"""Tests of proxy/cache/store."""
