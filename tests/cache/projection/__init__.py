"""Tests of proxy/cache/projection."""
