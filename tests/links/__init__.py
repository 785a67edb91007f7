"""Tests of proxy/links."""
