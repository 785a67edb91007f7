"""Tests of proxy/credentials."""
