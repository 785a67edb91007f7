"""Tests of proxy/cli/leak_check."""
