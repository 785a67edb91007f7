"""Tests of proxy/cache."""
