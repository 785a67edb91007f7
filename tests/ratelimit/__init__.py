"""Tests of proxy/ratelimit."""
