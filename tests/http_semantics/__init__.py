"""Tests of proxy/http_semantics."""
