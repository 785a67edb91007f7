"""Tests of proxy/observability."""
