"""Tests of proxy/config."""
