"""Tests of proxy/status."""
