"""Tests of proxy/scenarios."""
