"""Tests of proxy/changes."""
